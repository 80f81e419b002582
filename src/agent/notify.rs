//! What systemd is told: READY after the first reconcile, the watchdog while the agent is healthy, STOPPING.

use std::time::Duration;

use sd_notify::NotifyState;

/// The network is up: `subnet.env` is written and peers are programmed.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The agent is going down on purpose.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The agent is alive.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// A word for `systemctl status`.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// How often the watchdog must hear from us: half of what the unit allows. `None` without a watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(states: &[NotifyState<'_>]) {
    // Without NOTIFY_SOCKET this does nothing and succeeds.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd cannot be told: {error}");
    }
}
