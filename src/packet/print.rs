//! One IPv4 packet as one line, in the form that administrators know from tcpdump. Pure, never panics; bytes
//! that a capture cut off are not needed, and what is not IPv4 has no line.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::ipv4::{ICMP, MIN_HEADER, TCP, UDP};

/// VXLAN's registered port and the one that Linux and flannel use.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
/// The udp backend's usual port.
const UDP_BACKEND_PORT: u16 = 8285;
/// Packets within packets that are still printed.
const MAX_DEPTH: u8 = 2;

/// `IP 10.1.77.0 > 10.1.11.2: ICMP echo request, id 12091, seq 514, length 64`. Encapsulated packets on the usual
/// ports are followed by `: ` and the inner line. `None` where the bytes are not IPv4.
pub fn line(packet: &[u8]) -> Option<String> {
    print(packet, None, 0)
}

/// Like [`line()`], for an encapsulation that uses `port`.
pub fn line_with_port(packet: &[u8], port: u16) -> Option<String> {
    print(packet, Some(port), 0)
}

/// `HH:MM:SS.micros` of a time in microseconds since the epoch, UTC. For another zone the caller adds its offset
/// first.
pub fn time_of_day(time_us: u64) -> String {
    let seconds = time_us / 1_000_000;
    format!(
        "{:02}:{:02}:{:02}.{:06}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        time_us % 1_000_000
    )
}

fn print(packet: &[u8], port: Option<u16>, depth: u8) -> Option<String> {
    let header = packet.first_chunk::<MIN_HEADER>()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(word(packet, 2)?);
    if header[0] >> 4 != 4 || header_len < MIN_HEADER || total < header_len {
        return None;
    }
    let length = total - header_len;
    let payload = packet.get(header_len..).unwrap_or_default();
    let payload = payload.get(..length).unwrap_or(payload);
    let (from, to) = (address(packet, 12)?, address(packet, 16)?);
    let fragment = word(packet, 6)?;
    let rest = if fragment & 0x1fff != 0 {
        format!("IP {from} > {to}: {}", protocol_name(header[9]))
    } else {
        match header[9] {
            ICMP => format!("IP {from} > {to}: {}", icmp(payload, length)),
            UDP => udp((from, to), payload, port, depth),
            TCP => tcp((from, to), payload, length),
            other => format!(
                "IP {from} > {to}: {}, length {length}",
                protocol_name(other)
            ),
        }
    };
    if fragment & 0x3fff == 0 {
        return Some(rest);
    }
    let more = if fragment & 0x2000 != 0 { "+" } else { "" };
    Some(format!(
        "{rest} (frag {length}@{}{more})",
        (fragment & 0x1fff) * 8
    ))
}

fn icmp(payload: &[u8], length: usize) -> String {
    let (Some(&kind), Some(&code)) = (payload.first(), payload.get(1)) else {
        return format!("ICMP, length {length}");
    };
    let quoted = payload.get(8..).unwrap_or_default();
    let host = address(quoted, 16).map_or_else(|| "?".to_owned(), |to| to.to_string());
    let what = match (kind, code) {
        (0 | 8, _) => format!(
            "echo {}, id {}, seq {}",
            if kind == 8 { "request" } else { "reply" },
            word(payload, 4).unwrap_or(0),
            word(payload, 6).unwrap_or(0)
        ),
        (3, 0) => format!("net {host} unreachable"),
        (3, 1) => format!("host {host} unreachable"),
        (3, 2) => format!("{host} protocol unreachable"),
        (3, 3) => port_unreachable(quoted, &host),
        (3, 4) => format!(
            "{host} unreachable - need to frag (mtu {})",
            word(payload, 6).unwrap_or(0)
        ),
        (3, 9) => format!("net {host} unreachable - admin prohibited"),
        (3, 10) => format!("host {host} unreachable - admin prohibited"),
        (3, 13) => format!("host {host} unreachable - admin prohibited filter"),
        (3, _) => format!("{host} unreachable, code {code}"),
        (5, _) => format!("redirect {host}"),
        (11, 0) => "time exceeded in-transit".to_owned(),
        (11, _) => "ip reassembly time exceeded".to_owned(),
        _ => format!("type-#{kind}, code {code}"),
    };
    format!("ICMP {what}, length {length}")
}

