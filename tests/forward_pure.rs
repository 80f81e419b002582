//! The pure half of the udp data path against independent answers: a linear scan for the table,
//! etherparse for every header, arbitrary bytes for the absence of panics.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::{IpNumber, Ipv4HeaderSlice, PacketBuilder};
use flannelctl::forward::decide::{Inbound, Outbound, Sender, outbound};
use flannelctl::forward::{Accept, Peer, Reason, Table};
use flannelctl::packet::{Ipv4, icmp, ipv4};
use ipnet::Ipv4Net;
use proptest::prelude::*;

fn peer(subnet: &str, address: &str) -> Peer {
    Peer {
        subnet: subnet.parse().unwrap(),
        address: SocketAddrV4::new(address.parse().unwrap(), 8285),
    }
}

/// Two peers as flannel would have them.
fn two_peers() -> Table {
    Table::new([
        peer("10.5.26.0/24", "192.0.2.11"),
        peer("10.5.57.0/24", "192.0.2.12"),
    ])
}

fn udp_packet(source: [u8; 4], destination: [u8; 4], ttl: u8, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(source, destination, ttl)
        .udp(1000, 2000)
        .write(&mut bytes, &vec![7; len])
        .unwrap();
    bytes
}

fn any_peer() -> impl Strategy<Value = Peer> {
    // Few distinct addresses, so that subnets nest, touch and repeat.
    let address = prop_oneof![
        Just(0_u32),
        Just(u32::MAX),
        (0_u32..64).prop_map(|n| 0x0a05_0000 | n << 6)
    ];
    (address, 0_u8..=32, 1_u8..200).prop_map(|(address, len, host)| Peer {
        subnet: Ipv4Net::new(Ipv4Addr::from(address), len).unwrap(),
        address: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, host), 8285),
    })
}

fn linear(peers: &[Peer], address: Ipv4Addr) -> Option<SocketAddrV4> {
    let around = peers.iter().filter(|peer| peer.subnet.contains(&address));
    // max_by_key takes the last of equals: the later entry of one subnet counts.
    around
        .max_by_key(|peer| peer.subnet.prefix_len())
        .map(|peer| peer.address)
}

