//! One IPv4 packet, looked at without trust.

use std::net::Ipv4Addr;

use super::checksum;

/// Length of a header without options.
pub const MIN_HEADER: usize = 20;
/// ICMP's protocol number.
pub const ICMP: u8 = 1;
/// TCP's protocol number.
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;

/// Why bytes are not one IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer than 20 bytes.
    #[error("shorter than an IPv4 header")]
    Short,
    /// The version field is not 4.
    #[error("not IPv4")]
    Version,
    /// The header length field is below 20 bytes or beyond the packet.
    #[error("the header length is wrong")]
    HeaderLength,
    /// The total length field is below the header length or not the number of bytes that came.
    #[error("the total length is wrong")]
    TotalLength,
}

/// One IPv4 packet whose version and lengths are right: header and total length are those of the
/// bytes. The header checksum is not looked at.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<'a> {
    bytes: &'a [u8],
    header: [u8; MIN_HEADER],
}

impl<'a> Ipv4<'a> {
    /// Takes exactly one packet, from its first byte to its last.
    ///
    /// # Errors
    /// `Malformed` names the field that lies.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = *bytes.first_chunk::<MIN_HEADER>().ok_or(Malformed::Short)?;
        if header[0] >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let view = Self { bytes, header };
        if view.header_len() < MIN_HEADER || view.header_len() > bytes.len() {
            return Err(Malformed::HeaderLength);
        }
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if total != bytes.len() || total < view.header_len() {
            return Err(Malformed::TotalLength);
        }
        Ok(view)
    }

    /// The whole packet.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the header with its options, 20 to 60.
    pub fn header_len(&self) -> usize {
        usize::from(self.header[0] & 0x0f) * 4
    }

    /// What follows the header.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.header_len()..).unwrap_or_default()
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// Protocol number of the payload.
    pub fn protocol(&self) -> u8 {
        self.header[9]
    }

    /// Who sent it.
    pub fn source(&self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = self.header;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Who is to get it.
    pub fn destination(&self) -> Ipv4Addr {
        let [.., a, b, c, d] = self.header;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Don't-fragment bit.
    pub fn dont_fragment(&self) -> bool {
        self.header[6] & 0x40 != 0
    }

    /// True for every piece of a fragmented packet, the first included.
    pub fn is_fragment(&self) -> bool {
        self.header[6] & 0x20 != 0 || self.fragment_offset() != 0
    }

    /// Where the piece belongs, in units of 8 bytes.
    pub fn fragment_offset(&self) -> u16 {
        u16::from_be_bytes([self.header[6] & 0x1f, self.header[7]])
    }

    /// True when the header carries options.
    pub fn has_options(&self) -> bool {
        self.header_len() > MIN_HEADER
    }
}

/// Takes one from the TTL and patches the header checksum. A TTL of 0 stays as it is (flanneld
/// wraps it to 255). Bytes too short for a header stay as they are.
pub fn decrement_ttl(packet: &mut [u8]) {
    let Some(header) = packet.first_chunk_mut::<MIN_HEADER>() else {
        return;
    };
    let Some(ttl) = header[8].checked_sub(1) else {
        return;
    };
    let old = u16::from_be_bytes([header[8], header[9]]);
    header[8] = ttl;
    let new = u16::from_be_bytes([header[8], header[9]]);
    let check = u16::from_be_bytes([header[10], header[11]]);
    let check = checksum::updated(check, old, new).to_be_bytes();
    header[10..12].copy_from_slice(&check);
}
