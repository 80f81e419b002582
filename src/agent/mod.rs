//! flannel's agent: who runs, who owns what, and how it ends.
//!
//! `run` prepares (capabilities, runtime folder and its lock, health port), then runs *lives*: one life is a
//! start and the tasks below until the first of them ends. A life that ends because the underlay interface
//! changed is followed by another; every other end ends the agent.
//!
//! | task | owns | ends |
//! |---|---|---|
//! | signals | SIGTERM, SIGINT | first one cancels everything, a second one leaves at once |
//! | health | the port of /healthz and /metrics | cancel |
//! | follow (`registry::follow`) | the watch on etcd | cancel |
//! | peers | judgement of leases, the goal, the udp table | cancel |
//! | reconcile | the kernel's links, addresses, routes, neighbours, FDB | cancel; touches nothing when it stops |
//! | guard | the firewall rules | cancel; they stay |
//! | keep | the own lease | cancel; the lease stays. The subnet is lost: the agent fails |
//! | pump | TUN device and UDP socket (udp backend) | cancel; the device goes with it |
//! | underlay | nothing; compares the interface with the chosen one | another one is to be used: next life |
//! | respond | what other nodes' `diagnose` needs here, for its time | cancel; removes it |
//! | watchdog | systemd's watchdog, over all lives | cancel |
//!
//! The next life keeps the config and the subnet of the one before: Docker's containers live in it.

pub mod claim;
pub mod guard;
pub mod health;
pub mod keep;
pub mod life;
pub mod metrics;
pub mod notify;
pub mod peers;
pub mod pump;
pub mod reconcile;
mod reconcile_status;
pub mod respond;
pub mod runtime;
pub mod start;
pub mod teardown;
mod voice;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Code, Failure};
use crate::kernel::process::{Capability, missing_capabilities};
use crate::registry::Registry;
use crate::settings::AgentSettings;
use health::Vitals;
use runtime::RuntimeFolder;

/// How long those who ask for health may still take when the agent stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What all lives of an agent share.
pub struct Agent {
    settings: AgentSettings,
    registry: Registry,
    folder: RuntimeFolder,
    vitals: Arc<Vitals>,
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// What kept it from running, or what ended it.
pub async fn run(settings: AgentSettings, registry: Registry) -> Result<Code, Failure> {
    check_capabilities()?;
    let cancel = CancellationToken::new();
    let hurry = CancellationToken::new();
    let signals = tokio::spawn(signals(cancel.clone(), hurry.clone())?);
    let folder = open_folder(&settings)?;
    let vitals = Arc::new(Vitals::default());
    let health = match start::health_address(&settings) {
        Some(address) => {
            let listener = health::listen(address).await.map_err(|error| {
                Failure::could_not_run(format!(
                    "--healthz-port: cannot listen on {address}: {error}"
                ))
            })?;
            Some(tokio::spawn(health::serve(
                listener,
                Arc::clone(&vitals),
                cancel.clone(),
            )))
        }
        None => None,
    };
    let watchdog = tokio::spawn(watchdog(Arc::clone(&vitals)));
    let agent = Agent {
        settings,
        registry,
        folder,
        vitals,
    };
    let result = tokio::select! {
        result = agent.lives(&cancel) => result,
        () = hurry.cancelled() => Ok(Code::Interrupted),
    };
    cancel.cancel();
    notify::stopping();
    if let Some(health) = health
        && let Ok(Err(error)) = tokio::time::timeout(LAST_ANSWERS, health).await
    {
        tracing::error!("the health server failed: {error}");
    }
    watchdog.abort();
    signals.abort();
    result
}

/// Removes everything that agents made on this host, and says what.
///
/// # Errors
/// Something cannot be removed; the rest is.
pub async fn cleanup(settings: AgentSettings, registry: Registry) -> Result<Code, Failure> {
    check_capabilities()?;
    teardown::cleanup(&registry, open_folder(&settings)?).await
}

impl Agent {
    async fn lives(&self, cancel: &CancellationToken) -> Result<Code, Failure> {
        let mut memory = None;
        loop {
            match life::live(self, cancel, &mut memory).await? {
                life::End::Asked => {
                    let left = match &memory {
                        Some(_) => {
                            "; the lease stays, and so do devices and routes of vxlan and host-gw"
                        }
                        None => " before it held a lease",
                    };
                    tracing::info!("stopped{left}");
                    return Ok(Code::Done);
                }
                life::End::OtherUnderlay => {
                    tracing::warn!("the underlay interface changed; starting over");
                    self.registry.reconnect().await;
                }
            }
        }
    }
}

fn open_folder(settings: &AgentSettings) -> Result<RuntimeFolder, Failure> {
    RuntimeFolder::open(&settings.subnet_file).map_err(|error| {
        let remedy = match &error {
            runtime::RuntimeError::Busy { .. } => {
                "stop it, or give this one its own folder with --subnet-file"
            }
            runtime::RuntimeError::SecondAgent => {
                "stop it: devices, routes and rules of a network namespace belong to one agent"
            }
            runtime::RuntimeError::File(_) | runtime::RuntimeError::NotAFile(_) => {
                "choose another place with --subnet-file"
            }
        };
        Failure::could_not_run(error).with_remedy(remedy)
    })
}

fn check_capabilities() -> Result<(), Failure> {
    let missing = missing_capabilities(&[Capability::NetAdmin, Capability::NetRaw]);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|c| c.name()).collect();
    Err(
        Failure::could_not_run(format!("the agent lacks {}", names.join(" and ")))
            .with_remedy("run it as root, or give the service these capabilities"),
    )
}

/// The first signal ends the agent in order, the second at once.
fn signals(
    cancel: CancellationToken,
    hurry: CancellationToken,
) -> Result<impl Future<Output = ()>, Failure> {
    let cannot = |error| Failure::could_not_run(format!("cannot handle signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    Ok(async move {
        for token in [cancel, hurry] {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM"),
                _ = interrupt.recv() => tracing::info!("SIGINT"),
            }
            token.cancel();
        }
    })
}

/// Tells systemd's watchdog that the agent is alive, while it is.
async fn watchdog(vitals: Arc<Vitals>) {
    let Some(interval) = notify::watchdog_interval() else {
        return;
    };
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        match vitals.alive(Instant::now()) {
            Ok(()) => notify::watchdog(),
            Err(ill) => tracing::error!("not healthy, the watchdog is not told: {ill}"),
        }
    }
}
