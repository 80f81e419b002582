//! One life of the agent: a start, then its tasks until the first of them ends. All of them are joined before
//! it returns.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::claim::{Memory, NEW_SUBNET, claim};
use super::guard::{GuardOptions, guard};
use super::keep::Keeper;
use super::peers::Peering;
use super::reconcile::{ReconcileStatus, Reconciler};
use super::respond::{hands::Site, respond};
use super::{Agent, notify, start};
use crate::exit::Failure;
use crate::kernel::interfaces;
use crate::plan::interface::{InterfaceWish, Underlay};
use crate::registry::{Followed, follow};

/// A task that does not end within this time after the cancel is left behind.
const FAREWELL: Duration = Duration::from_secs(3);
/// The underlay must look different for this long before the agent starts over.
const SETTLE: Duration = Duration::from_secs(2);

/// How a life ends without a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Asked,
    /// Another interface, index, address or MTU is to be used.
    OtherUnderlay,
}

type Tasks = JoinSet<Result<End, Failure>>;

/// Starts, runs, and returns when the first task ends.
///
/// # Errors
/// What kept it from starting, or what ended it.
pub async fn live(
    agent: &Agent,
    cancel: &CancellationToken,
    memory: &mut Option<Memory>,
) -> Result<End, Failure> {
    // Its own token: the next life must be able to start after this one's tasks were told to end.
    let token = cancel.child_token();
    let mut tasks = Tasks::new();
    let begun = cancel
        .run_until_cancelled(begin(agent, &token, &mut tasks, memory))
        .await;
    let mut result = match begun {
        None => Ok(End::Asked),
        Some(Ok(())) => first_end(&mut tasks).await,
        Some(Err(failure)) => Err(failure),
    };
    if cancel.is_cancelled() && result.is_err() {
        // Told to stop: how a part took it is no failure of the agent.
        if let Err(failure) = std::mem::replace(&mut result, Ok(End::Asked)) {
            tracing::warn!("while stopping: {failure}");
        }
    }
    token.cancel();
    agent.vitals.ended();
    let rest = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, rest).await.is_err() {
        tracing::warn!("some tasks did not end within {} s", FAREWELL.as_secs());
        tasks.abort_all();
    }
    result
}

async fn first_end(tasks: &mut Tasks) -> Result<End, Failure> {
    match tasks.join_next().await {
        Some(Ok(end)) => end,
        Some(Err(error)) => Err(Failure::could_not_run(format!(
            "a part of the agent failed: {error}"
        ))),
        None => Ok(End::Asked),
    }
}

