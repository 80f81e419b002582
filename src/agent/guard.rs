//! Keeps the firewall rules in place: writes them at start, checks them every few seconds and as soon
//! as the kernel tells of a change, puts them back when they are gone or lost their place, moves them
//! when Docker turns out to use the other iptables. Says a thing once. Must not touch foreign rules.

mod keeper;
mod pace;
mod read;
mod teller;

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::kernel::firewall::{ExecError, Programs, legacy_in_use, search_path};
use crate::plan::firewall::rules::FORWARD;
use crate::plan::firewall::{FirewallGoal, Implementation, Listing};

pub use keeper::{Keeper, Round};

use keeper::{exec, remove_iptables, remove_table};
use pace::{Events, Pace, until};
use teller::Teller;

/// How the guard works.
#[derive(Debug, Clone, Copy)]
pub struct GuardOptions {
    /// Time between two checks (`--iptables-resync`). Zero: rules are written at start and when the
    /// goal changes, and never looked at in between, neither by time nor by event.
    pub resync: Duration,
    /// `EnableNFTables` of the network config.
    pub prefer_nft: bool,
}

/// What the guard knows, for `/metrics`, `/healthz` and `status`.
#[derive(Debug, Clone, Default)]
pub struct FirewallStatus {
    /// Where the rules are; `None` before the first check and on a host without any program.
    pub implementation: Option<Implementation>,
    /// Why there.
    pub reason: String,
    /// When the rules were last seen or put in place.
    pub last_ok: Option<Instant>,
    /// What is wrong now, one sentence each, with the remedy; free of control characters.
    pub problems: Vec<String>,
    /// The first of the problems that costs overlay traffic.
    pub stops: Option<String>,
    /// How often rules were written after the first time.
    pub repairs: u64,
}

/// Why the rules cannot be put in place or removed.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// `--ip-masq` on a host that has nothing to do it with.
    #[error(
        "--ip-masq needs iptables or nft, and neither is installed (looked in PATH, /usr/sbin and /sbin)"
    )]
    NoProgram,
    /// A program failed.
    #[error("cannot {operation} the firewall rules: {source}")]
    Exec {
        /// `read`, `write` or `remove`.
        operation: &'static str,
        /// Program, arguments, status and what it said.
        source: ExecError,
    },
    /// What was written is not what is read back.
    #[error("{implementation} accepted the rules, and does not hold them afterwards: {missing}")]
    NotHeld {
        /// Where they were written.
        implementation: Implementation,
        /// What is not as it should be.
        missing: String,
    },
}

impl FirewallStatus {
    /// Takes over what a check found.
    fn take(&mut self, round: &Round, goal: &FirewallGoal) {
        match &round.choice {
            Some(choice) => {
                self.implementation = Some(choice.implementation);
                self.reason = choice.reason.to_owned();
                if round.failed.is_empty() {
                    self.last_ok = Some(Instant::now());
                }
            }
            None => {
                self.implementation = None;
                self.reason = "neither iptables nor nft is installed".to_owned();
            }
        }
        self.problems = round.problems(goal);
        self.stops = round.stops(goal);
    }

    /// Takes over that nothing could be read.
    fn unread(&mut self, error: &FirewallError) {
        self.problems = vec![error.to_string()];
        self.stops = self.problems.first().cloned();
    }
}

/// Puts the rules in place once, at start-up.
///
/// # Errors
/// Only when `goal.ip_masq` cannot be had; forward rules that cannot be had are a problem in the status.
pub async fn install_once(
    goal: &FirewallGoal,
    prefer_nft: bool,
) -> Result<FirewallStatus, FirewallError> {
    install_with(&mut Keeper::new(search_path(), prefer_nft), goal).await
}

