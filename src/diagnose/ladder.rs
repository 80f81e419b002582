//! The way of a path through the watched points of both hosts, and how far each packet came. Knows what a
//! healthy way looks like; knows nothing of causes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::case::Case;
use super::evidence::{NodeEvidence, Point, Sighting};
use super::probe::{Origin, Path, PathResult, Target};
use super::route;

/// What happens to a packet between two points that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The prober's stack puts it out: output and routing of a host, or of a container.
    Originate,
    /// From a container's interface to the bridge.
    ToBridge,
    /// Routed and forwarded from the bridge towards the overlay (host-gw: the underlay).
    ForwardOut,
    /// Wrapped and put on the underlay.
    Encapsulate,
    /// From NIC to NIC.
    Underlay,
    /// Taken by the encapsulation's socket and unwrapped.
    Decapsulate,
    /// Routed and forwarded from the overlay (host-gw: the underlay) to the bridge.
    ForwardIn,
    /// From the bridge to a container's interface.
    ToContainer,
    /// The target takes the request and answers.
    Answer,
    /// The answer goes from the last point to the prober.
    Deliver,
}

/// One point of the way.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// Whose.
    pub node: Ipv4Addr,
    /// Which.
    pub point: Point,
    /// Interface name; empty where it is not known.
    pub interface: &'a str,
    /// The packet leaves the host's stack here.
    pub outgoing: bool,
    /// On the way back.
    pub reply: bool,
    /// It was watched and the watching worked.
    pub live: bool,
    /// First sighting of each sequence number.
    pub seen: Vec<&'a Sighting>,
    /// What leads from here to the next point, and on which node.
    pub hop: (Hop, Ipv4Addr),
}

/// A path with its points in the order of the way.
#[derive(Debug, Clone)]
pub struct Ladder<'a> {
    /// The path and its answers.
    pub result: &'a PathResult,
    /// Points; request first, then reply.
    pub steps: Vec<Step<'a>>,
    /// Probe packets that left by the underlay without encapsulation although they should have one.
    pub leaked: Vec<&'a Sighting>,
}

impl Ladder<'_> {
    /// The path.
    pub fn path(&self) -> &Path {
        &self.result.path
    }

    /// Index of the furthest point that saw the packet with this sequence number.
    pub fn furthest(&self, sequence: u16) -> Option<usize> {
        self.steps
            .iter()
            .rposition(|step| step.seen.iter().any(|one| one.sequence == sequence))
    }
}

/// Builds the way of one path.
pub fn build<'a>(case: &'a Case, result: &'a PathResult) -> Ladder<'a> {
    let path = &result.path;
    let wrapped = wrapped(case, path);
    let mut steps = Vec::new();
    for reply in [false, true] {
        for (node, point, outgoing, hop) in way(path, reply, wrapped) {
            let evidence = case.node(node);
            let want_outer = wrapped && point == Point::Underlay;
            let seen = evidence
                .map(|it| sightings(it, path, point, outgoing, reply, want_outer))
                .unwrap_or_default();
            let live = !seen.is_empty() || evidence.is_some_and(|it| watched(it, point));
            let interface = seen
                .first()
                .map(|one| one.interface.as_str())
                .or_else(|| evidence.and_then(|it| interface(it, path, point)))
                .unwrap_or_default();
            steps.push(Step {
                node,
                point,
                interface,
                outgoing,
                reply,
                live,
                seen,
                hop,
            });
        }
    }
    let leaked = case.node(path.source_node).map(|it| {
        let bare = |one: &&Sighting| {
            one.path == path.index
                && one.point == Point::Underlay
                && one.outgoing
                && !one.reply
                && one.outer.is_none()
        };
        it.seen.iter().filter(bare).collect()
    });
    Ladder {
        result,
        steps,
        leaked: leaked.filter(|_| wrapped).unwrap_or_default(),
    }
}

