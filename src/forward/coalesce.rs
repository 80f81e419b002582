//! Merges runs of consecutive packets of one TCP or UDP flow into one packet that the kernel takes
//! whole (GRO before the TUN device). Payload stays, or is moved up to the end of its run;
//! one header is rewritten a run.
//!
//! Merged is only what cutting gives back byte for byte (but for the id of packets that may not be fragmented).
//! Everything else stays as it is, and no packet of a flow overtakes another.

use crate::packet::Span;
use crate::packet::checksum::Sum;
use crate::packet::ipv4::{self, Ipv4};
use crate::packet::vnet::{Gso, Vnet};

/// Most packets of one run: more than 64 KiB of full-sized ones, and within what the kernel cuts.
pub const MAX_COUNT: u16 = 64;
/// How many runs back a flow's latest is looked for.
const LOOK_BACK: usize = 16;
const NONE: u32 = u32::MAX;

const TCP_PSH: u8 = 0x08;
const TCP_ACK: u8 = 0x10;

/// One write to the device: the parts put together are one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// What the kernel has to know about it.
    pub vnet: Vnet,
    /// Number of packets in it.
    pub count: u16,
    /// Bytes of those packets as they came.
    pub bytes: u32,
    /// Index of its first part.
    pub first: u32,
    /// Number of its parts.
    pub parts: u32,
}

/// Addresses, protocol and ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flow {
    addresses: [u8; 8],
    protocol: u8,
    /// None of a fragment: it belongs to any flow of its addresses.
    ports: Option<[u8; 4]>,
}

impl Flow {
    /// True when the order of the two flows' packets matters.
    fn touches(&self, other: &Flow) -> bool {
        self.addresses == other.addresses
            && self.protocol == other.protocol
            && (self.ports == other.ports || self.ports.is_none() || other.ports.is_none())
    }
}

/// What of a packet decides about merging.
#[derive(Debug, Clone, Copy)]
struct Packet {
    flow: Flow,
    /// It may be part of a run.
    may: bool,
    ip_header: u16,
    headers: u16,
    payload: u16,
    id: u16,
    seq: u32,
    push: bool,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    first: Packet,
    whole: Span,
    open: bool,
    /// The first packet's checksum was looked at and is right.
    verified: bool,
    push: bool,
    count: u16,
    payload: u32,
    last_id: u16,
    /// Where the last packet ended as it came; up to there, nothing behind the last part is needed any more.
    end: usize,
    tail: u32,
    head: u32,
}

/// Collects a batch of packets. All its memory is allocated at the start and kept.
#[derive(Debug)]
pub struct Coalescer {
    tcp: bool,
    udp: bool,
    runs: Vec<Run>,
    /// Parts as they were pushed, each with the number of the next of its run.
    parts: Vec<(Span, u32)>,
    deliveries: Vec<Delivery>,
    spans: Vec<Span>,
}

impl Coalescer {
    /// With room for this many packets before it grows. `tcp`, `udp`: what the device takes whole.
    pub fn new(packets: usize, tcp: bool, udp: bool) -> Self {
        Self {
            tcp,
            udp,
            runs: Vec::with_capacity(packets),
            parts: Vec::with_capacity(packets),
            deliveries: Vec::with_capacity(packets),
            spans: Vec::with_capacity(packets),
        }
    }

    /// What the device takes whole, from the next packet on.
    pub fn merge(&mut self, tcp: bool, udp: bool) {
        self.tcp = tcp;
        self.udp = udp;
    }

