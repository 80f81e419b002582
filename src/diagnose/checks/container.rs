//! FL310: nobody has the target address. FL311: the container has no way back.

use std::net::Ipv4Addr;

use crate::diagnose::evidence::{ContainerFact, NodeEvidence};
use crate::diagnose::finding::{Confidence, Direction};
use crate::diagnose::ladder::Hop;
use crate::diagnose::loss::Loss;
use crate::diagnose::route::{self, dropped, neighbour};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// The bridge asks for the address and nobody answers.
pub fn absent(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        for loss in view.lost_at(node, &[Hop::ForwardIn]) {
            let (_, to) = loss.addresses();
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
    let refused = loss.ladder.result.errors.iter().find(|error| {
        !error.outer && (error.kind, error.code) == (3, 1) && route::is_local(node, error.from)
    });
    if let Some(error) = refused {
        return Some(format!(
            "{} answers \"host unreachable\" ({}×)",
            error.from, error.count
        ));
    }
    let known = neighbour(node, bridge, to).is_some_and(|entry| !entry.mac.is_empty());
    let reason = dropped(node, "NEIGH_FAILED");
    (reason > 0 && !known).then(|| format!("kernel: NEIGH_FAILED ({reason}×)"))
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
            all.push(
                found("FL311", node.node, format!("container {to}"))
                    .summary(format!(
                        "{}: container {to}{} {trouble}",
                        label(node),
                        named(fact)
                    ))
                    .proven_if(loss.certain())
                    .explains([loss])
                    .direction(Direction::Reply)
                    .evidence(format!("the container {trouble}"))
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
