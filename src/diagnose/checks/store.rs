//! FL401 to FL404, FL410, FL411, FL425: etcd and its records. FL420, FL421, FL424: leases.

use crate::diagnose::case::StoreTrouble;
use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// Less than this left, in seconds, and its agent has missed renewals.
const SOON: i64 = 3600;

/// What the store itself had to say.
pub fn etcd(view: &View<'_>) -> Vec<Found> {
    view.case
        .store_troubles
        .iter()
        .map(|trouble| {
            let (id, severity, detail) = match trouble {
                StoreTrouble::Unreachable(detail) => ("FL410", Severity::Error, detail),
                StoreTrouble::Denied(detail) => ("FL411", Severity::Error, detail),
                StoreTrouble::NoConfig(detail) => ("FL401", Severity::Error, detail),
                StoreTrouble::ConfigElsewhere(detail) => ("FL402", Severity::Error, detail),
                StoreTrouble::ConfigInV2 { url, key, value } => {
                    return in_v2(view, url, key, value);
                }
                StoreTrouble::BadConfig(detail) => ("FL404", Severity::Error, detail),
                StoreTrouble::UnreadableRecord(detail) => ("FL425", Severity::Warning, detail),
            };
            found(id, view.case.here, "etcd")
                .severity(severity)
                .confidence(Confidence::Proven)
                .summary(detail.clone())
                .evidence(detail.clone())
                .done()
        })
        .collect()
}

fn in_v2(view: &View<'_>, url: &str, key: &str, value: &str) -> Found {
    found("FL403", view.case.here, "etcd")
        .confidence(Confidence::Proven)
        .summary(format!(
            "there is no network config at {key} where flannel 0.18 and later reads it, but one in etcd's old v2 interface"
        ))
        .evidence(format!("{url}/v2/keys{key}: {value}"))
        .fix(format!(
            "ETCDCTL_API=2 etcdctl --endpoints {url} get {key} >network.json && flannelctl --etcd-endpoints {url} init -f network.json"
        ))
        .done()
}

/// Every node has a lease with time left.
pub fn leases(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let readable = view.case.network.is_some()
        && !view
            .case
            .store_troubles
            .iter()
            .any(|it| matches!(it, StoreTrouble::Unreachable(_) | StoreTrouble::Denied(_)));
    for node in view.case.nodes.iter().filter(|_| readable) {
        let serves = node.agent
            || node
                .subnet_env
                .as_ref()
                .is_some_and(|env| env.subnet.is_some());
        if let Some(address) = node.node
            && view.lease(node).is_none()
            && serves
        {
            let losses = view.losses.iter().filter(|loss| {
                let (from, to) = loss.nodes();
                from == address || to == address
            });
            // An agent that runs would have made one: it was taken from it.
            let revoked = node.process.is_some() || node.agent;
            let id = if revoked { "FL422" } else { "FL420" };
            all.push(
                found(id, node.node, format!("lease of {address}"))
                    .confidence(Confidence::Proven)
                    .summary(format!("{}: it has no lease in etcd", label(node)))
                    .evidence(format!("no lease has the public IP {address}"))
                    .explains(losses)
                    .done(),
            );
        }
    }
    for lease in &view.case.leases {
        if let Some(left) = lease.ttl.filter(|left| *left < SOON) {
            all.push(
                found(
                    "FL421",
                    Some(lease.public_ip),
                    format!("lease {}", lease.subnet),
                )
                .severity(Severity::Warning)
                .confidence(Confidence::Proven)
                .summary(format!(
                    "the lease {} of {} ends in {left} s and is not being renewed",
                    lease.subnet, lease.public_ip
                ))
                .evidence(format!("{left} s left"))
                .done(),
            );
        }
    }
    if let Some(network) = &view.case.network {
        let bits = network
            .subnet_len
            .saturating_sub(network.network.prefix_len())
            .min(31);
        // The first subnet is not given out unless the config says so.
        let room = (1_usize << bits).saturating_sub(1);
        if bits > 0 && view.case.leases.len() >= room {
            all.push(
                found("FL424", None, format!("network {}", network.network))
                    .severity(Severity::Warning)
                    .confidence(Confidence::Likely)
                    .summary(format!(
                        "{} of about {room} subnets are taken",
                        view.case.leases.len()
                    ))
                    .evidence(format!(
                        "{} leases in {}",
                        view.case.leases.len(),
                        network.network
                    ))
                    .done(),
            );
        }
    }
    all
}