    /// Adds the packet at `span` of `buffer`, which must pass for `Ipv4::parse`. What continues a run and came
    /// right behind it is moved up to it, for the kernel copies one long part faster than many short ones. Packets must
    /// not overlap, and what was pushed belongs to this until `finish`.
    pub fn push(&mut self, buffer: &mut [u8], span: Span) {
        let Some(bytes) = span.of(buffer) else {
            return;
        };
        let packet = self.look(bytes);
        let number = self.parts.len() as u32;
        if packet.may
            && let Some(run) = self.find(&packet.flow)
            && run.open
            && follows(run, &packet, buffer, bytes)
        {
            let adjacent = run.end == span.start as usize;
            run.end = span.end();
            run.verified = true;
            run.count += 1;
            run.payload += u32::from(packet.payload);
            run.last_id = packet.id;
            run.push |= packet.push;
            run.open = packet.payload == run.first.payload && !packet.push && run.count < MAX_COUNT;
            let headers = usize::from(packet.headers);
            let payload = Span::new(span.start as usize + headers, usize::from(packet.payload));
            let before = run.tail as usize;
            if !adjacent {
                run.tail = number;
            }
            match self.parts.get_mut(before) {
                // Between them is only what was moved away or is a header that nobody needs any more.
                Some((part, _)) if adjacent => {
                    buffer.copy_within(payload.start as usize..payload.end(), part.end());
                    part.len += payload.len;
                }
                Some((_, next)) => {
                    *next = number;
                    self.parts.push((payload, NONE));
                }
                None => {}
            }
            return;
        }
        self.parts.push((span, NONE));
        self.runs.push(Run {
            first: packet,
            whole: span,
            open: packet.may && !packet.push,
            verified: false,
            push: packet.push,
            count: 1,
            payload: u32::from(packet.payload),
            last_id: packet.id,
            end: span.end(),
            head: number,
            tail: number,
        });
    }

    /// True when a packet like those of the last run would join it.
    pub fn may_go_on(&self) -> bool {
        self.runs
            .last()
            .is_some_and(|run| run.open && fits(run, run.first.payload))
    }

    /// The latest run that a packet of this flow may not overtake, if it is the flow's own.
    fn find(&mut self, flow: &Flow) -> Option<&mut Run> {
        let recent = self.runs.iter_mut().rev().take(LOOK_BACK);
        let run = { recent }.find(|run| run.first.flow.touches(flow))?;
        (run.first.flow == *flow).then_some(run)
    }

    fn look(&self, bytes: &[u8]) -> Packet {
        let Ok(ip) = Ipv4::parse(bytes) else {
            return Packet::opaque([0; 8], 0, None);
        };
        let mut addresses = [0; 8];
        addresses.copy_from_slice(bytes.get(12..20).unwrap_or(&[0; 8]));
        let transport = ip.payload();
        let known = matches!(ip.protocol(), ipv4::TCP | ipv4::UDP) && !ip.is_fragment();
        let ports = transport.first_chunk::<4>().copied().filter(|_| known);
        let opaque = Packet::opaque(addresses, ip.protocol(), ports);
        if ports.is_none() || ip.has_options() {
            return opaque;
        }
        let id = u16::from_be_bytes([bytes[4], bytes[5]]);
        match (ip.protocol(), transport) {
            (ipv4::TCP, [_, _, _, _, a, b, c, d, _, _, _, _, offset, flags, ..]) if self.tcp => {
                let header = usize::from(offset >> 4) * 4;
                let payload = transport.len().saturating_sub(header);
                Packet {
                    may: header >= 20
                        && payload > 0
                        && flags & !TCP_PSH == TCP_ACK
                        && offset & 0x0f == 0,
                    ip_header: ipv4::MIN_HEADER as u16,
                    headers: (ipv4::MIN_HEADER + header) as u16,
                    payload: payload as u16,
                    id,
                    seq: u32::from_be_bytes([*a, *b, *c, *d]),
                    push: flags & TCP_PSH != 0,
                    ..opaque
                }
            }
            (ipv4::UDP, [_, _, _, _, a, b, c, d, payload @ ..]) if self.udp => Packet {
                may: !payload.is_empty()
                    && usize::from(u16::from_be_bytes([*a, *b])) == transport.len()
                    && [*c, *d] != [0, 0],
                ip_header: ipv4::MIN_HEADER as u16,
                headers: (ipv4::MIN_HEADER + 8) as u16,
                payload: payload.len() as u16,
                id,
                ..opaque
            },
            _ => opaque,
        }
    }

    /// Rewrites the first header of each run of several, and gives the writes in order with the parts
    /// that they refer to.
    pub fn finish(&mut self, buffer: &mut [u8]) -> (&[Delivery], &[Span]) {
        self.deliveries.clear();
        self.spans.clear();
        for run in &self.runs {
            let first = self.spans.len() as u32;
            let mut next = run.head;
            while let Some(&(span, after)) = self.parts.get(next as usize) {
                self.spans.push(span);
                next = after;
            }
            let merged = if run.count > 1 {
                rewrite(run, buffer)
            } else {
                None
            };
            self.deliveries.push(Delivery {
                vnet: merged.unwrap_or(Vnet::WHOLE),
                count: run.count,
                bytes: if run.count > 1 {
                    u32::from(run.count) * u32::from(run.first.headers) + run.payload
                } else {
                    run.whole.len
                },
                first,
                parts: self.spans.len() as u32 - first,
            });
        }
        (&self.deliveries, &self.spans)
    }

