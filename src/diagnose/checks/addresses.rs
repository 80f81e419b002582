//! FL201, FL202, FL203, FL220, FL233: addresses and leases that contradict each other. No traffic needed.

use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// Public IPs and subnets belong to one node each.
pub fn identity(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let leases = &view.case.leases;
    for (index, one) in leases.iter().enumerate() {
        for other in leases.iter().skip(index + 1) {
            if one.public_ip == other.public_ip && !route::overlap(one.subnet, other.subnet) {
                all.push(
                    found(
                        "FL201",
                        Some(one.public_ip),
                        format!("leases {} and {}", one.subnet, other.subnet),
                    )
                    .confidence(Confidence::Proven)
                    .summary(format!("two leases have the public IP {}", one.public_ip))
                    .evidence(format!(
                        "{} and {} are both of {}",
                        one.subnet, other.subnet, one.public_ip
                    ))
                    .done(),
                );
            }
            if one.public_ip != other.public_ip && route::overlap(one.subnet, other.subnet) {
                all.push(
                    found(
                        "FL203",
                        Some(other.public_ip),
                        format!("leases {} and {}", one.subnet, other.subnet),
                    )
                    .confidence(Confidence::Proven)
                    .summary(format!(
                        "the leases of {} and {} overlap",
                        one.public_ip, other.public_ip
                    ))
                    .evidence(format!("{} and {}", one.subnet, other.subnet))
                    .done(),
                );
            }
        }
    }
    for node in &view.case.nodes {
        if let Some(subnet) = node.subnet_env.as_ref().and_then(|env| env.subnet)
            && let Some(holder) = view
                .peers(node)
                .find(|lease| lease.subnet == subnet.trunc())
        {
            all.push(
                found("FL203", node.node, format!("subnet {}", subnet.trunc()))
                    .confidence(Confidence::Proven)
                    .summary(format!(
                        "{}: uses {}, which is leased to {}",
                        label(node),
                        subnet.trunc(),
                        holder.public_ip
                    ))
                    .evidence(format!(
                        "FLANNEL_SUBNET={subnet}; lease of {}: {}",
                        holder.public_ip, holder.subnet
                    ))
                    .done(),
            );
        }
        all.extend(interface(view, node));
    }
    all
}

fn interface(view: &View<'_>, node: &crate::diagnose::NodeEvidence) -> Option<Found> {
    let external = node.external.as_deref()?;
    let ways: Vec<_> = view
        .peers(node)
        .filter_map(|peer| route::lookup(node, peer.public_ip))
        .filter(|way| way.kind == "unicast" && way.device != node.device)
        .filter_map(|way| way.device.as_deref())
        .collect();
    let other = *ways.first()?;
    let differs = ways.iter().all(|device| *device == other) && other != external;
    let works = view.passes(node, &[Hop::Underlay, Hop::Decapsulate]);
    (differs && !works).then(|| {
        found("FL202", node.node, format!("interface {external}"))
            .summary(format!(
                "{}: flannel uses {external}, but the other nodes are reached by {other}",
                label(node)
            ))
            .evidence(format!("routes to all peers' public IPs leave by {other}"))
            .fix(format!("start the agent with --iface={other}"))
            .done()
    })
}

/// Addresses of other interfaces within the flannel network.
pub fn overlaps(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let Some(network) = view.network() else {
        return all;
    };
    for node in &view.case.nodes {
        let own = view.subnet(node);
        let others = node.links.iter().filter(|link| {
            Some(&link.name) != node.device.as_ref()
                && Some(&link.name) != node.bridge.as_ref()
                && !link.name.starts_with("flannel")
        });
        for link in others {
            for address in &link.addresses {
                let ours = own.is_some_and(|own| own.contains(&address.addr()));
                if address.prefix_len() == 0 || ours || !route::overlap(address.trunc(), network) {
                    continue;
                }
                all.push(
                    found("FL220", node.node, format!("{} {address}", link.name))
                        .severity(Severity::Warning)
                        .confidence(Confidence::Proven)
                        .summary(format!(
                            "{}: {} has {address}, which overlaps the flannel network {network}",
                            label(node),
                            link.name
                        ))
                        .evidence(format!("{address} on {}; network {network}", link.name))
                        .done(),
                );
            }
        }
    }
    all
}

/// Routes of others that lie within the flannel network.
pub fn foreign_routes(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let Some(network) = view.network() else {
        return all;
    };
    for node in &view.case.nodes {
        let own = view.subnet(node);
        let strangers = node.routes.iter().filter(|it| {
            let flannels = it.device == node.device && it.device.is_some()
                || it.device == node.bridge && it.device.is_some();
            // Within a node's subnet it is judged with that node's route (FL510, FL513); what the kernel adds
            // itself comes from an address, which is judged above.
            let leased = view
                .case
                .leases
                .iter()
                .any(|lease| lease.subnet.contains(&it.destination));
            let ours = own.is_some_and(|own| own.contains(&it.destination));
            it.kind == "unicast"
                && it.protocol != "kernel"
                && network.contains(&it.destination)
                && !flannels
                && !leased
                && !ours
        });
        for it in strangers {
            let device = it.device.as_deref().unwrap_or("no device");
            all.push(
                found("FL220", node.node, format!("route {}", it.destination))
                    .severity(Severity::Warning)
                    .confidence(Confidence::Proven)
                    .summary(format!(
                        "{}: a route of protocol {} leads to {} by {device}, within the flannel network {network}",
                        label(node),
                        it.protocol,
                        it.destination
                    ))
                    .evidence(format!(
                        "{} dev {device} proto {}; network {network}",
                        it.destination, it.protocol
                    ))
                    .done(),
            );
        }
    }
    all
}

/// Leases of another backend than the config's.
pub fn backends(view: &View<'_>) -> Vec<Found> {
    let kind = |backend: &str| if backend.is_empty() { "udp" } else { backend }.to_owned();
    let wanted = view.backend();
    view.case
        .leases
        .iter()
        .filter(|lease| !wanted.is_empty() && kind(&lease.backend) != wanted)
        .map(|lease| {
            let touched: Vec<_> = view
                .losses
                .iter()
                .filter(|loss| [loss.nodes().0, loss.nodes().1].contains(&lease.public_ip))
                .collect();
            found(
                "FL233",
                Some(lease.public_ip),
                format!("lease {}", lease.subnet),
            )
            .severity(if touched.is_empty() {
                Severity::Warning
            } else {
                Severity::Error
            })
            .confidence(Confidence::Likely)
            .proven_if(super::any_certain(&touched))
            .summary(format!(
                "the lease {} of {} is for {}, the config says {wanted}",
                lease.subnet,
                lease.public_ip,
                kind(&lease.backend)
            ))
            .evidence(format!(
                "BackendType {}; config {wanted}",
                kind(&lease.backend)
            ))
            .explains(touched)
            .done()
        })
        .collect()
}
