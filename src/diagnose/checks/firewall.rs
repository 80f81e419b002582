//! FL101, FL102, FL103, FL110, FL130, FL131, FL133, FL134: which rule or policy drops. A rule is believed to
//! drop a probe when it can meet it and its counter rose by at least the probes, when nftables' trace says so, or when
//! it surely meets it by reading and the kernel counted as many drops by netfilter.

use std::net::Ipv4Addr;

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::finding::Confidence;
use crate::diagnose::ladder::Hop;
use crate::diagnose::listing::{self, Action, Chain, Ender, Meets, Packet, dropper, hooks};
use crate::diagnose::loss::Loss;
use crate::diagnose::probe::Origin;
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

use super::policy::in_words;

/// How sure it is that this rule dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// By reading alone.
    Read,
    /// The counter rose by enough, or a reason of the kernel fits.
    Acted,
    /// The counter rose by exactly the probes, or the trace names it, or reading and counter agree.
    Exact,
}

/// A loss seen from one hop: which packet met which hooks.
struct Scene {
    packet: Packet,
    hooks: &'static [&'static str],
    outer: bool,
    /// Bytes of one packet at this place.
    length: u64,
}

/// Losses that a rule or policy explains.
pub fn drops(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let chains = listing::read(&node.firewall);
        for loss in &view.losses {
            let best = loss
                .hops
                .iter()
                .filter(|hop| node.node == Some(hop.1))
                .flat_map(|hop| scenes(view, node, loss, hop.0))
                .filter_map(|scene| {
                    let (ender, proof) = culprit(node, &chains, loss, &scene)?;
                    Some((proof, ender, scene))
                })
                .max_by_key(|one| one.0);
            if let Some((proof, ender, scene)) = best {
                all.push(name(
                    view,
                    node,
                    &chains,
                    ender,
                    &scene,
                    Some((loss, proof)),
                ));
            } else {
                all.extend(traced(node, loss));
            }
        }
    }
    all
}

/// Rules and policies that will drop by reading, where no packet showed the contrary.
pub fn standing(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let (Some(own), Some(address)) = (view.subnet(node), node.node) else {
            continue;
        };
        let (Some(input), Some(bridge)) = (inner_interface(view, node), node.bridge.clone()) else {
            continue;
        };
        let Some(from) = view
            .peers(node)
            .next()
            .and_then(|peer| peer.subnet.hosts().nth(1))
        else {
            continue;
        };
        let chains = listing::read(&node.firewall);
        let reached = |to: Ipv4Addr| {
            view.case.paths.iter().any(|one| {
                one.path.to == to && one.path.source_node != address && one.received() > 0
            })
        };
        let unproven = !view.passes(node, &[Hop::ForwardIn])
            && view.lost_at(node, &[Hop::ForwardIn]).is_empty();
        let some = own.hosts().nth(1).filter(|_| unproven);
        let real = node.containers.iter().map(|one| one.address);
        for to in some.into_iter().chain(real.filter(|to| !reached(*to))) {
            let scene = Scene {
                packet: Packet {
                    from,
                    to,
                    input: input.clone(),
                    output: bridge.clone(),
                    protocol: "icmp",
                    port: 0,
                    established: false,
                },
                hooks: &["prerouting", "forward"],
                outer: false,
                length: 0,
            };
            let ender = scene
                .hooks
                .iter()
                .find_map(|hook| dropper(&chains, hook, &scene.packet));
            if let Some(ender) = ender {
                all.push(name(view, node, &chains, ender, &scene, None));
            }
        }
    }
    all
}

fn inner_interface(view: &View<'_>, node: &NodeEvidence) -> Option<String> {
    if view.backend() == "host-gw" {
        node.external.clone()
    } else {
        node.device.clone()
    }
}

