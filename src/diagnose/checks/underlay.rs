//! FL243, FL244, FL210: the way to the peer's public IP. FL242: the interface to it. FL240: nobody answers for it. FL205, FL204: the outer
//! source is translated.

use crate::diagnose::evidence::Point;
use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::route::{self, rise};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;
use super::{any_certain, most, outbound};

/// A route to the peer's public IP that can carry the overlay.
pub fn routes(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        if node.routes.is_empty() {
            continue;
        }
        for peer in view.peers(node) {
            let way = route::lookup(node, peer.public_ip);
            let refuses = way.is_none_or(|it| it.kind != "unicast");
            let device = node.device.as_deref();
            let circular =
                way.is_some_and(|it| it.device.is_some() && it.device.as_deref() == device);
            let far = view.backend() == "host-gw" && way.is_some_and(|it| it.gateway.is_some());
            let (id, words, counter) = if refuses {
                ("FL243", "no route leads to", "tx_carrier_errors")
            } else if circular {
                (
                    "FL244",
                    "the route leads through the overlay itself to",
                    "tx_collisions",
                )
            } else if far {
                (
                    "FL210",
                    "host-gw needs one Ethernet segment, but a gateway leads to",
                    "",
                )
            } else {
                continue;
            };
            let mut hops = vec![Hop::Encapsulate];
            if far || view.backend() == "udp" || view.backend() == "host-gw" {
                hops.extend([Hop::Underlay, Hop::ForwardOut, Hop::Originate, Hop::Answer]);
            }
            let losses = outbound(view, node, peer.public_ip, &hops);
            if far && losses.is_empty() && view.passes(node, &[Hop::Underlay]) {
                continue;
            }
            let mut build = found(id, node.node, format!("route to {}", peer.public_ip))
                .summary(format!(
                    "{}: {words} the peer {}",
                    label(node),
                    peer.public_ip
                ))
                .proven_if(any_certain(&losses))
                .evidence(way.map_or_else(
                    || format!("no route to {}", peer.public_ip),
                    |it| {
                        format!(
                            "{} {}{}{}",
                            it.kind,
                            it.destination,
                            it.gateway
                                .map_or_else(String::new, |via| format!(" via {via}")),
                            it.device
                                .as_ref()
                                .map_or_else(String::new, |dev| format!(" dev {dev}"))
                        )
                    },
                ))
                .explains(losses.iter().copied());
            // A route for this host alone is the stranger; a missing one has to come from the network's setup.
            if let Some(it) = way.filter(|it| it.destination.prefix_len() == 32 && !far) {
                let kind = if it.kind == "unicast" {
                    String::new()
                } else {
                    format!("{} ", it.kind)
                };
                build = build.run(format!("ip route del {kind}{}", it.destination));
            }
            if let Some(device) = device.filter(|_| !losses.is_empty() && !counter.is_empty()) {
                let counted = rise(node, &format!("link.{device}.{counter}"));
                if counted >= most(&losses) {
                    build = build.evidence(format!("{device} {counter} rose by {counted}"));
                }
            }
            all.push(build.done());
        }
    }
    all
}

/// The next hop to the peer does not answer ARP.
pub fn unresolved(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for peer in view.peers(node) {
            let losses = outbound(
                view,
                node,
                peer.public_ip,
                &[
                    Hop::Encapsulate,
                    Hop::ForwardOut,
                    Hop::Originate,
                    Hop::Answer,
                    Hop::Underlay,
                ],
            );
            if losses.is_empty()
                || view.underlay_answers(peer.public_ip, node.node.unwrap_or(peer.public_ip))
                    == Some(true)
            {
                continue;
            }
            let Some((next, why, asked)) = route::unresolved(node, peer.public_ip) else {
                continue;
            };
            all.push(
                found(
                    "FL240",
                    Some(peer.public_ip),
                    format!("underlay {} → {}", label(node), peer.public_ip),
                )
                .summary(format!(
                    "{}: {next} does not answer ARP on the underlay: {} is down or cut off",
                    label(node),
                    peer.public_ip
                ))
                .proven_if(asked || any_certain(&losses))
                .evidence(why)
                .explains(losses)
                .done(),
            );
        }
    }
    all
}

/// FL242: the interface that everything goes through is down, or has no carrier.
pub fn interface(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(link) = route::external(node).filter(|link| !link.works()) else {
            continue;
        };
        let words = match link.up {
            false => "is down",
            true => "has no carrier",
        };
        let build = found("FL242", node.node, link.name.clone())
            .confidence(Confidence::Proven)
            .summary(format!(
                "{}: {}, the interface to the other nodes, {words}",
                label(node),
                link.name
            ))
            .evidence(format!("{} {words}", link.name))
            .explains(view.losses_of(node));
        all.push(match link.up {
            false => build.run(format!("ip link set {} up", link.name)).done(),
            true => build.done(),
        });
    }
    all
}

/// FL205: the outer source changed on the way. FL204: the public IP is not the node's and nothing arrives by it.
pub fn translated(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for ladder in view.ladders {
        for reply in [false, true] {
            let outer = |outgoing: bool| {
                ladder
                    .steps
                    .iter()
                    .find(|step| {
                        step.reply == reply
                            && step.point == Point::Underlay
                            && step.outgoing == outgoing
                    })
                    .and_then(|step| Some((step.node, step.seen.first()?.outer.as_ref()?)))
            };
            let (Some((sender, sent)), Some((receiver, came))) = (outer(true), outer(false)) else {
                continue;
            };
            if came.from == sent.from || came.from == sender {
                continue;
            }
            // Our udp backend takes nothing from addresses that are nobody's.
            let refused = view.losses.iter().filter(|loss| {
                view.backend() == "udp"
                    && loss.at(Hop::Decapsulate, receiver)
                    && loss.nodes() == (sender, receiver)
            });
            all.push(
                found("FL205", Some(sender), "outer source address")
                    .severity(if ladder.result.whole() {
                        Severity::Warning
                    } else {
                        Severity::Error
                    })
                    .confidence(Confidence::Likely)
                    .summary(format!(
                        "{sender}: its outer packets leave as {} and arrive at {receiver} as {}",
                        sent.from, came.from
                    ))
                    .evidence(format!(
                        "sent from {}, received from {}",
                        sent.from, came.from
                    ))
                    .explains(refused)
                    .done(),
            );
        }
    }
    for node in &view.case.nodes {
        let Some(lease) = view.lease(node).filter(|_| !node.links.is_empty()) else {
            continue;
        };
        // Its own packets carry host-gw's traffic: no translation can stand between.
        let plain = view.backend() == "host-gw";
        let arrives = node
            .seen
            .iter()
            .any(|one| one.point == Point::Underlay && !one.outgoing);
        let losses: Vec<_> = view
            .losses
            .iter()
            .filter(|loss| {
                let (from, to) = loss.nodes();
                to == lease.public_ip && loss.hops.iter().any(|hop| hop.0 == Hop::Underlay)
                    || plain && [from, to].contains(&lease.public_ip)
            })
            .collect();
        if route::is_local(node, lease.public_ip) || (arrives && !plain) || losses.is_empty() {
            continue;
        }
        all.push(
            found("FL204", node.node, "public IP of the lease")
                .summary(format!(
                    "{}: the lease's public IP {} is on none of its interfaces, and packets are lost",
                    label(node),
                    lease.public_ip
                ))
                .evidence(format!("{} is no address of the node", lease.public_ip))
                .explains(losses)
                .done(),
        );
    }
    all
}
