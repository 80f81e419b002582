//! `agent --cleanup`: removes what agents made on this host. It goes on after a failure and reports everything.

use crate::exit::{Code, Failure};
use crate::registry::Registry;
use crate::settings::AgentSettings;

use super::guard;
use super::reconcile::Reconciler;
use super::runtime::RuntimeFolder;
use super::start;
use crate::plan::goal::{Goal, Host};

/// Removes devices, routes and neighbours, rules, and the files of the runtime folder. The lease is left to
/// etcd: the node gets the same subnet when it comes back within a day.
///
/// # Errors
/// Something cannot be removed; the rest is.
pub async fn cleanup(
    settings: &AgentSettings,
    registry: &Registry,
    folder: RuntimeFolder,
) -> Result<Code, Failure> {
    let mut failures = Vec::new();
    match start::config_now(registry).await {
        Ok(chosen) => match start::underlay(settings) {
            Ok(underlay) => {
                let mut reconciler = Reconciler::open().map_err(Failure::could_not_run)?;
                let goal = Goal {
                    own: folder.previous_subnets().v4,
                    host: Host {
                        ext: underlay.external,
                        public_ip: underlay.public_ip,
                        mac: None,
                        tun: None,
                    },
                    backend: chosen.backend,
                    network: chosen.pool.network,
                    peers: Vec::new(),
                    blackhole: settings.blackhole,
                };
                let left = tokio::task::block_in_place(|| reconciler.cleanup(&goal));
                failures.extend(left.iter().map(ToString::to_string));
            }
            Err(failure) => failures.push(failure.to_string()),
        },
        Err(error) => failures.push(format!("devices and routes are not removed: {error}")),
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
    Err(Failure::new(
        Code::Problems,
        format!(
            "not everything could be removed:\n  {}",
            failures.join("\n  ")
        ),
    ))
}
