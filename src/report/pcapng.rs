//! Caught packets as one pcapng file, with an interface block for each node and interface and a comment for each
//! packet. Wireshark, tshark and tcpdump read it. Nothing but the format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>.

use std::net::Ipv4Addr;

use super::terminal::clean_short;
use crate::diagnose::packets::{COOKED, Noted};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const LINKTYPE_LINUX_SLL2: u16 = 276;
/// The same for all interfaces: older readers want it so.
const SNAP_LENGTH: u32 = 262_144;

/// Options that every block may have.
const END: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_PROGRAM: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const PACKET_FLAGS: u16 = 2;
/// Characters of a comment.
const COMMENT_LIMIT: usize = 2000;

/// The file, in the order of the packets given.
pub fn document(packets: &[Noted<'_>]) -> Vec<u8> {
    let mut interfaces: Vec<(Option<Ipv4Addr>, &str)> = Vec::new();
    let mut blocks = Vec::new();
    for one in packets {
        let key = (one.node, one.packet.interface.as_str());
        let id = interfaces.iter().position(|known| *known == key);
        let id = id.unwrap_or_else(|| {
            interfaces.push(key);
            interfaces.len() - 1
        });
        block(&mut blocks, ENHANCED_PACKET, &packet(one, id));
    }
    let mut file = Vec::new();
    block(&mut file, SECTION, &section());
    for (node, name) in interfaces {
        block(&mut file, INTERFACE, &interface(node, name));
    }
    file.extend(blocks);
    file
}

fn section() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(BYTE_ORDER.to_le_bytes());
    body.extend(1_u16.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    // The section's length is not given.
    body.extend(u64::MAX.to_le_bytes());
    let program = concat!("flannelctl ", env!("CARGO_PKG_VERSION"));
    option(&mut body, SECTION_PROGRAM, program.as_bytes());
    let comment = "The probes of one flannelctl diagnose, as each node caught them. Times are by each node's own clock.";
    option(&mut body, COMMENT, comment.as_bytes());
    option(&mut body, END, &[]);
    body
}

fn interface(node: Option<Ipv4Addr>, name: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(LINKTYPE_LINUX_SLL2.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    body.extend(SNAP_LENGTH.to_le_bytes());
    let node = node.map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    let name = clean_short(&format!("{node} {name}"), COMMENT_LIMIT);
    option(&mut body, INTERFACE_NAME, name.as_bytes());
    option(&mut body, END, &[]);
    body
}

fn packet(one: &Noted<'_>, interface: usize) -> Vec<u8> {
    let it = one.packet;
    let captured = length(it.bytes.len());
    let original = it.length.saturating_add(length(COOKED)).max(captured);
    let mut body = Vec::new();
    body.extend(length(interface).to_le_bytes());
    // Microseconds, in two halves.
    body.extend(((it.time_us >> 32) as u32).to_le_bytes());
    body.extend((it.time_us as u32).to_le_bytes());
    body.extend(captured.to_le_bytes());
    body.extend(original.to_le_bytes());
    body.extend(&it.bytes);
    pad(&mut body);
    let direction: u32 = if it.outgoing { 2 } else { 1 };
    option(&mut body, PACKET_FLAGS, &direction.to_le_bytes());
    let comment = clean_short(&one.comment, COMMENT_LIMIT);
    option(&mut body, COMMENT, comment.as_bytes());
    option(&mut body, END, &[]);
    body
}

/// Type, length, body, length.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let total = length(body.len() + 12).to_le_bytes();
    file.extend(kind.to_le_bytes());
    file.extend(total);
    file.extend(body);
    file.extend(total);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let size = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(size.to_le_bytes());
    body.extend(value.iter().take(size.into()));
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::diagnose::packets::PacketFact;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// Kind and body of each block; panics where lengths do not agree.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        while !file.is_empty() {
            let total = word(file, 4) as usize;
            assert_eq!((total % 4, word(file, total - 4) as usize), (0, total));
            all.push((word(file, 0), file[8..total - 4].to_vec()));
            file = &file[total..];
        }
        all
    }

    fn contains(body: &[u8], text: &str) -> bool {
        body.windows(text.len()).any(|part| part == text.as_bytes())
    }

    #[test]
    fn one_interface_block_for_each_node_and_interface() {
        let fact = |interface: &str, time_us| PacketFact {
            interface: interface.into(),
            time_us,
            outgoing: true,
            probes: Vec::new(),
            length: 300,
            bytes: vec![7; COOKED + 21],
        };
        let facts = [fact("eth0", 5), fact("eth0", 1 << 33), fact("docker0", 9)];
        let node = |n: u8| Some(Ipv4Addr::new(192, 0, 2, n));
        let noted = |n, packet| Noted {
            node: node(n),
            packet,
            comment: "it \u{1b}[2J is".into(),
        };
        let packets = [
            noted(1, &facts[0]),
            noted(2, &facts[1]),
            noted(1, &facts[2]),
            noted(1, &facts[0]),
        ];
        let all = blocks(&document(&packets));
        let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, 1, 1, 1, 6, 6, 6, 6]);
        for (body, name) in [
            (1, "192.0.2.1 eth0"),
            (2, "192.0.2.2 eth0"),
            (3, "192.0.2.1 docker0"),
        ] {
            assert!(contains(&all[body].1, name), "{name}");
        }
        let second = &all[5].1;
        let words: Vec<_> = (0..5).map(|n| word(second, 4 * n)).collect();
        assert_eq!(words, [1, 2, 0, 41, 320]);
        assert!(contains(second, r"it \u{1b}[2J is"));
        assert!(!contains(second, "\u{1b}"));
    }

    #[test]
    fn no_packet_is_an_empty_file_that_can_be_read() {
        let all = blocks(&document(&[]));
        assert_eq!(all.len(), 1);
        assert_eq!(word(&all[0].1, 0), BYTE_ORDER);
    }
}
