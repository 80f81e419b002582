//! The whole store: keys, leases and watchers together, within its limits.

use std::collections::BTreeMap;
use std::time::Instant;

use super::keyspace::Keyspace;
use super::lessor::Lessor;
use super::{
    Delete, Deleted, Found, LeaseView, News, Put, PutDone, Query, Refusal, Span, Transaction,
    TransactionDone, WatchRequest, Watcher,
};

/// What a lease costs, by estimate.
const LEASE: usize = 128;

/// How much the store holds at most, in bytes by estimate.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Keys, values and leases; beyond it writes are refused.
    pub live: usize,
    /// Older versions; beyond it the oldest half is compacted, as etcd's auto-compaction would.
    pub history: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            live: 128 << 20,
            history: 64 << 20,
        }
    }
}

/// The store.
#[derive(Debug)]
pub struct Store {
    space: Keyspace,
    lessor: Lessor,
    watchers: BTreeMap<u64, Watcher>,
    limits: Limits,
    last_watcher: u64,
    applied: u64,
}

impl Store {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            space: Keyspace::new(),
            lessor: Lessor::default(),
            watchers: BTreeMap::new(),
            limits,
            last_watcher: 0,
            applied: 0,
        }
    }

    /// The newest revision.
    pub fn revision(&self) -> i64 {
        self.space.revision()
    }

    /// The revision of the last compaction; -1 before the first.
    pub fn compacted(&self) -> i64 {
        self.space.compacted()
    }

    /// Requests that changed or could have changed the store.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Bytes in all and bytes in use, by estimate.
    pub fn size(&self) -> (usize, usize) {
        let live = self.space.live() + self.lessor.count() * LEASE;
        (live + self.space.superseded(), live)
    }

    /// Writes that history holds.
    pub fn history(&self) -> usize {
        self.space.writes()
    }

    /// Reads a range.
    pub fn range(&self, query: &Query) -> Result<Found, Refusal> {
        query.check()?;
        self.space.read(query)
    }

    /// Writes a key.
    pub fn put(&mut self, put: &Put) -> Result<PutDone, Refusal> {
        put.check()?;
        self.room()?;
        self.applied += 1;
        let done = self.space.apply_put(&self.lessor, put)?;
        self.space.commit();
        self.stay_bounded();
        Ok(done)
    }

    /// Deletes a range.
    pub fn delete(&mut self, delete: &Delete) -> Result<Deleted, Refusal> {
        delete.check()?;
        self.applied += 1;
        let done = self.space.apply_delete(delete);
        self.space.commit();
        self.stay_bounded();
        Ok(done)
    }

    /// Runs a transaction.
    pub fn transact(&mut self, transaction: &Transaction) -> Result<TransactionDone, Refusal> {
        transaction.check()?;
        if transaction.puts() {
            self.room()?;
        }
        self.applied += 1;
        let done = self.space.transact(&self.lessor, transaction)?;
        self.stay_bounded();
        Ok(done)
    }

    /// Forgets history below a revision.
    pub fn compact(&mut self, revision: i64) -> Result<(), Refusal> {
        self.applied += 1;
        self.space.compact(revision)?;
        self.forget();
        Ok(())
    }

    /// A new lease; tells the seconds granted.
    pub fn grant(&mut self, id: i64, ttl: i64, now: Instant) -> Result<i64, Refusal> {
        self.room()?;
        self.applied += 1;
        self.lessor.grant(id, ttl, now)
    }

    /// Whether a lease is there.
    pub fn has_lease(&self, id: i64) -> bool {
        self.lessor.holds(id)
    }

    /// Ends a lease and deletes its keys, in one revision.
    pub fn revoke(&mut self, id: i64) -> Result<(), Refusal> {
        self.applied += 1;
        if !self.lessor.remove(id) {
            return Err(Refusal::LeaseNotFound);
        }
        for key in self.space.leased(id) {
            self.space.delete(&Span::key(key.to_vec()));
        }
        self.space.commit();
        self.stay_bounded();
        Ok(())
    }

    /// Begins a lease's time anew and tells it; 0 for one that is gone.
    pub fn keep_alive(&mut self, id: i64, now: Instant) -> i64 {
        self.lessor.renew(id, now).unwrap_or(0)
    }

    /// What is known of a lease.
    pub fn lease(&self, id: i64, with_keys: bool, now: Instant) -> Option<LeaseView> {
        let (left, granted) = self.lessor.times(id, now)?;
        let keys = if with_keys {
            self.space.leased(id)
        } else {
            Vec::new()
        };
        let keys = keys.iter().map(|key| key.to_vec()).collect();
        Some(LeaseView {
            left,
            granted,
            keys,
        })
    }

    /// All leases, the one that ends first first.
    pub fn leases(&self) -> Vec<i64> {
        self.lessor.ids()
    }

    /// Ends the leases whose time is over; tells whether there were any.
    pub fn expire(&mut self, now: Instant) -> bool {
        let over = self.lessor.over(now);
        for id in &over {
            // It is there: it was found a moment ago.
            self.revoke(*id).ok();
        }
        !over.is_empty()
    }

    /// Starts a watcher.
    pub fn watch(&mut self, request: WatchRequest) -> Result<u64, Refusal> {
        let watcher = Watcher::new(request, &self.space)?;
        self.last_watcher += 1;
        self.watchers.insert(self.last_watcher, watcher);
        Ok(self.last_watcher)
    }

    /// What a watcher gets next. After [`News::Compacted`] it is gone.
    pub fn news(&mut self, watcher: u64) -> News {
        let revision = self.space.revision();
        let Some(found) = self.watchers.get_mut(&watcher) else {
            return News::Nothing(revision);
        };
        let news = found.read(&self.space);
        if matches!(news, News::Compacted(_)) {
            self.watchers.remove(&watcher);
        }
        self.forget();
        news
    }

    /// Ends a watcher.
    pub fn unwatch(&mut self, watcher: u64) {
        self.watchers.remove(&watcher);
        self.forget();
    }

    fn room(&self) -> Result<(), Refusal> {
        if self.size().1 >= self.limits.live {
            return Err(Refusal::NoSpace);
        }
        Ok(())
    }

    /// Drops compacted history, as far as no watcher is still behind it.
    fn forget(&mut self) {
        let compacted = self.space.compacted();
        if compacted <= self.space.forgotten() {
            return;
        }
        let needed = self.watchers.values().map(Watcher::next).min();
        self.space
            .forget(needed.map_or(compacted, |needed| compacted.min(needed - 1)));
    }

    /// Keeps history within its limit, also against watchers that do not read on.
    fn stay_bounded(&mut self) {
        let half = self.limits.history / 2;
        if self.space.superseded() <= self.limits.history {
            return;
        }
        for revision in [self.space.revision_freeing(half), self.space.revision()] {
            if self.space.superseded() <= self.limits.history {
                return;
            }
            // Refused only when this much is compacted already.
            self.space.compact(revision).ok();
            self.space.forget(revision);
        }
    }
}
