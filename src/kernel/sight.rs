//! Recognises probe packets, and ICMP errors that quote them, in what a capture caught. Only looks at bytes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::diagnose::evidence::{Checksum, OuterFact};
use crate::diagnose::probe::{IcmpError, MARK, PORT_HEAD};
use crate::packet::checksum::Sum;
use crate::packet::ipv4::{ICMP, UDP};
use crate::plan::state::Mac;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
const VXLAN_HEADER: usize = 8;
const ETHERNET: usize = 14;

/// What to look for.
#[derive(Debug, Clone, Default)]
pub(super) struct Recogniser {
    /// Path index by ICMP identifier.
    pub paths: BTreeMap<u16, u8>,
    /// UDP ports of the encapsulation.
    pub ports: Vec<u16>,
    /// The inner packet follows the UDP header at once (udp backend).
    pub bare: bool,
    /// The other nodes.
    pub peers: Vec<Ipv4Addr>,
}

/// Whether a UDP checksum can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    /// Compute it.
    Compute,
    /// The kernel or the card found it right.
    Valid,
    /// It is not finished yet.
    Unfinished,
}

/// A probe packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    pub path: u8,
    pub reply: bool,
    pub sequence: u16,
    pub from: Ipv4Addr,
    pub to: Ipv4Addr,
    pub ttl: u8,
    pub length: u16,
    pub outer: Option<OuterFact>,
    pub line: String,
}

/// An IPv4 header, of a packet that may be cut off.
struct Head<'a> {
    bytes: &'a [u8],
    payload: &'a [u8],
    total: u16,
    ttl: u8,
    protocol: u8,
    /// Not the first piece of a packet.
    later_piece: bool,
    piece: bool,
    from: Ipv4Addr,
    to: Ipv4Addr,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([two[0], two[1]]))
}

fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let h = bytes.first_chunk::<20>()?;
    let length = usize::from(h[0] & 0x0f) * 4;
    if h[0] >> 4 != 4 || length < 20 {
        return None;
    }
    let total = u16::from_be_bytes([h[2], h[3]]);
    // Ethernet pads short frames.
    let end = usize::from(total).min(bytes.len());
    let flags = u16::from_be_bytes([h[6], h[7]]);
    Some(Head {
        bytes: bytes.get(..end)?,
        payload: bytes.get(length..end)?,
        total,
        ttl: h[8],
        protocol: h[9],
        later_piece: flags & 0x1fff != 0,
        piece: flags & 0x3fff != 0,
        from: Ipv4Addr::new(h[12], h[13], h[14], h[15]),
        to: Ipv4Addr::new(h[16], h[17], h[18], h[19]),
    })
}

impl Recogniser {
    /// The probes in a packet that starts with its IPv4 header, plain or encapsulated. More than one only where
    /// the udp backend's datagrams travel as one segmentation-offload packet.
    pub fn probes(&self, packet: &[u8], judge: Judge) -> Vec<Probe> {
        let Some(ip) = head(packet) else {
            return Vec::new();
        };
        match ip.protocol {
            ICMP => self.plain(&ip).into_iter().collect(),
            UDP if !ip.later_piece => match self.to_port(&ip) {
                Some(probe) => vec![probe],
                None => self.wrapped(&ip, judge).unwrap_or_default(),
            },
            _ => Vec::new(),
        }
    }

    fn wrapped(&self, ip: &Head<'_>, judge: Judge) -> Option<Vec<Probe>> {
        let (source_port, port) = (word(ip.payload, 0)?, word(ip.payload, 2)?);
        if !self.ports.contains(&port) {
            return None;
        }
        let (inner, vni, inner_mac) = self.unwrap(ip.payload)?;
        let outer = OuterFact {
            from: ip.from,
            to: ip.to,
            port,
            vni,
            inner_mac,
            checksum: checksum(ip, judge),
        };
        let dress = |mut probe: Probe| {
            let what = vni.map_or_else(
                || format!("UDP, length {}", probe.length),
                |vni| format!("VXLAN, flags [I] (0x08), vni {vni}"),
            );
            let (from, to) = (ip.from, ip.to);
            probe.line = format!(
                "IP {from}.{source_port} > {to}.{port}: {what}: {}",
                probe.line
            );
            probe.outer = Some(outer.clone());
            probe
        };
        Some(
            datagrams(inner, self.bare)
                .filter_map(|one| self.plain(&one))
                .map(dress)
                .collect(),
        )
    }

