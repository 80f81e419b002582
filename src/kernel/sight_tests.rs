//! Packets of all kinds, made by hand.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const A: [u8; 4] = [10, 5, 1, 2];
const B: [u8; 4] = [10, 5, 2, 2];
const OUT_A: [u8; 4] = [192, 0, 2, 11];
const OUT_B: [u8; 4] = [192, 0, 2, 12];

fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(from);
    packet.extend(to);
    packet.extend(payload);
    packet
}

fn echo(kind: u8, id: u16, marked: u16) -> Vec<u8> {
    let mut icmp = vec![kind, 0, 0, 0];
    icmp.extend(id.to_be_bytes());
    icmp.extend(7_u16.to_be_bytes());
    icmp.extend(MARK);
    icmp.extend(marked.to_be_bytes());
    icmp.extend([0; 51]);
    icmp
}

fn udp(port: u16, inner: &[u8], right: bool) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(41211_u16.to_be_bytes());
    datagram.extend(port.to_be_bytes());
    datagram.extend(((8 + inner.len()) as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(inner);
    let sum = Sum::new()
        .bytes(&OUT_A)
        .bytes(&OUT_B)
        .word(17)
        .word(datagram.len() as u16)
        .bytes(&datagram);
    let mut check = sum.finish();
    if !right {
        check[0] ^= 0x55;
    }
    datagram[6..8].copy_from_slice(&check);
    ipv4(UDP, OUT_A, OUT_B, &datagram)
}

fn vxlan(inner: &[u8]) -> Vec<u8> {
    let mut payload = vec![
        8, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0,
    ];
    payload.extend(inner);
    payload
}

fn recogniser(bare: bool, port: u16) -> Recogniser {
    Recogniser {
        paths: BTreeMap::from([(4711, 2)]),
        ports: vec![port],
        bare,
        peers: vec![OUT_B.into()],
    }
}

fn first(recogniser: &Recogniser, packet: &[u8], judge: Judge) -> Option<Probe> {
    recogniser.probes(packet, judge).into_iter().next()
}

#[test]
fn a_datagram_to_a_port_is_told_from_the_encapsulation() {
    let mut bytes = PORT_HEAD.to_vec();
    bytes.extend(MARK);
    bytes.extend(4711_u16.to_be_bytes());
    bytes.extend(2_u16.to_be_bytes());
    for (bare, encapsulation) in [(false, 8472), (true, 8285)] {
        let r = recogniser(bare, encapsulation);
        for port in [encapsulation, 63_000] {
            let packet = udp(port, &bytes, true);
            let probe = first(&r, &packet, Judge::Compute).unwrap();
            assert_eq!((probe.path, probe.sequence, probe.reply), (2, 2, false));
            assert_eq!((probe.outer, probe.length), (None, 44));
            // Its end is not the encapsulation's.
            let error = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &packet].concat();
            assert_eq!(r.error(&ipv4(ICMP, OUT_B, OUT_A, &error)), None);
        }
        let foreign = [&bytes[..12], &[0, 1, 0, 1]].concat();
        assert_eq!(
            first(&r, &udp(encapsulation, &foreign, true), Judge::Compute),
            None
        );
    }
}

#[test]
fn every_datagram_of_a_segmentation_offload_packet_is_seen() {
    let r = recogniser(true, 8285);
    let mut inner = ipv4(UDP, A, B, &[9; 63 + 16]);
    let one = ipv4(ICMP, A, B, &echo(8, 4711, 4711));
    inner.truncate(one.len());
    inner[2..4].copy_from_slice(&(one.len() as u16).to_be_bytes());
    inner.extend(&one);
    // The last may be shorter.
    inner.extend(ipv4(ICMP, B, A, &echo(0, 4711, 4711)[..60]));
    let probes = r.probes(&udp(8285, &inner, true), Judge::Compute);
    let seen: Vec<_> = probes.iter().map(|p| (p.reply, p.length)).collect();
    assert_eq!(seen, [(false, one.len() as u16), (true, 80)]);
}

