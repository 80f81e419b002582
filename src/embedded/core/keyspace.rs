//! Keys, each with its versions, and the order in which they were written (MVCC).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Refusal, Span};

/// Shared bytes: an answer holds them without a copy while the store goes on.
pub(super) type Bytes = Arc<[u8]>;

/// What an entry costs beside its bytes, by estimate.
const ENTRY: usize = 160;

/// A key as it stood at a revision.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs, reason = "etcd's own names")]
pub struct Item {
    pub key: Arc<[u8]>,
    pub value: Arc<[u8]>,
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    pub lease: i64,
}

/// When: the revision, and the place among the writes of one transaction.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Moment {
    pub(super) main: i64,
    pub(super) sub: i64,
}

/// One version of a key.
#[derive(Clone, Debug)]
struct Version {
    at: Moment,
    create: i64,
    count: i64,
    lease: i64,
    /// None: deleted.
    value: Option<Bytes>,
}

impl Version {
    fn item(&self, key: &Bytes) -> Option<Item> {
        Some(Item {
            key: key.clone(),
            value: self.value.clone()?,
            create_revision: self.create,
            mod_revision: self.at.main,
            version: self.count,
            lease: self.lease,
        })
    }
}

/// One write, as a watcher sees it.
pub(super) struct Write {
    pub(super) at: Moment,
    pub(super) key: Bytes,
    /// None: deleted.
    pub(super) item: Option<Item>,
}

/// All keys with their history.
#[derive(Debug)]
pub(super) struct Keyspace {
    keys: BTreeMap<Bytes, Vec<Version>>,
    history: BTreeMap<Moment, Bytes>,
    by_lease: BTreeMap<i64, BTreeSet<Bytes>>,
    revision: i64,
    /// Place of the next write in the transaction that is open.
    sub: i64,
    /// Reads below are refused.
    compacted: i64,
    /// Superseded versions up to here are gone; behind `compacted` while a watcher still needs them.
    forgotten: i64,
    live: usize,
    superseded: usize,
}