fn scenes(view: &View<'_>, node: &NodeEvidence, loss: &Loss<'_>, hop: Hop) -> Vec<Scene> {
    let overlay = loss
        .ladder
        .steps
        .iter()
        .find(|step| {
            Some(step.node) == node.node && step.point == super::super::evidence::Point::Overlay
        })
        .map(|step| step.interface.to_owned())
        .or_else(|| node.external.clone())
        .unwrap_or_default();
    let bridge = node.bridge.clone().unwrap_or_default();
    let external = node.external.clone().unwrap_or_default();
    let host = loss.path().origin == Origin::Host;
    let (from, to) = loss.addresses();
    let inner = |input: &str, output: &str, hooks: &'static [&'static str], back: bool| Scene {
        packet: Packet {
            from: if back { to } else { from },
            to: if back { from } else { to },
            input: input.to_owned(),
            output: output.to_owned(),
            protocol: "icmp",
            port: 0,
            established: loss.reply || back,
        },
        hooks,
        outer: false,
        length: loss.length(),
    };
    let (sender, receiver) = loss.nodes();
    let outer = |input: &str, output: &str, hooks: &'static [&'static str]| {
        let known = loss
            .after
            .and_then(|step| step.seen.first())
            .and_then(|one| one.outer.as_ref());
        let overhead = if view.backend() == "udp" { 28 } else { 50 };
        view.port().map(|port| Scene {
            packet: Packet {
                from: known.map_or(sender, |it| it.from),
                to: known.map_or(receiver, |it| it.to),
                input: input.to_owned(),
                output: output.to_owned(),
                protocol: "udp",
                port: known.map_or(port, |it| it.port),
                established: false,
            },
            hooks,
            outer: true,
            length: loss.length() + overhead,
        })
    };
    match hop {
        Hop::ForwardIn => vec![inner(
            &overlay,
            &bridge,
            &["prerouting", "forward", "postrouting"],
            false,
        )],
        Hop::ForwardOut => vec![inner(
            &bridge,
            &overlay,
            &["prerouting", "forward", "postrouting"],
            false,
        )],
        Hop::Originate if host => vec![inner("", &overlay, &["output", "postrouting"], false)],
        Hop::Deliver if host => vec![inner(&overlay, "", &["prerouting", "input"], false)],
        Hop::Answer if super::answers(loss) => vec![
            inner(&overlay, "", &["prerouting", "input"], false),
            inner("", &overlay, &["output", "postrouting"], true),
        ],
        Hop::Encapsulate => outer("", &external, &["output", "postrouting"])
            .into_iter()
            .collect(),
        Hop::Decapsulate => outer(&external, "", &["prerouting", "input"])
            .into_iter()
            .collect(),
        Hop::ToBridge
        | Hop::ToContainer
        | Hop::Underlay
        | Hop::Originate
        | Hop::Deliver
        | Hop::Answer => Vec::new(),
    }
}

fn culprit<'c>(
    node: &NodeEvidence,
    chains: &'c [Chain],
    loss: &Loss<'_>,
    scene: &Scene,
) -> Option<(Ender<'c>, Proof)> {
    let lost = u64::from(loss.lost);
    let bytes = lost.saturating_mul(scene.length);
    let read = scene
        .hooks
        .iter()
        .find_map(|hook| dropper(chains, hook, &scene.packet));
    let reason = u64::from(route::dropped(node, "NETFILTER_DROP")) >= lost;
    candidates(chains, scene)
        .filter_map(|ender| {
            let rise = ender
                .rule
                .map_or_else(|| ender.chain.policy_rise(), |rule| rule.rise());
            let by_reading = read == Some(ender);
            let proof = if trace(node, &ender, scene.outer) >= lost {
                Proof::Exact
            } else if let Some((packets, sum)) = rise {
                if packets < lost || sum < bytes {
                    return None;
                }
                if by_reading || (packets, sum) == (lost, bytes) {
                    Proof::Exact
                } else {
                    Proof::Acted
                }
            } else if by_reading && reason {
                Proof::Acted
            } else if by_reading {
                Proof::Read
            } else {
                return None;
            };
            Some((ender, proof))
        })
        .max_by_key(|one| one.1)
}

/// Rules that drop or reject and can meet the packet, and policies that drop, at the scene's hooks.
fn candidates<'c>(chains: &'c [Chain], scene: &Scene) -> impl Iterator<Item = Ender<'c>> {
    let mut all = Vec::new();
    for chain in chains {
        let at = hooks(chains, chain);
        if !scene.hooks.iter().any(|hook| at.contains(hook)) {
            continue;
        }
        if chain.drops && chain.hook.is_some() {
            all.push(Ender { chain, rule: None });
        }
        let ends = |rule: &&'c listing::Rule| {
            matches!(rule.action, Action::Drop | Action::Reject)
                && rule.meets.of(&scene.packet) != Meets::No
        };
        all.extend(chain.rules.iter().filter(ends).map(|rule| Ender {
            chain,
            rule: Some(rule),
        }));
    }
    all.into_iter()
}

/// How many probe packets nftables' trace saw ended by this rule or policy.
fn trace(node: &NodeEvidence, ender: &Ender<'_>, outer: bool) -> u64 {
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
fn traced(node: &NodeEvidence, loss: &Loss<'_>) -> Option<Found> {
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

fn name(
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
    for line in mend(view, node, id, scene) {
        build = build.fix(line);
    }
    build.done()
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
fn accepts(view: &View<'_>, chains: &[Chain], program: &str) -> bool {
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

fn mend(view: &View<'_>, node: &NodeEvidence, id: &str, scene: &Scene) -> Vec<String> {
    let network = view
        .network()
        .map_or_else(|| "NETWORK".to_owned(), |network| network.to_string());
    match id {
        "FL110" => {
            let chain = if scene.hooks.contains(&"input") { "INPUT" } else { "OUTPUT" };
            vec![format!(
                "on {}: iptables -I {chain} -p udp --dport {} -j ACCEPT (and in the firewall's own configuration)",
                super::policy::label(node),
                scene.packet.port
            )]
        }
        "FL101" | "FL131" | "FL133" => vec![
            format!("iptables -I FORWARD -s {network} -j ACCEPT; iptables -I FORWARD -d {network} -j ACCEPT"),
            "permanently: run flannelctl agent with its forward rules on (--iptables-forward-rules)".to_owned(),
        ],
        "FL134" => vec![format!("iptables -I INPUT -s {network} -j ACCEPT")],
        _ => Vec::new(),
    }
}