#[test]
fn a_probe_is_found_plain_padded_and_masqueraded() {
    let r = recogniser(false, 8472);
    let mut packet = ipv4(ICMP, A, B, &echo(8, 4711, 4711));
    packet.extend([0; 9]);
    let probe = first(&r, &packet, Judge::Compute).unwrap();
    assert_eq!(
        (probe.path, probe.reply, probe.sequence, probe.length),
        (2, false, 7, 89)
    );
    assert_eq!(
        probe.line,
        "IP 10.5.1.2 > 10.5.2.2: ICMP echo request, id 4711, seq 7, length 69"
    );
    let changed = ipv4(ICMP, B, A, &echo(0, 99, 4711));
    let probe = first(&r, &changed, Judge::Compute).unwrap();
    assert!(probe.reply && probe.path == 2);
    assert_eq!(
        first(&r, &ipv4(ICMP, A, B, &echo(8, 99, 98)), Judge::Compute),
        None
    );
    let mut foreign = ipv4(ICMP, A, B, &echo(8, 4711, 4711));
    foreign[28] ^= 1;
    assert_eq!(first(&r, &foreign, Judge::Compute), None);
}

#[test]
fn an_outer_packet_is_unwrapped_and_its_checksum_judged() {
    let inner = ipv4(ICMP, A, B, &echo(8, 4711, 4711));
    for (bare, port) in [(false, 8472), (true, 8285)] {
        let r = recogniser(bare, port);
        let payload = if bare { inner.clone() } else { vxlan(&inner) };
        let outer = |packet: &[u8], judge| first(&r, packet, judge).unwrap().outer.unwrap();
        let good = udp(port, &payload, true);
        let bad = udp(port, &payload, false);
        assert_eq!(outer(&good, Judge::Compute).checksum, Checksum::Good);
        assert_eq!(outer(&bad, Judge::Compute).checksum, Checksum::Bad);
        assert_eq!(
            outer(&bad, Judge::Unfinished).checksum,
            Checksum::Unfinished
        );
        let mut none = bad.clone();
        none[26..28].fill(0);
        assert_eq!(outer(&none, Judge::Compute).checksum, Checksum::Absent);
        let seen = outer(&good, Judge::Compute);
        assert_eq!((seen.port, seen.vni), (port, (!bare).then_some(1)));
        assert_eq!(seen.inner_mac.is_some(), !bare);
        assert_eq!(
            first(&r, &udp(port + 1, &payload, true), Judge::Compute),
            None
        );
    }
}

#[test]
fn an_error_counts_when_it_quotes_our_packet() {
    let r = recogniser(false, 8472);
    let inner = ipv4(ICMP, A, B, &echo(8, 4711, 4711));
    let other = ipv4(ICMP, A, B, &echo(8, 1, 2));
    let error = |quoted: &[u8]| {
        let mut icmp = vec![3, 13, 0, 0, 0, 0, 0, 0];
        icmp.extend(quoted);
        r.error(&ipv4(ICMP, OUT_B, OUT_A, &icmp))
    };
    let whole = udp(8472, &vxlan(&inner), true);
    let heard = error(&whole).unwrap();
    assert_eq!(
        (heard.from, heard.kind, heard.code, heard.outer),
        (OUT_B.into(), 3, 13, true)
    );
    assert!(
        error(&whole[..28]).unwrap().outer,
        "a short quote tells port and peer"
    );
    assert_eq!(error(&udp(8472, &vxlan(&other), true)), None);
    assert_eq!(error(&udp(53, &vxlan(&inner), true)), None);
    assert!(!error(&inner).unwrap().outer);
    assert_eq!(error(&other), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), start in any::<bool>(), bare in any::<bool>()) {
        if start && bytes.len() > 24 {
            bytes[0] = 0x45;
            bytes[9] = if bare { UDP } else { ICMP };
            bytes[22..24].copy_from_slice(&8472_u16.to_be_bytes());
        }
        let r = recogniser(bare, 8472);
        let _ = (first(&r, &bytes, Judge::Compute), r.error(&bytes), r.reply(&bytes));
    }
}
