//! One server during one sequence.

use std::collections::BTreeMap;

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse,
    PbLeaseGrantRequest, PbLeaseGrantResponse, PbLeaseKeepAliveRequest, PbLeaseKeepAliveResponse,
    PbLeaseLeasesRequest, PbLeaseLeasesResponse, PbLeaseRevokeRequest, PbLeaseRevokeResponse,
    PbLeaseTimeToLiveRequest, PbLeaseTimeToLiveResponse, PbPutRequest, PbPutResponse,
    PbRangeResponse, PbTxnResponse, PbWatchResponse,
};

use super::relative::Base;
use super::requests::Step;
use super::watching::{Seen, Watching};
use super::wire::{Failure, Wire};

/// Long enough that no lease ends, and a second more or less has the same tens.
const TTL: i64 = 10_005;

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Failed(tonic::Code, String),
    Range(PbRangeResponse),
    Put(PbPutResponse),
    Delete(PbDeleteResponse),
    Txn(PbTxnResponse),
    Compact(PbCompactionResponse),
    Grant(PbLeaseGrantResponse),
    Revoke(PbLeaseRevokeResponse),
    TimeToLive(PbLeaseTimeToLiveResponse),
    KeepAlive(PbLeaseKeepAliveResponse),
    Leases(PbLeaseLeasesResponse),
    Watch(PbWatchResponse),
    Unwatch(Option<PbWatchResponse>),
}

fn answer<A>(
    result: Result<A, Failure>,
    wrap: impl Fn(A) -> Answer,
    clean: impl FnOnce(&mut A),
) -> Answer {
    match result {
        Ok(mut answer) => {
            clean(&mut answer);
            wrap(answer)
        }
        Err((code, text)) => Answer::Failed(code, text),
    }
}

/// The server.
pub struct Side {
    wire: Wire,
    base: Base,
    watching: Watching,
    /// The revision of each watcher's last mark.
    marks: BTreeMap<i64, i64>,
}

impl Side {
    /// Empties the server and starts to watch it.
    pub async fn begin(mut wire: Wire, prev_kv: bool) -> Self {
        let leases =
            wire.call::<_, PbLeaseLeasesResponse>("Lease/LeaseLeases", PbLeaseLeasesRequest {});
        for lease in leases.await.unwrap().leases {
            let revoke = PbLeaseRevokeRequest { id: lease.id };
            let revoked = wire.call::<_, PbLeaseRevokeResponse>("Lease/LeaseRevoke", revoke);
            revoked.await.unwrap();
        }
        let all = PbDeleteRequest {
            key: vec![0],
            range_end: vec![0],
            prev_kv: false,
        };
        let deleted = wire
            .call::<_, PbDeleteResponse>("KV/DeleteRange", all)
            .await;
        let base = Base(deleted.unwrap().header.unwrap().revision);
        let watching = Watching::begin(&mut wire, base, prev_kv).await;
        Self {
            wire,
            base,
            watching,
            marks: BTreeMap::new(),
        }
    }

    /// One step.
    pub async fn take(&mut self, step: Step) -> Answer {
        // What a watcher that is behind gets is a race with a compaction and with its own end.
        if matches!(step, Step::Compact(_) | Step::Unwatch(_)) {
            self.settle().await;
        }
        let (wire, base) = (&mut self.wire, self.base);
        match step {
            Step::Range(mut request) => {
                base.range(&mut request);
                let result = wire.call("KV/Range", request).await;
                answer(result, Answer::Range, |found| base.found(found))
            }
            Step::Put(request) => {
                let result = wire.call("KV/Put", request).await;
                answer(result, Answer::Put, |done| base.put(done))
            }
            Step::Delete(request) => {
                let result = wire.call("KV/DeleteRange", request).await;
                answer(result, Answer::Delete, |done| base.deleted(done))
            }
            Step::Txn(mut request) => {
                base.txn(&mut request);
                let result = wire.call("KV/Txn", request).await;
                answer(result, Answer::Txn, |done| base.done(done))
            }
            Step::Compact(later) => {
                let request = PbCompactionRequest {
                    revision: base.0 + later,
                    physical: true,
                };
                let revision = request.revision;
                let result = wire.call("KV/Compact", request).await;
                if result.is_ok() {
                    self.watching.compacted(revision);
                }
                answer(result, Answer::Compact, |done| {
                    base.header(&mut done.header)
                })
            }
            Step::Grant(id) => {
                let request = PbLeaseGrantRequest { ttl: TTL, id };
                let result = wire.call("Lease/LeaseGrant", request).await;
                answer(result, Answer::Grant, |done| base.header(&mut done.header))
            }
            Step::Revoke(id) => {
                let request = PbLeaseRevokeRequest { id };
                let result = wire.call("Lease/LeaseRevoke", request).await;
                answer(result, Answer::Revoke, |done| base.header(&mut done.header))
            }
            Step::TimeToLive(id, keys) => {
                let request = PbLeaseTimeToLiveRequest { id, keys };
                let result = wire.call("Lease/LeaseTimeToLive", request).await;
                answer(
                    result,
                    Answer::TimeToLive,
                    |done: &mut PbLeaseTimeToLiveResponse| {
                        base.header(&mut done.header);
                        done.ttl = if done.ttl > 0 {
                            done.ttl / 10
                        } else {
                            done.ttl
                        };
                        done.keys.sort();
                    },
                )
            }
            Step::KeepAlive(id) => {
                let asked = PbLeaseKeepAliveRequest { id };
                let mut talk = wire.talk("Lease/LeaseKeepAlive", asked).await;
                answer(
                    talk.next().await,
                    Answer::KeepAlive,
                    |done: &mut PbLeaseKeepAliveResponse| {
                        base.header(&mut done.header);
                    },
                )
            }
            Step::Watch(spec) => Answer::Watch(self.watching.watch(spec).await),
            Step::Unwatch(which) => Answer::Unwatch(self.watching.unwatch(which).await),
            Step::Leases => {
                let result = wire
                    .call("Lease/LeaseLeases", PbLeaseLeasesRequest {})
                    .await;
                answer(
                    result,
                    Answer::Leases,
                    |done: &mut PbLeaseLeasesResponse| {
                        base.header(&mut done.header);
                        // In etcd by their end, of which the two know only their own.
                        done.leases.sort_by_key(|lease| lease.id);
                    },
                )
            }
        }
    }

    /// Writes a mark for every watcher and waits until all saw theirs.
    async fn settle(&mut self) {
        for (id, key, delete) in self.watching.marks() {
            let mark = PbPutRequest {
                key: key.clone(),
                value: b"mark".to_vec(),
                ..PbPutRequest::default()
            };
            let put = self.wire.call::<_, PbPutResponse>("KV/Put", mark).await;
            let mut header = put.unwrap().header;
            if delete {
                let mark = PbDeleteRequest {
                    key,
                    ..PbDeleteRequest::default()
                };
                let deleted = self
                    .wire
                    .call::<_, PbDeleteResponse>("KV/DeleteRange", mark);
                header = deleted.await.unwrap().header;
            }
            self.marks.insert(id, header.unwrap().revision);
        }
        for (id, revision) in &self.marks {
            self.watching.reach(*id, *revision).await;
        }
    }

    /// What the watchers saw from their beginning on.
    pub async fn seen(&mut self) -> BTreeMap<i64, Seen> {
        self.settle().await;
        self.watching.seen(&self.marks)
    }
}
