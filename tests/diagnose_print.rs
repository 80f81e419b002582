//! Packets as tcpdump prints them.
#![allow(clippy::unwrap_used, missing_docs)]

use etherparse::PacketBuilder;
use flannelctl::packet::print::{line, line_with_port, time_of_day};
use proptest::prelude::*;

fn echo() -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 1, 77, 0], [10, 1, 11, 2], 64)
        .icmpv4_echo_request(12091, 514)
        .write(&mut packet, &[7; 56])
        .unwrap();
    packet
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 11], [192, 0, 2, 12], 64)
        .udp(41211, port)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

#[test]
fn an_echo_request_reads_as_in_tcpdump() {
    assert_eq!(
        line(&echo()).unwrap(),
        "IP 10.1.77.0 > 10.1.11.2: ICMP echo request, id 12091, seq 514, length 64"
    );
    // Cut off by the capture, or padded by Ethernet: the same line.
    assert_eq!(line(&echo()[..30]), line(&echo()));
    let mut padded = echo();
    padded.extend([0; 20]);
    assert_eq!(line(&padded), line(&echo()));
}

#[test]
fn the_inner_packet_follows_the_outer() {
    let mut frame = vec![8, 0, 0, 0, 0, 0, 1, 0];
    frame.extend([0xaa; 12]);
    frame.extend([8, 0]);
    frame.extend(echo());
    assert_eq!(
        line(&udp(8472, &frame)).unwrap(),
        "IP 192.0.2.11.41211 > 192.0.2.12.8472: VXLAN, vni 1: IP 10.1.77.0 > 10.1.11.2: ICMP echo request, \
         id 12091, seq 514, length 64"
    );
    assert!(
        line_with_port(&udp(9000, &frame), 9000)
            .unwrap()
            .contains("vni 1: IP 10.1.77.0")
    );
    assert!(
        line_with_port(&udp(9000, &echo()), 9000)
            .unwrap()
            .contains("length 84: IP 10.1.77.0")
    );
    assert_eq!(
        line(&udp(53, &[0; 5])).unwrap(),
        "IP 192.0.2.11.41211 > 192.0.2.12.53: UDP, length 5"
    );
}

#[test]
fn icmp_errors_name_what_they_are_about() {
    let error = |kind: u8, code: u8, mtu: u16| {
        let mut body = vec![kind, code, 0, 0, 0, 0];
        body.extend(mtu.to_be_bytes());
        body.extend(&udp(8472, &[0; 8])[..28]);
        let mut packet = vec![
            0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 12, 192, 0, 2, 11,
        ];
        packet[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        packet.extend(body);
        line(&packet).unwrap()
    };
    assert!(error(3, 3, 0).contains("ICMP 192.0.2.12 udp port 8472 unreachable, length 36"));
    assert!(error(3, 13, 0).contains("host 192.0.2.12 unreachable - admin prohibited filter"));
    assert!(error(3, 4, 1400).contains("192.0.2.12 unreachable - need to frag (mtu 1400)"));
    assert!(error(11, 0, 0).contains("time exceeded in-transit"));
}

#[test]
fn time_has_six_digits_of_microseconds() {
    assert_eq!(
        time_of_day(6_975_680_586 + 86_400_000_000 * 3),
        "01:56:15.680586"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), port in any::<u16>()) {
        let _one = line(&bytes);
        let _other = line_with_port(&bytes, port);
    }

    #[test]
    fn no_ipv4_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 20..120)) {
        let mut bytes = bytes;
        bytes[0] = 0x45;
        bytes[2] = 0;
        bytes[9] = [1, 6, 17, 47][usize::from(bytes[9] % 4)];
        let _line = line(&bytes);
    }
}
