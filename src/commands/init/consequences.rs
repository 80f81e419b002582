//! What a new config would do to this host and to the nodes that already hold leases.

use std::fmt::Write;

use ipnet::Ipv4Net;

use crate::exit::{Code, Failure};
use crate::kernel::local;
use crate::report::message;
use crate::report::terminal::clean_short;
use crate::subnet::{NetworkConfig, Record, Snapshot, SubnetKey};

/// How many leases a message names.
const NAMED: usize = 20;

/// Warns where the overlay covers an address or a network that this host reaches otherwise.
pub(super) fn warn_of_host_overlap(config: &NetworkConfig) {
    let Some(pool) = &config.ipv4 else { return };
    let network = pool.network;
    // What flannel and Docker made for this very network is no clash.
    let theirs = |device: &str| device.starts_with("flannel") || device.starts_with("docker");
    let mut clashes = Vec::new();
    for (address, device) in local::addresses().unwrap_or_default() {
        if network.contains(&address) && !theirs(&device) {
            clashes.push(format!("address {address} on {device}"));
        }
    }
    for route in local::routes().unwrap_or_default() {
        let net: Ipv4Net = route.destination;
        // The default route, and the two halves that VPNs put in its place, cover everything.
        let covers_all = net.prefix_len() <= 1;
        let overlaps = net.contains(&network) || network.contains(&net);
        if overlaps && !covers_all && !theirs(&route.device) {
            clashes.push(format!("route {net} on {}", route.device));
        }
    }
    if !clashes.is_empty() {
        message::warning(format!(
            "the network {network} overlaps what this host already has: {}",
            clashes.join(", ")
        ));
    }
}

/// Refuses a config under which holders of live leases would lose their subnets.
pub(super) fn refuse_to_strand(
    config: &NetworkConfig,
    snapshot: &Snapshot,
    force: bool,
) -> Result<(), Failure> {
    let stranded: Vec<_> = snapshot
        .records
        .values()
        .filter_map(|record| match record {
            Record::Lease(lease) => Some((lease, misfit(config, &lease.key)?)),
            Record::Unreadable(_) => None,
        })
        .collect();
    if stranded.is_empty() {
        return Ok(());
    }
    let mut list = String::new();
    for (lease, why) in stranded.iter().take(NAMED) {
        let name = match lease.key.subnet4() {
            Some(subnet) => subnet.to_string(),
            None => clean_short(&lease.name, 60),
        };
        // Writing to a String cannot fail.
        let _infallible = write!(list, "\n  {name} of {}: {why}", lease.attrs.public_ip);
    }
    if stranded.len() > NAMED {
        let _infallible = write!(list, "\n  and {} more", stranded.len() - NAMED);
    }
    let head = match stranded.len() {
        1 => "1 live lease does not fit the new config; its node gets another subnet at its agent's next start, \
              and its containers new addresses:"
            .to_owned(),
        count => format!(
            "{count} live leases do not fit the new config; their nodes get other subnets at their agents' next \
             start, and their containers new addresses:"
        ),
    };
    if force {
        message::warning(format!("{head}{list}"));
        return Ok(());
    }
    Err(Failure::new(Code::Problems, format!("{head}{list}"))
        .with_remedy("nothing is written; give --force to write it all the same"))
}

/// Why a node could not keep its subnet (flannel-compat 3.2), or `None` when it can.
fn misfit(config: &NetworkConfig, key: &SubnetKey) -> Option<String> {
    match (&config.ipv4, key.subnet4()) {
        (Some(pool), Some(subnet)) if !pool.admits(key.v4) => {
            return Some(match pool.network.contains(&subnet) {
                false => format!("outside {}", pool.network),
                true if subnet.prefix_len() != pool.subnet_len => {
                    format!("not of length {}", pool.subnet_len)
                }
                true => format!("outside {} to {}", pool.min, pool.max),
            });
        }
        _ => {}
    }
    match (&config.ipv6, key.v6) {
        (None, Some(_)) => Some("has an IPv6 half, which the new config has not".to_owned()),
        (Some(_), None) => Some("has no IPv6 half, which the new config asks for".to_owned()),
        (Some(pool), Some(subnet)) if !pool.admits(subnet) => Some(format!(
            "its IPv6 half is outside {} to {}",
            pool.min, pool.max
        )),
        _ => None,
    }
}

/// Nodes keep their backend until they restart, and two backends do not talk to each other.
pub(super) fn warn_of_backend_change(config: &NetworkConfig, snapshot: &Snapshot) {
    let Ok(backend) = config.backend() else {
        return;
    };
    let others = snapshot
        .records
        .values()
        .filter(|record| match record {
            Record::Lease(lease) => lease.attrs.backend_type != backend.lease_type(),
            Record::Unreadable(_) => false,
        })
        .count();
    if others > 0 {
        message::warning(format!(
            "{others} of {} records were not written by the backend {}: until their agents are restarted, these \
             nodes are cut off from restarted ones",
            snapshot.records.len(),
            backend.name()
        ));
    }
}
