//! Whether a request of another node is one that this node does. Pure. Whoever may write below the prefix can
//! ask; this bounds what asking can do: a few pings between addresses of the overlay, and nothing else.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::diagnose::Path;
use crate::diagnose::probe::{MARK, Origin, PORT_PAYLOAD, Target};
use crate::diagnose::request::Request;

/// Paths of one request at most.
pub const PATHS: usize = 64;
/// Packets of one path at most.
pub const COUNT: u16 = 1000;
/// Datagrams to one UDP port of a node at most.
pub const PORT_COUNT: u16 = 4;
/// Payload of a packet at most: what Ethernet carries.
pub const PAYLOAD: u16 = 1472;
/// Packets a second at most, all paths together.
const RATE: u32 = 5000;
/// Milliseconds that sending may take at most.
const DURATION_MS: u32 = 30_000;
/// Room for the mark and the probe's number.
const LEAST_PAYLOAD: u16 = MARK.len() as u16 + 8;

/// Which addresses are known.
#[derive(Debug, Clone)]
pub struct Known {
    /// The overlay.
    pub network: Ipv4Net,
    /// This node.
    pub node: Ipv4Addr,
    /// Public IPs of all leases.
    pub nodes: BTreeSet<Ipv4Addr>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much of something.
    #[error("{what} is {value}, and at most {limit} is allowed")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much.
        value: u32,
        /// The bound.
        limit: u32,
    },
    /// Too little of something.
    #[error("{what} is {value}, and at least {limit} is needed")]
    TooLittle {
        /// Of what.
        what: &'static str,
        /// How much.
        value: u32,
        /// The bound.
        limit: u32,
    },
    /// Two paths cannot be told apart.
    #[error("two paths share the {0}")]
    Shared(&'static str),
    /// Not an address of this overlay.
    #[error("{0} is neither in the network nor the public IP of a lease")]
    Foreign(Ipv4Addr),
    /// The path begins elsewhere.
    #[error("a path begins on {0}, and this is {1}")]
    Elsewhere(Ipv4Addr, Ipv4Addr),
}

/// Checks all of it.
///
/// # Errors
/// `Refusal`: the first thing that is not allowed.
pub fn check(request: &Request, known: &Known) -> Result<(), Refusal> {
    match request {
        Request::Collect => Ok(()),
        Request::Arm { paths, .. } => check_paths(paths, known),
        Request::Send { paths, watching } => {
            at_most("the number of nodes that watch", watching.len(), PATHS)?;
            for path in paths {
                if path.source_node != known.node {
                    return Err(Refusal::Elsewhere(path.source_node, known.node));
                }
                // The destination is where packets go: it may not be left open here.
                if path.to.is_unspecified() {
                    return Err(Refusal::Foreign(path.to));
                }
            }
            check_paths(paths, known)?;
            pace(paths)
        }
    }
}

fn check_paths(paths: &[Path], known: &Known) -> Result<(), Refusal> {
    at_most("the number of paths", paths.len(), PATHS)?;
    let mut indices = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for path in paths {
        if !indices.insert(path.index) {
            return Err(Refusal::Shared("index"));
        }
        if !ids.insert(path.icmp_id) {
            return Err(Refusal::Shared("ICMP identifier"));
        }
        at_most("a path's count", path.count, COUNT)?;
        at_most("a path's payload", path.payload, PAYLOAD)?;
        at_least("a path's count", path.count, 1)?;
        at_least("a path's payload", path.payload, LEAST_PAYLOAD)?;
        at_least("a path's TTL", path.ttl.into(), 1)?;
        if let Target::Port(port) = path.target {
            at_least("a port", port, 1)?;
            at_most("the count of a path to a port", path.count, PORT_COUNT)?;
            at_most(
                "the payload of a path to a port",
                path.payload,
                PORT_PAYLOAD,
            )?;
            if path.origin != Origin::Host || path.to != path.target_node {
                return Err(Refusal::Foreign(path.to));
            }
        }
        for node in [path.source_node, path.target_node] {
            if !known.nodes.contains(&node) && node != known.node {
                return Err(Refusal::Foreign(node));
            }
        }
        let foreign = |address: &Ipv4Addr| {
            !address.is_unspecified()
                && !known.network.contains(address)
                && !known.nodes.contains(address)
        };
        // A host sends from an address of its own choice, which behind NAT no lease names.
        let from = (path.origin != Origin::Host).then_some(path.from);
        if let Some(address) = [Some(path.to), from].into_iter().flatten().find(foreign) {
            return Err(Refusal::Foreign(address));
        }
    }
    Ok(())
}

fn pace(paths: &[Path]) -> Result<(), Refusal> {
    let mut rate = 0;
    for path in paths {
        at_least("a path's interval in ms", path.interval_ms, 1)?;
        rate += 1000 / u32::from(path.interval_ms);
        let duration = u32::from(path.count) * u32::from(path.interval_ms);
        at_most("a path's duration in ms", duration, DURATION_MS)?;
    }
    at_most("the number of packets a second", rate, RATE)
}

