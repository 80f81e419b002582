//! Which pairs of nodes reach each other, and causes that many pairs have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::finding::{Direction, Finding, PathReport};

/// Findings of this kind are about two nodes; where they share one, they are one.
const PAIRWISE: &str = "underlay ";
/// Pairs that make a common cause.
const COMMON: usize = 3;
/// Pairs named in a sentence.
const NAMED: usize = 4;

/// All pairs that were tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// In the order of their addresses.
    pub nodes: Vec<Ipv4Addr>,
    /// By source and target.
    pub pairs: BTreeMap<(Ipv4Addr, Ipv4Addr), Pair>,
}

/// What became of the packets from one node to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair {
    /// Requests.
    pub sent: u32,
    /// Answers.
    pub received: u32,
    /// What is lost is lost on the way back.
    pub reply: bool,
}

/// The mesh; `None` where all paths begin or end at one node, which a list shows better.
pub fn mesh(paths: &[PathReport]) -> Option<Mesh> {
    let mut pairs = BTreeMap::<_, Pair>::new();
    for path in paths {
        let Some(between) = path.between.filter(|it| it.source != it.target) else {
            continue;
        };
        let pair = pairs.entry((between.source, between.target)).or_default();
        pair.sent += u32::from(path.sent);
        pair.received += u32::from(path.received);
        pair.reply |= between.reply && path.lost_at.is_some();
    }
    let mut nodes: Vec<_> = pairs.keys().flat_map(|(from, to)| [*from, *to]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let hub = |node: &&Ipv4Addr| pairs.keys().all(|(a, b)| a == *node || b == *node);
    let star = nodes.iter().any(|node| hub(&node));
    (!star && !nodes.is_empty()).then_some(Mesh { nodes, pairs })
}

/// Makes one of findings that are about pairs with one node in common, and tells how many pairs a cause concerns.
pub fn grouped(findings: Vec<Finding>) -> Vec<Finding> {
    let mut findings = by_node(findings);
    for finding in &mut findings {
        if finding.pairs.len() >= COMMON {
            let line = concerns(&finding.pairs);
            finding.evidence.insert(0, line);
        }
    }
    findings
}

fn concerns(pairs: &[(Ipv4Addr, Ipv4Addr)]) -> String {
    let named: Vec<_> = pairs
        .iter()
        .take(NAMED)
        .map(|(a, b)| format!("{a} > {b}"))
        .collect();
    let more = if pairs.len() > NAMED { ", …" } else { "" };
    format!("{} pairs of nodes: {}{more}", pairs.len(), named.join(", "))
}

fn by_node(findings: Vec<Finding>) -> Vec<Finding> {
    let mut left = findings;
    let mut done = Vec::new();
    while let Some((id, node)) = most_common(&left) {
        let (group, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|one| one.id == id && touches(one, node));
        left = rest;
        done.extend(joined(group, node));
    }
    if done.is_empty() {
        return left;
    }
    done.extend(left);
    // As the verdict sorts them.
    done.sort_by_key(|one| {
        (
            one.severity,
            one.confidence,
            std::cmp::Reverse(one.pairs.len()),
        )
    });
    done
}

fn touches(finding: &Finding, node: Ipv4Addr) -> bool {
    finding.place.starts_with(PAIRWISE)
        && !finding.pairs.is_empty()
        && finding.pairs.iter().all(|(a, b)| *a == node || *b == node)
}

fn most_common(findings: &[Finding]) -> Option<(String, Ipv4Addr)> {
    let mut peers = BTreeMap::<(String, Ipv4Addr), BTreeSet<Ipv4Addr>>::new();
    for finding in findings
        .iter()
        .filter(|one| one.place.starts_with(PAIRWISE))
    {
        for (a, b) in &finding.pairs {
            for (node, peer) in [(a, b), (b, a)] {
                if touches(finding, *node) {
                    peers
                        .entry((finding.id.clone(), *node))
                        .or_default()
                        .insert(*peer);
                }
            }
        }
    }
    let common = peers.into_iter().filter(|(_, peers)| peers.len() >= COMMON);
    common
        .max_by_key(|(_, peers)| peers.len())
        .map(|(key, _)| key)
}

fn joined(group: Vec<Finding>, node: Ipv4Addr) -> Option<Finding> {
    let mut parts = group.into_iter();
    let mut whole = parts.next()?;
    for part in parts {
        whole.confidence = whole.confidence.min(part.confidence);
        whole.severity = whole.severity.min(part.severity);
        if whole.direction != part.direction {
            whole.direction = Direction::Both;
        }
        whole.evidence.extend(part.evidence);
        whole.pairs.extend(part.pairs);
    }
    whole.pairs.sort_unstable();
    whole.pairs.dedup();
    let ends = whole.pairs.iter().flat_map(|(a, b)| [*a, *b]);
    let peers: BTreeSet<_> = ends.filter(|end| *end != node).collect();
    let why = whole
        .summary
        .split_once(": ")
        .map_or("", |(_, why)| why)
        .to_owned();
    whole.summary = format!("between {node} and {} other nodes: {why}", peers.len());
    whole.place = format!("{PAIRWISE}of {node}");
    whole.node = Some(node);
    Some(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::diagnose::finding::Between;
    use crate::diagnose::view::found;

    fn node(n: u8) -> Ipv4Addr {
        [192, 0, 2, n].into()
    }

    fn path(from: u8, to: u8, received: u16) -> PathReport {
        PathReport {
            from: [10, 5, from, 2].into(),
            to: [10, 5, to, 2].into(),
            sent: 5,
            received,
            rtt_ms: None,
            lost_at: None,
            observations: Vec::new(),
            between: Some(Between {
                source: node(from),
                target: node(to),
                reply: false,
            }),
        }
    }

    fn underlay(from: u8, to: u8) -> Finding {
        let (from, to) = (node(from), node(to));
        let place = format!("underlay {from} → {to}");
        let summary = format!("between {from} and {to}: the underlay delivers nothing");
        let mut it = found("FL240", Some(to), place)
            .summary(summary)
            .done()
            .finding;
        it.pairs = vec![(from, to)];
        it
    }

    #[test]
    fn a_star_is_a_list_and_everything_else_a_matrix() {
        assert_eq!(mesh(&[]), None);
        assert_eq!(mesh(&[path(1, 2, 5), path(1, 3, 5), path(2, 1, 5)]), None);
        let all = mesh(&[path(1, 2, 5), path(1, 2, 3), path(2, 3, 5), path(3, 1, 0)]).unwrap();
        assert_eq!(all.nodes, [node(1), node(2), node(3)]);
        let pair = all.pairs[&(node(1), node(2))];
        assert_eq!((pair.sent, pair.received), (10, 8));
    }

    #[test]
    fn what_is_between_one_node_and_all_others_is_one_finding() {
        let pairs = [(1, 2), (2, 1), (3, 1), (4, 1)];
        let mut all: Vec<_> = pairs.iter().map(|(a, b)| underlay(*a, *b)).collect();
        all.push(underlay(5, 6));
        let all = grouped(all);
        let said: Vec<_> = all
            .iter()
            .map(|one| (one.place.as_str(), one.pairs.len()))
            .collect();
        let other = format!("underlay {} → {}", node(5), node(6));
        assert_eq!(said, [("underlay of 192.0.2.1", 4), (&other, 1)]);
        assert_eq!(
            all[0].summary,
            "between 192.0.2.1 and 3 other nodes: the underlay delivers nothing"
        );
        assert!(all[0].evidence[0].starts_with("4 pairs of nodes: 192.0.2.1 > 192.0.2.2, "));
        // Two pairs are no common cause.
        let few = grouped(vec![underlay(1, 2), underlay(3, 1)]);
        assert_eq!(few.len(), 2);
    }
}
