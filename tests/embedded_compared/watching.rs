//! The watchers of one sequence on one server: all on one stream, each with what it saw.

use std::collections::BTreeMap;

use etcd_client::proto::{PbEvent, PbResponseHeader, PbWatchRequest, PbWatchResponse};

use super::relative::Base;
use super::wire::{Talk, Watch, Wire, cancel};

/// One watcher.
struct Watcher {
    spec: Watch,
    seen: Seen,
}

/// What a watcher saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub events: Vec<PbEvent>,
    /// Its end: the answer that told it.
    pub end: Option<PbWatchResponse>,
}

/// All watchers of a sequence.
pub struct Watching {
    talk: Talk<PbWatchRequest, PbWatchResponse>,
    base: Base,
    watchers: BTreeMap<i64, Watcher>,
    /// The newest compaction of this sequence.
    compacted: i64,
}

impl Watching {
    /// Begins with a watcher of everything.
    pub async fn begin(wire: &mut Wire, base: Base, prev_kv: bool) -> Self {
        let spec = Watch {
            prev_kv,
            ..Watch::all(base.0 + 1)
        };
        let mut watching = Self {
            talk: wire.watch(spec.clone()).await,
            base,
            watchers: BTreeMap::new(),
            compacted: 0,
        };
        let created = watching.created(spec).await;
        assert!(created.created && !created.canceled, "{created:?}");
        watching
    }

    /// Starts one more; tells the answer.
    pub async fn watch(&mut self, mut spec: Watch) -> PbWatchResponse {
        self.base.later(&mut spec.start);
        let too_late = 0 < spec.start && spec.start < self.compacted;
        self.talk.say(spec.clone().request()).await;
        let created = self.created(spec).await;
        // Its end comes a while later, and would be a race with what follows.
        while too_late && !created.canceled && self.watchers[&created.watch_id].seen.end.is_none() {
            self.hear().await;
        }
        created
    }

    /// History was compacted.
    pub fn compacted(&mut self, revision: i64) {
        self.compacted = self.compacted.max(revision);
    }

    /// Ends one, counted among those that live; tells the answer.
    pub async fn unwatch(&mut self, which: usize) -> Option<PbWatchResponse> {
        let living: Vec<i64> = self.living();
        let id = *living.get(which % living.len().max(1))?;
        self.talk.say(cancel(id)).await;
        while self.watchers[&id].seen.end.is_none() {
            self.hear().await;
        }
        self.watchers[&id].seen.end.clone()
    }

    /// Where to write so that a watcher sees it, and whether it sees a deletion only.
    pub fn marks(&self) -> Vec<(i64, Vec<u8>, bool)> {
        let mut marks = Vec::new();
        for id in self.living() {
            let spec = &self.watchers[&id].spec;
            if spec.filters.contains(&0) && spec.filters.contains(&1) {
                continue;
            }
            // etcd takes an empty key as the first of all.
            let mut key = spec.key.clone();
            if key.is_empty() {
                key.push(0);
            }
            marks.push((id, key, spec.filters.contains(&0)));
        }
        marks
    }

    /// Waits until a watcher saw a revision, unless it begins later or is over.
    pub async fn reach(&mut self, id: i64, revision: i64) {
        while self.watchers[&id].seen.end.is_none()
            && self.watchers[&id].spec.start <= revision
            && self.last(id) < revision
        {
            self.hear().await;
        }
    }

    /// What all saw, each up to its last mark.
    pub fn seen(&self, marks: &BTreeMap<i64, i64>) -> BTreeMap<i64, Seen> {
        let mut all = BTreeMap::new();
        for (id, watcher) in &self.watchers {
            let mut seen = watcher.seen.clone();
            let mark = marks.get(id).copied().unwrap_or(i64::MAX);
            seen.events.retain(|event| revision(event) <= mark);
            seen.events
                .iter_mut()
                .for_each(|event| self.base.event(event));
            all.insert(*id, seen);
        }
        all
    }

    fn living(&self) -> Vec<i64> {
        let living = self
            .watchers
            .iter()
            .filter(|(_, watcher)| watcher.seen.end.is_none());
        living.map(|(id, _)| *id).collect()
    }

    fn last(&self, id: i64) -> i64 {
        self.watchers[&id].seen.events.last().map_or(0, revision)
    }

    async fn created(&mut self, spec: Watch) -> PbWatchResponse {
        loop {
            let Some(created) = self.hear().await else {
                continue;
            };
            if !created.canceled {
                let watcher = Watcher {
                    spec,
                    seen: Seen::default(),
                };
                let before = self.watchers.insert(created.watch_id, watcher);
                // IDs of watchers that are over are given again.
                assert!(before.is_none_or(|before| before.seen.end.is_some()));
            }
            return created;
        }
    }

    /// Takes the next answer; hands it back if it tells of a new watcher.
    async fn hear(&mut self) -> Option<PbWatchResponse> {
        let waiting: Vec<_> = self.watchers.iter().map(|(id, w)| (*id, &w.spec)).collect();
        let next = tokio::time::timeout(super::wire::PATIENCE, self.talk.hear.message()).await;
        let Ok(next) = next else {
            panic!("nothing comes for {waiting:?}");
        };
        let mut answer = next.unwrap().unwrap();
        let revision = answer.header.as_ref().map_or(0, of_header);
        self.base.header(&mut answer.header);
        self.base.earlier(&mut answer.compact_revision);
        if answer.created {
            return Some(answer);
        }
        let watcher = self.watchers.get_mut(&answer.watch_id);
        let watcher = watcher.expect("a watcher that was created");
        if answer.canceled {
            watcher.seen.end = Some(answer);
            return None;
        }
        for event in answer.events {
            let newer = watcher.seen.events.last();
            assert!(newer.is_none_or(|last| self::revision(last) <= self::revision(&event)));
            assert!(self::revision(&event) <= revision, "from the future");
            watcher.seen.events.push(event);
        }
        None
    }
}

fn of_header(header: &PbResponseHeader) -> i64 {
    header.revision
}

fn revision(event: &PbEvent) -> i64 {
    event.kv.as_ref().map_or(0, |item| item.mod_revision)
}
