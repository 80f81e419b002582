//! What can be told from one side: ICMP errors on the underlay, and the table of which targets answer when
//! the other node has no agent.

use std::net::Ipv4Addr;

use crate::diagnose::finding::{Confidence, Direction};
use crate::diagnose::ladder::Hop;
use crate::diagnose::loss::Loss;
use crate::diagnose::ports::{self, Differential};
use crate::diagnose::probe::{IcmpError, Origin, PathResult, Target};
use crate::diagnose::route;
use crate::diagnose::view::{Build, Found, View, found};

/// The other node answered our outer packets with an error: "admin prohibited" or "port unreachable".
pub fn quoted(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for peer in view.peers(node).map(|lease| lease.public_ip) {
            // With evidence of its own the peer's rules and devices are judged directly.
            if view.case.node(peer).is_some() {
                continue;
            }
            let losses: Vec<_> = view
                .losses
                .iter()
                .filter(|loss| Some(loss.nodes().0) == node.node && loss.nodes().1 == peer)
                .collect();
            let ports = node.node.and_then(|own| ports::between(view, own, peer));
            let told = ports.and_then(|it| it.encapsulation.error);
            let error = node
                .icmp_errors
                .iter()
                .filter(|error| error.outer)
                .chain(told)
                .find(|error| error.from == peer && error.kind == 3);
            let Some((error, id)) = error.and_then(|it| Some((it, meaning(it)?))) else {
                continue;
            };
            if losses.is_empty() {
                continue;
            }
            let words = if id == "FL110" {
                "rejects the encapsulation (admin prohibited)"
            } else {
                "has nothing that listens at the encapsulation port: its flannel device is gone, or uses another port"
            };
            let quoted = match error.outer {
                true => format!(
                    "{} ICMP errors type {} code {} from {peer} that quote outer packets",
                    error.count, error.kind, error.code
                ),
                false => String::new(),
            };
            let build = found(id, Some(peer), format!("encapsulation port of {peer}"))
                .summary(format!("{peer} {words}"))
                .proven_if(id == "FL110")
                .evidence(quoted)
                .evidences(ports.iter().flat_map(Differential::words))
                .explains(losses);
            all.push(build.done());
        }
    }
    all
}

/// Somebody between the nodes says that datagrams to the encapsulation's port do not pass (FL230), or that the node is
/// not there (FL240).
pub fn refused_between(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(from) = node.node else { continue };
        for to in view.peers(node).map(|lease| lease.public_ip) {
            let Some(ports) = ports::between(view, from, to) else {
                continue;
            };
            let stranger = |error: &&IcmpError| {
                error.from != to && error.from != from && !route::is_local(node, error.from)
            };
            let Some(error) = ports.encapsulation.error.filter(stranger) else {
                continue;
            };
            let losses: Vec<_> = view
                .losses
                .iter()
                .filter(|loss| loss.nodes() == (from, to))
                .collect();
            let by = error.from;
            let port = ports.encapsulation.port;
            let other = ports.other.error.map(|error| error.from);
            let (id, words) = match (error.kind, error.code) {
                (3, 0 | 1) => (
                    "FL240",
                    format!("{by} on the way says that it cannot reach {to}"),
                ),
                (3, 3 | 9 | 10 | 13) if other == Some(to) => (
                    "FL230",
                    format!(
                        "{by} on the way refuses UDP to port {port} of {to}, and lets another port pass"
                    ),
                ),
                (3, 3 | 9 | 10 | 13) if other == Some(by) => (
                    "FL230",
                    format!("{by} on the way refuses UDP to {to}, to whatever port"),
                ),
                (3, 3 | 9 | 10 | 13) => (
                    "FL230",
                    format!("{by} on the way refuses UDP to port {port} of {to}"),
                ),
                _ => continue,
            };
            if losses.is_empty() {
                continue;
            }
            let build = found(id, Some(to), format!("underlay {from} → {to}"))
                .summary(format!("between {from} and {to}: {words}"))
                .proven_if(id == "FL230" || view.underlay_answers(from, to) == Some(false))
                .evidences(ports.words())
                .explains(losses);
            all.push(build.done());
        }
    }
    all
}

fn meaning(error: &IcmpError) -> Option<&'static str> {
    match error.code {
        9 | 10 | 13 => Some("FL110"),
        3 => Some("FL520"),
        _ => None,
    }
}

/// What a probe of one kind said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Answered,
    Refused(Ipv4Addr),
    Expired,
    Silent,
}

