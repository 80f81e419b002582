//! Cutting and merging, against each other and against etherparse: what was cut comes back byte for
//! byte, every piece is a sound packet, nothing overtakes within a flow, nothing else is touched.
#![allow(clippy::unwrap_used, missing_docs)]

mod packets;

use std::collections::BTreeMap;

use etherparse::{Ipv4Header, SlicedPacket, TransportSlice};
use flannelctl::forward::coalesce::Coalescer;
use flannelctl::forward::segment::BadOffload;
use flannelctl::packet::Span;
use flannelctl::packet::checksum;
use flannelctl::packet::vnet::{Gso, Vnet};
use packets::{CWR, FIN, Large, PSH, Shape, build, cut, merge, shape};
use proptest::prelude::*;

/// Panics unless etherparse finds every length and checksum right.
fn assert_sound(packet: &[u8]) {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let etherparse::NetSlice::Ipv4(ip) = sliced.net.unwrap() else {
        panic!("not IPv4");
    };
    let header = ip.header().to_header();
    assert_eq!(usize::from(header.total_len), packet.len());
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    match sliced.transport.unwrap() {
        TransportSlice::Tcp(tcp) => {
            let sum = tcp
                .calc_checksum_ipv4(header.source, header.destination)
                .unwrap();
            assert_eq!(tcp.checksum(), sum);
        }
        TransportSlice::Udp(udp) => {
            assert_eq!(usize::from(udp.length()), udp.payload().len() + 8);
            let sum = udp
                .to_header()
                .calc_checksum_ipv4(&header, udp.payload())
                .unwrap();
            assert_eq!(udp.checksum(), sum);
            assert_ne!(udp.checksum(), 0);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_piece_is_a_sound_packet(shape in shape()) {
        let large = build(&shape);
        let pieces = cut(&large).unwrap();
        prop_assert_eq!(pieces.len(), shape.payload.len().div_ceil(shape.size));
        let mut payload: Vec<u8> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            assert_sound(piece);
            let sliced = SlicedPacket::from_ip(piece).unwrap();
            let header = Ipv4Header::from_slice(piece).unwrap().0;
            prop_assert_eq!(header.identification, shape.id.wrapping_add(index as u16));
            prop_assert_eq!(header.dscp.value() << 2 | header.ecn.value(), shape.tos);
            match sliced.transport.unwrap() {
                TransportSlice::Tcp(tcp) => {
                    prop_assert_eq!(tcp.sequence_number(), shape.seq.wrapping_add(payload.len() as u32));
                    prop_assert_eq!(tcp.options(), &shape.options[..]);
                    let flags = tcp.slice()[13];
                    let last = index + 1 == pieces.len();
                    prop_assert_eq!(flags & (PSH | FIN), if last { shape.flags & (PSH | FIN) } else { 0 });
                    prop_assert_eq!(flags & CWR, if index == 0 { shape.flags & CWR } else { 0 });
                    payload.extend(tcp.payload());
                }
                TransportSlice::Udp(udp) => payload.extend(udp.payload()),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(payload, shape.payload);
    }

    #[test]
    fn what_was_cut_comes_back_whole(shape in shape()) {
        // Flags that no run may carry are another test's.
        let shape = Shape { flags: shape.flags & 0x18, ..shape };
        let large = build(&shape);
        let pieces = cut(&large).unwrap();
        let merged = merge(&pieces);
        prop_assert_eq!(merged.len(), 1);
        let (delivery, bytes) = &merged[0];
        prop_assert_eq!(usize::from(delivery.count), pieces.len());
        prop_assert_eq!(delivery.bytes as usize, pieces.iter().map(Vec::len).sum::<usize>());
        if pieces.len() > 1 {
            prop_assert_eq!(delivery.vnet, large.vnet);
            prop_assert_eq!(bytes, &large.bytes);
        } else {
            prop_assert_eq!(delivery.vnet, Vnet::WHOLE);
            prop_assert_eq!(bytes, &pieces[0]);
        }
    }

    #[test]
    fn a_run_says_whether_the_next_piece_would_join(shape in shape(), push in any::<prop::sample::Index>()) {
        let mut shape = Shape { flags: 0x10, ..shape };
        // Twice this is longer than any run may get.
        let pieces = (60_000 / shape.size).min(70);
        shape.payload = shape.payload.iter().copied().cycle().take(pieces * shape.size).collect();
        let mut packets = cut(&build(&shape)).unwrap();
        let next = Shape {
            seq: shape.seq.wrapping_add(shape.payload.len() as u32),
            id: shape.id.wrapping_add(pieces as u16),
            ..shape.clone()
        };
        packets.extend(cut(&build(&next)).unwrap());
        let pushed = push.index(packets.len());
        if !shape.udp {
            // The checksum changes by the flag alone.
            packets[pushed][33] |= PSH;
            let sum = u16::from_be_bytes([packets[pushed][36], packets[pushed][37]]);
            let sum = checksum::updated(sum, 0x10, 0x18).to_be_bytes();
            packets[pushed][36..38].copy_from_slice(&sum);
        }
        let mut buffer = packets.concat();
        let mut coalescer = Coalescer::new(packets.len(), true, true);
        prop_assert!(!coalescer.may_go_on());
        let mut at = 0;
        let mut runs = 0;
        for packet in &packets {
            let would = coalescer.may_go_on();
            coalescer.push(&mut buffer, Span::new(at, packet.len()));
            at += packet.len();
            let now = coalescer.finish(&mut buffer.clone()).0.len();
            if packet.len() == packets[0].len() {
                prop_assert_eq!(now == runs, would);
            }
            runs = now;
        }
    }

    #[test]
    fn any_mixture_is_the_same_after_merging_and_cutting(
        shapes in proptest::collection::vec(shape(), 1..6),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..400),
        spoil in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        // Pieces of several large packets, dealt in any order that keeps each one's own.
        let mut queues: Vec<Vec<Vec<u8>>> = shapes.iter().map(|shape| {
            let mut pieces = cut(&build(shape)).unwrap();
            pieces.reverse();
            pieces
        }).collect();
        let mut packets = Vec::new();
        for pick in order {
            let chosen = pick.index(queues.len());
            if let Some(packet) = queues[chosen].pop() {
                packets.push(packet);
            }
        }
        packets.extend(queues.into_iter().flat_map(|queue| queue.into_iter().rev()));
        for (which, at, bits) in spoil {
            let which = which.index(packets.len());
            let packet = &mut packets[which];
            // Not the version and lengths: those are refused before.
            let at = 4 + at.index(packet.len() - 4);
            packet[at] ^= bits;
        }

        let again: Vec<Vec<u8>> = merge(&packets)
            .into_iter()
            .flat_map(|(delivery, bytes)| {
                let pieces = cut(&Large { vnet: delivery.vnet, bytes }).unwrap();
                assert_eq!(pieces.len(), usize::from(delivery.count));
                pieces
            })
            .collect();
        prop_assert_eq!(again.len(), packets.len());
        prop_assert_eq!(by_flow(&again), by_flow(&packets));
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 10..400),
        gso in prop_oneof![Just(0_u8), Just(1), Just(5), any::<u8>()],
        protocol in prop_oneof![Just(6_u8), Just(17), Just(1)],
    ) {
        let mut bytes = bytes;
        bytes[1] = gso;
        let len = (bytes.len() - 10) as u16;
        if let [_, _, first, _, high, low, _, _, _, _, _, kind, ..] = &mut bytes[8..] {
            *first = 0x45;
            [*high, *low] = len.to_be_bytes();
            *kind = protocol;
        }
        let (vnet, packet) = Vnet::split(&mut bytes).unwrap();
        let large = Large { vnet, bytes: packet.to_vec() };
        if let Ok(pieces) = cut(&large) {
            merge(&pieces);
        }
        merge(&[large.bytes.clone(), large.bytes]);
    }
}

/// Packets by what their order matters for: all of one pair of addresses and protocol.
fn by_flow(packets: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<&Vec<u8>>> {
    let mut flows: BTreeMap<Vec<u8>, Vec<&Vec<u8>>> = BTreeMap::new();
    for packet in packets {
        let fragment = packet[6] & 0x3f != 0 || packet[7] != 0;
        let mut key = packet[9..10].to_vec();
        key.extend(&packet[12..20]);
        if !fragment && packet.len() >= 24 && packet[0] == 0x45 {
            key.extend(&packet[20..24]);
        }
        flows.entry(key).or_default().push(packet);
    }
    flows
}

#[test]
fn a_checksum_left_to_us_is_finished() {
    let shape = Shape {
        udp: true,
        size: 100,
        payload: vec![3; 99],
        ..Shape::default()
    };
    let mut large = build(&shape);
    large.vnet.gso = Gso::None;
    let pieces = cut(&large).unwrap();
    assert_eq!(pieces.len(), 1);
    assert_sound(&pieces[0]);
}

#[test]
fn contradictions_are_refused() {
    let shape = Shape {
        size: 100,
        payload: vec![3; 990],
        flags: 0x10,
        ..Shape::default()
    };
    let good = build(&shape);
    let spoilt = |change: &dyn Fn(&mut Large)| {
        let mut large = good.clone();
        change(&mut large);
        cut(&large)
    };
    assert!(spoilt(&|_| {}).is_ok());
    assert_eq!(spoilt(&|large| large.vnet.gso_size = 0), Err(BadOffload));
    assert_eq!(spoilt(&|large| large.vnet.gso = Gso::Udp), Err(BadOffload));
    assert_eq!(
        spoilt(&|large| large.vnet.gso = Gso::Unknown),
        Err(BadOffload)
    );
    assert_eq!(spoilt(&|large| large.bytes[32] = 0x40), Err(BadOffload));
    assert_eq!(spoilt(&|large| large.bytes[9] = 17), Err(BadOffload));
    assert_eq!(spoilt(&|large| large.bytes[6] = 0x20), Err(BadOffload));
    assert_eq!(spoilt(&|large| large.bytes.truncate(300)), Err(BadOffload));
    let outside = |large: &mut Large| {
        large.vnet.gso = Gso::None;
        large.vnet.checksum = Some((1013, 16));
    };
    assert_eq!(spoilt(&outside), Err(BadOffload));
}
