//! FL720: what the kernel lacks. FL703: bridged packets that meet the firewall. FL904, FL205: flows whose source is
//! translated.

use crate::diagnose::evidence::{FlowFact, NodeEvidence};
use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::listing::{self, Action, Chain, Meets, Packet, dropper, hooks};
use crate::diagnose::route::{self, sysctl};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// The device is not there, and this kernel cannot make one.
pub fn modules(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(lack) = node.lacks.first().filter(|_| route::device(node).is_none()) else {
            continue;
        };
        let losses: Vec<_> = view.losses_of(node).collect();
        let mend = match lack.what.as_str() {
            "TUN" => {
                "modprobe tun (in a container of its own the agent needs --device /dev/net/tun)"
            }
            _ => {
                "modprobe vxlan; where it is not found, install the package with the kernel's extra modules (linux-modules-extra-…)"
            }
        };
        all.push(
            found("FL720", node.node, format!("{} in the kernel", lack.what))
                .summary(format!(
                    "{}: the flannel device cannot be made: {}",
                    label(node),
                    lack.why
                ))
                .proven_if(lack.certain && !losses.is_empty())
                .evidence(lack.why.clone())
                .explains(losses)
                .fix(mend)
                .done(),
        );
    }
    all
}

/// With br_netfilter a packet from container to container of one host meets FORWARD, whose policy drops it. Where the same
/// policy drops the overlay's packets that is said already.
pub fn bridged(view: &View<'_>, said: &[Found]) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let on = sysctl(node, "net.bridge.bridge-nf-call-iptables") == Some(1);
        let (true, Some(bridge), Some(own)) = (on, &node.bridge, view.subnet(node)) else {
            continue;
        };
        let real: Vec<_> = node.containers.iter().map(|one| one.address).collect();
        let mut some = real.iter().copied().chain(own.hosts().skip(1));
        let (Some(from), Some(to)) = (some.next(), some.next()) else {
            continue;
        };
        let packet = Packet {
            from,
            to,
            input: bridge.clone(),
            output: bridge.clone(),
            protocol: "tcp",
            port: 0,
            established: false,
        };
        let chains = listing::read(&node.firewall);
        // A rule that drops is meant (dockerd with icc=false writes one); a policy hits what nobody thought of.
        let Some(ender) = dropper(&chains, "forward", &packet).filter(|ender| ender.rule.is_none())
        else {
            continue;
        };
        let place = format!("{} policy", ender.chain.title());
        let known = |one: &Found| one.finding.node == node.node && one.finding.place == place;
        if said.iter().any(known) {
            continue;
        }
        all.push(
            found("FL703", node.node, format!("{bridge} and {place}"))
                .severity(match real.len() {
                    0 | 1 => Severity::Info,
                    _ => Severity::Warning,
                })
                .confidence(Confidence::Likely)
                .summary(format!(
                    "{}: packets between containers of this host meet the firewall (bridge-nf-call-iptables=1), and {place} drops them",
                    label(node)
                ))
                .evidence("net.bridge.bridge-nf-call-iptables = 1")
                .evidence(format!(
                    "{} has no rule that accepts packets from {bridge} to {bridge}",
                    ender.chain.title()
                ))
                .run("sysctl -w net.bridge.bridge-nf-call-iptables=0")
                .fix("or accept packets from the bridge to itself in that chain, as dockerd does")
                .done(),
        );
    }
    all
}

/// Flows of the overlay whose source is translated: by a rule that is still there (FL205, of the encapsulation), or by
/// none any more.
pub fn flows(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let chains = listing::read(&node.firewall);
        for flow in &node.flows {
            let outer = !view.network().is_some_and(|net| net.contains(&flow.to));
            let ruled = translates(&chains, node, flow, outer);
            // FL120 tells of rules that translate between containers.
            if ruled && !outer {
                continue;
            }
            // What has a source that is nobody's may be refused on the way, or by the node that it gets to.
            let losses: Vec<_> = view
                .losses_of(node)
                .filter(|loss| {
                    let (from, to) = loss.nodes();
                    let there = loss.at(Hop::Underlay, from) || loss.at(Hop::Decapsulate, to);
                    outer && node.node == Some(from) && to == flow.to && there
                })
                .collect();
            let id = if ruled { "FL205" } else { "FL904" };
            let what = if outer {
                "outer packets"
            } else {
                "packets of a flow"
            };
            let why = match ruled {
                true => "a rule translates their source",
                false => {
                    "connection tracking goes on translating their source, and no rule does so any more"
                }
            };
            let lossy = !losses.is_empty();
            let ports = match flow.port {
                0 => String::new(),
                port => format!(" --orig-port-dst {port}"),
            };
            let mut build = found(id, node.node, format!("flows to {}", flow.to))
                .severity(if lossy {
                    Severity::Error
                } else {
                    Severity::Warning
                })
                .summary(format!("{}: {what} to {}: {why}", label(node), flow.to))
                .proven_if(!lossy && !ruled)
                .evidence(format!(
                    "conntrack: {} {} > {}:{} leaves as {}",
                    flow.protocol, flow.from, flow.to, flow.port, flow.translated
                ))
                .explains(losses);
            if !ruled {
                build = build.run(format!(
                    "conntrack -D -p {} --orig-src {} --orig-dst {}{ports}",
                    flow.protocol, flow.from, flow.to
                ));
            }
            all.push(build.done());
        }
    }
    all
}

/// A rule that rewrites sources can meet the flow's first packet.
fn translates(chains: &[Chain], node: &NodeEvidence, flow: &FlowFact, outer: bool) -> bool {
    let output = match outer {
        true => &node.external,
        false => &node.device,
    };
    let packet = Packet {
        from: flow.from,
        to: flow.to,
        input: String::new(),
        output: output.clone().unwrap_or_default(),
        protocol: match flow.protocol.as_str() {
            "udp" => "udp",
            _ => "tcp",
        },
        port: flow.port,
        established: false,
    };
    chains
        .iter()
        .filter(|chain| hooks(chains, chain).contains(&"postrouting"))
        .flat_map(|chain| &chain.rules)
        .any(|rule| {
            matches!(rule.action, Action::Masquerade | Action::Unknown)
                && rule.meets.of(&packet) != Meets::No
        })
}
