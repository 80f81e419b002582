//! FL520: the device. FL510 to FL513: what the kernel holds for each peer against the leases.

use std::net::Ipv4Addr;

use crate::diagnose::case::LeaseFact;
use crate::diagnose::evidence::{LinkFact, NodeEvidence};
use crate::diagnose::finding::Confidence;
use crate::diagnose::ladder::Hop;
use crate::diagnose::route::{self, neighbour, rise};
use crate::diagnose::view::{Build, Found, View, found};

use super::policy::label;
use super::{any_certain, outbound, outbound_direction};

const WRAP: [Hop; 4] = [
    Hop::Originate,
    Hop::ForwardOut,
    Hop::Answer,
    Hop::Encapsulate,
];

/// The flannel device is there and up.
pub fn device(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(trouble) = device_trouble(view, node) else {
            continue;
        };
        let losses = view.lost_at(
            node,
            &[
                Hop::Originate,
                Hop::ForwardOut,
                Hop::Encapsulate,
                Hop::Decapsulate,
                Hop::ForwardIn,
                Hop::Answer,
                Hop::Deliver,
            ],
        );
        let name = node.device.clone().unwrap_or_else(|| expected_device(view));
        let ports = rise(node, "snmp.Udp.NoPorts");
        let mut build = found("FL520", node.node, name.clone())
            .summary(format!(
                "{}: the flannel device {name} {trouble}",
                label(node)
            ))
            // Without the device nothing passes here: the state alone is proof, once something was lost.
            .proven_if(!losses.is_empty())
            .evidence(format!("{name} {trouble}"))
            .explains(losses.iter().copied())
            .fix(format!(
                "systemctl restart flannelctl (ip link set {name} up, if it was only set down)"
            ));
        if ports > 0 && !losses.is_empty() {
            build = build.evidence(format!("Udp.NoPorts rose by {ports}"));
        }
        all.push(build.done());
    }
    all
}

fn expected_device(view: &View<'_>) -> String {
    match &view.case.network {
        Some(network) if network.backend == "vxlan" => format!("flannel.{}", network.vni),
        _ => "flannel0".to_owned(),
    }
}

fn device_trouble(view: &View<'_>, node: &NodeEvidence) -> Option<&'static str> {
    if !matches!(view.backend(), "vxlan" | "udp") || node.links.is_empty() {
        return None;
    }
    match route::device(node) {
        // A TUN device goes with its process, and that is FL722.
        None if view.backend() == "udp" && node.process.is_none() => None,
        // It cannot be made, and that is FL720.
        None if !node.lacks.is_empty() => None,
        None => Some("does not exist"),
        Some(link) if !link.up => Some("is down"),
        Some(_) => None,
    }
}

/// Route, neighbour and forwarding entry of every peer.
pub fn peers(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let gone = view.backend() != "host-gw" && route::device(node).is_none();
        if node.links.is_empty() || gone || device_trouble(view, node).is_some() {
            continue;
        }
        for peer in view.peers(node) {
            let kind = if peer.backend.is_empty() {
                "udp"
            } else {
                &peer.backend
            };
            let collides = view
                .subnet(node)
                .is_some_and(|own| route::overlap(own, peer.subnet));
            if kind != view.backend() || collides || peer.ttl.is_some_and(|ttl| ttl <= 0) {
                continue;
            }
            all.extend(way(view, node, peer));
            if let Some(device) = route::device(node).filter(|_| kind == "vxlan")
                && !direct(view, node, peer)
            {
                all.extend(entries(view, node, peer, device));
            }
        }
    }
    all
}

/// The peer's subnet is routed by its public IP, without encapsulation, as DirectRouting allows.
fn direct(view: &View<'_>, node: &NodeEvidence, peer: &LeaseFact) -> bool {
    view.case
        .network
        .as_ref()
        .is_some_and(|it| it.direct_routing)
        && route::lookup(node, inside(peer)).is_some_and(|it| it.gateway == Some(peer.public_ip))
}

/// An address in the middle of what containers use.
fn inside(peer: &LeaseFact) -> Ipv4Addr {
    peer.subnet.hosts().nth(1).unwrap_or(peer.subnet.network())
}

