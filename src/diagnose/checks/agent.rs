//! FL412, FL722: an agent that hangs or is dead. FL521: a network manager beside routes that are gone.

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// The agent's process is there and does not run on.
pub fn hangs(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(process) = node.process.as_ref().filter(|process| process.stopped) else {
            continue;
        };
        let words = format!("process {} ({}) is stopped", process.pid, process.name);
        // With the udp backend it carries the packets itself, else it only fails to follow the leases.
        let udp = view.backend() == "udp";
        let losses = view.losses_of(node).filter(|_| udp);
        let id = if udp { "FL722" } else { "FL412" };
        let effect = if udp {
            "no packet passes the overlay here"
        } else {
            "changes of leases do not reach the kernel, and its own lease will end"
        };
        all.push(
            found(id, node.node, "the agent's process")
                .severity(if udp {
                    Severity::Error
                } else {
                    Severity::Warning
                })
                .confidence(Confidence::Proven)
                .summary(format!("{}: the agent hangs: {effect}", label(node)))
                .evidence(words)
                .explains(losses)
                .run(format!("kill -CONT {}", process.pid))
                .fix("or restart it: systemctl restart flannelctl (flanneld)")
                .done(),
        );
    }
    all
}

/// With the udp backend the device goes with the process that carries its packets.
pub fn gone(view: &View<'_>) -> Vec<Found> {
    let dead = |node: &&NodeEvidence| {
        let known = !node.links.is_empty() && !node.agent;
        let able = node.lacks.is_empty();
        known && able && node.process.is_none() && route::device(node).is_none()
    };
    let udp = view.backend() == "udp";
    view.case
        .nodes
        .iter()
        .filter(|node| udp && dead(node))
        .map(|node| {
            let losses: Vec<_> = view
                .losses
                .iter()
                .filter(|loss| {
                    node.node
                        .is_some_and(|it| [loss.nodes().0, loss.nodes().1].contains(&it))
                })
                .collect();
            found("FL722", node.node, "the agent's process")
                .summary(format!(
                    "{}: no agent runs, and with the udp backend it carries the packets",
                    label(node)
                ))
                .proven_if(!losses.is_empty())
                .evidence("neither the process nor its device is there")
                .explains(losses)
                .done()
        })
        .collect()
}

/// Routes or the device are gone where a program runs that is known to remove them.
pub fn managers(view: &View<'_>, found_here: &[Found]) -> Vec<Found> {
    let gone = |node: &NodeEvidence| {
        found_here.iter().any(|one| {
            one.finding.node == node.node && matches!(one.finding.id.as_str(), "FL510" | "FL520")
        })
    };
    view.case
        .nodes
        .iter()
        .filter(|node| !node.managers.is_empty() && gone(node))
        .map(|node| {
            let names = node.managers.join(", ");
            found("FL521", node.node, names.clone())
                .severity(Severity::Warning)
                .confidence(Confidence::Likely)
                .summary(format!(
                    "{}: {names} runs here and may have removed flannel's device or routes",
                    label(node)
                ))
                .evidence(format!("running: {names}"))
                .done()
        })
        .collect()
}