    /// The reply to a probe, in a packet that starts with its IPv4 header.
    pub fn reply(&self, packet: &[u8]) -> Option<Probe> {
        self.plain(&head(packet)?).filter(|probe| probe.reply)
    }

    fn plain(&self, ip: &Head<'_>) -> Option<Probe> {
        if ip.protocol != ICMP || ip.later_piece {
            return None;
        }
        let icmp = ip.payload.first_chunk::<ICMP_HEADER>()?;
        let (kind, id, sequence) = (icmp[0], word(icmp, 4)?, word(icmp, 6)?);
        if kind != ECHO_REQUEST && kind != ECHO_REPLY {
            return None;
        }
        let reply = kind == ECHO_REPLY;
        let path = self.path(id, ip.payload.get(ICMP_HEADER..)?)?;
        Some(Probe {
            path,
            reply,
            sequence,
            from: ip.from,
            to: ip.to,
            ttl: ip.ttl,
            length: ip.total,
            outer: None,
            line: format!(
                "IP {} > {}: ICMP echo {}, id {id}, seq {sequence}, length {}",
                ip.from,
                ip.to,
                if reply { "reply" } else { "request" },
                usize::from(ip.total).saturating_sub(ip.bytes.len() - ip.payload.len()),
            ),
        })
    }

    /// One of the small datagrams to a port.
    fn to_port(&self, ip: &Head<'_>) -> Option<Probe> {
        let (source_port, port) = (word(ip.payload, 0)?, word(ip.payload, 2)?);
        let mark = ip.payload.get(UDP_HEADER..)?.strip_prefix(&PORT_HEAD)?;
        let number = mark.strip_prefix(&MARK)?;
        let (from, to) = (ip.from, ip.to);
        Some(Probe {
            path: self.paths.get(&word(number, 0)?).copied()?,
            reply: false,
            sequence: word(number, 2)?,
            from,
            to,
            ttl: ip.ttl,
            length: ip.total,
            outer: None,
            line: format!(
                "IP {from}.{source_port} > {to}.{port}: UDP, length {}",
                ip.payload.len().saturating_sub(UDP_HEADER)
            ),
        })
    }

    /// The path by the marked payload. Masquerading may have changed the identifier; the payload has it too.
    fn path(&self, id: u16, payload: &[u8]) -> Option<u8> {
        let number = payload.strip_prefix(&MARK)?;
        let known = self.paths.get(&id);
        known.or_else(|| self.paths.get(&word(number, 0)?)).copied()
    }