fn way(view: &View<'_>, node: &NodeEvidence, peer: &LeaseFact) -> Option<Found> {
    if node.routes.is_empty() {
        return None;
    }
    let wrapped = view.backend() != "host-gw";
    let mut hops = WRAP.to_vec();
    if !wrapped {
        // Without its route a packet still leaves by the NIC, to the default gateway.
        hops.push(Hop::Underlay);
    }
    let losses = outbound(view, node, peer.public_ip, &hops);
    // The address that was really tried, where one was: a longer foreign route may catch it alone.
    let mut tried = losses.iter().map(|loss| {
        let (from, to) = loss.addresses();
        if super::answers(loss) { from } else { to }
    });
    let to = tried
        .find(|to| peer.subnet.contains(to))
        .unwrap_or_else(|| inside(peer));
    let found_route = route::lookup(node, to);
    let right = found_route.is_some_and(|it| {
        let by_device = wrapped && it.device.is_some() && it.device == node.device;
        let by_vtep = view.backend() != "vxlan" || it.gateway == Some(peer.subnet.network());
        let by_host = it.gateway == Some(peer.public_ip)
            && (!wrapped
                || view
                    .case
                    .network
                    .as_ref()
                    .is_some_and(|it| it.direct_routing));
        it.kind == "unicast" && (by_device && by_vtep || by_host)
    });
    if right {
        return None;
    }
    let expected = expected(view, node, peer);
    let wrong = found_route.filter(|it| it.destination.prefix_len() >= peer.subnet.prefix_len());
    let (id, words) = match wrong {
        Some(it) => (
            "FL513",
            format!(
                "the route to {} is {} {}{}{}",
                peer.subnet,
                it.kind,
                it.destination,
                it.gateway
                    .map_or_else(String::new, |via| format!(" via {via}")),
                it.device
                    .as_ref()
                    .map_or_else(String::new, |dev| format!(" dev {dev}"))
            ),
        ),
        None => ("FL510", format!("the route to {} is missing", peer.subnet)),
    };
    let mut build = finish(
        found(id, node.node, format!("route {}", peer.subnet))
            .summary(format!("{}: {words}", label(node)))
            .evidence(words)
            .evidence(format!(
                "expected for lease {} of {}: {expected}",
                peer.subnet, peer.public_ip
            ))
            .run(format!("ip route replace {expected}")),
        &losses,
    );
    let leaked = losses
        .iter()
        .map(|loss| loss.ladder.leaked.len())
        .sum::<usize>();
    if leaked > 0 {
        build = build.evidence(format!(
            "{leaked} probes left by the underlay without encapsulation"
        ));
    }
    if let Some(default) = found_route.filter(|it| it.destination.prefix_len() == 0) {
        build = build.evidence(format!(
            "packets go to the default gateway {} instead",
            default
                .gateway
                .map_or_else(String::new, |via| via.to_string())
        ));
    }
    Some(build.done())
}

fn expected(view: &View<'_>, node: &NodeEvidence, peer: &LeaseFact) -> String {
    let device = node.device.clone().unwrap_or_default();
    match view.backend() {
        "vxlan" => format!(
            "{} via {} dev {device} onlink",
            peer.subnet,
            peer.subnet.network()
        ),
        "host-gw" => format!(
            "{} via {} dev {}",
            peer.subnet,
            peer.public_ip,
            node.external.clone().unwrap_or_default()
        ),
        _ => format!(
            "{} dev {device}",
            view.network()
                .map_or_else(|| peer.subnet.to_string(), |it| it.to_string())
        ),
    }
}