/// As [`install_once`], with a keeper that looks for programs where the caller says.
///
/// # Errors
/// As [`install_once`].
pub async fn install_with(
    keeper: &mut Keeper,
    goal: &FirewallGoal,
) -> Result<FirewallStatus, FirewallError> {
    let mut status = FirewallStatus::default();
    match keeper.round(goal).await {
        Ok(round) if round.choice.is_none() && goal.ip_masq => Err(FirewallError::NoProgram),
        Ok(mut round) => {
            let stops = |table: &str| goal.ip_masq && table != FORWARD.table;
            if let Some(at) = round.failed.iter().position(|(table, _)| stops(table)) {
                return Err(round.failed.swap_remove(at).1);
            }
            status.take(&round, goal);
            Ok(status)
        }
        Err(error) if goal.ip_masq => Err(error),
        Err(error) => {
            status.unread(&error);
            Ok(status)
        }
    }
}

/// Removes our rules, chains and table from every implementation, and nothing else. Returns what was
/// removed, one line each.
///
/// # Errors
/// `FirewallError::Exec` when a program fails; no program at all is nothing to remove.
pub async fn uninstall() -> Result<Vec<String>, FirewallError> {
    let programs = Programs::find(&search_path()).await.map_err(exec("read"))?;
    let mut removed = Vec::new();
    let mut unread = None;
    let mut any_read = false;
    for implementation in [Implementation::IptablesNft, Implementation::IptablesLegacy] {
        let Some(iptables) = programs.iptables(implementation) else {
            continue;
        };
        if implementation == Implementation::IptablesLegacy && !legacy_in_use() {
            continue;
        }
        match iptables.save().await {
            Ok(text) => {
                any_read = true;
                let gone = remove_iptables(iptables, &Listing::parse(&text)).await?;
                removed.extend(gone.iter().map(|line| format!("{implementation}: {line}")));
            }
            Err(source) => unread = Some(exec("read")(source)),
        }
    }
    if let Some(nft) = &programs.nft {
        match remove_table(nft).await {
            Ok(there) => {
                any_read = true;
                removed.extend(there.then(|| Implementation::NftTable.to_string()));
            }
            Err(
                error @ FirewallError::Exec {
                    operation: "read", ..
                },
            ) => unread = Some(error),
            Err(error) => return Err(error),
        }
    }
    match unread {
        // A kernel without one of the filters holds nothing in it; without any, something is wrong.
        Some(error) if !any_read => Err(error),
        _ => Ok(removed),
    }
}

/// Holds the rules of the newest goal until `cancel`; `None` = no goal yet, nothing is touched. The
/// rules stay when it ends.
pub async fn guard(
    mut goal: watch::Receiver<Option<FirewallGoal>>,
    options: GuardOptions,
    cancel: CancellationToken,
    status: watch::Sender<FirewallStatus>,
) {
    let watched = !options.resync.is_zero();
    let mut events = Events::new();
    let mut pace = Pace::new(options.resync, tokio::time::Instant::now());
    let mut keeper = Keeper::new(search_path(), options.prefer_nft);
    let mut teller = Teller::default();
    let mut goal_may_change = true;
    loop {
        let wanted = *goal.borrow_and_update();
        if let Some(wanted) = wanted {
            events.forget();
            let round = tokio::select! {
                // Programs that run are killed; a transaction is whole or not at all.
                () = cancel.cancelled() => return,
                round = keeper.round(&wanted) => round,
            };
            let fresh = teller.tell(&wanted, &round);
            let clean = matches!(&round, Ok(r) if r.written.is_empty() && r.failed.is_empty());
            pace.checked(clean, tokio::time::Instant::now());
            status.send_modify(|status| match &round {
                Ok(round) => {
                    status.take(round, &wanted);
                    status.repairs += u64::from(!fresh && !round.written.is_empty());
                }
                Err(error) => status.unread(error),
            });
        }
        // Wait for a reason to check again.
        let mut due = pace.by_time();
        let mut heard = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = goal.changed(), if goal_may_change => match changed {
                    Ok(()) => break,
                    // The last goal stands.
                    Err(_) => goal_may_change = false,
                },
                // One is enough: what comes after it is covered by the same check.
                () = events.changed(), if watched && wanted.is_some() && !heard => {
                    heard = true;
                    let soon = pace.by_event(tokio::time::Instant::now());
                    due = Some(due.map_or(soon, |due| due.min(soon)));
                }
                () = until(due), if wanted.is_some() => break,
            }
        }
    }
}
