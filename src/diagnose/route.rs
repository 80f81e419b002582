//! Which way a node's tables lead, and small look-ups in its evidence. Policy rules are not followed: a check
//! names them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::evidence::{LinkFact, NeighbourFact, NodeEvidence, RouteFact};

/// The route of table main that a packet to `to` takes: longest prefix, then lowest metric.
pub fn lookup(node: &NodeEvidence, to: Ipv4Addr) -> Option<&RouteFact> {
    node.routes
        .iter()
        .filter(|route| route.destination.contains(&to))
        .max_by_key(|route| {
            (
                route.destination.prefix_len(),
                std::cmp::Reverse(route.metric),
            )
        })
}

/// The interface with this name.
pub fn link<'a>(node: &'a NodeEvidence, name: &str) -> Option<&'a LinkFact> {
    node.links.iter().find(|link| link.name == name)
}

/// The flannel device.
pub fn device(node: &NodeEvidence) -> Option<&LinkFact> {
    link(node, node.device.as_deref()?)
}

/// The bridge.
pub fn bridge(node: &NodeEvidence) -> Option<&LinkFact> {
    link(node, node.bridge.as_deref()?)
}

/// The underlay interface.
pub fn external(node: &NodeEvidence) -> Option<&LinkFact> {
    link(node, node.external.as_deref()?)
}

/// Who should take packets to `to` on the underlay and answers no ARP: its address, what shows it, and whether it
/// was asked just now.
pub fn unresolved(node: &NodeEvidence, to: Ipv4Addr) -> Option<(Ipv4Addr, String, bool)> {
    let way = lookup(node, to)?;
    let device = way.device.as_deref()?;
    let next = way.gateway.unwrap_or(to);
    if Some(device) == node.device.as_deref() {
        return None;
    }
    if node.no_arp.contains(&next) {
        return Some((
            next,
            format!("{next} answers no ARP request on {device}"),
            true,
        ));
    }
    let entry = neighbour(node, device, next)?;
    let failed = matches!(entry.state.as_str(), "failed" | "incomplete");
    failed.then(|| (next, format!("neighbour {next}: {}", entry.state), false))
}

/// The neighbour entry on an interface.
pub fn neighbour<'a>(
    node: &'a NodeEvidence,
    device: &str,
    address: Ipv4Addr,
) -> Option<&'a NeighbourFact> {
    node.neighbours
        .iter()
        .find(|one| one.device == device && one.address == address)
}

/// By how much a counter rose while the probes ran.
pub fn rise(node: &NodeEvidence, counter: &str) -> u64 {
    node.counters
        .get(counter)
        .map_or(0, |(before, after)| after.saturating_sub(*before))
}

/// How many packets the kernel dropped for this reason.
pub fn dropped(node: &NodeEvidence, reason: &str) -> u32 {
    dropped_at(node, reason, "")
}

/// How many packets the kernel dropped for this reason in functions whose name begins so.
pub fn dropped_at(node: &NodeEvidence, reason: &str, function: &str) -> u32 {
    node.drops
        .iter()
        .filter(|drop| drop.reason == reason && drop.location.starts_with(function))
        .fold(0_u32, |sum, drop| sum.saturating_add(drop.count))
}

/// A sysctl as a number.
pub fn sysctl(node: &NodeEvidence, name: &str) -> Option<i64> {
    node.sysctls.get(name)?.trim().parse().ok()
}

/// The address is on one of the node's interfaces.
pub fn is_local(node: &NodeEvidence, address: Ipv4Addr) -> bool {
    node.links
        .iter()
        .flat_map(|link| &link.addresses)
        .any(|net| net.addr() == address)
}

/// The nets share an address.
pub fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}
