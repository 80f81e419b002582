//! Any run of packets: merged and cut again, the same packets of each flow in the same order.
//!
//! Input: a template of a header, then steps of one byte each that vary it, so that runs come about.
#![no_main]

use std::collections::BTreeMap;

use flannelctl_fuzz::forward::coalesce::Coalescer;
use flannelctl_fuzz::forward::segment;
use flannelctl_fuzz::packet::checksum::Sum;
use flannelctl_fuzz::packet::vnet::Vnet;
use flannelctl_fuzz::packet::{Ipv4, Span};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let packets = packets(data);
    let mut buffer = packets.concat();
    let mut coalescer = Coalescer::new(packets.len(), true, true);
    let mut at = 0;
    for packet in &packets {
        coalescer.push(&mut buffer, Span::new(at, packet.len()));
        at += packet.len();
    }
    let (deliveries, spans) = coalescer.finish(&mut buffer);
    let mut again = Vec::new();
    for delivery in deliveries {
        let parts = &spans[delivery.first as usize..][..delivery.parts as usize];
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.of(&buffer).expect("inside"))
            .copied()
            .collect();
        let pieces = cut(&delivery.vnet, bytes);
        assert_eq!(pieces.len(), usize::from(delivery.count));
        assert_eq!(
            pieces.iter().map(Vec::len).sum::<usize>(),
            delivery.bytes as usize
        );
        again.extend(pieces);
    }
    assert_eq!(by_flow(&again), by_flow(&packets));
});

fn packets(data: &[u8]) -> Vec<Vec<u8>> {
    let Some((head, steps)) = data.split_first_chunk::<24>() else {
        return Vec::new();
    };
    let mut packets = Vec::new();
    let mut seq = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let mut id = u16::from_be_bytes([head[4], head[5]]);
    for &step in steps.iter().take(200) {
        let udp = head[6] & 1 != 0;
        let payload = vec![
            step;
            if step & 1 == 0 {
                32
            } else {
                usize::from(step >> 3)
            }
        ];
        let mut transport = vec![0, head[7] & 1 ^ (step >> 1 & 1), 0, 80];
        if udp {
            transport.extend(((8 + payload.len()) as u16).to_be_bytes());
            transport.extend([0, 0]);
        } else {
            transport.extend(seq.to_be_bytes());
            transport.extend(&head[8..12]);
            transport.extend([
                0x50,
                if step & 0x40 == 0 { 0x10 } else { head[12] },
                1,
                0,
                0,
                0,
                0,
                0,
            ]);
        }
        transport.extend(&payload);
        let mut packet = vec![0x45, head[13]];
        packet.extend(((20 + transport.len()) as u16).to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet.extend([
            if step & 0x80 == 0 { 0x40 } else { head[14] },
            0,
            64,
            if udp { 17 } else { 6 },
            0,
            0,
        ]);
        packet.extend([10, 5, 1, 2, 10, 5, 2, 2]);
        let check = Sum::new().bytes(&packet).finish();
        packet[10..12].copy_from_slice(&check);
        let sum = Sum::new()
            .bytes(&packet[12..20])
            .word(packet[9].into())
            .word(transport.len() as u16);
        let check = sum.bytes(&transport).finish();
        let field = if udp { 6 } else { 16 };
        transport[field..field + 2].copy_from_slice(&check);
        if step & 0x20 != 0 {
            transport[field] ^= head[15];
        }
        packet.extend(transport);
        if Ipv4::parse(&packet).is_ok() {
            packets.push(packet);
        }
        seq = seq.wrapping_add(payload.len() as u32);
        id = id.wrapping_add(1);
    }
    packets
}

fn cut(vnet: &Vnet, mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let Some(cut) = segment::prepare(vnet, &mut bytes).expect("our own header") else {
        return vec![bytes];
    };
    let mut pieces = vec![0; cut.bytes()];
    assert!(segment::write_pieces(&cut, &bytes, &mut pieces));
    pieces.chunks(cut.piece()).map(<[u8]>::to_vec).collect()
}

/// Packets by protocol, addresses and (of whole packets) ports.
fn by_flow(packets: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<&Vec<u8>>> {
    let mut flows: BTreeMap<Vec<u8>, Vec<&Vec<u8>>> = BTreeMap::new();
    for packet in packets {
        let mut key = [&packet[9..10], &packet[12..20]].concat();
        if packet[6] & 0x3f == 0 && packet[7] == 0 {
            key.extend(&packet[20..24]);
        }
        flows.entry(key).or_default().push(packet);
    }
    flows
}
