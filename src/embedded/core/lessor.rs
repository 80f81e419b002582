//! Leases: who lives until when. What keys a lease holds is the keyspace's knowledge.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Refusal;

/// Shortest time to live in seconds: etcd's, with its default election timeout.
pub const MIN_TTL: i64 = 2;
/// Longest time to live in seconds: etcd's.
const MAX_TTL: i64 = 9_000_000_000;

/// What can be told of a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseView {
    /// Whole seconds left.
    pub left: i64,
    /// Seconds granted.
    pub granted: i64,
    /// Its keys.
    pub keys: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Lease {
    ttl: i64,
    end: Instant,
}

/// All leases.
#[derive(Debug, Default)]
pub(super) struct Lessor {
    leases: BTreeMap<i64, Lease>,
}

impl Lessor {
    /// A new lease; tells the seconds granted.
    pub(super) fn grant(&mut self, id: i64, ttl: i64, now: Instant) -> Result<i64, Refusal> {
        if id == 0 {
            return Err(Refusal::LeaseNotFound);
        }
        if ttl > MAX_TTL {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.holds(id) {
            return Err(Refusal::LeaseExists);
        }
        let ttl = ttl.max(MIN_TTL);
        self.leases.insert(
            id,
            Lease {
                ttl,
                end: end(now, ttl),
            },
        );
        Ok(ttl)
    }

    /// Begins a lease's time anew and tells it; none for one that is not there or over.
    pub(super) fn renew(&mut self, id: i64, now: Instant) -> Option<i64> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.end > now)?;
        lease.end = end(now, lease.ttl);
        Some(lease.ttl)
    }

    pub(super) fn holds(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// Takes a lease away; tells whether it was there.
    pub(super) fn remove(&mut self, id: i64) -> bool {
        self.leases.remove(&id).is_some()
    }

    /// Seconds left and granted.
    pub(super) fn times(&self, id: i64, now: Instant) -> Option<(i64, i64)> {
        let lease = self.leases.get(&id)?;
        let left = match lease.end.checked_duration_since(now) {
            Some(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            None => -i64::try_from(now.duration_since(lease.end).as_secs()).unwrap_or(i64::MAX),
        };
        Some((left, lease.ttl))
    }

    /// All, the one that ends first first.
    pub(super) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<(Instant, i64)> = self
            .leases
            .iter()
            .map(|(id, lease)| (lease.end, *id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// Those whose time is over.
    pub(super) fn over(&self, now: Instant) -> Vec<i64> {
        let over = self.leases.iter().filter(|(_, lease)| lease.end <= now);
        over.map(|(id, _)| *id).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.leases.len()
    }
}

fn end(now: Instant, ttl: i64) -> Instant {
    now + Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}