async fn begin(
    agent: &Agent,
    token: &CancellationToken,
    tasks: &mut Tasks,
    memory: &mut Option<Memory>,
) -> Result<(), Failure> {
    let Agent {
        settings,
        registry,
        folder,
        vitals,
    } = agent;
    let chosen = match memory {
        Some(before) => before.chosen.clone(),
        None => start::config(registry).await?,
    };
    let underlay = start::underlay(settings)?;
    let external = &underlay.external;
    tracing::info!(
        backend = chosen.backend.name(),
        interface = external.name,
        address = %external.address,
        public_ip = %underlay.public_ip,
        "network {}",
        chosen.pool.network
    );
    let mut reconciler = Reconciler::open().map_err(Failure::could_not_run)?;
    let prepared = start::prepare(registry, &chosen, &underlay, settings, &mut reconciler).await?;
    let held = claim(registry, &chosen, &prepared.attrs, folder, memory.as_ref()).await?;
    *memory = Some(Memory {
        chosen: chosen.clone(),
        name: held.name.clone(),
        key: held.key.clone(),
        public_ip: prepared.attrs.public_ip,
    });
    let mut base = prepared.goal;
    base.own = held.key.subnet4();

    let (followed_in, mut followed) = watch::channel(Followed::default());
    let follower = follow(registry.clone(), followed_in, token.clone());
    spawn(tasks, token, "follow", follower);

    let table = prepared.udp.as_ref().map(|udp| udp.table());
    let device = prepared.udp.as_ref().map(|udp| udp.device());
    vitals.counts(prepared.udp.as_ref().map(|udp| udp.counters()));
    if let (Some(udp), Some(udp_settings)) =
        (prepared.udp, start::udp_settings(&base, settings.udp))
    {
        let token = token.clone();
        tasks.spawn(async move {
            udp.run(udp_settings, token)
                .await
                .map_err(Failure::could_not_run)?;
            Ok(End::Asked)
        });
    }

    let mut peering = Peering::new(
        chosen.config.clone(),
        chosen.bytes.clone(),
        held.name.clone(),
        base.clone(),
        table,
    );
    // A task that fails at once (the udp port in use) must not wait for etcd.
    let standing = start::stand_up(
        settings,
        &chosen,
        &base,
        &mut peering,
        &mut followed,
        &mut reconciler,
        folder,
    );
    let (goal, status, firewall) = tokio::select! {
        stood = standing => stood?,
        end = first_end(tasks) => return end.map(|_| ()),
    };

    let (status_in, status) = watch::channel(status);
    let keeper = Keeper {
        registry: registry.clone(),
        config: chosen.config.clone(),
        attrs: prepared.attrs,
        held,
        margin: settings.renew_margin,
    };
    let (lease_in, lease) = watch::channel(keeper.status(Instant::now()));
    let (firewall_in, firewall) = watch::channel(firewall);
    vitals.started(status.clone(), lease, firewall);
    notify::ready(&format!(
        "{} with {} peers",
        keeper.held.key,
        goal.peers.len()
    ));
    tracing::info!("ready: {}", settings.subnet_file.display());

    let (goals_in, goals) = watch::channel(goal);
    spawn(
        tasks,
        token,
        "peers",
        peering.run(followed.clone(), status.clone(), device, goals_in),
    );
    spawn(
        tasks,
        token,
        "reconcile",
        reconciler.run(goals, status_in, token.clone()),
    );
    let rules = start::firewall_goal(settings, &chosen, &base);
    let (rules_in, rules) = watch::channel(rules);
    let options = GuardOptions {
        resync: settings.firewall_resync.unwrap_or_default(),
        prefer_nft: chosen.config.nftables,
    };
    let guarded = {
        let token = token.clone();
        async move {
            guard(rules, options, token, firewall_in).await;
            drop(rules_in); // one goal for this life; its channel must outlive the guard
        }
    };
    spawn(tasks, token, "guard", guarded);
    if let Some(site) = Site::of(settings, &chosen, &base) {
        let answering = respond(
            registry.clone(),
            site,
            settings.diagnose,
            followed.clone(),
            token.clone(),
        );
        spawn(tasks, token, "respond", answering);
    }
    let kept = token.clone();
    tasks.spawn(async move {
        match kept
            .run_until_cancelled(keeper.run(followed, lease_in))
            .await
        {
            Some(Err(lost)) => Err(Failure::could_not_run(lost).with_remedy(NEW_SUBNET)),
            Some(Ok(())) | None => Ok(End::Asked),
        }
    });
    tasks.spawn(other_underlay(
        settings.interface.clone(),
        underlay,
        status,
        token.clone(),
    ));
    Ok(())
}

/// A task that runs until it is told to end; any earlier end is a failure of the agent.
fn spawn(
    tasks: &mut Tasks,
    token: &CancellationToken,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let token = token.clone();
    tasks.spawn(async move {
        // Tasks that know the token end by it in order; this bounds the others.
        tokio::select! {
            () = task => {}
            () = async { token.cancelled().await; tokio::time::sleep(FAREWELL).await } => {}
        }
        if token.is_cancelled() {
            return Ok(End::Asked);
        }
        Err(Failure::could_not_run(format!(
            "the agent's task {name} ended by itself"
        )))
    });
}

/// Ends when another interface, index, address or MTU is to be used than the chosen one.
async fn other_underlay(
    wish: InterfaceWish,
    chosen: Underlay,
    mut status: watch::Receiver<ReconcileStatus>,
    token: CancellationToken,
) -> Result<End, Failure> {
    let differs = |status: &ReconcileStatus| {
        !status
            .external
            .as_ref()
            .is_some_and(|seen| seen.is(&chosen.external))
    };
    loop {
        let changed = tokio::select! {
            () = token.cancelled() => return Ok(End::Asked),
            changed = status.wait_for(|status| status.rounds > 1 && differs(status)) => changed.is_ok(),
        };
        if !changed {
            return Ok(End::Asked);
        }
        tokio::select! {
            () = token.cancelled() => return Ok(End::Asked),
            () = tokio::time::sleep(SETTLE) => {}
        }
        let host = tokio::task::block_in_place(|| interfaces::read(wish.can_reach));
        match host.map(|host| wish.choose(&host)) {
            Ok(Ok(now)) if now != chosen => return Ok(End::OtherUnderlay),
            // Back, gone for now, or not to be read: look again at the next round.
            _ => {}
        }
    }
}
