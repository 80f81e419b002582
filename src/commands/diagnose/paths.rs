//! Which pings tell most, with as few packets as possible. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::agent::respond::check::{COUNT, PAYLOAD};
use crate::diagnose::Path;
use crate::diagnose::probe::{Origin, PORT_PAYLOAD, Target};

/// Paths of one round at most: their number is a byte.
pub const ROUND: usize = 240;
/// Packets a path where nothing else is asked for.
pub const COUNT_DEFAULT: u16 = 5;
/// Packets of a path that is answered by errors: Linux sends one a second to a host, six at once.
const COUNT_TTL: u16 = 2;
/// Datagrams to a port: what refuses them says so a few times a second alone.
const COUNT_PORT: u16 = 2;
/// Milliseconds between two packets of a path, at least.
const INTERVAL: u16 = 20;
/// Milliseconds that sending may take.
const DURATION: u16 = 29_000;
/// An IP packet of 211 bytes, and of two more for each path: counters that rise by that are the probes'.
const PAYLOAD_FIRST: u16 = 183;
/// Bytes of IP and ICMP headers.
pub const HEADERS: u16 = 28;

/// From where a leg is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    /// The host.
    pub host: bool,
    /// A container or endpoint.
    pub container: bool,
}

/// How much a leg sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All paths that tell causes apart from one side.
    Full,
    /// The way back of a full one: container to container, host to container, the ports, and the underlay, which shows
    /// how long answers take.
    Back,
    /// Container to container, and host to container.
    Brief,
    /// Container to container.
    Least,
}

/// From one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Public IP of the node that sends.
    pub source: Ipv4Addr,
    /// Public IP of the node that should answer.
    pub target: Ipv4Addr,
    /// The container asked for.
    pub container: Option<Ipv4Addr>,
    /// How much.
    pub extent: Extent,
    /// From where.
    pub sources: Sources,
}

/// What all legs have in common.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Packets a path.
    pub count: u16,
    /// The first path's ICMP identifier; the others follow.
    pub first_id: u16,
    /// MTU inside the overlay, if it is known.
    pub mtu: Option<u32>,
    /// Hops that the backend's own programs take from the TTL between the two kernels.
    pub extra_hops: u8,
    /// The flannel device has the subnet's base as its address.
    pub has_device: bool,
    /// The encapsulation's UDP port, and one where nobody listens.
    pub ports: Option<(u16, u16)>,
}

/// What is known of a node when packets are to be sent.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Its subnet.
    pub subnet: Option<Ipv4Net>,
    /// A container, else an endpoint there: address, and whether it is a real container.
    pub inner: Option<(Ipv4Addr, bool)>,
    /// The address that the host itself sends from, where it is known.
    pub host: Option<Ipv4Addr>,
}

/// The sides by public IP.
pub type Sides = BTreeMap<Ipv4Addr, Side>;

/// A side from a lease.
pub fn side(subnet: Option<Ipv4Net>, host: Option<Ipv4Addr>) -> Side {
    Side {
        subnet,
        inner: None,
        host,
    }
}

/// What is tried on one leg.
fn kinds(leg: &Leg, manner: &Manner) -> Vec<(Origin, Target, bool)> {
    use Origin::{Endpoint, Host};
    let ports = match leg.extent {
        Extent::Full | Extent::Back if leg.source != leg.target => manner.ports,
        _ => None,
    };
    let ports = ports.map(|(encapsulation, other)| {
        [encapsulation, other].map(|port| (Host, Target::Port(port), false))
    });
    let all: &[(Origin, Target, bool)] = match leg.extent {
        _ if leg.source == leg.target => &[(Host, Target::Container, false)],
        Extent::Full => &[
            (Host, Target::Node, false),
            (Host, Target::Device, false),
            (Host, Target::Bridge, false),
            (Host, Target::Container, false),
            (Endpoint, Target::Bridge, false),
            (Endpoint, Target::Container, false),
            (Endpoint, Target::ContainerTtl2, false),
            (Endpoint, Target::Container, true),
        ],
        Extent::Back => &[
            (Host, Target::Node, false),
            (Host, Target::Container, false),
            (Endpoint, Target::Container, false),
        ],
        Extent::Brief => &[
            (Host, Target::Container, false),
            (Endpoint, Target::Container, false),
        ],
        Extent::Least => &[(Endpoint, Target::Container, false)],
    };
    let wanted = |(origin, target, df): &(Origin, Target, bool)| {
        (match origin {
            // The underlay is looked at whatever the source: without it nothing else can be told.
            Host => leg.sources.host || *target == Target::Node,
            _ => leg.sources.container,
        }) && (*target != Target::Device || manner.has_device)
            && (!df || manner.mtu.is_some())
    };
    let pings = all.iter().copied().filter(wanted);
    pings.chain(ports.into_iter().flatten()).collect()
}

/// Paths of one leg of this extent at most.
pub fn size(extent: Extent) -> usize {
    match extent {
        Extent::Full => 10,
        Extent::Back => 5,
        Extent::Brief => 2,
        Extent::Least => 1,
    }
}

