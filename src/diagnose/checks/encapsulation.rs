//! FL502: MAC. FL232, FL234: VNI and port. FL501: outer checksums. FL231: two devices of one kind.

use crate::diagnose::evidence::{Checksum, LinkFact, NodeEvidence, Point};
use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::loss::Loss;
use crate::diagnose::route::{self, dropped, rise};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;
use super::{any_certain, most};

/// The device's MAC is the published one.
pub fn macs(view: &View<'_>) -> Vec<Found> {
    if view.backend() != "vxlan" {
        return Vec::new();
    }
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let (Some(device), Some(lease)) = (route::device(node), view.lease(node)) else {
            continue;
        };
        if lease.vtep_mac.is_empty()
            || device.mac.is_empty()
            || device.mac.eq_ignore_ascii_case(&lease.vtep_mac)
        {
            continue;
        }
        let losses = view.lost_at(node, &[Hop::ForwardIn, Hop::Answer, Hop::Decapsulate]);
        let other: usize = losses
            .iter()
            .filter_map(|loss| loss.after)
            .flat_map(|step| &step.seen)
            .filter(|one| one.otherhost)
            .count();
        let counted = rise(node, &format!("link.{}.rx_otherhost", device.name));
        let mut build = found("FL502", node.node, format!("{} MAC", device.name))
            .summary(format!(
                "{}: {} has the MAC {}, the lease says {}; other nodes' packets are ignored",
                label(node),
                device.name,
                device.mac,
                lease.vtep_mac
            ))
            .proven_if(any_certain(&losses))
            .evidence(format!(
                "{}: {}; lease: {}",
                device.name, device.mac, lease.vtep_mac
            ))
            .explains(losses)
            .run(format!(
                "ip link set {} address {}",
                device.name, lease.vtep_mac
            ))
            .fix("for good: /etc/systemd/network/10-flannel.link with [Match] OriginalName=flannel* and [Link] MACAddressPolicy=none");
        if other > 0 || counted > 0 {
            build = build.evidence(format!(
                "{other} probes arrived as PACKET_OTHERHOST; rx_otherhost rose by {counted}"
            ));
        }
        all.push(build.done());
    }
    all
}

/// VNI and port are those of the config.
pub fn numbers(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let Some(network) = &view.case.network else {
        return all;
    };
    if network.backend == "host-gw" {
        return all;
    }
    for node in &view.case.nodes {
        let vxlan = route::device(node).and_then(|device| device.vxlan.as_ref());
        let at = node.node;
        // Packets that come in, and those that this node sends and the other does not take.
        let losses: Vec<&Loss<'_>> = view
            .losses
            .iter()
            .filter(|loss| {
                loss.hops.iter().any(|hop| {
                    hop.0 == Hop::Decapsulate && (Some(hop.1) == at || Some(loss.nodes().0) == at)
                })
            })
            .collect();
        if let Some(vxlan) = vxlan.filter(|it| network.backend == "vxlan" && it.vni != network.vni)
        {
            let reason = dropped(node, "VXLAN_VNI_NOT_FOUND");
            let mut build = found("FL232", at, "VNI of the flannel device")
                .summary(format!(
                    "{}: the VXLAN device has VNI {}, the config says {}",
                    label(node),
                    vxlan.vni,
                    network.vni
                ))
                .proven_if(any_certain(&losses))
                .evidence(format!(
                    "device: VNI {}; config: VNI {}",
                    vxlan.vni, network.vni
                ))
                .explains(losses.iter().copied());
            if reason > 0 {
                build = build.evidence(format!("kernel: VXLAN_VNI_NOT_FOUND ({reason}×)"));
            }
            all.push(build.done());
        }
        let port = node.encap_port.or(vxlan.map(|it| it.port));
        if let Some(port) = port.filter(|port| *port != network.port) {
            let refused = rise(node, "snmp.Udp.NoPorts");
            let mut build = found("FL234", at, "UDP port of the encapsulation")
                .summary(format!(
                    "{}: the encapsulation uses port {port}, the config says {}",
                    label(node),
                    network.port
                ))
                .proven_if(any_certain(&losses))
                .evidence(format!("in use: {port}; config: {}", network.port))
                .explains(losses.iter().copied());
            if refused > 0 {
                build = build.evidence(format!("Udp.NoPorts rose by {refused}"));
            }
            all.push(build.done());
        }
    }
    all
}

