//! FL601: sizes that do not fit into each other. FL602: large packets vanish.

use std::cmp::Ordering;
use std::net::Ipv4Addr;

use crate::diagnose::case::SizeFact;
use crate::diagnose::evidence::LinkFact;
use crate::diagnose::finding::{Confidence, Direction, Severity};
use crate::diagnose::probe::{Path, PathResult, Target};
use crate::diagnose::route::{self, rise};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// Flannel device plus overhead fits the underlay interface; `FLANNEL_MTU` fits the device.
pub fn chain(view: &View<'_>) -> Vec<Found> {
    let overhead = match view.backend() {
        "vxlan" => 50,
        "udp" => 28,
        _ => 0,
    };
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(external) = route::external(node).filter(|link| link.mtu > 0) else {
            continue;
        };
        let device = route::device(node).map(|link| (link.name.clone(), link.mtu));
        let env = node
            .subnet_env
            .as_ref()
            .and_then(|env| Some((format!("FLANNEL_MTU in {}", env.path), env.mtu?)));
        let room = external.mtu.saturating_sub(overhead);
        let Some((place, mtu)) = device.into_iter().chain(env).find(|(_, mtu)| *mtu > room) else {
            continue;
        };
        let cut = rise(node, "snmp.Ip.FragCreates");
        let mut build = found("FL601", node.node, place.clone())
            .severity(Severity::Warning)
            .confidence(Confidence::Proven)
            .summary(format!(
                "{}: {place} is {mtu}, but {} ({}) leaves {room} for inner packets",
                label(node),
                external.name,
                external.mtu
            ))
            .evidence(format!(
                "{place}: {mtu} + {overhead} > {}: {}",
                external.name, external.mtu
            ));
        if cut > 0 {
            build = build.evidence(format!("Ip.FragCreates rose by {cut}"));
        }
        all.push(build.done());
    }
    all
}

/// Probes that may not be cut and fit the device vanish, while smaller ones between the same addresses pass.
pub fn black_hole(view: &View<'_>) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for large in view
        .case
        .paths
        .iter()
        .filter(|one| one.path.df && one.sent > 0)
    {
        let path = &large.path;
        let size = u32::from(path.payload) + 28;
        let limit = view.case.node(path.source_node).and_then(|node| {
            route::device(node)
                .or_else(|| route::external(node))
                .map(|link| link.mtu)
        });
        let fits = limit.is_some_and(|limit| size <= limit);
        let told = large
            .errors
            .iter()
            .any(|error| (error.kind, error.code) == (3, 4));
        // Where some or all else from there to there is lost as well, size is not the reason.
        let mut smaller = view
            .case
            .paths
            .iter()
            .filter(|small| small.path.origin == path.origin)
            .filter(|small| {
                small.path.target_node == path.target_node
                    && small.path.source_node == path.source_node
                    && small.path.to == path.to
                    && small.path.target != Target::ContainerTtl2
                    && small.path.payload < path.payload
            })
            .peekable();
        let passed = smaller.peek().is_some() && smaller.all(PathResult::whole);
        let overlay = matches!(path.target, Target::Container | Target::Bridge);
        let known = all
            .iter()
            .any(|one| one.finding.place.ends_with(&path.target_node.to_string()));
        if large.received() > 0 || !fits || told || !passed || !overlay || known {
            continue;
        }
        let (edge, exact) = edge(view, path);
        let narrow = narrow(view, path);
        let node = narrow.map_or(path.source_node, |it| it.0);
        let mut build = found(
            "FL602",
            Some(node),
            format!("underlay to {}", path.target_node),
        )
        .direction(Direction::Both)
        .confidence(Confidence::Likely)
        .summary(format!(
            "packets of {} bytes vanish between {} and {} without an error; smaller ones pass",
            match exact {
                true => format!("more than {edge}"),
                false => size.to_string(),
            },
            path.source_node,
            path.target_node
        ))
        .proven_if(exact)
        .evidence(match exact {
            true => format!("{edge} bytes are answered, one byte more is not"),
            false => String::new(),
        })
        .evidence(format!(
            "{} sent with {size} bytes and DF: none answered",
            large.sent
        ));
        if let Some((node, link, wide)) = narrow {
            build = build
                .evidence(format!(
                    "{} of {node} has MTU {}, the other node's interface {wide}",
                    link.name, link.mtu
                ))
                .run(format!("ip link set {} mtu {wide}", link.name))
                .fix("or lower the other nodes' interfaces to it; then restart the agents");
        }
        all.push(build.done());
    }
    all
}

/// Which of the two nodes' underlay interfaces takes smaller packets than the other one's: its node, it, the other's MTU.
fn narrow<'a>(view: &View<'a>, path: &Path) -> Option<(Ipv4Addr, &'a LinkFact, u32)> {
    let external = |node| {
        let link = route::external(view.case.node(node)?)?;
        Some((node, link))
    };
    let (one, other) = (external(path.source_node)?, external(path.target_node)?);
    match one.1.mtu.cmp(&other.1.mtu) {
        Ordering::Less => Some((one.0, one.1, other.1.mtu)),
        Ordering::Greater => Some((other.0, other.1, one.1.mtu)),
        Ordering::Equal => None,
    }
}

/// Bytes of the largest packet of this path's addresses that passes; whether one byte more does not.
fn edge(view: &View<'_>, like: &Path) -> (u16, bool) {
    let same = |one: &&SizeFact| (one.from, one.to) == (like.from, like.to);
    let known = view.case.sizes.iter().find(same);
    known.map_or((0, false), |one| {
        (one.passes, one.passes.checked_add(1) == Some(one.vanishes))
    })
}