/// All pairs of nodes, in rounds. Within a round every node sends and is sent about as much as every other one, so
/// that none is asked for more than an agent does.
pub fn mesh(nodes: &[Ipv4Addr]) -> Vec<Vec<(Ipv4Addr, Ipv4Addr)>> {
    let pairs: Vec<_> = (1..nodes.len())
        .flat_map(|apart| {
            let targets = nodes.iter().cycle().skip(apart);
            nodes.iter().copied().zip(targets.copied())
        })
        .collect();
    pairs.chunks(ROUND).map(<[_]>::to_vec).collect()
}

/// Where nobody knows a container of a node that no agent speaks for, its bridge stands for it, unless that is tried
/// anyway.
pub fn or_bridge(path: Path, draft: &[Path], sides: &Sides) -> Path {
    let bridge = draft.iter().any(|other| {
        other.target == Target::Bridge
            && (other.source_node, other.target_node) == (path.source_node, path.target_node)
    });
    match path.target {
        Target::Container if path.to.is_unspecified() && !bridge && !path.df => {
            let target = Target::Bridge;
            fill(Path { target, ..path }, sides)
        }
        _ => path,
    }
}

/// All paths of a round, with those addresses open that no side knows yet.
pub fn draft(legs: &[Leg], manner: &Manner) -> Vec<Path> {
    let kinds = legs
        .iter()
        .flat_map(|leg| kinds(leg, manner).into_iter().map(move |kind| (leg, kind)));
    let mut paths: Vec<_> = kinds
        .zip(0..=u8::MAX)
        .map(|((leg, (origin, target, df)), index)| Path {
            index,
            source_node: leg.source,
            target_node: leg.target,
            origin,
            target,
            from: Ipv4Addr::UNSPECIFIED,
            to: match target {
                Target::Node | Target::Port(_) => leg.target,
                Target::Container | Target::ContainerTtl2 => {
                    leg.container.unwrap_or(Ipv4Addr::UNSPECIFIED)
                }
                Target::Device | Target::Bridge => Ipv4Addr::UNSPECIFIED,
            },
            icmp_id: manner.first_id.wrapping_add(index.into()),
            count: match target {
                // One size too large is too large every time.
                Target::ContainerTtl2 => manner.count.clamp(1, COUNT_TTL),
                Target::Port(_) => COUNT_PORT,
                _ if df => manner.count.clamp(1, COUNT_DEFAULT),
                _ => manner.count.clamp(1, COUNT),
            },
            interval_ms: INTERVAL,
            payload: match target {
                Target::Port(_) => PORT_PAYLOAD,
                _ if df => full_size(manner.mtu),
                _ => PAYLOAD_FIRST + 2 * u16::from(index),
            },
            ttl: match target {
                Target::ContainerTtl2 => 2 + manner.extra_hops,
                _ => 64,
            },
            df,
        })
        .collect();
    let interval = u16::try_from(paths.len() / 2).unwrap_or(u16::MAX);
    for path in &mut paths {
        // The whole stays below 2,000 packets a second, and each path below half a minute.
        path.interval_ms = interval.max(INTERVAL).min((DURATION / path.count).max(1));
    }
    paths
}

fn full_size(mtu: Option<u32>) -> u16 {
    let mtu = mtu.and_then(|mtu| u16::try_from(mtu).ok());
    mtu.map_or(PAYLOAD_FIRST, |mtu| {
        mtu.saturating_sub(HEADERS).clamp(PAYLOAD_FIRST, PAYLOAD)
    })
}

/// Fills in what the sides know; an address that stays open stays 0.0.0.0.
pub fn fill(mut path: Path, sides: &Sides) -> Path {
    let side = |node| sides.get(&node).cloned().unwrap_or_default();
    let (source, target) = (side(path.source_node), side(path.target_node));
    match path.origin {
        Origin::Host if path.target.is_underlay() => path.from = path.source_node,
        Origin::Host => path.from = source.host.unwrap_or(path.from),
        Origin::Container | Origin::Endpoint => {
            if let Some((address, container)) = source.inner {
                path.from = address;
                path.origin = match container {
                    true => Origin::Container,
                    false => Origin::Endpoint,
                };
            }
        }
    }
    let base = target.subnet.map(|subnet| u32::from(subnet.network()));
    let inner = target.inner.map(|(address, _)| address);
    let known = match path.target {
        Target::Node | Target::Port(_) => None,
        Target::Device => base.map(Ipv4Addr::from),
        Target::Bridge => base.map(|base| Ipv4Addr::from(base.wrapping_add(1))),
        Target::Container | Target::ContainerTtl2 => inner,
    };
    if path.to.is_unspecified() {
        path.to = known.unwrap_or(path.to);
    }
    path
}

/// Nothing about it is open.
pub fn is_complete(path: &Path) -> bool {
    !path.to.is_unspecified() && (path.origin == Origin::Host || !path.from.is_unspecified())
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
