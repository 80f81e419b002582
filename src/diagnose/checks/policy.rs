//! FL705: policy rules that lead probe packets elsewhere. And words that many checks use.

use ipnet::Ipv4Net;

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::listing::net;
use crate::diagnose::loss::Loss;
use crate::diagnose::view::{Found, View, found};

use super::{ROUTED, any_certain};

/// `requests 10.5.1.2 > 10.5.2.2`.
pub(super) fn in_words(loss: &Loss<'_>) -> String {
    let path = loss.path();
    let what = if loss.reply { "replies" } else { "requests" };
    let (from, to) = if loss.reply {
        (path.to, path.from)
    } else {
        (path.from, path.to)
    };
    format!(
        "{}/{} {what} {from} > {to}",
        loss.lost, loss.ladder.result.sent
    )
}

/// `192.0.2.12 (web2)`.
pub(super) fn label(node: &NodeEvidence) -> String {
    let address = node
        .node
        .map_or_else(|| "this node".to_owned(), |ip| ip.to_string());
    if node.hostname.is_empty() {
        address
    } else {
        format!("{address} ({})", node.hostname)
    }
}

/// Rules whose selectors surely meet a lost packet and that do not end in table main.
pub fn rules(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let losses = view.lost_at(node, &ROUTED);
        for rule in &node.rules {
            let met: Vec<_> = losses
                .iter()
                .copied()
                .filter(|loss| {
                    let (from, to) = loss.addresses();
                    let back = super::answers(loss) && meets(rule, to, from);
                    meets(rule, from, to) || back
                })
                .collect();
            if met.is_empty() {
                continue;
            }
            let network = view.network();
            let name = network.map_or_else(|| "NETWORK".to_owned(), |it| it.to_string());
            // With host-gw hosts talk to containers by their own addresses, outside the network.
            let beyond = met.iter().any(|loss| {
                let to = loss.addresses().1;
                network.is_some_and(|it| !it.contains(&to))
            });
            let mut build = found("FL705", node.node, format!("ip rule {rule}"));
            build = build.run(format!(
                "ip rule add pref {} to {name} lookup main",
                before(rule)
            ));
            if beyond {
                build = build.run(format!(
                    "ip rule add pref {} from {name} lookup main",
                    before(rule)
                ));
            }
            all.push(
                build
                    .summary(format!(
                        "{}: the policy rule \"{rule}\" leads overlay traffic away from table main",
                        label(node)
                    ))
                    .proven_if(any_certain(&met))
                    .evidence(format!("ip rule: {rule}"))
                    .explains(met)
                    .fix("or remove the rule")
                    .done(),
            );
        }
    }
    all
}

/// A preference in front of the rule's.
fn before(rule: &str) -> u32 {
    let number = rule
        .split(':')
        .next()
        .and_then(|word| word.trim().parse().ok());
    number.unwrap_or(100_u32).saturating_sub(1).max(1)
}

/// The rule's selectors are all understood and meet the packet, and it does not lead to table main.
fn meets(rule: &str, from: std::net::Ipv4Addr, to: std::net::Ipv4Addr) -> bool {
    let mut words = rule.split_whitespace().peekable();
    let mut ends = false;
    let inside = |word: Option<&str>, address| match word {
        Some("all") => true,
        Some(word) => net(word).is_some_and(|net: Ipv4Net| net.contains(&address)),
        None => false,
    };
    while let Some(word) = words.next() {
        match word {
            "from" if !inside(words.next(), from) => return false,
            "to" if !inside(words.next(), to) => return false,
            "from" | "to" => {}
            "lookup" | "table" => {
                ends = !matches!(
                    words.next(),
                    Some("main" | "local" | "default" | "254" | "255" | "253")
                );
            }
            "blackhole" | "unreachable" | "prohibit" => ends = true,
            "iif" | "oif" | "proto" | "protocol" => {
                words.next();
            }
            "[detached]" => return false,
            number if number.ends_with(':') => {}
            "not"
            | "fwmark"
            | "tos"
            | "ipproto"
            | "sport"
            | "dport"
            | "uidrange"
            | "suppress_prefixlength"
            | "suppress_ifgroup"
            | "goto"
            | "nop" => return false,
            _ => {}
        }
    }
    ends
}