/// Outer packets come in with wrong checksums; the sender is to be mended.
pub fn checksums(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let losses = view.lost_at(node, &[Hop::Decapsulate]);
        let bad = |loss: &&Loss<'_>| {
            let seen = loss
                .after
                .filter(|step| step.point == Point::Underlay && !step.outgoing)
                .map_or(0, |step| {
                    step.seen
                        .iter()
                        .filter(|one| {
                            one.outer
                                .as_ref()
                                .is_some_and(|it| it.checksum == Checksum::Bad)
                        })
                        .count()
                });
            seen > 0 || counted(node) >= u64::from(loss.lost)
        };
        let losses: Vec<_> = losses.into_iter().filter(bad).collect();
        let Some(first) = losses.first() else {
            continue;
        };
        let (sender, _) = first.nodes();
        let from = view.case.node(sender);
        let device = from
            .and_then(|it| it.device.clone())
            .unwrap_or_else(|| "flannel.1".to_owned());
        all.push(
            found(
                "FL501",
                Some(sender),
                format!("outer UDP checksum of packets from {sender}"),
            )
            .summary(format!(
                "{}: outer packets from {sender} arrive with a wrong UDP checksum and are dropped",
                label(node)
            ))
            .proven_if(any_certain(&losses) && counted(node) >= most(&losses))
            .evidence(format!(
                "Udp.InCsumErrors on {}: +{}",
                label(node),
                rise(node, "snmp.Udp.InCsumErrors")
            ))
            .explains(losses)
            .run(format!("ethtool -K {device} tx-checksum-ip-generic off"))
            .done(),
        );
    }
    all
}

fn counted(node: &NodeEvidence) -> u64 {
    rise(node, "snmp.Udp.InCsumErrors").max(u64::from(dropped(node, "UDP_CSUM")))
}

/// Another VXLAN device with flannel's port and VNI.
pub fn clash(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let Some(network) = view
        .case
        .network
        .as_ref()
        .filter(|it| it.backend == "vxlan")
    else {
        return all;
    };
    for node in &view.case.nodes {
        let strangers = node.links.iter().filter(|link| {
            Some(link.name.as_str()) != node.device.as_deref()
                && link.vxlan.as_ref().is_some_and(|it| {
                    it.port == network.port && (it.external || it.vni == network.vni)
                })
        });
        for link in strangers {
            // Without its own device nothing passes a node.
            let own = route::device(node).is_some_and(|device| device.up);
            let losses: Vec<&Loss<'_>> = if own {
                view.lost_at(node, &[Hop::Decapsulate])
            } else {
                let (from, to) = (
                    |one: &&Loss<'_>| one.nodes().0,
                    |one: &&Loss<'_>| one.nodes().1,
                );
                let ours =
                    |one: &&Loss<'_>| node.node == Some(from(one)) || node.node == Some(to(one));
                view.losses.iter().filter(ours).collect()
            };
            all.push(
                found("FL231", node.node, link.name.clone())
                    .severity(if losses.is_empty() {
                        Severity::Warning
                    } else {
                        Severity::Error
                    })
                    .confidence(Confidence::Likely)
                    // The kernel gives a port and VNI to one device alone: flannel's is shut out.
                    .proven_if(!own && !losses.is_empty())
                    .summary(format!(
                        "{}: {} has flannel's {} and port {}",
                        label(node),
                        link.name,
                        vni(link, network.vni),
                        network.port
                    ))
                    .evidence(format!(
                        "{}: vxlan, {}, dstport {}",
                        link.name,
                        vni(link, network.vni),
                        network.port
                    ))
                    .explains(losses)
                    .done(),
            );
        }
    }
    all
}

fn vni(link: &LinkFact, flannels: u32) -> String {
    match &link.vxlan {
        Some(vxlan) if vxlan.external => "every VNI (external)".to_owned(),
        _ => format!("VNI {flannels}"),
    }
}