fn at_most<T: TryInto<u32>, L: TryInto<u32>>(
    what: &'static str,
    value: T,
    limit: L,
) -> Result<(), Refusal> {
    let value = value.try_into().unwrap_or(u32::MAX);
    let limit = limit.try_into().unwrap_or(u32::MAX);
    match value <= limit {
        true => Ok(()),
        false => Err(Refusal::TooMuch { what, value, limit }),
    }
}

fn at_least(what: &'static str, value: u16, limit: u16) -> Result<(), Refusal> {
    match value >= limit {
        true => Ok(()),
        false => Err(Refusal::TooLittle {
            what,
            value: value.into(),
            limit: limit.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn path() -> Path {
        Path {
            index: 0,
            source_node: "192.0.2.1".parse().unwrap(),
            target_node: "192.0.2.2".parse().unwrap(),
            origin: Origin::Endpoint,
            target: Target::Container,
            from: "10.5.1.254".parse().unwrap(),
            to: "10.5.2.254".parse().unwrap(),
            icmp_id: 7,
            count: 5,
            interval_ms: 20,
            payload: 183,
            ttl: 64,
            df: false,
        }
    }

    fn known() -> Known {
        Known {
            network: "10.5.0.0/16".parse().unwrap(),
            node: "192.0.2.1".parse().unwrap(),
            nodes: ["192.0.2.1", "192.0.2.2"]
                .map(|ip| ip.parse().unwrap())
                .into(),
        }
    }

    fn send(paths: Vec<Path>) -> Result<(), Refusal> {
        let request = Request::Send {
            paths,
            watching: Vec::new(),
        };
        check(&request, &known())
    }

    #[test]
    fn an_honest_request_passes() {
        assert_eq!(send(vec![path()]), Ok(()));
        let mut host = path();
        host.origin = Origin::Host;
        host.from = "198.51.100.7".parse().unwrap();
        host.to = "192.0.2.2".parse().unwrap();
        assert_eq!(send(vec![host]), Ok(()));
        let mut port = path();
        (port.origin, port.target, port.to) = (Origin::Host, Target::Port(8472), port.target_node);
        (port.count, port.payload) = (2, PORT_PAYLOAD);
        assert_eq!(send(vec![port]), Ok(()));
        let mut open = path();
        open.to = Ipv4Addr::UNSPECIFIED;
        let arm = |paths| Request::Arm {
            asked_by: "192.0.2.1".parse().unwrap(),
            endpoint: true,
            paths,
            packets: false,
        };
        assert_eq!(check(&arm(vec![open.clone()]), &known()), Ok(()));
        assert!(send(vec![open]).is_err());
        assert!(check(&arm(vec![path(); 2]), &known()).is_err());
    }

    #[test]
    fn everything_else_is_refused() {
        type Spoil = fn(&mut Path);
        let table: [(&str, Spoil); 15] = [
            ("count", |p| p.count = 1001),
            ("count 0", |p| p.count = 0),
            ("payload", |p| p.payload = 1473),
            ("payload 0", |p| p.payload = 0),
            ("ttl", |p| p.ttl = 0),
            ("flood", |p| p.interval_ms = 0),
            ("endless", |p| (p.count, p.interval_ms) = (1000, 1000)),
            ("elsewhere", |p| p.source_node = p.target_node),
            ("node", |p| p.target_node = Ipv4Addr::new(203, 0, 113, 1)),
            ("to", |p| p.to = Ipv4Addr::new(203, 0, 113, 1)),
            ("from", |p| p.from = Ipv4Addr::new(203, 0, 113, 1)),
            ("nowhere", |p| p.to = Ipv4Addr::UNSPECIFIED),
            ("a container's port", |p| {
                (p.target, p.origin, p.count, p.payload) =
                    (Target::Port(53), Origin::Host, 2, PORT_PAYLOAD);
            }),
            ("large datagrams", |p| {
                (p.target, p.origin, p.to, p.count) =
                    (Target::Port(53), Origin::Host, p.target_node, 2);
            }),
            ("many datagrams", |p| {
                (p.target, p.origin, p.to, p.payload) =
                    (Target::Port(53), Origin::Host, p.target_node, PORT_PAYLOAD);
            }),
        ];
        for (name, spoil) in table {
            let mut bad = path();
            spoil(&mut bad);
            assert!(send(vec![bad]).is_err(), "{name}");
        }
        let many = |n: u8| {
            let path = |i: u8| Path {
                index: i,
                icmp_id: i.into(),
                ..path()
            };
            (0..n).map(path).collect::<Vec<_>>()
        };
        assert_eq!(send(many(64)), Ok(()));
        assert!(send(many(65)).is_err());
        let mut fast = many(6);
        fast.iter_mut().for_each(|path| path.interval_ms = 1);
        assert!(send(fast).is_err());
    }
}
