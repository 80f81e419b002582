//! ICMP errors about packets that the data path cannot forward.
//!
//! flanneld writes its errors into the TUN device with the tunnel address as source. That address is
//! local, so the kernel takes the packet for a martian and no sender ever learns (W34). Ours is a
//! complete packet that is handed to a raw socket: it leaves by the host's own output path, like
//! an error of the kernel itself, where a local source is right. It reaches a container over the
//! bridge, a process of the host over loopback, and the sender behind a peer through the tunnel.

use std::net::Ipv4Addr;

use super::checksum::Sum;
use super::ipv4::{self, Ipv4};

/// Most bytes of one error: what every host must be able to take (RFC 1812, 4.3.2.3).
pub const MAX_LEN: usize = 576;
const HEADERS: usize = ipv4::MIN_HEADER + 8;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Type 3 code 0: no subnet of a peer holds the destination.
    NetUnreachable,
    /// Type 11 code 0: the TTL ended here.
    TimeExceeded,
    /// Type 3 code 4: the packet may not be cut and is longer than this many bytes.
    FragmentationNeeded(u16),
}

/// One ICMP error with its IPv4 header.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Message {
    /// The packet.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// True when an error about this packet is allowed (RFC 1122, 3.2.2): not about an ICMP error, not about
/// a later fragment, nothing to or from an address that is not one host's.
pub fn may_answer(offender: &Ipv4<'_>) -> bool {
    let one_host = |address: Ipv4Addr| {
        !(address.octets()[0] == 0
            || address.is_loopback()
            || address.is_multicast()
            || address.octets()[0] >= 240)
    };
    let icmp_error = offender.protocol() == ipv4::ICMP
        && !matches!(
            offender.payload().first(),
            // Echo, router discovery, timestamp, information, address mask: questions and answers.
            Some(0 | 8 | 9 | 10 | 13..=18)
        );
    offender.fragment_offset() == 0
        && !icmp_error
        && one_host(offender.source())
        && one_host(offender.destination())
}

/// Writes the error from `source` (the tunnel address) to the offender's sender.
pub fn build(error: Error, source: Ipv4Addr, offender: &Ipv4<'_>) -> Message {
    let quote = offender.bytes();
    let quote = quote.get(..MAX_LEN - HEADERS).unwrap_or(quote);
    let mut bytes = [0_u8; MAX_LEN];
    let len = HEADERS + quote.len();

    let (kind, code, mtu) = match error {
        Error::NetUnreachable => (3, 0, 0),
        Error::TimeExceeded => (11, 0, 0),
        Error::FragmentationNeeded(mtu) => (3, 4, mtu),
    };
    // TOS "internetwork control", as the kernel marks its own errors; no fragmentation of it.
    bytes[0] = 0x45;
    bytes[1] = 0xc0;
    bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    bytes[8] = 64;
    bytes[9] = ipv4::ICMP;
    bytes[12..16].copy_from_slice(&source.octets());
    bytes[16..20].copy_from_slice(&offender.source().octets());
    let check = Sum::new().bytes(&bytes[..ipv4::MIN_HEADER]).finish();
    bytes[10..12].copy_from_slice(&check);

    bytes[20] = kind;
    bytes[21] = code;
    bytes[26..28].copy_from_slice(&mtu.to_be_bytes());
    bytes[HEADERS..len].copy_from_slice(quote);
    let check = Sum::new().bytes(&bytes[ipv4::MIN_HEADER..len]).finish();
    bytes[22..24].copy_from_slice(&check);
    Message { bytes, len }
}
