//! FL310: nobody has the target address. FL311: the container has no way back. FL313, FL903: it is cut from its
//! bridge. FL303: it is in another network.

use std::net::Ipv4Addr;

use crate::diagnose::evidence::{ContainerFact, LinkFact, NodeEvidence};
use crate::diagnose::finding::{Confidence, Direction, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::loss::Loss;
use crate::diagnose::probe::Target;
use crate::diagnose::route::{self, dropped, neighbour};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// The bridge asks for the address and nobody answers.
pub fn absent(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for loss in view.lost_at(node, &[Hop::ForwardIn]) {
            let (_, to) = loss.addresses();
            // It is there, and cut off: FL313.
            if node
                .containers
                .iter()
                .any(|one| one.detached && one.address == to)
                || dead_port(node, to).is_some()
            {
                continue;
            }
            let on_bridge = route::bridge(node)
                .is_some_and(|bridge| bridge.addresses.iter().any(|net| net.contains(&to)));
            let Some(proof) = unresolved(node, loss, to).filter(|_| on_bridge) else {
                continue;
            };
            all.push(
                found("FL310", node.node, format!("container {to}"))
                    .summary(format!(
                        "{}: no container has the address {to}",
                        label(node)
                    ))
                    .confidence(Confidence::Likely)
                    .proven_if(loss.certain())
                    .evidence(proof)
                    .explains([loss])
                    .done(),
            );
        }
    }
    all
}

fn unresolved(node: &NodeEvidence, loss: &Loss<'_>, to: Ipv4Addr) -> Option<String> {
    let bridge = node.bridge.as_deref()?;
    if let Some(entry) = neighbour(node, bridge, to)
        && matches!(entry.state.as_str(), "failed" | "incomplete")
    {
        return Some(format!("neighbour {to} on {bridge}: {}", entry.state));
    }
    let known = neighbour(node, bridge, to).is_some_and(|entry| !entry.mac.is_empty());
    if known {
        return None;
    }
    let refused = loss.ladder.result.errors.iter().find(|error| {
        !error.outer && (error.kind, error.code) == (3, 1) && route::is_local(node, error.from)
    });
    if let Some(error) = refused {
        return Some(format!(
            "{} answers \"host unreachable\" ({}×)",
            error.from, error.count
        ));
    }
    let reason = dropped(node, "NEIGH_FAILED");
    (reason > 0).then(|| format!("kernel: NEIGH_FAILED ({reason}×)"))
}

/// A container gets what is for the address, by an old neighbour entry, and does not have it.
pub fn renamed(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for loss in view.lost_at(node, &[Hop::Answer]) {
            let (_, to) = loss.addresses();
            let inside = loss.path().target == Target::Container;
            let Some(last) = loss.after.filter(|_| inside) else {
                continue;
            };
            let port = node.ports.iter().find(|it| it.interface == last.interface);
            let elsewhere = node.ports.iter().any(|it| it.addresses.contains(&to));
            let Some(port) = port.filter(|_| !elsewhere) else {
                continue;
            };
            let has: Vec<_> = port.addresses.iter().map(ToString::to_string).collect();
            let has = if has.is_empty() {
                "no address".to_owned()
            } else {
                has.join(", ")
            };
            all.push(
                found("FL310", node.node, format!("container {to}"))
                    .summary(format!(
                        "{}: no container has the address {to}",
                        label(node)
                    ))
                    .proven_if(loss.certain())
                    .evidence(format!("the container behind {} has {has}", port.interface))
                    .explains([loss])
                    .done(),
            );
        }
    }
    all
}

/// The container got the request, and its routes are known to lead nowhere (or to a stranger).
pub fn routes(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for loss in view.lost_at(node, &[Hop::Answer]) {
            let (_, to) = loss.addresses();
            let Some(fact) = node.containers.iter().find(|one| one.address == to) else {
                continue;
            };
            let Some(trouble) = trouble(node, fact) else {
                continue;
            };
            let mut build = found("FL311", node.node, format!("container {to}"))
                .summary(format!(
                    "{}: container {to}{} {trouble}",
                    label(node),
                    named(fact)
                ))
                .proven_if(loss.certain())
                .explains([loss])
                .direction(Direction::Reply)
                .evidence(format!("the container {trouble}"));
            if let (Some(namespace), Some(gateway)) = (&fact.namespace, own_gateway(node, to)) {
                build = build.run(format!(
                    "nsenter --net={namespace} ip route replace default via {gateway} dev {}",
                    fact.interface
                ));
            }
            all.push(
                build
                    .fix("for good: see what sets the container's routes")
                    .done(),
            );
        }
    }
    all
}

/// The bridge's address in the container's network.
fn own_gateway(node: &NodeEvidence, to: Ipv4Addr) -> Option<Ipv4Addr> {
    let bridge = route::bridge(node)?;
    let net = bridge.addresses.iter().find(|net| net.contains(&to))?;
    Some(net.addr())
}

/// Losses between the bridge and the container of this address, either way.
fn around<'v, 'a>(view: &'v View<'a>, node: &NodeEvidence, to: Ipv4Addr) -> Vec<&'v Loss<'a>> {
    let hops = [
        Hop::ForwardIn,
        Hop::ToContainer,
        Hop::ToBridge,
        Hop::Originate,
        Hop::Answer,
        Hop::Deliver,
    ];
    let ours = |loss: &&Loss<'_>| {
        let (from, target) = loss.addresses();
        target == to || from == to
    };
    view.lost_at(node, &hops).into_iter().filter(ours).collect()
}

