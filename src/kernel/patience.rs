//! How long echo requests are waited for: as long as the kernel needs to say that a neighbour does not answer; and less
//! where that will be told by the other node itself, and another path to it has shown how long a round trip takes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Never less: a lost ARP request is repeated after a second.
const LEAST: Duration = Duration::from_millis(1300);
/// An answer that takes so many times the slowest one so far does not come any more.
const ROUND_TRIPS: u32 = 4;

/// What the threads that send know together.
#[derive(Debug)]
pub(super) struct Patience {
    most: Duration,
    watching: BTreeSet<Ipv4Addr>,
    slowest: Mutex<BTreeMap<Ipv4Addr, Duration>>,
}

impl Patience {
    /// With an upper bound, and the nodes that tell themselves what reaches them.
    pub fn new(most: Duration, watching: BTreeSet<Ipv4Addr>) -> Self {
        Self {
            most,
            watching,
            slowest: Mutex::default(),
        }
    }

    /// A node has answered after this time.
    pub fn answered(&self, node: Ipv4Addr, after: Duration) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = slowest.entry(node).or_default();
        *known = after.max(*known);
    }

    /// How long an answer of this node is worth waiting for.
    pub fn with(&self, node: Ipv4Addr) -> Duration {
        let slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        match slowest.get(&node).filter(|_| self.watching.contains(&node)) {
            Some(slowest) => slowest
                .saturating_mul(ROUND_TRIPS)
                .max(LEAST)
                .min(self.most),
            None => self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
    const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 11);
    const MOST: Duration = Duration::from_millis(3100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_node_that_answers_and_watches_is_not_waited_for_long() {
        let patience = Patience::new(MOST, [NEAR, FAR].into());
        assert_eq!(patience.with(NEAR), MOST);
        patience.answered(NEAR, ms(1));
        assert_eq!((patience.with(NEAR), patience.with(FAR)), (LEAST, MOST));
        patience.answered(FAR, ms(200));
        assert_eq!(patience.with(FAR), LEAST);
        patience.answered(FAR, ms(600));
        patience.answered(FAR, ms(200));
        assert_eq!(patience.with(FAR), ms(2400));
        patience.answered(FAR, ms(900));
        assert_eq!(patience.with(FAR), MOST);
    }

    #[test]
    fn without_its_own_words_the_kernels_errors_are_waited_for() {
        let patience = Patience::new(MOST, BTreeSet::new());
        patience.answered(NEAR, ms(1));
        assert_eq!(patience.with(NEAR), MOST);
    }
}
