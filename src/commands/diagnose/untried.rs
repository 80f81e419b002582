//! What was not tried, and why: it must not look as if it had been lost.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::paths::Leg;
use super::round::Outcome;
use crate::kernel::process::{Capability, missing_capabilities};

/// Without a container to ping, the last part of the way is not tried.
pub fn containers(
    legs: &[Leg],
    here: Option<Ipv4Addr>,
    asked: &BTreeSet<Ipv4Addr>,
    missing: &mut Vec<String>,
) {
    let open = |leg: &&Leg| leg.container.is_none() && Some(leg.target) != here;
    let targets: BTreeSet<_> = legs.iter().filter(open).map(|leg| leg.target).collect();
    for node in targets.difference(asked) {
        missing.push(format!(
            "the way to containers of {node} was not tried: give the address of one as TARGET"
        ));
    }
}

/// A packet that this user may not send is not a packet that is lost.
pub fn forbidden(here: Option<Ipv4Addr>, outcome: &mut Outcome) {
    let lacking = missing_capabilities(&[Capability::NetAdmin, Capability::NetRaw]);
    if lacking.is_empty() {
        return;
    }
    let before = outcome.results.len();
    outcome.results.retain(|result| {
        Some(result.path.source_node) != here || result.sent > 0 || result.refused.is_none()
    });
    let unsent = before - outcome.results.len();
    if unsent > 0 {
        let names: Vec<_> = lacking.iter().map(|one| one.name()).collect();
        outcome.missing.push(format!(
            "{unsent} paths from this node were not tried: that needs {} (run it as root)",
            names.join(" and ")
        ));
    }
}
