//! When the guard checks again: by time, by event, and slower when something undoes what it does.

use std::time::Duration;

use tokio::time::Instant;

use crate::kernel::firewall::RuleEvents;

/// An event is followed by a check after this long, so that one check covers a burst.
const SETTLE: Duration = Duration::from_millis(100);
/// Two checks are at least this far apart, whatever happens.
const APART: Duration = Duration::from_secs(1);
/// So many checks in a row may find something to do before slowing down: the restart of a firewall
/// comes in steps. More mean that someone else wants it otherwise, or that writing fails.
const PATIENCE: u32 = 5;
/// Where slowing down ends.
const SLOWEST: Duration = Duration::from_secs(60);

/// The time between checks.
pub(super) struct Pace {
    resync: Duration,
    last: Instant,
    /// Checks in a row that found something to do.
    busy: u32,
}

impl Pace {
    pub(super) fn new(resync: Duration, now: Instant) -> Self {
        Self {
            resync,
            last: now,
            busy: 0,
        }
    }

    /// A check ended; `clean` = all was right and nothing had to be done.
    pub(super) fn checked(&mut self, clean: bool, now: Instant) {
        self.last = now;
        self.busy = if clean {
            0
        } else {
            self.busy.saturating_add(1)
        };
    }

    fn apart(&self) -> Duration {
        let doublings = self.busy.saturating_sub(PATIENCE).min(6);
        (APART * (1 << doublings)).min(SLOWEST)
    }

    /// The next check without an event; `None` = none.
    pub(super) fn by_time(&self) -> Option<Instant> {
        (!self.resync.is_zero()).then(|| self.last + self.resync.max(self.apart()))
    }

    /// The next check after an event now.
    pub(super) fn by_event(&self, now: Instant) -> Instant {
        (now + SETTLE).max(self.last + self.apart())
    }
}

/// Sleeps until then, or for ever.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Changes of nftables, where the kernel tells of them; else silence.
pub(super) struct Events(Option<RuleEvents>);

impl Events {
    pub(super) fn new() -> Self {
        Self(
            RuleEvents::open()
                .inspect_err(|error| {
                    tracing::debug!(%error, "no events of firewall changes; checking by time alone");
                })
                .ok(),
        )
    }

    pub(super) fn forget(&self) {
        if let Some(events) = &self.0 {
            events.forget();
        }
    }

    pub(super) async fn changed(&mut self) {
        if let Some(events) = &self.0 {
            match events.changed().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(%error, "events of firewall changes ended; checking by time alone");
                    self.0 = None;
                }
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarrel_is_slowed_down_and_forgotten_after_a_clean_check() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(5), now);
        for _ in 0..PATIENCE {
            pace.checked(false, now);
        }
        assert_eq!(pace.by_event(now), now + APART);
        assert_eq!(pace.by_event(now + APART), now + APART + SETTLE);
        pace.checked(false, now);
        assert_eq!(pace.by_event(now), now + APART * 2);
        for _ in 0..40 {
            pace.checked(false, now);
        }
        assert_eq!(pace.by_event(now), now + SLOWEST);
        assert_eq!(pace.by_time(), Some(now + SLOWEST));
        pace.checked(true, now);
        assert_eq!(pace.by_event(now), now + APART);
        assert_eq!(pace.by_time(), Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn a_resync_of_zero_never_comes() {
        assert_eq!(Pace::new(Duration::ZERO, Instant::now()).by_time(), None);
    }
}