/// FL313: the host's side of a container's veth is no port of the bridge.
pub fn detached(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let (Some(bridge), Some(subnet)) = (route::bridge(node), view.subnet(node)) else {
            continue;
        };
        let cut = |one: &&ContainerFact| one.detached && subnet.contains(&one.address);
        for fact in node.containers.iter().filter(cut) {
            let losses = around(view, node, fact.address);
            let veth = fact.veth.clone().unwrap_or_default();
            all.push(
                found("FL313", node.node, format!("container {}", fact.address))
                    .proven_if(losses.iter().any(|loss| loss.certain()))
                    .summary(format!(
                        "{}: {veth} of container {}{} is no port of {}",
                        label(node),
                        fact.address,
                        named(fact),
                        bridge.name
                    ))
                    .evidence(format!("{veth} has no bridge"))
                    .explains(losses)
                    .run(format!("ip link set {veth} master {} up", bridge.name))
                    .done(),
            );
        }
    }
    all
}

/// A port of the bridge that is down, with the address behind it.
fn dead_port(node: &NodeEvidence, to: Ipv4Addr) -> Option<&LinkFact> {
    let port = node.ports.iter().find(|it| it.addresses.contains(&to))?;
    route::link(node, &port.interface).filter(|link| !link.works())
}

/// FL313: one end of a container's veth is down.
pub fn unplugged(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for to in node.ports.iter().flat_map(|port| port.addresses.clone()) {
            let Some(link) = dead_port(node, to) else {
                continue;
            };
            let losses = around(view, node, to);
            // A container that is only being made or stopped is nobody's fault.
            if losses.is_empty() {
                continue;
            }
            let fact = node.containers.iter().find(|one| one.address == to);
            let words = match link.up {
                false => format!("{} is down", link.name),
                true => format!(
                    "{} has no carrier: its end in the container is down",
                    link.name
                ),
            };
            let build = found("FL313", node.node, format!("container {to}"))
                .summary(format!(
                    "{}: container {to}{} is cut off: {words}",
                    label(node),
                    fact.map(named).unwrap_or_default()
                ))
                .confidence(Confidence::Proven)
                .evidence(words)
                .explains(losses);
            let inside = fact.and_then(|it| Some((it.namespace.as_ref()?, &it.interface)));
            all.push(match (link.up, inside) {
                (false, _) => build.run(format!("ip link set {} up", link.name)).done(),
                (true, Some((namespace, interface))) => build
                    .run(format!(
                        "nsenter --net={namespace} ip link set {interface} up"
                    ))
                    .done(),
                (true, None) => build.done(),
            });
        }
    }
    all
}

/// FL903: a container sends to a MAC that its bridge does not have (any more).
pub fn gateway(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(bridge) = route::bridge(node).filter(|bridge| !bridge.mac.is_empty()) else {
            continue;
        };
        for fact in &node.containers {
            let (Some(gateway), Some(mac)) = (fact.gateway, &fact.gateway_mac) else {
                continue;
            };
            let ours = bridge.addresses.iter().any(|net| net.addr() == gateway);
            // Cut off from the bridge, an old entry is the least of it: FL313.
            if !ours || fact.detached || mac.eq_ignore_ascii_case(&bridge.mac) {
                continue;
            }
            let losses = around(view, node, fact.address);
            if losses.is_empty() {
                continue;
            }
            let mut build = found("FL903", node.node, format!("container {}", fact.address))
                .proven_if(losses.iter().any(|loss| loss.certain()))
                .summary(format!(
                    "{}: container {}{} sends to {mac}, {} has the MAC {}",
                    label(node),
                    fact.address,
                    named(fact),
                    bridge.name,
                    bridge.mac
                ))
                .evidence(format!("{gateway} is at {mac} for the container"))
                .explains(losses);
            if let Some(namespace) = &fact.namespace {
                build = build.run(format!(
                    "nsenter --net={namespace} ip neigh del {gateway} dev {}",
                    fact.interface
                ));
            }
            all.push(build.fix("for good: give the bridge a fixed MAC").done());
        }
    }
    all
}

/// FL303: containers in Docker networks that are not part of the overlay.
pub fn elsewhere(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(subnet) = view.subnet(node) else {
            continue;
        };
        for fact in &node.containers {
            if fact.network.is_empty() || fact.network == "bridge" || subnet.contains(&fact.address)
            {
                continue;
            }
            all.push(
                found(
                    "FL303",
                    node.node,
                    format!("Docker network {}", fact.network),
                )
                .severity(Severity::Info)
                .confidence(Confidence::Proven)
                .summary(format!(
                    "{}: container {}{} is in Docker's network {}, outside {subnet}",
                    label(node),
                    fact.address,
                    named(fact),
                    fact.network
                ))
                .evidence(format!("{} is not in {subnet}", fact.address))
                .done(),
            );
        }
    }
    all
}

fn trouble(node: &NodeEvidence, fact: &ContainerFact) -> Option<String> {
    let bridge = route::bridge(node)?;
    match fact.gateway {
        None if fact.routes_known => Some("has no default route".to_owned()),
        Some(gateway) if !bridge.addresses.iter().any(|net| net.addr() == gateway) => Some(
            format!("has its default route by {gateway}, which is not the bridge"),
        ),
        _ => None,
    }
}

fn named(fact: &ContainerFact) -> String {
    if fact.name.is_empty() {
        String::new()
    } else {
        format!(" ({})", fact.name)
    }
}
