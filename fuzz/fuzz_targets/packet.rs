//! Any bytes as a packet from the device or a datagram from the underlay: a verdict, never a panic, and an
//! ICMP error that is itself a sound packet.
#![no_main]

use std::net::{Ipv4Addr, SocketAddrV4};

use flannelctl_fuzz::forward::decide::{Inbound, Outbound, Sender, outbound};
use flannelctl_fuzz::forward::{Accept, Peer, Table};
use flannelctl_fuzz::packet::checksum::Sum;
use flannelctl_fuzz::packet::{Ipv4, icmp, ipv4};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let sender = Ipv4Addr::new(192, 0, 2, 11);
    let peer = |base: [u8; 4], len| Peer {
        subnet: ipnet::Ipv4Net::new(base.into(), len).expect("a length up to 32"),
        address: SocketAddrV4::new(sender, 8285),
    };
    let table = Table::new([peer([10, 5, 0, 0], 16), peer([128, 0, 0, 0], 1)]);
    let errors = [
        match outbound(data, &table) {
            Outbound::Drop(_, error) => error,
            Outbound::Send(_) => None,
        },
        match Sender::new(sender, &table, Accept::Peers).judge(data) {
            Inbound::Drop(_, error) => error,
            Inbound::Deliver => None,
        },
    ];
    let Ok(packet) = Ipv4::parse(data) else {
        assert_eq!(errors, [None, None]);
        return;
    };
    for error in errors.into_iter().flatten() {
        let message = icmp::build(error, Ipv4Addr::new(10, 5, 1, 0), &packet);
        let parsed = Ipv4::parse(message.bytes()).expect("our own packet");
        assert!(icmp::MAX_LEN >= message.bytes().len());
        assert!(
            !icmp::may_answer(&parsed),
            "an error must never be answered with an error"
        );
        assert!(Sum::new().bytes(parsed.payload()).is_valid());
    }
    let mut copy = data.to_vec();
    ipv4::decrement_ttl(&mut copy);
    let after = Ipv4::parse(&copy).expect("only the TTL changed");
    assert_eq!(after.ttl(), packet.ttl().saturating_sub(1));
    let sum = |bytes: &[u8]| Sum::new().bytes(&bytes[..packet.header_len()]).is_valid();
    assert!(!sum(data) || sum(&copy), "a right checksum stays right");
});
