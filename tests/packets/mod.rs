//! Large packets as the kernel hands them over, cut and merged as the pump does.
#![allow(clippy::unwrap_used, missing_docs)]

use etherparse::Ipv4Header;
use flannelctl::forward::coalesce::{Coalescer, Delivery};
use flannelctl::forward::segment::{self, BadOffload};
use flannelctl::packet::Span;
use flannelctl::packet::checksum::Sum;
use flannelctl::packet::vnet::{Gso, Vnet};
use proptest::prelude::*;

pub const CWR: u8 = 0x80;
pub const PSH: u8 = 0x08;
pub const FIN: u8 = 0x01;

/// A large packet as the kernel hands it over: checksum field with the pseudo header's sum only.
#[derive(Debug, Clone)]
pub struct Large {
    pub vnet: Vnet,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub udp: bool,
    pub size: usize,
    pub payload: Vec<u8>,
    pub id: u16,
    pub seq: u32,
    pub tos: u8,
    pub flags: u8,
    pub options: Vec<u8>,
    pub port: u16,
}

pub fn shape() -> impl Strategy<Value = Shape> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..200),
        (1_usize..60_000, any::<u8>())
            .prop_map(|(len, seed)| (0..len).map(|n| (n * 31) as u8 ^ seed).collect()),
    ];
    let flags = prop_oneof![
        Just(0x10_u8),
        Just(0x18),
        Just(0x11),
        Just(0x19),
        Just(0x90)
    ];
    let options = (0_usize..=10).prop_map(|words| vec![1; words * 4]);
    let sizes = prop_oneof![64_usize..1500, 1_usize..64];
    (
        any::<bool>(),
        sizes,
        payload,
        any::<u16>(),
        any::<u32>(),
        any::<u8>(),
        flags,
        options,
        1_u16..4,
    )
        .prop_map(|(udp, size, payload, id, seq, tos, flags, options, port)| {
            let size = size.max(payload.len().div_ceil(60));
            Shape {
                udp,
                size,
                payload,
                id,
                seq,
                tos,
                flags,
                options,
                port,
            }
        })
}

fn pseudo_sum(ip: &[u8], protocol: u8, len: usize) -> Sum {
    Sum::new()
        .bytes(&ip[12..20])
        .word(protocol.into())
        .word(len as u16)
}

pub fn build(shape: &Shape) -> Large {
    let mut transport = vec![];
    transport.extend((1000 + shape.port).to_be_bytes());
    transport.extend(80_u16.to_be_bytes());
    let protocol = if shape.udp { 17 } else { 6 };
    if shape.udp {
        transport.extend(((8 + shape.payload.len()) as u16).to_be_bytes());
        transport.extend([0, 0]);
    } else {
        transport.extend(shape.seq.to_be_bytes());
        transport.extend(77_u32.to_be_bytes());
        transport.extend([((5 + shape.options.len() / 4) as u8) << 4, shape.flags]);
        transport.extend([1, 0, 0, 0, 0, 0]);
        transport.extend(&shape.options);
    }
    let transport_header = transport.len();
    transport.extend(&shape.payload);
    let mut ip = Ipv4Header::new(
        transport.len() as u16,
        64,
        protocol.into(),
        [10, 5, 1, 2],
        [10, 5, 2, 2],
    )
    .unwrap();
    ip.identification = shape.id;
    ip.dont_fragment = true;
    ip.dscp = (shape.tos >> 2).try_into().unwrap();
    ip.ecn = (shape.tos & 3).try_into().unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    let mut bytes = ip.to_bytes().to_vec();
    let sum = pseudo_sum(&bytes, protocol, transport.len()).folded();
    let at = if shape.udp { 6 } else { 16 };
    transport[at..at + 2].copy_from_slice(&sum);
    bytes.extend(transport);
    let gso = if shape.udp { Gso::Udp } else { Gso::Tcp4 };
    let vnet = Vnet {
        gso,
        gso_size: shape.size as u16,
        header_len: (20 + transport_header) as u16,
        checksum: Some((20, at as u16)),
    };
    Large { vnet, bytes }
}

/// Cuts as the pump does.
pub fn cut(large: &Large) -> Result<Vec<Vec<u8>>, BadOffload> {
    let mut bytes = large.bytes.clone();
    let Some(cut) = segment::prepare(&large.vnet, &mut bytes)? else {
        return Ok(vec![bytes]);
    };
    let mut pieces = vec![0; cut.bytes()];
    assert!(segment::write_pieces(&cut, &bytes, &mut pieces));
    let pieces: Vec<_> = pieces.chunks(cut.piece()).map(<[u8]>::to_vec).collect();
    assert_eq!(pieces.len(), cut.count());
    Ok(pieces)
}

/// Merges as the pump does, and gives each write put together.
pub fn merge(packets: &[Vec<u8>]) -> Vec<(Delivery, Vec<u8>)> {
    let mut buffer = Vec::new();
    let mut coalescer = Coalescer::new(packets.len(), true, true);
    let spans: Vec<Span> = packets
        .iter()
        .map(|packet| {
            let span = Span::new(buffer.len(), packet.len());
            buffer.extend(packet);
            span
        })
        .collect();
    for span in spans {
        coalescer.push(&mut buffer, span);
    }
    let (deliveries, parts) = coalescer.finish(&mut buffer);
    let parts_of = |delivery: &Delivery| {
        let first = delivery.first as usize;
        parts[first..first + delivery.parts as usize].to_vec()
    };
    let deliveries: Vec<_> = deliveries
        .iter()
        .map(|delivery| (*delivery, parts_of(delivery)))
        .collect();
    deliveries
        .into_iter()
        .map(|(delivery, parts)| {
            let bytes = parts
                .iter()
                .flat_map(|part| part.of(&buffer).unwrap().to_vec())
                .collect();
            (delivery, bytes)
        })
        .collect()
}
