//! Keeps the firewall rules in place: writes them at start, checks them every few seconds and as soon
//! as the kernel tells of a change, puts them back when they are gone or lost their place, moves them
//! when Docker turns out to use the other iptables. Says a thing once. Must not touch foreign rules.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::kernel::firewall::ExecError;
use crate::plan::firewall::{FirewallGoal, Implementation};

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

/// Puts the rules in place once, at start-up.
///
/// # Errors
/// Only when `goal.ip_masq` cannot be had; forward rules that cannot be had are a problem in the status.
pub async fn install_once(
    _goal: &FirewallGoal,
    _prefer_nft: bool,
) -> Result<FirewallStatus, FirewallError> {
    todo!()
}

/// Removes our rules, chains and table from every implementation, and nothing else. Returns what was
/// removed, one line each.
///
/// # Errors
/// `FirewallError::Exec` when a program fails; no program at all is nothing to remove.
pub async fn uninstall() -> Result<Vec<String>, FirewallError> {
    todo!()
}

/// Holds the rules of the newest goal until `cancel`; `None` = no goal yet, nothing is touched. The
/// rules stay when it ends.
pub async fn guard(
    _goal: watch::Receiver<Option<FirewallGoal>>,
    _options: GuardOptions,
    _cancel: CancellationToken,
    _status: watch::Sender<FirewallStatus>,
) {
    todo!()
}