fn said(result: &PathResult) -> Said {
    if result.received() > 0 {
        return Said::Answered;
    }
    let error = |kind: u8| {
        result
            .errors
            .iter()
            .find(|error| error.kind == kind && !error.outer)
    };
    if error(11).is_some() {
        Said::Expired
    } else if let Some(error) = error(3).filter(|error| error.code == 1) {
        Said::Refused(error.from)
    } else {
        Said::Silent
    }
}

/// The truth table for a node without agent.
pub fn table<'v, 'a>(view: &'v View<'a>, open: &[&'v Loss<'a>]) -> Vec<Found> {
    let mut pairs: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for loss in open {
        let path = loss.path();
        let pair = (path.source_node, path.target_node);
        // Lost for sure on this side: the other has nothing to do with it.
        let near = loss.certain()
            && loss
                .hops
                .iter()
                .all(|hop| hop.1 == pair.0 && hop.0 != Hop::Underlay);
        if view.case.node(pair.1).is_none() && !near && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    let mut all = Vec::new();
    for (from, to) in pairs {
        let losses: Vec<_> = open
            .iter()
            .copied()
            .filter(|loss| loss.path().source_node == from && loss.path().target_node == to)
            .collect();
        let build = |build: Build| {
            build
                .explains(losses.iter().copied())
                .direction(Direction::Request)
        };
        all.extend(
            judge(view, from, to)
                .into_iter()
                .map(|one| build(one).done()),
        );
    }
    all
}

fn judge(view: &View<'_>, from: Ipv4Addr, to: Ipv4Addr) -> Vec<Build> {
    let answer = |target: Target, inside: Option<bool>| {
        let mut tried = view
            .probes(from, to, target)
            .filter(|probe| {
                !probe.path.df && inside.is_none_or(|it| it == (probe.path.origin != Origin::Host))
            })
            .map(said)
            .collect::<Vec<_>>();
        tried.sort_by_key(|one| *one == Said::Silent);
        tried.first().copied()
    };
    let node = answer(Target::Node, None);
    let bridge = answer(Target::Bridge, None);
    let container = answer(Target::Container, None);
    let from_host = answer(Target::Container, Some(false));
    let expired = answer(Target::ContainerTtl2, None);
    let subnet = view.case.lease(to).map(|lease| lease.subnet);
    let theirs = |address: Ipv4Addr| subnet.is_some_and(|net| net.contains(&address));
    let say = |id: &'static str, confidence: Confidence, why: &str| {
        found(id, Some(to), format!("node {to} (no agent there)"))
            .confidence(confidence)
            .summary(format!("{to}: {why}"))
            .evidence(format!(
                "node {}, bridge (.1) {}, container {}, container with TTL 2 {}",
                words(node),
                words(bridge),
                words(container),
                words(expired)
            ))
    };
    if from_host == Some(Said::Answered) {
        // Containers of this side alone fail: nothing of the other node explains that.
        return Vec::new();
    }
    match (bridge, container, expired) {
        (Some(Said::Answered), Some(Said::Refused(by)), _) if theirs(by) => {
            vec![say(
                "FL310",
                Confidence::Likely,
                "it finds no container with the target address",
            )]
        }
        (_, Some(Said::Refused(by)), _) if theirs(by) => vec![say(
            "FL301",
            Confidence::Likely,
            "it has the route to its containers' subnet, but its bridge has another address",
        )],
        (Some(Said::Answered), Some(Said::Silent), Some(Said::Expired)) => vec![say(
            "FL101",
            Confidence::Likely,
            "packets reach forwarding there and are dropped by it: FORWARD policy or a rule",
        )],
        (Some(Said::Answered), Some(Said::Silent), Some(Said::Silent)) => vec![
            say(
                "FL102",
                Confidence::Possible,
                "packets to containers are dropped before they are forwarded: a rule in raw PREROUTING",
            ),
            say(
                "FL701",
                Confidence::Possible,
                "or IP forwarding is off there",
            ),
        ],
        _ if node == Some(Said::Silent) && container != Some(Said::Answered) => {
            let unresolved = view
                .case
                .node(from)
                .is_some_and(|it| route::unresolved(it, to).is_some());
            if unresolved {
                vec![say(
                    "FL240",
                    Confidence::Likely,
                    "it does not answer ARP: it is down or cut off",
                )]
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

fn words(said: Option<Said>) -> String {
    match said {
        None => "not tried".to_owned(),
        Some(Said::Answered) => "answers".to_owned(),
        Some(Said::Silent) => "is silent".to_owned(),
        Some(Said::Expired) => "says \"time exceeded\"".to_owned(),
        Some(Said::Refused(by)) => format!("is \"host unreachable\" by {by}"),
    }
}