impl Keyspace {
    /// Empty, with etcd's first revision.
    pub(super) fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            history: BTreeMap::new(),
            by_lease: BTreeMap::new(),
            revision: 1,
            sub: 0,
            compacted: -1,
            forgotten: -1,
            live: 0,
            superseded: 0,
        }
    }

    /// The newest committed revision.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision that a read sees now: inside a transaction that wrote, already its own.
    pub(super) fn seen(&self) -> i64 {
        self.revision + i64::from(self.sub > 0)
    }

    /// Oldest revision that can be read; -1 before the first compaction.
    pub(super) fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Watchers below have lost events.
    pub(super) fn forgotten(&self) -> i64 {
        self.forgotten
    }

    /// Bytes of what can be read at the newest revision, by estimate.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Bytes of older versions, by estimate.
    pub(super) fn superseded(&self) -> usize {
        self.superseded
    }

    /// Writes in history.
    pub(super) fn writes(&self) -> usize {
        self.history.len()
    }

    /// The revision to read at for a requested one.
    pub(super) fn readable(&self, requested: i64) -> Result<i64, Refusal> {
        if requested > self.seen() {
            return Err(Refusal::FutureRevision);
        }
        let revision = if requested <= 0 {
            self.seen()
        } else {
            requested
        };
        if revision < self.compacted {
            return Err(Refusal::Compacted);
        }
        Ok(revision)
    }

    /// Keys of a span as they stood at a revision, in order.
    pub(super) fn items(&self, span: &Span, revision: i64) -> impl Iterator<Item = Item> {
        let bounds = span.bounds();
        let range = bounds.map(|bounds| self.keys.range::<[u8], _>(bounds));
        range
            .into_iter()
            .flatten()
            .filter_map(move |(key, versions)| {
                let older = versions.partition_point(|version| version.at.main <= revision);
                versions[..older].last()?.item(key)
            })
    }

    /// A key now.
    pub(super) fn item(&self, key: &[u8]) -> Option<Item> {
        let (key, versions) = self.keys.get_key_value(key)?;
        versions.last()?.item(key)
    }

    /// Keys with a lease, in order.
    pub(super) fn leased(&self, lease: i64) -> Vec<Bytes> {
        let keys = self.by_lease.get(&lease);
        keys.into_iter().flatten().cloned().collect()
    }

    /// Writes a key in the open transaction.
    pub(super) fn put(&mut self, key: &[u8], value: Bytes, lease: i64) {
        let before = self.item(key);
        let main = self.revision + 1;
        let (create, count) = before.map_or((main, 1), |before| {
            (before.create_revision, before.version + 1)
        });
        self.write(
            key,
            Version {
                at: self.moment(),
                create,
                count,
                lease,
                value: Some(value),
            },
        );
    }

    /// Deletes the keys of a span in the open transaction; tells how many.
    pub(super) fn delete(&mut self, span: &Span) -> i64 {
        let keys: Vec<Bytes> = self.items(span, self.seen()).map(|item| item.key).collect();
        for key in &keys {
            self.write(
                key,
                Version {
                    at: self.moment(),
                    create: 0,
                    count: 0,
                    lease: 0,
                    value: None,
                },
            );
        }
        i64::try_from(keys.len()).unwrap_or(i64::MAX)
    }

    fn moment(&self) -> Moment {
        Moment {
            main: self.revision + 1,
            sub: self.sub,
        }
    }

    fn write(&mut self, key: &[u8], version: Version) {
        let key = self
            .keys
            .get_key_value(key)
            .map_or_else(|| Bytes::from(key), |(key, _)| key.clone());
        let versions = self.keys.entry(key.clone()).or_default();
        let before = versions.last().cloned();
        let (at, lease) = (version.at, version.lease);
        let cost = cost(&key, &version);
        if version.value.is_some() {
            self.live += cost;
        } else {
            self.superseded += cost;
        }
        versions.push(version);
        self.history.insert(at, key.clone());
        self.sub += 1;
        if let Some(before) = before.filter(|before| before.value.is_some()) {
            let cost = self::cost(&key, &before);
            self.live -= cost;
            self.superseded += cost;
            self.attach(&key, before.lease, lease);
        } else {
            self.attach(&key, 0, lease);
        }
    }

    fn attach(&mut self, key: &Bytes, before: i64, now: i64) {
        if before == now {
            return;
        }
        if let Some(keys) = self.by_lease.get_mut(&before) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_lease.remove(&before);
            }
        }
        if now != 0 {
            self.by_lease.entry(now).or_default().insert(key.clone());
        }
    }

    /// Ends the transaction: what it wrote is a revision. Tells whether it wrote.
    pub(super) fn commit(&mut self) -> bool {
        let wrote = self.sub > 0;
        self.revision += i64::from(wrote);
        self.sub = 0;
        wrote
    }

    /// Ends the transaction as if it had not been.
    pub(super) fn roll_back(&mut self) {
        let first = Moment {
            main: self.revision + 1,
            sub: 0,
        };
        for key in self.history.split_off(&first).into_values().rev() {
            let Some(versions) = self.keys.get_mut(&key) else {
                continue;
            };
            let Some(undone) = versions.pop() else {
                continue;
            };
            let before = versions
                .last()
                .filter(|before| before.value.is_some())
                .cloned();
            if versions.is_empty() {
                self.keys.remove(&key);
            }
            let cost = self::cost(&key, &undone);
            if undone.value.is_some() {
                self.live -= cost;
            } else {
                self.superseded -= cost;
            }
            if let Some(before) = &before {
                let cost = self::cost(&key, before);
                self.live += cost;
                self.superseded -= cost;
            }
            self.attach(&key, undone.lease, before.map_or(0, |before| before.lease));
        }
        self.sub = 0;
    }

    /// Refuses reads below a revision from now on.
    pub(super) fn compact(&mut self, revision: i64) -> Result<(), Refusal> {
        if revision <= self.compacted {
            return Err(Refusal::Compacted);
        }
        if revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        self.compacted = revision;
        Ok(())
    }

    /// Drops what no read at `compacted` or later can see, as far as `revision` (inclusive).
    pub(super) fn forget(&mut self, revision: i64) {
        let until = revision.min(self.compacted);
        if until <= self.forgotten {
            return;
        }
        self.forgotten = until;
        let end = Moment {
            main: until + 1,
            sub: 0,
        };
        let touched: BTreeSet<Bytes> = self
            .history
            .range(..end)
            .map(|(_, key)| key.clone())
            .collect();
        for key in touched {
            let Some(versions) = self.keys.get_mut(&key) else {
                continue;
            };
            let older = versions.partition_point(|version| version.at < end);
            let keeps = older > 0 && versions[older - 1].value.is_some();
            for gone in versions.drain(..older - usize::from(keeps)) {
                self.superseded -= cost(&key, &gone);
                self.history.remove(&gone.at);
            }
            if versions.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// The revision up to which history has to be forgotten to free about `bytes`.
    pub(super) fn revision_freeing(&self, bytes: usize) -> i64 {
        let mut freed = 0;
        for (at, key) in &self.history {
            let versions = self.keys.get(key).map_or(&[][..], Vec::as_slice);
            let newest = versions
                .last()
                .is_some_and(|last| last.at == *at && last.value.is_some());
            let version = versions.iter().find(|version| version.at == *at);
            if let Some(version) = version.filter(|_| !newest) {
                freed += cost(key, version);
            }
            if freed >= bytes {
                return at.main;
            }
        }
        self.revision
    }

    /// Committed writes from a revision on, oldest first.
    pub(super) fn since(&self, revision: i64) -> impl Iterator<Item = Write> {
        let first = Moment {
            main: revision,
            sub: 0,
        };
        let committed = self.revision;
        let writes = self.history.range(first..);
        let writes = writes.take_while(move |(at, _)| at.main <= committed);
        writes.filter_map(|(at, key)| {
            let versions = self.keys.get(key)?;
            let found = versions
                .binary_search_by_key(at, |version| version.at)
                .ok()?;
            Some(Write {
                at: *at,
                key: key.clone(),
                item: versions[found].item(key),
            })
        })
    }
}

fn cost(key: &Bytes, version: &Version) -> usize {
    ENTRY + key.len() + version.value.as_ref().map_or(0, |value| value.len())
}