proptest! {
    #[test]
    fn the_table_finds_what_a_linear_scan_finds(
        peers in proptest::collection::vec(any_peer(), 0..40),
        probes in proptest::collection::vec(any::<u32>(), 20),
    ) {
        let table = Table::new(peers.clone());
        prop_assert_eq!(table.len(), peers.len());
        // Every edge of every subnet and its neighbours, and some addresses anywhere.
        let edges = peers.iter().flat_map(|peer| {
            let (first, last) = (u32::from(peer.subnet.network()), u32::from(peer.subnet.broadcast()));
            [first, first.wrapping_sub(1), last, last.wrapping_add(1), first.wrapping_add(1)]
        });
        for probe in edges.chain(probes) {
            let probe = Ipv4Addr::from(probe);
            prop_assert_eq!(table.lookup(probe), linear(&peers, probe), "{}", probe);
        }
        for peer in &peers {
            prop_assert!(table.knows_sender(*peer.address.ip()));
        }
        prop_assert!(!table.knows_sender(Ipv4Addr::new(203, 0, 113, 1)));
    }

    #[test]
    fn a_row_of_datagrams_is_judged_as_each_alone(
        row in proptest::collection::vec((0_usize..6, 0_u8..3), 1..30), any in any::<bool>(), sender in 0_usize..3,
    ) {
        let table = two_peers();
        let sources = [[10, 5, 26, 2], [10, 5, 26, 3], [10, 5, 57, 2], [192, 0, 2, 11], [192, 0, 2, 12], [8, 8, 8, 8]];
        let address = ["192.0.2.11", "192.0.2.12", "192.0.2.99"][sender].parse().unwrap();
        let accept = if any { Accept::Any } else { Accept::Peers };
        let mut together = Sender::new(address, &table, accept);
        for (source, ttl) in row {
            let packet = udp_packet(sources[source], [10, 5, 77, 2], ttl, 8);
            let alone = Sender::new(address, &table, accept).judge(&packet);
            prop_assert_eq!(together.judge(&packet), alone);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), first in 0x40_u8..0x50, real_len in any::<bool>()) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = first; // else nearly all end at the version
        }
        if real_len && bytes.len() >= 4 {
            let len = (bytes.len() as u16).to_be_bytes();
            bytes[2..4].copy_from_slice(&len);
        }
        let table = Table::new([peer("0.0.0.0/0", "192.0.2.1")]);
        for table in [&table, &Table::default()] {
            outbound(&bytes, table);
            Sender::new(Ipv4Addr::new(192, 0, 2, 1), table, Accept::Peers).judge(&bytes);
            Sender::new(Ipv4Addr::new(192, 0, 2, 1), table, Accept::Any).judge(&bytes);
        }
        if let Ok(packet) = Ipv4::parse(&bytes) {
            prop_assert_eq!(packet.payload().len() + packet.header_len(), bytes.len());
            icmp::may_answer(&packet);
            icmp::build(icmp::Error::TimeExceeded, Ipv4Addr::LOCALHOST, &packet);
        }
        ipv4::decrement_ttl(&mut bytes);
    }

    #[test]
    fn fields_are_those_that_etherparse_reads(
        source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(), ttl in any::<u8>(),
        id in any::<u16>(), flags in 0_u8..8, offset in 0_u16..8192, len in 0_usize..600, words in 0_usize..=10,
    ) {
        let mut bytes = vec![0; 20 + words * 4 + len];
        bytes[0] = 0x45 + words as u8;
        let total = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&total);
        bytes[4..6].copy_from_slice(&id.to_be_bytes());
        bytes[6..8].copy_from_slice(&(u16::from(flags) << 13 | offset).to_be_bytes());
        bytes[8] = ttl;
        bytes[9] = 17;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        let header = Ipv4HeaderSlice::from_slice(&bytes).unwrap();
        let check = header.to_header().calc_header_checksum().to_be_bytes();
        bytes[10..12].copy_from_slice(&check);

        let theirs = Ipv4HeaderSlice::from_slice(&bytes).unwrap();
        let ours = Ipv4::parse(&bytes).unwrap();
        prop_assert_eq!(ours.source(), theirs.source_addr());
        prop_assert_eq!(ours.destination(), theirs.destination_addr());
        prop_assert_eq!(ours.ttl(), theirs.ttl());
        prop_assert_eq!(ours.protocol(), theirs.protocol().0);
        prop_assert_eq!(ours.dont_fragment(), theirs.dont_fragment());
        prop_assert_eq!(ours.is_fragment(), theirs.is_fragmenting_payload());
        prop_assert_eq!(ours.fragment_offset(), theirs.fragments_offset().value());
        prop_assert_eq!(ours.has_options(), words > 0);

        ipv4::decrement_ttl(&mut bytes);
        let after = Ipv4HeaderSlice::from_slice(&bytes).unwrap();
        prop_assert_eq!(after.ttl(), ttl.saturating_sub(1));
        prop_assert_eq!(after.header_checksum(), after.to_header().calc_header_checksum());
    }

    #[test]
    fn an_icmp_error_is_one_that_etherparse_reads(len in 0_usize..1400, mtu in any::<u16>()) {
        let offender = udp_packet([10, 5, 57, 2], [10, 5, 99, 9], 1, len);
        let parsed = Ipv4::parse(&offender).unwrap();
        let source = Ipv4Addr::new(10, 5, 57, 0);
        for (error, kind, code, extra) in [
            (icmp::Error::NetUnreachable, 3, 0, 0),
            (icmp::Error::TimeExceeded, 11, 0, 0),
            (icmp::Error::FragmentationNeeded(mtu), 3, 4, mtu),
        ] {
            let message = icmp::build(error, source, &parsed);
            prop_assert!(message.bytes().len() <= icmp::MAX_LEN);
            let (header, rest) = etherparse::Ipv4Header::from_slice(message.bytes()).unwrap();
            prop_assert_eq!(header.header_checksum, header.calc_header_checksum());
            prop_assert_eq!(header.protocol, IpNumber::ICMP);
            prop_assert_eq!(usize::from(header.total_len), message.bytes().len());
            prop_assert_eq!(header.source, source.octets());
            prop_assert_eq!(header.destination, [10, 5, 57, 2]);
            let icmp = etherparse::Icmpv4Slice::from_slice(rest).unwrap();
            prop_assert!(icmp.header().icmp_type.calc_checksum(icmp.payload()) == icmp.checksum());
            prop_assert_eq!((icmp.type_u8(), icmp.code_u8()), (kind, code));
            prop_assert_eq!(icmp.bytes5to8(), [0, 0, extra.to_be_bytes()[0], extra.to_be_bytes()[1]]);
            prop_assert!(offender.starts_with(icmp.payload()));
            prop_assert!(icmp.payload().len() >= 28);
        }
    }
}

#[test]
fn ttl_of_the_captured_packet() {
    // flannel-compat 5.2: TTL 63 on the wire with checksum 566f, 64 before.
    let mut packet = [
        0x45, 0x00, 0x00, 0x54, 0x7e, 0x30, 0x40, 0x00, 0x40, 0x01, 0x55, 0x6f, 0x0a, 0x05, 0x39,
        0x00, 0x0a, 0x05, 0x1a, 0x00,
    ];
    ipv4::decrement_ttl(&mut packet);
    assert_eq!(packet[8..12], [0x3f, 0x01, 0x56, 0x6f]);
}

