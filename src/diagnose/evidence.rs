//! What one node knows: gathered by its agent (or by the command itself on its own host), shipped as JSON.
//! A fact that could not be had is absent, and `missing` says why.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::packets::PacketFact;
use super::probe::IcmpError;

mod containers;
mod kernel;

pub use containers::{ContainerFact, DockerFact};
pub use kernel::{FlowFact, LackFact};

/// How a sentence of [`NodeEvidence::missing`] begins that tells why Docker did not answer.
pub const FROM_DOCKER: &str = "Docker: ";

/// All of one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeEvidence {
    /// Public IP; the node's name in findings.
    pub node: Option<Ipv4Addr>,
    /// Host name.
    pub hostname: String,
    /// An agent of ours runs there (false: the evidence is the command's own, or none).
    pub agent: bool,
    /// What could not be observed, and why: one sentence each.
    pub missing: Vec<String>,
    /// Interfaces.
    pub links: Vec<LinkFact>,
    /// IPv4 routes of table main.
    pub routes: Vec<RouteFact>,
    /// IPv4 neighbours, on all interfaces.
    pub neighbours: Vec<NeighbourFact>,
    /// Forwarding entries of the flannel device.
    pub fdb: Vec<FdbFact>,
    /// Policy rules beside the three standard ones, as `ip rule` prints them.
    pub rules: Vec<String>,
    /// sysctls by dotted name: `net.ipv4.ip_forward`, `net.ipv4.conf.flannel.1.rp_filter`, ….
    pub sysctls: BTreeMap<String, String>,
    /// `subnet.env` as it is.
    pub subnet_env: Option<EnvFact>,
    /// Firewall listings with counters, before and after the probes.
    pub firewall: Vec<FirewallFact>,
    /// Counters before and after the probes: `snmp.Ip.InAddrErrors`, `netstat.TcpExt.IPReversePathFilter`,
    /// `link.flannel.1.rx_otherhost`, `softnet.dropped`, ….
    pub counters: BTreeMap<String, (u64, u64)>,
    /// Packets that the kernel dropped while the probes ran, by reason and place, without the noise of the
    /// time before them.
    pub drops: Vec<DropFact>,
    /// Verdicts of nftables on probe packets.
    pub nft_trace: Vec<TraceFact>,
    /// Probe packets at each point, in the order of time.
    pub seen: Vec<Sighting>,
    /// The packets themselves, where they are asked for.
    pub packets: Vec<PacketFact>,
    /// The points that were watched, whether or not anything was seen.
    pub points: Vec<PointFact>,
    /// ICMP errors on the underlay interface that quote our packets.
    pub icmp_errors: Vec<IcmpError>,
    /// Containers behind the bridge.
    pub containers: Vec<ContainerFact>,
    /// Docker's own view.
    pub docker: Option<DockerFact>,
    /// Name of the underlay interface.
    pub external: Option<String>,
    /// Name of the flannel device.
    pub device: Option<String>,
    /// Name of the bridge that has the subnet's address (or `docker0`).
    pub bridge: Option<String>,
    /// UDP port of the encapsulation that this node's device or socket uses.
    pub encap_port: Option<u16>,
    /// The process of this node's agent (ours or flanneld), if there is one.
    pub process: Option<ProcessFact>,
    /// Network managers that run here: `NetworkManager`, `systemd-networkd`, ….
    pub managers: Vec<String>,
    /// Ports of the bridge that could be looked into, with all addresses on their other ends.
    pub ports: Vec<PortFact>,
    /// What the backend needs and the kernel does not have.
    pub lacks: Vec<LackFact>,
    /// Flows between containers, or of the encapsulation, whose source is translated.
    pub flows: Vec<FlowFact>,
    /// Other nodes on the underlay's link of which nothing was seen and which do not answer ARP requests either.
    pub no_arp: Vec<Ipv4Addr>,
}

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessFact {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// It does not run on (stopped, traced, a zombie).
    pub stopped: bool,
}

/// A port of the bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortFact {
    /// Its name.
    pub interface: String,
    /// IPv4 addresses on its other end.
    pub addresses: Vec<Ipv4Addr>,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkFact {
    /// Kernel index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// `vxlan`, `bridge`, `veth`, `tun`, or empty.
    pub kind: String,
    /// Administratively up.
    pub up: bool,
    /// Has a carrier.
    pub carrier: bool,
    /// Bytes.
    pub mtu: u32,
    /// `aa:bb:cc:dd:ee:ff`, or empty.
    pub mac: String,
    /// IPv4 addresses with prefix length, host bits kept.
    pub addresses: Vec<Ipv4Net>,
    /// The bridge that it is a port of.
    pub controller: Option<u32>,
    /// VXLAN's attributes.
    pub vxlan: Option<VxlanFact>,
}

impl LinkFact {
    /// Packets can pass: it is up, and so is its other end.
    pub fn works(&self) -> bool {
        self.up && self.carrier
    }
}

/// A VXLAN device's attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VxlanFact {
    /// Network identifier.
    pub vni: u32,
    /// UDP port.
    pub port: u16,
    /// Source address.
    pub local: Option<Ipv4Addr>,
    /// Underlay interface index.
    pub underlay: Option<u32>,
    /// Source learning.
    pub learning: bool,
    /// It takes every VNI (`external`): another program decides a packet at a time.
    pub external: bool,
}

