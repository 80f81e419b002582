//! Cuts a packet of up to 64 KiB that the kernel left whole (TSO, USO) into the packets that it
//! stands for, one behind the other. To move the payload once more costs less than to hand the kernel a header and a
//! payload a piece: it takes a third less time to copy one long part than many short ones.

use crate::packet::checksum::Sum;
use crate::packet::ipv4::{self, Ipv4};
use crate::packet::vnet::{Gso, Vnet};

/// Longest headers of one packet: IPv4 and TCP with all options.
pub const MAX_HEADERS: usize = 120;
/// Most packets that one is cut into: Linux' smallest segment (48 bytes with options) with room to spare.
pub const MAX_PIECES: usize = 2048;

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// The header before the packet does not fit the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packet is not what its offload header says")]
pub struct BadOffload;

/// How to cut one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of headers before each piece of payload.
    pub headers: usize,
    /// Payload bytes of each piece but the last.
    pub size: usize,
    /// Payload bytes of all pieces.
    pub payload: usize,
    ip_header: usize,
    udp: bool,
}

impl Cut {
    /// Number of pieces, at least two.
    pub fn count(&self) -> usize {
        self.payload.div_ceil(self.size)
    }

    /// Bytes of each piece but the last, which may be shorter.
    pub fn piece(&self) -> usize {
        self.headers + self.size
    }

    /// Bytes of all pieces.
    pub fn bytes(&self) -> usize {
        self.count() * self.headers + self.payload
    }
}

/// Makes a whole packet ready to be sent: finishes its checksum if that was left to us, and says
/// how to cut it if it must be. `packet` starts at the IPv4 header.
///
/// # Errors
/// `BadOffload` when header and packet contradict each other; nothing was changed then.
pub fn prepare(vnet: &Vnet, packet: &mut [u8]) -> Result<Option<Cut>, BadOffload> {
    match vnet.gso {
        Gso::None => {
            finish(vnet, packet)?;
            Ok(None)
        }
        Gso::Tcp4 | Gso::Udp => {
            let cut = plan(vnet, packet)?;
            if cut.payload <= cut.size {
                finish(vnet, packet)?;
                return Ok(None);
            }
            Ok(Some(cut))
        }
        Gso::Unknown => Err(BadOffload),
    }
}

/// Finishes a checksum whose field holds the sum of the pseudo header.
fn finish(vnet: &Vnet, packet: &mut [u8]) -> Result<(), BadOffload> {
    let Some((start, offset)) = vnet.checksum else {
        return Ok(());
    };
    let covered = packet.get_mut(usize::from(start)..).ok_or(BadOffload)?;
    let mut check = Sum::new().bytes(covered).finish();
    let offset = usize::from(offset);
    let field = covered.get_mut(offset..offset + 2).ok_or(BadOffload)?;
    // To UDP a checksum of 0 means that there is none; elsewhere both zeroes are equal.
    if check == [0, 0] {
        check = [0xff, 0xff];
    }
    field.copy_from_slice(&check);
    Ok(())
}

fn plan(vnet: &Vnet, packet: &[u8]) -> Result<Cut, BadOffload> {
    let ip = Ipv4::parse(packet).map_err(|_| BadOffload)?;
    let transport = ip.payload();
    let udp = vnet.gso == Gso::Udp;
    let transport_header = if udp {
        8
    } else {
        usize::from(transport.get(12).ok_or(BadOffload)? >> 4) * 4
    };
    let right_protocol = ip.protocol() == if udp { ipv4::UDP } else { ipv4::TCP };
    let shortest = if udp { 8 } else { 20 };
    let size = usize::from(vnet.gso_size);
    if !right_protocol
        || ip.is_fragment()
        || transport_header < shortest
        || transport_header > transport.len()
        || size == 0
    {
        return Err(BadOffload);
    }
    let cut = Cut {
        headers: ip.header_len() + transport_header,
        size,
        payload: transport.len() - transport_header,
        ip_header: ip.header_len(),
        udp,
    };
    if cut.count() > MAX_PIECES {
        return Err(BadOffload);
    }
    Ok(cut)
}

/// Writes all pieces one behind the other into `out`, which holds `cut.bytes()` bytes.
///
/// `packet` is what `cut` was made from; its TTL is the pieces' TTL. Returns false, with `out` in
/// any state, when a length does not fit.
pub fn write_pieces(cut: &Cut, packet: &[u8], out: &mut [u8]) -> bool {
    let Some((head, payload)) = packet.split_at_checked(cut.headers) else {
        return false;
    };
    if payload.len() != cut.payload || out.len() != cut.bytes() {
        return false;
    }
    let mut template = [0_u8; MAX_HEADERS];
    let Some(template) = template.get_mut(..cut.headers) else {
        return false;
    };
    template.copy_from_slice(head);
    let Some((ip, transport)) = template.split_at_mut_checked(cut.ip_header) else {
        return false;
    };
    // Sums of what stays the same in every piece; the changing fields count as zero in them.
    let first_id = read16(ip, 4);
    let first_seq = if cut.udp { 0 } else { read32(transport, 4) };
    let flags = if cut.udp { 0 } else { transport[13] };
    let zeroed: &[usize] = if cut.udp { &[4, 6] } else { &[4, 6, 16] };
    for &at in zeroed {
        transport[at..at + 2].fill(0);
    }
    ip[2..6].fill(0);
    ip[10..12].fill(0);
    if !cut.udp {
        transport[13] = 0;
    }
    let ip_sum = Sum::new().bytes(ip);
    let transport_sum = Sum::new()
        .bytes(&ip[12..20])
        .word(u16::from(ip[9]))
        .bytes(transport);

    let pieces = payload.chunks(cut.size);
    let last = pieces.len() - 1;
    for ((index, piece), out) in pieces.enumerate().zip(out.chunks_mut(cut.piece())) {
        let (header, body) = out.split_at_mut(cut.headers);
        header.copy_from_slice(template);
        body.copy_from_slice(piece);
        let (ip, transport) = header.split_at_mut(cut.ip_header);
        let total = (cut.headers + piece.len()) as u16;
        let id = first_id.wrapping_add(index as u16);
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        ip[10..12].copy_from_slice(&ip_sum.word(total).word(id).finish());

        let len = (transport.len() + piece.len()) as u16;
        let sum = transport_sum.word(len).and(Sum::new().bytes(body));
        if cut.udp {
            transport[4..6].copy_from_slice(&len.to_be_bytes());
            let check = match sum.word(len).finish() {
                [0, 0] => [0xff, 0xff],
                check => check,
            };
            transport[6..8].copy_from_slice(&check);
        } else {
            let seq = first_seq.wrapping_add((index * cut.size) as u32);
            transport[4..8].copy_from_slice(&seq.to_be_bytes());
            let mut flags = flags;
            if index > 0 {
                flags &= !TCP_CWR;
            }
            if index < last {
                flags &= !(TCP_FIN | TCP_PSH);
            }
            transport[13] = flags;
            let sum = sum
                .word((seq >> 16) as u16)
                .word(seq as u16)
                .word(u16::from(flags));
            transport[16..18].copy_from_slice(&sum.finish());
        }
    }
    true
}

fn read16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn read32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