    /// What is inside a UDP datagram of the encapsulation: inner packet, VNI, inner destination MAC.
    fn unwrap<'a>(&self, udp: &'a [u8]) -> Option<(&'a [u8], Option<u32>, Option<String>)> {
        let payload = udp.get(UDP_HEADER..)?;
        if self.bare {
            return Some((payload, None, None));
        }
        let h = payload.first_chunk::<VXLAN_HEADER>()?;
        let vni = u32::from_be_bytes([0, h[4], h[5], h[6]]);
        let frame = payload.get(VXLAN_HEADER..)?;
        if h[0] & 0x08 == 0 || word(frame, 12)? != 0x0800 {
            return None;
        }
        let mac = Mac(*frame.first_chunk::<6>()?);
        Some((frame.get(ETHERNET..)?, Some(vni), Some(mac.to_string())))
    }

    /// The ICMP error in a packet that starts with its IPv4 header, if it quotes one of our packets: the
    /// probe itself, or its outer packet.
    pub fn error(&self, packet: &[u8]) -> Option<IcmpError> {
        Some(self.quoting(packet)?.1)
    }

    /// The ICMP error in a packet that quotes a plain request of ours, and the request's path.
    pub fn error_of(&self, packet: &[u8]) -> Option<(u8, IcmpError)> {
        let (path, error) = self.quoting(packet)?;
        Some((path?, error))
    }

    fn quoting(&self, packet: &[u8]) -> Option<(Option<u8>, IcmpError)> {
        let ip = head(packet)?;
        if ip.protocol != ICMP || ip.later_piece {
            return None;
        }
        let icmp = ip.payload.first_chunk::<ICMP_HEADER>()?;
        let (kind, code) = (icmp[0], icmp[1]);
        if !matches!(kind, 3 | 4 | 11 | 12) {
            return None;
        }
        let quoted = head(ip.payload.get(ICMP_HEADER..)?)?;
        let (path, outer) = match quoted.protocol {
            ICMP => (Some(self.quoted_probe(&quoted)?), false),
            UDP if self.quotes_outer(&quoted) => (None, true),
            _ => return None,
        };
        let error = IcmpError {
            from: ip.from,
            kind,
            code,
            mtu: match (kind, code) {
                (3, 4) => word(icmp, 6)?,
                _ => 0,
            },
            outer,
            count: 1,
        };
        Some((path, error))
    }

    /// The path of our echo; a quote of 8 bytes, which is all that some routers send, ends before the mark.
    fn quoted_probe(&self, quoted: &Head<'_>) -> Option<u8> {
        let icmp = quoted.payload;
        let id = word(icmp, 4)?;
        if !matches!(icmp.first()?, &ECHO_REQUEST | &ECHO_REPLY) {
            return None;
        }
        let payload = icmp.get(ICMP_HEADER..).unwrap_or_default();
        if payload.len() < MARK.len() {
            self.paths.get(&id).copied()
        } else {
            self.path(id, payload)
        }
    }

    fn quotes_outer(&self, quoted: &Head<'_>) -> bool {
        let port = word(quoted.payload, 2).is_some_and(|port| self.ports.contains(&port));
        let peer = self.peers.is_empty()
            || self.peers.contains(&quoted.to)
            || self.peers.contains(&quoted.from);
        // Who sends datagrams to a port hears of their end by itself.
        if !port || !peer || self.to_port(quoted).is_some() {
            return false;
        }
        // As far as the quote reaches, what is inside must be ours.
        match self.unwrap(quoted.payload) {
            None => quoted.payload.len() < UDP_HEADER + VXLAN_HEADER + ETHERNET,
            Some((inner, ..)) if inner.len() < 20 + ICMP_HEADER => true,
            Some((inner, ..)) => head(inner)
                .is_some_and(|inner| inner.protocol == ICMP && self.quoted_probe(&inner).is_some()),
        }
    }
}

/// The inner packets of one outer packet: all but the last are as long as the first where it is several datagrams.
fn datagrams(inner: &[u8], bare: bool) -> impl Iterator<Item = Head<'_>> {
    let first = head(inner).map_or(0, |first| usize::from(first.total));
    let stride = if bare {
        first.max(1)
    } else {
        inner.len().max(1)
    };
    inner.chunks(stride).filter_map(head)
}

fn checksum(ip: &Head<'_>, judge: Judge) -> Checksum {
    let Some(given) = word(ip.payload, 6) else {
        return Checksum::Unfinished;
    };
    let whole = !ip.piece && usize::from(ip.total) == ip.bytes.len();
    match judge {
        _ if given == 0 => Checksum::Absent,
        Judge::Valid => Checksum::Good,
        Judge::Compute if whole => {
            let length = ip.payload.len() as u16;
            let sum = Sum::new()
                .bytes(&ip.from.octets())
                .bytes(&ip.to.octets())
                .word(u16::from(UDP))
                .word(length)
                .bytes(ip.payload);
            if sum.is_valid() {
                Checksum::Good
            } else {
                Checksum::Bad
            }
        }
        _ => Checksum::Unfinished,
    }
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