#[test]
fn outbound_verdicts() {
    let table = two_peers();
    let to_peer = Outbound::Send("192.0.2.11:8285".parse().unwrap());
    let none = Outbound::Drop(Reason::NoPeer, Some(icmp::Error::NetUnreachable));
    let late = Outbound::Drop(Reason::TtlExceeded, Some(icmp::Error::TimeExceeded));
    let judge =
        |source, destination, ttl| outbound(&udp_packet(source, destination, ttl, 8), &table);
    assert_eq!(judge([10, 5, 57, 2], [10, 5, 26, 2], 64), to_peer);
    assert_eq!(judge([10, 5, 57, 2], [10, 5, 26, 2], 2), to_peer);
    assert_eq!(judge([10, 5, 57, 2], [10, 5, 26, 2], 1), late);
    assert_eq!(judge([10, 5, 57, 2], [10, 5, 26, 2], 0), late);
    assert_eq!(judge([10, 5, 57, 2], [10, 5, 99, 2], 64), none);
    // Nobody is told about what nobody or everybody sent.
    for source in [
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
    ] {
        assert_eq!(
            judge(source, [10, 5, 99, 2], 64),
            Outbound::Drop(Reason::NoPeer, None)
        );
    }
    // IPv6 (router solicitations of the device itself) is dropped in silence.
    let mut six = vec![0; 48];
    six[0] = 0x60;
    assert_eq!(
        outbound(&six, &table),
        Outbound::Drop(Reason::NotIpv4, None)
    );
    assert_eq!(
        outbound(&[0x45; 19], &table),
        Outbound::Drop(Reason::Short, None)
    );
}

#[test]
fn icmp_errors_are_not_answered_and_echo_is() {
    let table = two_peers();
    for (kind, answered) in [
        (8, true),
        (0, true),
        (13, true),
        (3, false),
        (11, false),
        (5, false),
        (12, false),
    ] {
        let mut packet = udp_packet([10, 5, 57, 2], [10, 5, 99, 2], 64, 20);
        packet[9] = 1;
        packet[20] = kind;
        let want = answered.then_some(icmp::Error::NetUnreachable);
        assert_eq!(
            outbound(&packet, &table),
            Outbound::Drop(Reason::NoPeer, want),
            "type {kind}"
        );
    }
    let mut later_fragment = udp_packet([10, 5, 57, 2], [10, 5, 99, 2], 64, 20);
    later_fragment[7] = 3;
    assert_eq!(
        outbound(&later_fragment, &table),
        Outbound::Drop(Reason::NoPeer, None)
    );
}

#[test]
fn inbound_verdicts() {
    let table = two_peers();
    let peer: Ipv4Addr = "192.0.2.11".parse().unwrap();
    let stranger: Ipv4Addr = "192.0.2.99".parse().unwrap();
    let judge = |source, ttl, sender, accept| {
        Sender::new(sender, &table, accept).judge(&udp_packet(source, [10, 5, 77, 2], ttl, 8))
    };
    let dropped = |reason| Inbound::Drop(reason, None);
    // Its subnet, its tunnel address, its public address.
    for source in [[10, 5, 26, 2], [10, 5, 26, 0], [192, 0, 2, 11]] {
        assert_eq!(
            judge(source, 64, peer, Accept::Peers),
            Inbound::Deliver,
            "{source:?}"
        );
    }
    // Another peer's subnet, another peer's address, our own subnet, the world.
    for source in [
        [10, 5, 57, 2],
        [192, 0, 2, 12],
        [10, 5, 77, 3],
        [8, 8, 8, 8],
    ] {
        assert_eq!(
            judge(source, 64, peer, Accept::Peers),
            dropped(Reason::ForeignSource),
            "{source:?}"
        );
        assert_eq!(
            judge(source, 64, stranger, Accept::Any),
            Inbound::Deliver,
            "{source:?}"
        );
    }
    assert_eq!(
        judge([10, 5, 26, 2], 64, stranger, Accept::Peers),
        dropped(Reason::UnknownSender)
    );
    assert_eq!(
        judge([10, 5, 26, 2], 1, peer, Accept::Peers),
        Inbound::Drop(Reason::TtlExceeded, Some(icmp::Error::TimeExceeded))
    );

    let good = udp_packet([10, 5, 26, 2], [10, 5, 77, 2], 64, 8);
    let spoil = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Sender::new(peer, &table, Accept::Peers).judge(&bytes)
    };
    assert_eq!(spoil(0, 0x65), dropped(Reason::NotIpv4));
    assert_eq!(spoil(0, 0x44), dropped(Reason::HeaderLength));
    assert_eq!(spoil(0, 0x4f), dropped(Reason::HeaderLength));
    assert_eq!(spoil(3, good.len() as u8 + 1), dropped(Reason::TotalLength));
    assert_eq!(spoil(3, good.len() as u8 - 1), dropped(Reason::TotalLength));
    assert_eq!(spoil(3, 19), dropped(Reason::TotalLength));
    for len in 0..20 {
        assert_eq!(
            Sender::new(peer, &table, Accept::Peers).judge(&good[..len]),
            dropped(Reason::Short)
        );
    }
}
