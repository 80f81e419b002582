//! What a rule that drops is called, what shows it, and what mends it.

use std::net::Ipv4Addr;

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::finding::Confidence;
use crate::diagnose::ladder::Hop;
use crate::diagnose::listing::{Action, Chain, Ender, Packet, hooks};
use crate::diagnose::loss::Loss;
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

use super::policy::in_words;

/// How sure it is that this rule dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// By reading alone.
    Read,
    /// The counter rose by enough, or a reason of the kernel fits.
    Acted,
    /// The counter rose by exactly the probes, or the trace names it, or reading and counter agree.
    Exact,
}

/// A loss seen from one hop: which packet met which hooks.
pub(super) struct Scene {
    pub(super) packet: Packet,
    pub(super) hooks: &'static [&'static str],
    pub(super) outer: bool,
    /// Bytes of one packet at this place.
    pub(super) length: u64,
}

/// How many probe packets nftables' trace saw ended by this rule or policy.
pub(super) fn trace(node: &NodeEvidence, ender: &Ender<'_>, outer: bool) -> u64 {
    if ender.chain.program == "iptables-legacy" {
        return 0;
    }
    node.nft_trace
        .iter()
        .filter(|fact| {
            fact.family == ender.chain.family
                && fact.table == ender.chain.table
                && fact.chain == ender.chain.name
                && fact.rule.is_empty() == ender.rule.is_none()
                && fact.outer == outer
                && ends(&fact.verdict)
        })
        .map(|fact| u64::from(fact.count))
        .max()
        .unwrap_or(0)
}

fn ends(verdict: &str) -> bool {
    matches!(verdict, "drop" | "reject")
}

/// A trace that names a rule which no listing has (the listing could not be had).
pub(super) fn traced(node: &NodeEvidence, loss: &Loss<'_>) -> Option<Found> {
    let here = |hop: &(Hop, Ipv4Addr)| node.node == Some(hop.1);
    let outer = loss
        .hops
        .iter()
        .filter(|hop| here(hop))
        .any(|hop| matches!(hop.0, Hop::Encapsulate | Hop::Decapsulate));
    let inner = loss
        .hops
        .iter()
        .any(|hop| here(hop) && super::ROUTED.contains(&hop.0));
    let fact = node.nft_trace.iter().find(|fact| {
        ends(&fact.verdict)
            && fact.count >= u32::from(loss.lost)
            && if fact.outer { outer } else { inner }
    })?;
    let policy = fact.rule.is_empty();
    let upper = fact.chain.to_ascii_uppercase();
    let id = match (fact.outer, policy, fact.table.as_str()) {
        (true, ..) => "FL110",
        (_, true, _) if upper == "FORWARD" => "FL101",
        (_, _, "raw") => "FL102",
        _ if upper == "INPUT" => "FL134",
        _ => "FL133",
    };
    let what = if policy { "policy" } else { fact.rule.as_str() };
    let place = format!("{} {} {} {what}", fact.family, fact.table, fact.chain);
    Some(
        found(id, node.node, place.clone())
            .summary(format!(
                "{} lost on {}: {place} drops them",
                in_words(loss),
                super::policy::label(node)
            ))
            .proven_if(loss.certain())
            .evidence(format!(
                "nft trace: {place}: {} ({}×)",
                fact.verdict, fact.count
            ))
            .explains([loss])
            .done(),
    )
}

