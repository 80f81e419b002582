//! `agent --cleanup`: removes what agents made on this host. It goes on after a failure and reports everything.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::guard;
use super::reconcile::Reconciler;
use super::runtime::RuntimeFolder;
use super::start;
use crate::exit::{Code, Failure};
use crate::plan::goal::{External, Goal, Host};
use crate::registry::Registry;
use crate::subnet::Backend;

/// Removes devices, routes and neighbours, rules, and the files of the runtime folder. The lease is left to
/// etcd: the node gets the same subnet when it comes back within a day.
///
/// # Errors
/// Something cannot be removed; the rest is.
pub async fn cleanup(registry: &Registry, folder: RuntimeFolder) -> Result<Code, Failure> {
    let mut failures = Vec::new();
    match network(registry, &folder).await {
        Ok((network, own)) => {
            let mut reconciler = Reconciler::open().map_err(Failure::could_not_run)?;
            let left = tokio::task::block_in_place(|| reconciler.cleanup(&nothing(network, own)));
            failures.extend(left.iter().map(ToString::to_string));
        }
        Err(error) => {
            failures.push(format!(
                "devices and routes stay, because the network is not known: {error}"
            ));
        }
    }
    match guard::uninstall().await {
        Ok(removed) => removed
            .iter()
            .for_each(|line| tracing::info!("removed {line}")),
        Err(error) => failures.push(error.to_string()),
    }
    if let Err(error) = folder.remove_files() {
        failures.push(error.to_string());
    }
    if failures.is_empty() {
        tracing::info!("cleaned up");
        return Ok(Code::Done);
    }
    let list = failures.join("\n  ");
    Err(Failure::new(
        Code::Problems,
        format!("not everything could be removed:\n  {list}"),
    ))
}

/// The network and a subnet of its length: from `subnet.env`, so that no etcd is needed, else from the config.
async fn network(
    registry: &Registry,
    folder: &RuntimeFolder,
) -> Result<(Ipv4Net, Option<Ipv4Net>), start::NoConfig> {
    // Both or none: without a subnet's length no route of host-gw would be known as flannel's.
    if let (Some(network), Some(own)) = (folder.network(), folder.previous_subnets().v4)
        && network.contains(&own)
    {
        return Ok((network, Some(own)));
    }
    let pool = start::config_now(registry).await?.pool;
    Ok((pool.network, Ipv4Net::new(pool.min, pool.subnet_len).ok()))
}

/// A goal that wants no device: every device and route of flannel's inside the network is then a leftover.
fn nothing(network: Ipv4Net, own: Option<Ipv4Net>) -> Goal {
    let nowhere = Ipv4Addr::UNSPECIFIED;
    Goal {
        host: Host {
            ext: External {
                index: 0,
                name: String::new(),
                mtu: 0,
                address: nowhere,
            },
            public_ip: nowhere,
            mac: None,
            tun: None,
        },
        backend: Backend::HostGw,
        own,
        network,
        peers: Vec::new(),
        blackhole: false,
        former: None,
    }
}