fn port_unreachable(quoted: &[u8], host: &str) -> String {
    let header_len = usize::from(quoted.first().unwrap_or(&0) & 0x0f) * 4;
    let name = quoted
        .get(9)
        .map_or_else(String::new, |&number| protocol_name(number));
    match word(quoted, header_len + 2) {
        Some(port) => format!("{host} {name} port {port} unreachable"),
        None => format!("{host} {name} port unreachable"),
    }
}

fn udp(
    (from, to): (Ipv4Addr, Ipv4Addr),
    payload: &[u8],
    encapsulation: Option<u16>,
    depth: u8,
) -> String {
    let (Some(source), Some(port), Some(length)) =
        (word(payload, 0), word(payload, 2), word(payload, 4))
    else {
        return format!("IP {from} > {to}: UDP, truncated");
    };
    let body = payload.get(8..).unwrap_or_default();
    let head = format!("IP {from}.{source} > {to}.{port}:");
    let plain = format!("{head} UDP, length {}", length.saturating_sub(8));
    if depth >= MAX_DEPTH {
        return plain;
    }
    let usual = VXLAN_PORTS.contains(&port) || port == UDP_BACKEND_PORT;
    if encapsulation != Some(port) && !usual {
        return plain;
    }
    if port != UDP_BACKEND_PORT
        && let Some((vni, frame)) = vxlan(body)
    {
        let head = format!("{head} VXLAN, vni {vni}");
        return match (word(frame, 12), frame.get(14..)) {
            (Some(0x0800), Some(inner)) => match print(inner, encapsulation, depth + 1) {
                Some(inner) => format!("{head}: {inner}"),
                None => head,
            },
            (Some(0x0806), _) => format!("{head}: ARP"),
            (Some(kind), _) => format!("{head}: ethertype 0x{kind:04x}"),
            _ => head,
        };
    }
    match print(body, encapsulation, depth + 1) {
        Some(inner) => format!("{plain}: {inner}"),
        None => plain,
    }
}

/// VNI and inner frame of a VXLAN payload with the I flag and no other.
fn vxlan(body: &[u8]) -> Option<(u32, &[u8])> {
    let head = body.first_chunk::<8>()?;
    let vni = u32::from_be_bytes([0, head[4], head[5], head[6]]);
    (head[0] == 0x08).then(|| (vni, body.get(8..).unwrap_or_default()))
}

fn tcp((from, to): (Ipv4Addr, Ipv4Addr), payload: &[u8], length: usize) -> String {
    let (Some(source), Some(port)) = (word(payload, 0), word(payload, 2)) else {
        return format!("IP {from} > {to}: TCP, truncated");
    };
    let mut flags = String::new();
    let bits = payload.get(13).copied().unwrap_or(0);
    for (bit, letter) in [(2, "S"), (1, "F"), (8, "P"), (4, "R"), (32, "U"), (16, ".")] {
        if bits & bit != 0 {
            flags.push_str(letter);
        }
    }
    let header_len = usize::from(payload.get(12).unwrap_or(&0) >> 4) * 4;
    let mut text = format!("IP {from}.{source} > {to}.{port}: Flags [{flags}]");
    // Writing to a String cannot fail.
    write!(text, ", length {}", length.saturating_sub(header_len)).unwrap_or_default();
    text
}

fn protocol_name(number: u8) -> String {
    match number {
        ICMP => "icmp".to_owned(),
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        2 => "igmp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        other => format!("ip-proto-{other}"),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*two))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(Ipv4Addr::from(*four))
}
