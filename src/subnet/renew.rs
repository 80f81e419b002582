//! When to refresh the own lease. A small state machine: the keeper tells it what happened and asks for the
//! next deadline. Time comes in as an argument.

use std::time::{Duration, Instant};

/// First pause after a failed renewal; doubles up to `MAX_RETRY`.
const MIN_RETRY: Duration = Duration::from_secs(2);
/// flanneld's pause between tries.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// The life of one lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    margin: Duration,
    expires: Instant,
    next: Instant,
    failures: u32,
}

impl Renewal {
    /// A lease of `ttl`, granted or refreshed at `now`; `margin` is how long before its end a refresh is due
    /// at the latest.
    pub fn new(now: Instant, ttl: Duration, margin: Duration) -> Self {
        let mut renewal = Self {
            margin,
            expires: now,
            next: now,
            failures: 0,
        };
        renewal.renewed(now, ttl);
        renewal
    }

    /// When to refresh: after a third of the TTL, earlier if the margin asks for it.
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// When etcd drops the lease if nothing more is heard of us.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// True when the lease must be gone by now.
    pub fn expired(&self, now: Instant) -> bool {
        now >= self.expires
    }

    /// How many refreshes failed since the last good one.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// etcd confirmed the lease for `ttl` from `now`.
    pub fn renewed(&mut self, now: Instant, ttl: Duration) {
        self.expires = now + ttl;
        self.next = now + (ttl / 3).min(ttl.saturating_sub(self.margin));
        if self.next == now {
            // A margin beyond the whole TTL (a short TTL from a test or another tool) must not spin.
            self.next = now + ttl / 3;
        }
        self.failures = 0;
    }

    /// etcd could not be reached, or refused.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let pause = MIN_RETRY.saturating_mul(1 << (self.failures - 1).min(5));
        self.next = now + pause.min(MAX_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn refreshes_early_and_never_after_the_margin() {
        let now = Instant::now();
        assert_eq!(Renewal::new(now, DAY, HOUR).deadline(), now + DAY / 3);
        assert_eq!(Renewal::new(now, DAY, 23 * HOUR).deadline(), now + HOUR);
        assert_eq!(Renewal::new(now, HOUR, 2 * HOUR).deadline(), now + HOUR / 3);
    }

    #[test]
    fn retries_with_growing_pauses_until_it_has_expired() {
        let now = Instant::now();
        let mut renewal = Renewal::new(now, DAY, HOUR);
        let pauses: Vec<_> = (0..8)
            .map(|_| {
                renewal.failed(now);
                (renewal.deadline() - now).as_secs()
            })
            .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!renewal.expired(now + DAY - HOUR));
        assert!(renewal.expired(now + DAY));
        renewal.renewed(now + DAY, DAY);
        assert_eq!((renewal.failures(), renewal.expired(now + DAY)), (0, false));
    }
}
