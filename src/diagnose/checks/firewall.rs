//! FL101, FL102, FL103, FL110, FL130, FL131, FL133, FL134: which rule or policy drops. A rule is believed to
//! drop a probe when it can meet it and its counter rose by at least the probes, when nftables' trace says so, or when
//! it surely meets it by reading and the kernel counted as many drops by netfilter.

use std::net::Ipv4Addr;

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::ladder::Hop;
use crate::diagnose::listing::{self, Action, Chain, Ender, Meets, Packet, dropper, hooks};
use crate::diagnose::loss::Loss;
use crate::diagnose::probe::Origin;
use crate::diagnose::route;
use crate::diagnose::view::{Found, View};

use super::firewall_why::reasons;
use super::firewall_words::{Proof, Scene, name, trace, traced};

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
                all.extend(reasons(view, node, &chains, ender, (loss, proof)));
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
