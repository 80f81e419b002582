//! FL130, FL132: why a rule that accepts the network does not help against the one that drops.

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::finding::Severity;
use crate::diagnose::listing::{Chain, Ender, hooks};
use crate::diagnose::loss::Loss;
use crate::diagnose::view::{Found, View, found};

use super::firewall_words::{Proof, accepts};
use super::policy::label;

/// flannel's own chain, by flanneld and by us.
const FORWARD: &str = "FLANNEL-FWD";

/// What makes the drop possible, beside its name.
pub(super) fn reasons(
    view: &View<'_>,
    node: &NodeEvidence,
    chains: &[Chain],
    ender: Ender<'_>,
    (loss, proof): (&Loss<'_>, Proof),
) -> Vec<Found> {
    let mut all = Vec::new();
    if !hooks(chains, ender.chain).contains(&"forward") {
        return all;
    }
    let program = &ender.chain.program;
    let mut tell = |id, place: String, words: &str| {
        all.push(
            found(id, node.node, place)
                .severity(Severity::Info)
                .summary(format!("{}: {words}", label(node)))
                .proven_if(proof >= Proof::Acted && loss.certain())
                .explains([loss])
                .done(),
        );
    };
    if program == "iptables-legacy" && accepts(view, chains, "iptables-nft") {
        tell(
            "FL130",
            "iptables-nft and iptables-legacy".to_owned(),
            "iptables-nft accepts the network, iptables-legacy drops it: both are asked",
        );
    }
    let orphan = chains.iter().find(|chain| {
        chain.name == FORWARD && !chain.rules.is_empty() && hooks(chains, chain).is_empty()
    });
    if let Some(orphan) = orphan {
        tell(
            "FL132",
            orphan.title(),
            "flannel's rules are there, and nothing jumps to them any more",
        );
    }
    all
}
