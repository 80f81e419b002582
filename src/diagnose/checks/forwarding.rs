//! FL701, FL702: forwarding is off. FL704: reverse path filtering drops.

use crate::diagnose::evidence::NodeEvidence;
use crate::diagnose::finding::Confidence;
use crate::diagnose::ladder::Hop;
use crate::diagnose::loss::Loss;
use crate::diagnose::route::{self, dropped, rise, sysctl};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;
use super::{any_certain, most};

/// FL701 for the whole host, FL702 for one interface.
pub fn forwarding(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let on = |interface: &str| {
            sysctl(node, &format!("net.ipv4.conf.{interface}.forwarding")).map(|value| value != 0)
        };
        let inwards = if view.backend() == "host-gw" {
            node.external.as_deref()
        } else {
            node.device.as_deref()
        };
        let ways = [
            (node.bridge.as_deref(), Hop::ForwardOut),
            (inwards, Hop::ForwardIn),
        ];
        if sysctl(node, "net.ipv4.ip_forward") == Some(0) {
            let open = |way: &(Option<&str>, Hop)| way.0.and_then(on) == Some(true);
            let hops: Vec<Hop> = ways
                .iter()
                .filter(|way| !open(way))
                .map(|way| way.1)
                .collect();
            let losses = view.lost_at(node, &hops);
            if !hops.is_empty() {
                let words = format!(
                    "{}: IP forwarding is off (net.ipv4.ip_forward = 0)",
                    label(node)
                );
                all.push(
                    off(node, "FL701", "net.ipv4.ip_forward", &losses)
                        .summary(words)
                        .run("sysctl -w net.ipv4.ip_forward=1")
                        .fix("for good: the same line in /etc/sysctl.d")
                        .done(),
                );
            }
            continue;
        }
        for (interface, hop) in ways {
            let Some(interface) = interface.filter(|name| on(name) == Some(false)) else {
                continue;
            };
            let name = format!("net.ipv4.conf.{interface}.forwarding");
            let losses = view.lost_at(node, &[hop]);
            all.push(
                off(node, "FL702", &name, &losses)
                    .summary(format!(
                        "{}: forwarding is off on {interface} ({name} = 0)",
                        label(node)
                    ))
                    .run(format!("sysctl -w net/ipv4/conf/{interface}/forwarding=1"))
                    .fix("for good: the same line in /etc/sysctl.d")
                    .done(),
            );
        }
    }
    all
}

fn off(
    node: &NodeEvidence,
    id: &'static str,
    name: &str,
    losses: &[&Loss<'_>],
) -> crate::diagnose::view::Build {
    let mut build = found(id, node.node, name)
        .proven_if(any_certain(losses))
        .evidence(format!("{name} = 0"));
    if !losses.is_empty() {
        let errors = rise(node, "snmp.Ip.InAddrErrors");
        if errors > 0 {
            build = build.evidence(format!("Ip.InAddrErrors rose by {errors}"));
        }
        let reason = dropped(node, "IP_INADDRERRORS");
        if reason > 0 {
            build = build.evidence(format!("kernel: IP_INADDRERRORS ({reason}×)"));
        }
    }
    build.explains(losses.iter().copied())
}

/// FL704: the counter moved with the probes, or the filter is strict and the way back really differs.
pub fn reverse_path(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let mut hit: Vec<&Loss<'_>> = Vec::new();
        let mut reasons = Vec::new();
        for loss in view.lost_at(
            node,
            &[Hop::ForwardIn, Hop::ForwardOut, Hop::Answer, Hop::Deliver],
        ) {
            let input = input(view, node, loss);
            if is_off(node, input) {
                // Drops are told of the whole machine, other namespaces included.
                continue;
            }
            let counted = rise(node, "netstat.TcpExt.IPReversePathFilter")
                .max(u64::from(dropped(node, "IP_RPFILTER")));
            let (from, _) = loss.addresses();
            let back = route::lookup(node, from);
            let elsewhere = back.and_then(|it| it.device.as_deref()) != Some(input);
            let strict = strict(node, input) && elsewhere && !input.is_empty();
            if counted >= u64::from(loss.lost) && loss.lost > 0 {
                reasons.push(format!(
                    "TcpExt.IPReversePathFilter / IP_RPFILTER: {counted}"
                ));
            } else if !strict {
                continue;
            }
            if strict {
                reasons.push(format!(
                    "rp_filter is strict on {input}, and {from} is routed by {}",
                    back.and_then(|it| it.device.as_deref())
                        .unwrap_or("no interface")
                ));
            }
            hit.push(loss);
        }
        if hit.is_empty() {
            continue;
        }
        let interface = input(view, node, hit[0]).to_owned();
        let counted = rise(node, "netstat.TcpExt.IPReversePathFilter")
            .max(u64::from(dropped(node, "IP_RPFILTER")));
        let mut build = found(
            "FL704",
            node.node,
            format!("net.ipv4.conf.{interface}.rp_filter"),
        )
        .summary(format!(
            "{}: reverse path filtering on {interface} drops packets from {}",
            label(node),
            hit[0].addresses().0
        ))
        .confidence(Confidence::Likely)
        .proven_if(any_certain(&hit) && counted >= most(&hit))
        .explains(hit.iter().copied());
        // A longer route than the network's own also takes the answers away: looseness alone does not help.
        let (from, _) = hit[0].addresses();
        let foreign = route::lookup(node, from).filter(|it| {
            let peer = view.peers(node).find(|peer| peer.subnet.contains(&from));
            peer.is_some_and(|peer| it.destination.prefix_len() > peer.subnet.prefix_len())
        });
        build = match foreign {
            Some(it) => build.run(format!("ip route del {}", it.destination)),
            None => build.run(format!(
                "sysctl -w net/ipv4/conf/{interface}/rp_filter=2 net/ipv4/conf/all/rp_filter=2"
            )),
        };
        for reason in reasons {
            build = build.evidence(reason);
        }
        all.push(build.done());
    }
    all
}

fn input<'n>(view: &View<'_>, node: &'n NodeEvidence, loss: &Loss<'_>) -> &'n str {
    let name = if loss.hops.iter().any(|hop| hop.0 == Hop::ForwardOut) {
        node.bridge.as_deref()
    } else if view.backend() == "host-gw" {
        node.external.as_deref()
    } else {
        node.device.as_deref()
    };
    name.unwrap_or_default()
}

fn strict(node: &NodeEvidence, interface: &str) -> bool {
    filters(node, interface).into_iter().flatten().max() == Some(1)
}

fn is_off(node: &NodeEvidence, interface: &str) -> bool {
    filters(node, interface) == [Some(0); 2]
}

/// `rp_filter` of the interface and of all: the larger one counts.
fn filters(node: &NodeEvidence, interface: &str) -> [Option<i64>; 2] {
    [interface, "all"].map(|name| sysctl(node, &format!("net.ipv4.conf.{name}.rp_filter")))
}