/// A route of table main.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFact {
    /// Destination.
    pub destination: Ipv4Net,
    /// Next hop.
    pub gateway: Option<Ipv4Addr>,
    /// Outgoing interface's name.
    pub device: Option<String>,
    /// `onlink`.
    pub onlink: bool,
    /// Metric.
    pub metric: u32,
    /// `unicast`, `blackhole`, `unreachable`, `prohibit`, ….
    pub kind: String,
    /// `kernel`, `boot`, `static`, `dhcp`, or a number.
    pub protocol: String,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourFact {
    /// Interface.
    pub device: String,
    /// Address.
    pub address: Ipv4Addr,
    /// MAC, or empty.
    pub mac: String,
    /// `permanent`, `reachable`, `stale`, `failed`, `incomplete`, ….
    pub state: String,
}

/// A forwarding entry of the VXLAN device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbFact {
    /// Inner destination.
    pub mac: String,
    /// Outer destination.
    pub remote: Option<Ipv4Addr>,
    /// Set by hand.
    pub permanent: bool,
}

/// `subnet.env` as read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvFact {
    /// Path.
    pub path: String,
    /// `FLANNEL_NETWORK`.
    pub network: Option<Ipv4Net>,
    /// `FLANNEL_SUBNET`, host bits kept.
    pub subnet: Option<Ipv4Net>,
    /// `FLANNEL_MTU`.
    pub mtu: Option<u32>,
    /// `FLANNEL_IPMASQ`.
    pub ip_masq: Option<bool>,
    /// Why it could not be read, if so.
    pub trouble: Option<String>,
}

/// One firewall program's listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallFact {
    /// `iptables-nft`, `iptables-legacy` or `nft`.
    pub program: String,
    /// `iptables-save -c` text, or `nft -j list ruleset` JSON text, before the probes.
    pub before: String,
    /// The same after the probes.
    pub after: String,
}

/// Packets dropped in the kernel (`skb:kfree_skb`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropFact {
    /// `NETFILTER_DROP`, ….
    pub reason: String,
    /// Symbol without offset: `nft_do_chain`.
    pub location: String,
    /// EtherType.
    pub protocol: u16,
    /// How many.
    pub count: u32,
}

/// A verdict of nftables on a probe packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceFact {
    /// `ip`, `inet`, ….
    pub family: String,
    /// Table.
    pub table: String,
    /// Chain.
    pub chain: String,
    /// The rule as nft prints it; empty for a chain's policy.
    pub rule: String,
    /// `accept`, `drop`, `reject`, ….
    pub verdict: String,
    /// The packet was the outer one.
    pub outer: bool,
    /// How many packets met it.
    pub count: u32,
}

/// A place where packets are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// The container's end of the path: the host's side of its veth.
    Container,
    /// The bridge.
    Bridge,
    /// flannel's device (none with host-gw).
    Overlay,
    /// The underlay interface.
    Underlay,
}

/// A watched point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointFact {
    /// Which.
    pub point: Point,
    /// Interface name.
    pub interface: String,
    /// The capture worked (it saw a packet of any kind, or its own test passed).
    pub live: bool,
    /// Packets that the capture itself lost (PACKET_STATISTICS).
    pub lost: u32,
}

/// One probe packet at one point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which point.
    pub point: Point,
    /// Interface name.
    pub interface: String,
    /// Which path of the diagnosis.
    pub path: u8,
    /// Reply instead of request.
    pub reply: bool,
    /// ICMP sequence number.
    pub sequence: u16,
    /// Microseconds since the epoch, by this node's clock.
    pub time_us: u64,
    /// Leaving the host's stack through this interface (PACKET_OUTGOING).
    pub outgoing: bool,
    /// Addressed to another MAC (PACKET_OTHERHOST).
    pub otherhost: bool,
    /// Inner source and destination as they are here (masquerading changes them).
    pub from: Ipv4Addr,
    /// Inner destination.
    pub to: Ipv4Addr,
    /// Inner TTL.
    pub ttl: u8,
    /// Length of the inner IP packet, bytes.
    pub length: u16,
    /// The outer packet, on the underlay of vxlan and udp.
    pub outer: Option<OuterFact>,
    /// As tcpdump prints it, without time.
    pub line: String,
}

/// The encapsulation around a probe packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OuterFact {
    /// Outer source.
    pub from: Ipv4Addr,
    /// Outer destination.
    pub to: Ipv4Addr,
    /// Outer UDP destination port.
    pub port: u16,
    /// VNI, for VXLAN.
    pub vni: Option<u32>,
    /// Inner destination MAC, for VXLAN.
    pub inner_mac: Option<String>,
    /// The UDP checksum, where it can be judged (incoming packets): 0 = none given, which passes.
    pub checksum: Checksum,
}

/// What can be said of a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// Right.
    Good,
    /// Wrong.
    Bad,
    /// Not given (zero).
    Absent,
    /// Not computed yet (offload): nothing to judge.
    Unfinished,
}