/// The finding for a rule or policy: what it is called, what shows it, what mends it.
pub(super) fn name(
    view: &View<'_>,
    node: &NodeEvidence,
    chains: &[Chain],
    ender: Ender<'_>,
    scene: &Scene,
    acted: Option<(&Loss<'_>, Proof)>,
) -> Found {
    let chain = ender.chain;
    let at = hooks(chains, chain);
    let id = identify(view, chains, ender, scene, &at);
    let place = match ender.rule {
        Some(rule) => format!("{}: {}", chain.title(), rule.text),
        None => format!("{} policy", chain.title()),
    };
    let label = super::policy::label(node);
    let rise = ender
        .rule
        .map_or_else(|| chain.policy_rise(), |rule| rule.rise());
    let mut build = found(id, node.node, place.clone());
    build = match acted {
        Some((loss, proof)) => {
            let verb = if scene.outer { " (encapsulated)" } else { "" };
            build
                .summary(format!(
                    "{}{verb} lost on {label}: {place} drops them",
                    in_words(loss)
                ))
                .proven_if(proof >= Proof::Acted && loss.certain())
                .explains([loss])
        }
        None => build
            .summary(format!(
                "{label}: {place} will drop traffic from other nodes' containers"
            ))
            .confidence(Confidence::Likely),
    };
    if let Some((packets, bytes)) = rise.filter(|rise| rise.0 > 0) {
        build = build.evidence(format!(
            "its counter rose by {packets} packets, {bytes} bytes"
        ));
    }
    let traced = trace(node, &ender, scene.outer);
    if traced > 0 {
        build = build.evidence(format!("nft trace names it for {traced} packets"));
    }
    let reason = route::dropped(node, "NETFILTER_DROP");
    if reason > 0 {
        let engine = if route::dropped_at(node, "NETFILTER_DROP", "nf_hook_slow") > 0 {
            " at nf_hook_slow"
        } else {
            ""
        };
        build = build.evidence(format!("kernel: NETFILTER_DROP{engine} ({reason}×)"));
    }
    if chain.program == "iptables-legacy" && accepts(view, chains, "iptables-nft") {
        build = build.evidence("the network is accepted in iptables-nft, which does not help against iptables-legacy (FL130)");
    }
    for command in mend(view, id, ender, scene, &at) {
        build = build.run(command);
    }
    // The agent's rules open iptables; no accept elsewhere opens another program's table.
    let good = match chain.program.as_str() {
        "nft" => for_good(""),
        _ => for_good(id),
    };
    build.fix(good).done()
}

fn identify(
    view: &View<'_>,
    chains: &[Chain],
    ender: Ender<'_>,
    scene: &Scene,
    at: &[&str],
) -> &'static str {
    if scene.outer {
        return "FL110";
    }
    let foreign = ender
        .rule
        .is_some_and(|rule| rule.meets.input.as_ref().is_some_and(|(_, not)| *not));
    if at.contains(&"prerouting") {
        return if foreign { "FL102" } else { "FL133" };
    }
    if at.contains(&"input") {
        return "FL134";
    }
    if !at.contains(&"forward") {
        return "FL133";
    }
    let native = ender.chain.program != "nft" && accepts(view, chains, "nft");
    if native && !accepts(view, chains, &ender.chain.program) {
        return "FL131";
    }
    match ender.rule {
        None => "FL101",
        Some(rule) if foreign && rule.meets.output.is_some() => "FL103",
        Some(_) => "FL133",
    }
}

/// A program's chains at the forward hook accept the flannel network by name.
pub(super) fn accepts(view: &View<'_>, chains: &[Chain], program: &str) -> bool {
    let Some(network) = view.network() else {
        return false;
    };
    let names = |side: &Option<(Vec<ipnet::Ipv4Net>, bool)>| {
        side.as_ref()
            .is_some_and(|(nets, not)| !not && nets.iter().any(|net| net.contains(&network)))
    };
    chains.iter().any(|chain| {
        chain.program == program
            && hooks(chains, chain).contains(&"forward")
            && chain.rules.iter().any(|rule| {
                rule.action == Action::Accept && (names(&rule.meets.from) || names(&rule.meets.to))
            })
    })
}

/// Commands that admit the packet in front of what drops it.
fn mend(view: &View<'_>, id: &str, ender: Ender<'_>, scene: &Scene, at: &[&str]) -> Vec<String> {
    let chain = ender.chain;
    let Some(network) = view.network() else {
        return Vec::new();
    };
    let native = chain.program == "nft";
    let matches: Vec<String> = if scene.outer {
        let port = scene.packet.port;
        vec![if native {
            format!("udp dport {port}")
        } else {
            format!("-p udp --dport {port}")
        }]
    } else if native {
        vec![format!("ip saddr {network}"), format!("ip daddr {network}")]
    } else if id == "FL102" {
        vec![format!("-i {} -d {}", scene.packet.input, scene.packet.to)]
    } else {
        vec![format!("-s {network}"), format!("-d {network}")]
    };
    let hook = ["prerouting", "input", "forward", "output", "postrouting"]
        .into_iter()
        .find(|hook| at.contains(hook) && scene.hooks.contains(hook));
    let Some(hook) = hook else { return Vec::new() };
    let insert = |what: String| {
        if native {
            format!(
                "nft insert rule {} {} {} {what} accept",
                chain.family, chain.table, chain.name
            )
        } else {
            format!(
                "{} -t {} -I {} {what} -j ACCEPT",
                chain.program,
                chain.table,
                hook.to_ascii_uppercase()
            )
        }
    };
    matches.into_iter().map(insert).collect()
}

fn for_good(id: &str) -> &'static str {
    match id {
        "FL101" | "FL130" | "FL131" | "FL132" => {
            "for good: run flannelctl agent with its forward rules on (--iptables-forward-rules)"
        }
        "FL102" | "FL103" => {
            "for good: Docker 28.2 or later with \"allow-direct-routing\": true in daemon.json; before: gateway_mode_ipv4=nat-unprotected"
        }
        _ => "for good: the same in the firewall's own configuration",
    }
}