/// The path's packets travel in another packet.
fn wrapped(case: &Case, path: &Path) -> bool {
    if path.target.is_underlay() || path.source_node == path.target_node {
        return false;
    }
    let Some(network) = &case.network else {
        return case
            .node(path.source_node)
            .is_none_or(|node| node.device.is_some());
    };
    match network.backend.as_str() {
        "host-gw" => false,
        "vxlan" if network.direct_routing => !case.node(path.source_node).is_some_and(|node| {
            route::lookup(node, path.to).is_some_and(|route| {
                route.gateway == Some(path.target_node) && route.device != node.device
            })
        }),
        _ => true,
    }
}

type Place = (Ipv4Addr, Point, bool, (Hop, Ipv4Addr));

fn way(path: &Path, reply: bool, wrapped: bool) -> Vec<Place> {
    let (near, far) = if reply {
        (path.target_node, path.source_node)
    } else {
        (path.source_node, path.target_node)
    };
    let inside = [
        path.origin != Origin::Host,
        matches!(path.target, Target::Container | Target::ContainerTtl2),
    ];
    let (near_inside, far_inside) = if reply {
        (inside[1], inside[0])
    } else {
        (inside[0], inside[1])
    };
    let last = if reply { Hop::Deliver } else { Hop::Answer };
    let mut points: Vec<(Ipv4Addr, Point, bool, Hop)> = Vec::new();
    if near_inside {
        points.push((near, Point::Container, false, Hop::ToBridge));
    }
    if near == far {
        if near_inside != far_inside {
            points.push((near, Point::Bridge, far_inside, Hop::ToContainer));
        }
    } else {
        if near_inside {
            points.push((near, Point::Bridge, false, Hop::ForwardOut));
        }
        if wrapped {
            points.push((near, Point::Overlay, true, Hop::Encapsulate));
        }
        points.push((near, Point::Underlay, true, Hop::Underlay));
        let inwards = if far_inside { Hop::ForwardIn } else { last };
        if wrapped {
            points.push((far, Point::Underlay, false, Hop::Decapsulate));
            points.push((far, Point::Overlay, false, inwards));
        } else {
            points.push((far, Point::Underlay, false, inwards));
        }
        if far_inside {
            points.push((far, Point::Bridge, true, Hop::ToContainer));
        }
    }
    if far_inside {
        points.push((far, Point::Container, true, last));
    }
    points
        .into_iter()
        .map(|(node, point, outgoing, hop)| (node, point, outgoing, (hop, node)))
        .collect()
}

fn sightings<'a>(
    node: &'a NodeEvidence,
    path: &Path,
    point: Point,
    outgoing: bool,
    reply: bool,
    want_outer: bool,
) -> Vec<&'a Sighting> {
    let mut known = BTreeSet::new();
    node.seen
        .iter()
        .filter(|one| {
            one.path == path.index
                && one.point == point
                && one.outgoing == outgoing
                && one.reply == reply
                && (!want_outer || one.outer.is_some())
                && (1..=path.count.max(1)).contains(&one.sequence)
                && known.insert(one.sequence)
        })
        .collect()
}

fn watched(node: &NodeEvidence, point: Point) -> bool {
    node.points
        .iter()
        .any(|fact| fact.point == point && fact.live && fact.lost == 0)
}

fn interface<'a>(node: &'a NodeEvidence, path: &Path, point: Point) -> Option<&'a str> {
    match point {
        Point::Container => node
            .containers
            .iter()
            .find(|one| {
                (node.node == Some(path.source_node) && one.address == path.from)
                    || (node.node == Some(path.target_node) && one.address == path.to)
            })
            .and_then(|one| one.veth.as_deref()),
        Point::Bridge => node.bridge.as_deref(),
        Point::Overlay => node.device.as_deref(),
        Point::Underlay => node.external.as_deref(),
    }
    .or_else(|| {
        node.points
            .iter()
            .find(|fact| fact.point == point)
            .map(|fact| fact.interface.as_str())
    })
}
