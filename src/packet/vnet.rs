//! The header that stands before each packet of a TUN device with offloads (`virtio_net_hdr`, 10
//! bytes, in the machine's byte order): what is left to do to the packet.

/// Its length.
pub const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_UDP_L4: u8 = 5;
/// Says that a segment's first packet carries congestion marks; changes nothing in how to cut.
const GSO_ECN: u8 = 0x80;

/// How a packet is to be cut into smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// Not at all.
    None,
    /// Into TCP segments over IPv4.
    Tcp4,
    /// Into UDP datagrams.
    Udp,
    /// In a way that was never asked for.
    Unknown,
}

/// One such header, as far as it is used. `hdr_len` of a packet that is read is not: it is wrong for forwarded packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vnet {
    /// How to cut.
    pub gso: Gso,
    /// Payload bytes of each smaller packet but the last.
    pub gso_size: u16,
    /// Bytes of all headers together, for the kernel's allocation; only written.
    pub header_len: u16,
    /// Where the unfinished checksum begins and how far behind that its field is, if there is one.
    pub checksum: Option<(u16, u16)>,
}

impl Vnet {
    /// The header of a packet that is complete.
    pub const WHOLE: Vnet = Vnet {
        gso: Gso::None,
        gso_size: 0,
        header_len: 0,
        checksum: None,
    };

    /// Takes the header and the packet behind it.
    pub fn split(bytes: &mut [u8]) -> Option<(Vnet, &mut [u8])> {
        let (header, packet) = bytes.split_first_chunk_mut::<LEN>()?;
        let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let gso = match header[1] & !GSO_ECN {
            GSO_NONE => Gso::None,
            GSO_TCPV4 => Gso::Tcp4,
            GSO_UDP_L4 => Gso::Udp,
            _ => Gso::Unknown,
        };
        let vnet = Vnet {
            gso,
            gso_size: word(4),
            header_len: word(2),
            checksum: (header[0] & NEEDS_CSUM != 0).then(|| (word(6), word(8))),
        };
        Some((vnet, packet))
    }

    /// The header's bytes.
    pub fn bytes(&self) -> [u8; LEN] {
        let gso = match self.gso {
            Gso::Tcp4 => GSO_TCPV4,
            Gso::Udp => GSO_UDP_L4,
            Gso::None | Gso::Unknown => GSO_NONE,
        };
        let (start, offset) = self.checksum.unwrap_or_default();
        let mut bytes = [0; LEN];
        bytes[0] = if self.checksum.is_some() {
            NEEDS_CSUM
        } else {
            0
        };
        bytes[1] = gso;
        bytes[2..4].copy_from_slice(&self.header_len.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.gso_size.to_ne_bytes());
        bytes[6..8].copy_from_slice(&start.to_ne_bytes());
        bytes[8..10].copy_from_slice(&offset.to_ne_bytes());
        bytes
    }
}
