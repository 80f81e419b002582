//! FL301, FL305, FL302, FL304, FL423: bridge, containers' sizes, `subnet.env`.

use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

use super::any_certain;
use super::policy::label;

/// The bridge has the subnet's address and is up.
pub fn bridge(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let (Some(bridge), Some(subnet)) = (route::bridge(node), view.subnet(node)) else {
            continue;
        };
        let losses = view.lost_at(node, &[Hop::ForwardIn, Hop::ForwardOut, Hop::Answer]);
        if !bridge.addresses.iter().any(|net| net.trunc() == subnet) {
            let has: Vec<_> = bridge.addresses.iter().map(ToString::to_string).collect();
            let has = if has.is_empty() {
                "no address".to_owned()
            } else {
                has.join(", ")
            };
            all.push(
                found("FL301", node.node, format!("{} address", bridge.name))
                    .summary(format!(
                        "{}: {} has {has}, the lease is {subnet}",
                        label(node),
                        bridge.name
                    ))
                    .proven_if(any_certain(&losses))
                    .evidence(format!(
                        "{}: {has}; lease or subnet.env: {subnet}",
                        bridge.name
                    ))
                    .explains(losses)
                    .run(format!(
                        "ip address replace {}/{} dev {}",
                        subnet.hosts().next().unwrap_or(subnet.network()),
                        subnet.prefix_len(),
                        bridge.name
                    ))
                    .fix("for good: give Docker the subnet (flannelctl docker-config), restart it")
                    .done(),
            );
        } else if !bridge.up {
            all.push(
                found("FL305", node.node, bridge.name.clone())
                    .summary(format!(
                        "{}: the bridge {} is down",
                        label(node),
                        bridge.name
                    ))
                    // Nothing passes a bridge that is down: the state alone is proof, once something was lost.
                    .proven_if(!losses.is_empty())
                    .evidence(format!("{} is administratively down", bridge.name))
                    .explains(losses)
                    .run(format!("ip link set {} up", bridge.name))
                    .done(),
            );
        }
    }
    all
}

/// Containers (or what Docker gives them) are not larger than the flannel device.
pub fn sizes(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(limit) = node
            .subnet_env
            .as_ref()
            .and_then(|env| env.mtu)
            .or_else(|| route::device(node).map(|link| link.mtu))
        else {
            continue;
        };
        let container = node
            .containers
            .iter()
            .find_map(|one| Some((one.mtu.filter(|mtu| *mtu > limit)?, one.address)));
        let docker = node.docker.as_ref().and_then(|docker| docker.mtu);
        let bridge = route::bridge(node).filter(|bridge| {
            docker.is_none()
                && bridge.mtu > limit
                && node
                    .links
                    .iter()
                    // The diagnosis' own endpoint says nothing of the containers' size.
                    .any(|link| {
                        link.controller == Some(bridge.index) && !link.name.starts_with("fctdp")
                    })
        });
        let (place, mtu) = match (container, docker.filter(|mtu| *mtu > limit), bridge) {
            (Some((mtu, address)), ..) => (format!("container {address}"), mtu),
            (_, Some(mtu), _) => ("Docker's mtu option".to_owned(), mtu),
            (.., Some(bridge)) => (bridge.name.clone(), bridge.mtu),
            _ => continue,
        };
        all.push(
            found("FL302", node.node, place.clone())
                .severity(Severity::Warning)
                .confidence(Confidence::Proven)
                .summary(format!(
                    "{}: {place} has MTU {mtu}, the overlay carries {limit}",
                    label(node)
                ))
                .evidence(format!(
                    "{place}: {mtu}; FLANNEL_MTU or flannel device: {limit}"
                ))
                .done(),
        );
    }
    all
}

/// `subnet.env` can be read and says what the lease says.
pub fn env(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for node in &view.case.nodes {
        let Some(env) = &node.subnet_env else {
            continue;
        };
        if let Some(trouble) = &env.trouble {
            all.push(
                found("FL304", node.node, env.path.clone())
                    .severity(Severity::Warning)
                    .confidence(Confidence::Proven)
                    .summary(format!(
                        "{}: {} cannot be used: {trouble}",
                        label(node),
                        env.path
                    ))
                    .evidence(trouble.clone())
                    .done(),
            );
        }
        if let (Some(lease), Some(subnet)) = (view.lease(node), env.subnet)
            && subnet.trunc() != lease.subnet
        {
            all.push(
                found("FL423", node.node, env.path.clone())
                    .confidence(Confidence::Proven)
                    .summary(format!(
                        "{}: {} says {subnet}, the lease is {}",
                        label(node),
                        env.path,
                        lease.subnet
                    ))
                    .evidence(format!(
                        "FLANNEL_SUBNET={subnet}; lease in etcd: {}",
                        lease.subnet
                    ))
                    .done(),
            );
        }
    }
    all
}
