//! Watchers: each a place in history, read on when its client has room. Nothing is queued.

use super::keyspace::Keyspace;
use super::{Item, Refusal, Span};

/// Most revisions, and about the most bytes, in one batch. A revision is never split.
const BATCH_REVISIONS: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;

/// What to watch.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "etcd's own names")]
pub struct WatchRequest {
    pub span: Span,
    /// 0: from now on.
    pub start_revision: i64,
    pub prev_kv: bool,
    pub no_put: bool,
    pub no_delete: bool,
}

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The key as it is now; of a deleted one only key and `mod_revision`.
    pub item: Item,
    /// It was deleted.
    pub deleted: bool,
    /// What was there, when asked for and still known.
    pub before: Option<Item>,
}

/// What a watcher gets next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// Events, and the store's revision when they were read.
    Changes(Vec<Change>, i64),
    /// Nothing up to this revision.
    Nothing(i64),
    /// History was compacted at this revision, and the watcher needs older events. It is over.
    Compacted(i64),
}

/// A place in history.
#[derive(Clone, Debug)]
pub struct Watcher {
    request: WatchRequest,
    /// The next revision to look at.
    next: i64,
    /// Its history was compacted before it came.
    too_late: bool,
}

impl Watcher {
    /// Starts watching.
    pub(super) fn new(request: WatchRequest, space: &Keyspace) -> Result<Self, Refusal> {
        if request.span.is_empty() {
            return Err(Refusal::EmptyWatchRange);
        }
        let next = match request.start_revision {
            0 => space.revision() + 1,
            revision => revision,
        };
        let too_late = next < space.compacted();
        Ok(Self {
            request,
            next,
            too_late,
        })
    }

    /// The oldest revision it still needs.
    pub(super) fn next(&self) -> i64 {
        if self.too_late { i64::MAX } else { self.next }
    }

    /// Reads on.
    pub(super) fn read(&mut self, space: &Keyspace) -> News {
        if self.too_late || self.next < space.forgotten() {
            return News::Compacted(space.compacted());
        }
        let revision = space.revision();
        let mut changes = Vec::new();
        let (mut revisions, mut bytes, mut last) = (0, 0, 0);
        for write in space.since(self.next) {
            if !self.request.span.holds(&write.key) {
                continue;
            }
            if write.at.main != last {
                if revisions == BATCH_REVISIONS || bytes >= BATCH_BYTES {
                    self.next = write.at.main;
                    return News::Changes(changes, revision);
                }
                last = write.at.main;
            }
            let deleted = write.item.is_none();
            if (deleted && self.request.no_delete) || (!deleted && self.request.no_put) {
                continue;
            }
            let item = write.item.unwrap_or_else(|| Item {
                key: write.key,
                mod_revision: write.at.main,
                ..Item::default()
            });
            let change = self.change(space, item, deleted);
            bytes += size(&change.item) + change.before.as_ref().map_or(0, size);
            revisions += usize::from(
                changes
                    .last()
                    .is_none_or(|before: &Change| before.item.mod_revision != last),
            );
            changes.push(change);
        }
        self.next = self.next.max(revision + 1);
        if changes.is_empty() {
            return News::Nothing(revision);
        }
        News::Changes(changes, revision)
    }

    fn change(&self, space: &Keyspace, item: Item, deleted: bool) -> Change {
        let created = !deleted && item.create_revision == item.mod_revision;
        let mut before = None;
        if self.request.prev_kv && !created && item.mod_revision > space.compacted() {
            before = space
                .items(&Span::key(item.key.to_vec()), item.mod_revision - 1)
                .next();
        }
        Change {
            item,
            deleted,
            before,
        }
    }
}

fn size(item: &Item) -> usize {
    item.key.len() + item.value.len() + 32
}
