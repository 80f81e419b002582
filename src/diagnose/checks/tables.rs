//! FL710, FL711: connection tracking. FL712: the neighbour table. Their counters are a node's or even a machine's, so
//! they count only where packets are missing.

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::finding::Severity;
use crate::diagnose::loss::Loss;
use crate::diagnose::route::{rise, sysctl};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;
use super::{ROUTED, any_certain, most};

/// The table of connections is full, or refuses new ones.
pub fn connections(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let losses = view.lost_at(node, &ROUTED);
        let full = full(node);
        let dropped = rise(node, "conntrack.drop");
        let caught = dropped > 0 && dropped >= most(&losses) && !losses.is_empty();
        if let Some((count, limit)) = full.filter(|_| !caught && losses.is_empty()) {
            all.push(
                connection_table(node, "the table is full")
                    .severity(Severity::Warning)
                    .evidence(format!("{count} of {limit} entries"))
                    .done(),
            );
        } else if caught || (full.is_some() && !losses.is_empty()) {
            let mut build = connection_table(node, "the table is full and packets are lost")
                .proven_if(caught && full.is_some() && any_certain(&losses))
                .evidence(format!("conntrack drop rose by {dropped}"))
                .explains(losses);
            if let Some((count, limit)) = full {
                build = build.evidence(format!("{count} of {limit} entries"));
            }
            all.push(build.done());
        }
    }
    all
}

fn connection_table(node: &NodeEvidence, words: &str) -> crate::diagnose::view::Build {
    let limit = sysctl(node, "net.netfilter.nf_conntrack_max").unwrap_or(65_536);
    found("FL710", node.node, "connection tracking")
        .summary(format!("{}: connection tracking: {words}", label(node)))
        .run(format!(
            "sysctl -w net.netfilter.nf_conntrack_max={}",
            limit.saturating_mul(2)
        ))
        .fix("for good: the same line in /etc/sysctl.d; then see who opens so many connections")
}

/// Entries and their limit, where nothing more fits.
fn full(node: &NodeEvidence) -> Option<(i64, i64)> {
    let count = sysctl(node, "net.netfilter.nf_conntrack_count")?;
    let limit = sysctl(node, "net.netfilter.nf_conntrack_max").filter(|limit| *limit > 0)?;
    (count >= limit).then_some((count, limit))
}

/// For losses without a cause: entries that could not be made, neighbours for which there was no room.
pub fn overflows<'v, 'a>(view: &'v View<'a>, open: &[&'v Loss<'a>]) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let here: Vec<_> = open
            .iter()
            .copied()
            .filter(|loss| {
                ROUTED
                    .iter()
                    .any(|hop| node.node.is_some_and(|it| loss.at(*hop, it)))
            })
            .collect();
        if here.is_empty() {
            continue;
        }
        let raced = rise(node, "conntrack.insert_failed");
        if raced >= most(&here) {
            all.push(
                found("FL711", node.node, "connection tracking")
                    .summary(format!(
                        "{}: connection tracking failed to insert entries while packets were lost",
                        label(node)
                    ))
                    .evidence(format!("conntrack insert_failed rose by {raced}"))
                    .explains(here.iter().copied())
                    .done(),
            );
        }
        let fulls = rise(node, "arp.table_fulls");
        if fulls >= most(&here) {
            let limit = sysctl(node, "net.ipv4.neigh.default.gc_thresh3").unwrap_or(1024);
            all.push(
                found("FL712", node.node, "neighbour table")
                    .summary(format!(
                        "{}: the neighbour table is full while packets are lost",
                        label(node)
                    ))
                    .proven_if(any_certain(&here))
                    .evidence(format!(
                        "arp_cache table_fulls rose by {fulls}; gc_thresh3 = {limit}"
                    ))
                    .explains(here.iter().copied())
                    .run(format!(
                        "sysctl -w net.ipv4.neigh.default.gc_thresh3={}",
                        limit.saturating_mul(4)
                    ))
                    .fix("for good: the same line in /etc/sysctl.d")
                    .done(),
            );
        }
    }
    all
}