fn entries(
    view: &View<'_>,
    node: &NodeEvidence,
    peer: &LeaseFact,
    device: &LinkFact,
) -> Vec<Found> {
    let name = &device.name;
    let base = peer.subnet.network();
    let mac = &peer.vtep_mac;
    if mac.is_empty() {
        return Vec::new();
    }
    let entry = neighbour(node, name, base)
        .filter(|it| !it.mac.is_empty() && !matches!(it.state.as_str(), "failed" | "incomplete"));
    let fix = format!(
        "ip neigh replace {base} lladdr {mac} dev {name} nud permanent && bridge fdb replace {mac} dev {name} dst {} self permanent",
        peer.public_ip
    );
    let Some(entry) = entry else {
        let losses = outbound(view, node, peer.public_ip, &WRAP);
        let words = format!("the neighbour entry {base} on {name} is missing");
        return vec![
            finish(
                found("FL511", node.node, format!("neighbour {base} dev {name}"))
                    .summary(format!(
                        "{}: {words} (peer {})",
                        label(node),
                        peer.public_ip
                    ))
                    .evidence(format!("{words}; expected {base} lladdr {mac} permanent"))
                    .run(fix),
                &losses,
            )
            .done(),
        ];
    };
    if !entry.mac.eq_ignore_ascii_case(mac) {
        // The packet arrives at the right node and is for nobody there, or finds no forwarding entry.
        let mut losses = outbound(
            view,
            node,
            peer.public_ip,
            &[Hop::Encapsulate, Hop::Underlay],
        );
        losses.extend(view.losses.iter().filter(|loss| {
            Some(loss.nodes().0) == node.node
                && loss.nodes().1 == peer.public_ip
                && [Hop::ForwardIn, Hop::Answer, Hop::Decapsulate, Hop::Deliver]
                    .iter()
                    .any(|hop| loss.at(*hop, peer.public_ip))
        }));
        let there = view.case.node(peer.public_ip);
        let counted = there.map_or(0, |it| rise(it, &format!("link.{name}.rx_otherhost")));
        let mut build = finish(
            found("FL513", node.node, format!("neighbour {base} dev {name}"))
                .summary(format!(
                    "{}: the neighbour entry {base} has the MAC {}, the lease of {} says {mac}",
                    label(node),
                    entry.mac,
                    peer.public_ip
                ))
                .evidence(format!(
                    "neighbour {base} lladdr {}; lease: {mac}",
                    entry.mac
                ))
                .run(fix),
            &losses,
        );
        if counted > 0 {
            build = build.evidence(format!(
                "{}: rx_otherhost rose by {counted}",
                peer.public_ip
            ));
        }
        return vec![build.done()];
    }
    forwarding(view, node, peer, name).into_iter().collect()
}

fn forwarding(view: &View<'_>, node: &NodeEvidence, peer: &LeaseFact, name: &str) -> Option<Found> {
    let mac = &peer.vtep_mac;
    let mut same = node
        .fdb
        .iter()
        .filter(|it| it.mac.eq_ignore_ascii_case(mac))
        .peekable();
    let (id, words, losses) = match same.peek() {
        None => (
            "FL512",
            format!("the forwarding entry {mac} on {name} is missing"),
            outbound(view, node, peer.public_ip, &[Hop::Encapsulate]),
        ),
        Some(first) => {
            let remote = first.remote;
            if same.any(|it| it.remote == Some(peer.public_ip)) {
                return None;
            }
            (
                "FL513",
                format!(
                    "the forwarding entry {mac} leads to {}, the lease says {}",
                    remote.map_or_else(|| "nowhere".to_owned(), |ip| ip.to_string()),
                    peer.public_ip
                ),
                outbound(
                    view,
                    node,
                    peer.public_ip,
                    &[Hop::Encapsulate, Hop::Underlay],
                ),
            )
        }
    };
    let dropped = rise(node, &format!("link.{name}.tx_dropped"));
    let mut build = finish(
        found(id, node.node, format!("fdb {mac} dev {name}"))
            .summary(format!(
                "{}: {words} (peer {})",
                label(node),
                peer.public_ip
            ))
            .evidence(words)
            .run(format!(
                "bridge fdb replace {mac} dev {name} dst {} self permanent",
                peer.public_ip
            )),
        &losses,
    );
    let reason = route::dropped(node, "NO_TX_TARGET");
    if !losses.is_empty() && (dropped > 0 || reason > 0) {
        build = build.evidence(format!(
            "{name} tx_dropped +{dropped}; kernel: NO_TX_TARGET ({reason}×)"
        ));
    }
    Some(build.done())
}

/// Losses, direction and confidence of a defect of state on the way out.
fn finish(build: Build, losses: &[&crate::diagnose::loss::Loss<'_>]) -> Build {
    let build = build
        .confidence(Confidence::Likely)
        .proven_if(any_certain(losses))
        .explains(losses.iter().copied());
    match outbound_direction(losses) {
        Some(direction) => build.direction(direction),
        None => build,
    }
}
