//! The embedded store under load: many watchers, one that does not read, more than it may hold. Its memory
//! stays bounded, and what it cannot do it says.

#![allow(clippy::unwrap_used)]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/wire.rs"]
mod wire;

use etcd_client::proto::{
    PbDeleteRequest, PbDeleteResponse, PbPutRequest, PbPutResponse, PbStatusRequest,
    PbStatusResponse,
};
use flannelctl::embedded::{Limits, Options};
use tonic::Code;

use embedded::Embedded;
use wire::{Watch, Wire};

fn put(key: &str, bytes: usize) -> PbPutRequest {
    PbPutRequest {
        key: key.into(),
        value: vec![b'x'; bytes],
        ..PbPutRequest::default()
    }
}

/// Bytes of memory that this process, which the store is part of, has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_watchers_see_every_write_in_order() {
    let store = Embedded::start();
    let mut wire = Wire::connect(&store.url).await;
    let mut watchers = Vec::new();
    for _ in 0..50 {
        let mut watch = wire.watch(Watch::all(0)).await;
        assert!(watch.next().await.unwrap().created);
        watchers.push(watch);
    }
    for i in 0..200 {
        let done = wire.call::<_, PbPutResponse>("KV/Put", put(&format!("k{i}"), 10));
        done.await.unwrap();
    }
    for watch in &mut watchers {
        let mut seen = Vec::new();
        while seen.len() < 200 {
            let events = watch.next().await.unwrap().events;
            seen.extend(events.into_iter().map(|e| e.kv.unwrap().mod_revision));
        }
        assert_eq!(seen, (2..202).collect::<Vec<i64>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_does_not_read_costs_no_memory_and_is_told_so() {
    const VALUE: usize = 64 << 10;
    const WRITES: usize = 3200;
    let limits = Limits {
        live: 1 << 20,
        history: 4 << 20,
    };
    let store = Embedded::start_with(Options {
        limits,
        ..Options::default()
    });
    let mut slow = Wire::connect(&store.url).await.watch(Watch::all(0)).await;
    assert!(slow.next().await.unwrap().created);
    let mut wire = Wire::connect(&store.url).await;
    let before = resident();
    for _ in 0..WRITES {
        let done = wire.call::<_, PbPutResponse>("KV/Put", put("a", VALUE));
        done.await.unwrap();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < WRITES * VALUE / 4, "{grown} bytes more");
    let status = wire.call::<_, PbStatusResponse>("Maintenance/Status", PbStatusRequest {});
    let size = usize::try_from(status.await.unwrap().db_size).unwrap();
    assert!(size <= limits.live + limits.history, "{size}");

    // What was on its way, then its end.
    let (mut seen, mut end) = (0, None);
    while end.is_none() {
        let answer = slow.next().await.unwrap();
        seen += answer.events.len();
        end = answer.canceled.then_some(answer.compact_revision);
    }
    assert!((1..WRITES).contains(&seen), "{seen}");
    assert!(end.unwrap() > 2, "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_refuses_writes_until_there_is_room() {
    let limits = Limits {
        live: 256 << 10,
        history: 256 << 10,
    };
    let store = Embedded::start_with(Options {
        limits,
        ..Options::default()
    });
    let mut wire = Wire::connect(&store.url).await;
    let mut written = 0;
    let refused = loop {
        let next = put(&format!("k{written}"), 16 << 10);
        match wire.call::<_, PbPutResponse>("KV/Put", next).await {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.0, Code::ResourceExhausted);
    assert_eq!(refused.1, "etcdserver: mvcc: database space exceeded");
    assert!((8..=17).contains(&written), "{written}");
    let all = PbDeleteRequest {
        key: vec![0],
        range_end: vec![0],
        prev_kv: false,
    };
    let deleted = wire.call::<_, PbDeleteResponse>("KV/DeleteRange", all);
    assert_eq!(deleted.await.unwrap().deleted, written);
    let again = wire.call::<_, PbPutResponse>("KV/Put", put("a", 16 << 10));
    again.await.unwrap();
}
