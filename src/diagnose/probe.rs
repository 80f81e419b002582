//! What was sent, and which answers came.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Bytes in front of the probe number in every payload, so that our packets are told from other pings.
pub const MARK: [u8; 8] = *b"flnlprob";

/// One stream of ICMP echo requests between two inner addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Number within the diagnosis.
    pub index: u8,
    /// Public IP of the node that sends.
    pub source_node: Ipv4Addr,
    /// Public IP of the node that should answer.
    pub target_node: Ipv4Addr,
    /// From where within the source node.
    pub origin: Origin,
    /// What the destination is on the target node.
    pub target: Target,
    /// Inner source address (the host's own choice where `origin` is the host).
    pub from: Ipv4Addr,
    /// Inner destination address.
    pub to: Ipv4Addr,
    /// ICMP identifier; no two paths of a diagnosis share one.
    pub icmp_id: u16,
    /// Echo requests sent, sequence 1 to `count`.
    pub count: u16,
    /// Pause between two, milliseconds.
    pub interval_ms: u16,
    /// Bytes of ICMP payload (`MARK`, then the probe number, then filling). Odd, so that counters show a
    /// fingerprint: the IP packet has `payload + 28` bytes.
    pub payload: u16,
    /// IP TTL.
    pub ttl: u8,
    /// Don't-fragment.
    pub df: bool,
}

/// From where a probe is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The host's own network namespace.
    Host,
    /// A real container's namespace.
    Container,
    /// A temporary namespace behind the bridge.
    Endpoint,
}

/// What a probe is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The peer's public IP on the underlay (no overlay involved).
    Node,
    /// The subnet's base, the address of the flannel device (`.0`).
    Device,
    /// The subnet's base + 1, the bridge's address (`.1`).
    Bridge,
    /// A container, or a temporary endpoint behind the bridge.
    Container,
    /// A container, with TTL 2: the target host itself answers "time exceeded" where forwarding is reached.
    ContainerTtl2,
    /// A UDP port of the peer's public IP, on the underlay: small datagrams that nobody takes for the
    /// encapsulation and nobody answers, but for ICMP errors.
    Port(u16),
}

impl Target {
    /// Between the nodes' own addresses: no overlay is involved.
    pub fn is_underlay(self) -> bool {
        matches!(self, Self::Node | Self::Port(_))
    }
}

/// Bytes of a datagram to a port: [`PORT_HEAD`], [`MARK`], the path's identifier, the sequence number. VXLAN discards it for its
/// flags, the udp backend because it is no IPv4 packet, flanneld's because it is shorter than an IPv4 header.
pub const PORT_PAYLOAD: u16 = 16;
/// How such a datagram begins.
pub const PORT_HEAD: [u8; 4] = [0; 4];

/// What came back for one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathResult {
    /// What was asked.
    pub path: Path,
    /// Requests that the kernel took.
    pub sent: u16,
    /// Why it took no more, if it refused (`Network is unreachable`).
    pub refused: Option<String>,
    /// Round-trip time of each answered sequence number, microseconds.
    pub replies: Vec<(u16, u32)>,
    /// ICMP errors that quote our packets, received by the sender.
    pub errors: Vec<IcmpError>,
}

/// An ICMP error that quotes one of our packets (or, on the underlay, its outer packet).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpError {
    /// Who sent it.
    pub from: Ipv4Addr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Next-hop MTU of "fragmentation needed", else 0.
    pub mtu: u16,
    /// The quoted packet was an outer one (VXLAN, udp backend) on the underlay.
    pub outer: bool,
    /// How many of them came.
    pub count: u32,
}

impl IcmpError {
    /// The same error; the counts may differ.
    pub fn is_like(&self, other: &Self) -> bool {
        let key = |e: &Self| (e.from, e.kind, e.code, e.mtu, e.outer);
        key(self) == key(other)
    }
}

impl PathResult {
    /// Answered requests.
    pub fn received(&self) -> usize {
        self.replies.len()
    }

    /// The port whose datagrams these are.
    pub fn port(&self) -> Option<u16> {
        match self.path.target {
            Target::Port(port) => Some(port),
            _ => None,
        }
    }

    /// Nothing was lost.
    pub fn whole(&self) -> bool {
        self.sent > 0 && self.received() == usize::from(self.sent)
    }

    /// Mean round-trip time in milliseconds.
    pub fn mean_rtt_ms(&self) -> Option<f64> {
        let total: f64 = self.replies.iter().map(|(_, us)| f64::from(*us)).sum();
        (!self.replies.is_empty()).then(|| total / self.replies.len() as f64 / 1000.0)
    }
}
