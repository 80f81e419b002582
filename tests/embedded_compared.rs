//! The same random operation sequences (proptest) on the embedded store and on a real etcd: every answer,
//! error and event is the same. `PROPTEST_CASES` runs more of them.

#![allow(clippy::unwrap_used)]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "embedded_compared/relative.rs"]
mod relative;
#[path = "embedded_compared/requests.rs"]
mod requests;
#[path = "support/wire.rs"]
mod wire;

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbEvent,
    PbLeaseGrantRequest, PbLeaseGrantResponse, PbLeaseKeepAliveRequest, PbLeaseKeepAliveResponse,
    PbLeaseLeasesRequest, PbLeaseLeasesResponse, PbLeaseRevokeRequest, PbLeaseRevokeResponse,
    PbLeaseTimeToLiveRequest, PbLeaseTimeToLiveResponse, PbPutRequest, PbPutResponse,
    PbRangeResponse, PbTxnResponse, PbWatchRequest, PbWatchResponse,
};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use embedded::Embedded;
use etcd::Etcd;
use relative::Base;
use requests::{Step, steps};
use wire::{Talk, Watch, Wire};

/// Sequences in an ordinary run.
const CASES: u32 = 60;
/// Long enough that no lease ends, and a second more or less has the same tens.
const TTL: i64 = 10_005;
/// A key that sequences do not write, to know where the events end.
const END: &[u8] = b"\xff\xff end";

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
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
}

fn answer<A>(
    result: Result<A, wire::Failure>,
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

/// One server during one sequence.
struct Side {
    wire: Wire,
    base: Base,
    watch: Talk<PbWatchRequest, PbWatchResponse>,
}

impl Side {
    /// Empties the server and starts to watch it.
    async fn begin(mut wire: Wire, prev_kv: bool) -> Self {
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
        let all = Watch {
            prev_kv,
            ..Watch::all(base.0 + 1)
        };
        let mut watch = wire.watch(all).await;
        assert!(watch.next().await.unwrap().created);
        Self { wire, base, watch }
    }

    async fn take(&mut self, step: Step) -> Answer {
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
                let result = wire.call("KV/Compact", request).await;
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

    /// What the watcher saw from the beginning on.
    async fn events(&mut self) -> Vec<PbEvent> {
        let end = PbPutRequest {
            key: END.to_vec(),
            ..PbPutRequest::default()
        };
        self.wire
            .call::<_, PbPutResponse>("KV/Put", end)
            .await
            .unwrap();
        let mut events = Vec::new();
        loop {
            let news = self.watch.next().await.unwrap();
            assert!(!news.canceled, "{news:?}");
            for mut event in news.events {
                if event.kv.as_ref().unwrap().key == END {
                    return events;
                }
                self.base.event(&mut event);
                events.push(event);
            }
        }
    }
}

/// Runs a sequence on both; tells the first difference.
async fn compare(real: Wire, ours: Wire, sequence: &[Step]) -> Result<(), String> {
    // What was before an event can be gone with a compaction, sooner or later.
    let compacts = sequence.iter().any(|step| matches!(step, Step::Compact(_)));
    let mut real = Side::begin(real, !compacts).await;
    let mut ours = Side::begin(ours, !compacts).await;
    for step in sequence {
        let theirs = real.take(step.clone()).await;
        if matches!(
            &theirs,
            Answer::Failed(tonic::Code::Unavailable | tonic::Code::Unknown, _)
        ) {
            return Err(format!("{step:#?}\netcd ended: {theirs:?}"));
        }
        let own = ours.take(step.clone()).await;
        if theirs != own {
            return Err(format!(
                "{step:#?}\netcd:     {theirs:?}\nembedded: {own:?}"
            ));
        }
    }
    let (theirs, own) = (real.events().await, ours.events().await);
    if theirs != own {
        return Err(format!("events\netcd:     {theirs:#?}\nembedded: {own:#?}"));
    }
    Ok(())
}

#[test]
fn random_sequences_have_the_same_answers() {
    let (real, ours) = (Etcd::start(), Embedded::start());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connect = |url: &str| runtime.block_on(Wire::connect(url));
    let (theirs, own) = (connect(&real.url), connect(&ours.url));
    let cases = std::env::var("PROPTEST_CASES").ok();
    let config = Config {
        cases: cases.map_or(CASES, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&steps(), |sequence| {
        let compared = runtime.block_on(compare(theirs.clone(), own.clone(), &sequence));
        compared.map_err(TestCaseError::fail)
    });
    if let Err(error) = checked {
        panic!("{error}\netcd's log: {}", real.log());
    }
}
