//! Causes that the place alone tells: the underlay between two NICs (FL211, FL230, FL240, FL241), a container that
//! does not answer (FL312, FL313), the udp backend's process (FL722).

use std::net::Ipv4Addr;

use crate::diagnose::evidence::Point;
use crate::diagnose::finding::{Confidence, Direction};
use crate::diagnose::ladder::Hop;
use crate::diagnose::loss::Loss;
use crate::diagnose::ports::{self, Differential, Way};
use crate::diagnose::probe::Target;
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

/// Left one NIC and never reached the other, both watched; or fell out of the sender's queue.
pub fn underlay<'v, 'a>(view: &'v View<'a>, open: &[&'v Loss<'a>]) -> Vec<Found> {
    let mut all = Vec::new();
    for loss in open {
        let (from, to) = loss.nodes();
        if !loss.certain() {
            continue;
        }
        if loss.at(Hop::Encapsulate, from)
            && let Some(node) = view.case.node(from)
            && route::dropped(node, "QDISC_DROP") >= u32::from(loss.lost)
        {
            let device = node.external.clone().unwrap_or_default();
            all.push(
                found("FL241", Some(from), format!("queue of {device}"))
                    .summary(format!(
                        "{from}: the queue of {device} drops packets ({})",
                        loss.words()
                    ))
                    .confidence(Confidence::Proven)
                    .evidence(format!(
                        "kernel: QDISC_DROP ({}×)",
                        route::dropped(node, "QDISC_DROP")
                    ))
                    .explains([*loss])
                    .fix(format!("look at: tc -s qdisc show dev {device}"))
                    .done(),
            );
            continue;
        }
        if !loss.at(Hop::Underlay, from) || loss.next.is_none() {
            continue;
        }
        let arrived = loss.next.is_some_and(|step| !step.seen.is_empty());
        let wrapped = loss
            .after
            .and_then(|step| step.seen.first())
            .is_some_and(|one| one.outer.is_some());
        // Some may have been lost before the NIC, in wait for its neighbour.
        let some = arrived || loss.ladder.result.received() > 0;
        let ports = ports::between(view, from, to).filter(|_| wrapped && !some);
        let way = ports.as_ref().and_then(Differential::way);
        let (id, confidence, words) = if some {
            (
                "FL241",
                Confidence::Proven,
                "the underlay loses some of the packets",
            )
        } else {
            match crosses(view, from, to) {
                _ if way == Some(Way::PortEaten) => (
                    "FL230",
                    Confidence::Proven,
                    "the underlay delivers datagrams to another UDP port and eats those to the encapsulation's",
                ),
                _ if way == Some(Way::Open) => (
                    "FL230",
                    Confidence::Proven,
                    "the underlay delivers other datagrams to the encapsulation's port and eats the encapsulation: something on the way looks into it",
                ),
                Some(true) if way == Some(Way::NoUdp) => (
                    "FL230",
                    Confidence::Proven,
                    "the underlay delivers pings between the nodes and eats UDP, to whatever port",
                ),
                Some(true) if wrapped => (
                    "FL230",
                    Confidence::Proven,
                    "the underlay delivers pings between the nodes and eats the encapsulation",
                ),
                None if way == Some(Way::NoUdp) => {
                    ("FL240", Confidence::Likely, "the underlay delivers nothing")
                }
                Some(true) => (
                    "FL211",
                    Confidence::Proven,
                    "the underlay delivers the nodes' own packets and eats those of containers",
                ),
                Some(false) if way == Some(Way::NoUdp) => (
                    "FL240",
                    Confidence::Proven,
                    "the underlay delivers neither pings nor UDP, to whatever port",
                ),
                Some(false) => ("FL240", Confidence::Proven, "the underlay delivers nothing"),
                // Pings were not even answered, so this direction was not tried by itself.
                None if crosses(view, to, from) == Some(false) => {
                    ("FL240", Confidence::Likely, "the underlay delivers nothing")
                }
                None if wrapped => (
                    "FL230",
                    Confidence::Likely,
                    "the underlay eats the encapsulation",
                ),
                None => (
                    "FL211",
                    Confidence::Likely,
                    "the underlay eats containers' packets",
                ),
            }
        };
        all.push(
            found(id, Some(to), format!("underlay {from} → {to}"))
                .summary(format!("between {from} and {to}: {words}"))
                .confidence(confidence)
                .evidences(ports.iter().flat_map(Differential::words))
                .explains([*loss])
                .done(),
        );
    }
    all
}

