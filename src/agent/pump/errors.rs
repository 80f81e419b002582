//! Tells senders why their packets were not forwarded, at a bounded rate.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Shared;
use crate::forward::counters::Direction;
use crate::packet::{Ipv4, icmp};

/// Most errors in a row, and how often one more is allowed: the kernel's own default limits.
const BURST: u32 = 50;
const EVERY: Duration = Duration::from_millis(1);

/// Sends ICMP errors for one thread.
pub struct Errors {
    left: u32,
    filled: Instant,
}

impl Errors {
    pub fn new() -> Self {
        Self {
            left: BURST,
            filled: Instant::now(),
        }
    }

    /// Sends one error about `offender`, unless too many were sent.
    pub fn send(
        &mut self,
        shared: &Shared,
        counters: &Direction,
        error: icmp::Error,
        offender: &[u8],
    ) {
        let sent = self.allowed() && send(shared, error, offender);
        let counter = if sent {
            &counters.icmp_sent
        } else {
            &counters.icmp_held
        };
        counter.fetch_add(1, Relaxed);
    }

    fn allowed(&mut self) -> bool {
        let now = Instant::now();
        let passed = now.duration_since(self.filled).as_nanos() / EVERY.as_nanos();
        if passed > 0 {
            let fresh = u32::try_from(passed).unwrap_or(BURST);
            self.left = self.left.saturating_add(fresh).min(BURST);
            self.filled = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

fn send(shared: &Shared, error: icmp::Error, offender: &[u8]) -> bool {
    let (Some(raw), Ok(offender)) = (&shared.raw, Ipv4::parse(offender)) else {
        return false;
    };
    let message = icmp::build(error, shared.tunnel_address, &offender);
    raw.send(message.bytes(), offender.source()).is_ok()
}