    /// Forgets all packets and keeps the memory.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.parts.clear();
    }
}

impl Packet {
    fn opaque(addresses: [u8; 8], protocol: u8, ports: Option<[u8; 4]>) -> Self {
        Self {
            flow: Flow {
                addresses,
                protocol,
                ports,
            },
            may: false,
            ip_header: 0,
            headers: 0,
            payload: 0,
            id: 0,
            seq: 0,
            push: false,
        }
    }
}

/// True when `packet` continues the run and both are sound.
fn follows(run: &Run, packet: &Packet, buffer: &[u8], bytes: &[u8]) -> bool {
    let Some(first) = run.whole.of(buffer) else {
        return false;
    };
    let tcp = packet.flow.protocol == ipv4::TCP;
    let same = |from: usize, to: usize| first.get(from..to) == bytes.get(from..to);
    // Cutting counts the ids up; where the packet may not be fragmented nobody reads them (RFC 6864).
    let id = packet.id == run.last_id.wrapping_add(1)
        || (packet.id == run.last_id && bytes.get(6).is_some_and(|flags| flags & 0x40 != 0));
    packet.headers == run.first.headers
        && packet.payload <= run.first.payload
        && fits(run, packet.payload)
        && id
        && same(1, 2) // TOS
        && same(6, 9) // fragmentation, TTL
        && (!tcp
            || packet.seq == run.first.seq.wrapping_add(run.payload)
                && same(28, 33) // acknowledgement, header length
                && same(34, 36) // window
                && same(38, usize::from(packet.headers))) // urgent pointer, options
        && is_sound(packet, bytes)
        && (run.verified || is_sound(&run.first, first))
}

/// True when the run stays an IPv4 packet with so much more payload.
fn fits(run: &Run, payload: u16) -> bool {
    u32::from(run.first.headers) + run.payload + u32::from(payload) <= u32::from(u16::MAX)
}

/// True when both checksums are right.
fn is_sound(packet: &Packet, bytes: &[u8]) -> bool {
    let Some((ip, transport)) = bytes.split_at_checked(usize::from(packet.ip_header)) else {
        return false;
    };
    Sum::new().bytes(ip).is_valid()
        && pseudo(ip, packet.flow.protocol, transport.len())
            .bytes(transport)
            .is_valid()
}

/// The sum of the pseudo header.
fn pseudo(ip: &[u8], protocol: u8, len: usize) -> Sum {
    Sum::new()
        .bytes(ip.get(12..20).unwrap_or_default())
        .word(u16::from(protocol))
        .word(len as u16)
}

/// Makes the first packet's header that of the whole run. The kernel finishes the checksum, or lets
/// the device do it.
fn rewrite(run: &Run, buffer: &mut [u8]) -> Option<Vnet> {
    let header = run
        .whole
        .of_mut(buffer)?
        .get_mut(..usize::from(run.first.headers))?;
    let (ip, transport) = header.split_at_mut_checked(usize::from(run.first.ip_header))?;
    let len = transport.len() + run.payload as usize;
    let total = (ip.len() + len) as u16;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip[10..12].fill(0);
    let check = Sum::new().bytes(ip).finish();
    ip[10..12].copy_from_slice(&check);
    let tcp = run.first.flow.protocol == ipv4::TCP;
    let sum = pseudo(ip, run.first.flow.protocol, len).folded();
    let offset = if tcp {
        if run.push {
            transport[13] |= TCP_PSH;
        }
        16
    } else {
        transport[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        6
    };
    transport[offset..offset + 2].copy_from_slice(&sum);
    Some(Vnet {
        gso: if tcp { Gso::Tcp4 } else { Gso::Udp },
        gso_size: run.first.payload,
        header_len: run.first.headers,
        checksum: Some((run.first.ip_header, offset as u16)),
    })
}