/// Plain packets get from one node to the other: seen there, or answered. `None`: not tried.
fn crosses(view: &View<'_>, from: Ipv4Addr, to: Ipv4Addr) -> Option<bool> {
    let mut tried = false;
    for ladder in view.ladders {
        let path = ladder.path();
        if path.target != Target::Node || path.df {
            continue;
        }
        let reply = match (path.source_node == from, path.target_node == to) {
            (true, true) => false,
            _ if path.source_node == to && path.target_node == from => true,
            _ => continue,
        };
        let seen = |outgoing: bool| {
            ladder.steps.iter().any(|step| {
                step.point == Point::Underlay
                    && step.reply == reply
                    && step.outgoing == outgoing
                    && !step.seen.is_empty()
            })
        };
        if ladder.result.received() > 0 || seen(false) {
            return Some(true);
        }
        tried |= !reply || seen(true);
    }
    tried.then_some(false)
}

/// A container that got requests and sent no answer; one that is cut from its bridge.
pub fn container<'v, 'a>(view: &'v View<'a>, open: &[&'v Loss<'a>]) -> Vec<Found> {
    let mut all = Vec::new();
    for loss in open
        .iter()
        .filter(|loss| loss.certain() && loss.after.is_some())
    {
        let Some(&(hop, node)) = loss.hops.first() else {
            continue;
        };
        let path = loss.path();
        let inside = path.target == Target::Container;
        let (from, to) = loss.addresses();
        let label = view
            .case
            .node(node)
            .map_or_else(|| node.to_string(), super::policy::label);
        match hop {
            Hop::Answer if inside => all.push(
                found("FL312", Some(node), format!("container {to}"))
                    .summary(format!(
                        "{label}: container {to} receives the requests and does not answer"
                    ))
                    .confidence(Confidence::Proven)
                    .explains([*loss])
                    .direction(Direction::Reply)
                    .done(),
            ),
            Hop::ToBridge | Hop::ToContainer => {
                let who = if hop == Hop::ToBridge { from } else { to };
                all.push(
                    found("FL313", Some(node), format!("container {who}"))
                        .summary(format!(
                            "{label}: packets are lost between container {who} and the bridge"
                        ))
                        .explains([*loss])
                        .done(),
                );
            }
            _ => {}
        }
    }
    all
}

/// With the udp backend a process stands between the device and the underlay.
pub fn udp_daemon<'v, 'a>(view: &'v View<'a>, open: &[&'v Loss<'a>]) -> Vec<Found> {
    if view.backend() != "udp" {
        return Vec::new();
    }
    open.iter()
        .filter(|loss| loss.certain() && loss.total())
        .filter_map(|loss| {
            let &(hop, at) = loss.hops.first()?;
            let node = view.case.node(at)?;
            let closed = node.encap_port.is_none();
            matches!(hop, Hop::Encapsulate | Hop::Decapsulate).then(|| {
                found("FL722", Some(at), "the udp backend's process")
                    .summary(format!(
                        "{}: packets are lost between the flannel device and the underlay, where the process carries them",
                        super::policy::label(node)
                    ))
                    .proven_if(closed)
                    .evidence(if closed { "no socket has the encapsulation port" } else { "" })
                    .explains([*loss])
                    .done()
            })
        })
        .collect()
}
