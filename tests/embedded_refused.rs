//! Requests that no good client sends: the embedded store refuses them with etcd's own code and text.

#![allow(clippy::unwrap_used)]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "embedded_refused/pair.rs"]
mod pair;
#[path = "embedded_refused/watchers.rs"]
mod watchers;
#[path = "support/wire.rs"]
mod wire;

use std::io::{Read, Write};

use etcd_client::proto::{
    PbAlarmRequest, PbAlarmResponse, PbCompactionRequest, PbCompactionResponse, PbCompare,
    PbDeleteRequest, PbDeleteResponse, PbLeaseGrantRequest, PbLeaseGrantResponse,
    PbLeaseKeepAliveRequest, PbLeaseKeepAliveResponse, PbLeaseRevokeRequest, PbLeaseRevokeResponse,
    PbLeaseTimeToLiveRequest, PbLeaseTimeToLiveResponse, PbMoveLeaderRequest, PbMoveLeaderResponse,
    PbPutRequest, PbPutResponse, PbRangeRequest, PbRangeResponse, PbTxnOpRequest, PbTxnRequest,
    PbTxnRequestOp, PbTxnResponse,
};
use tonic::Code;

use embedded::Embedded;
use pair::{Pair, put, range};
use wire::{PATIENCE, Talk};

fn operation(request: PbTxnOpRequest) -> PbTxnRequestOp {
    PbTxnRequestOp {
        request: Some(request),
    }
}

fn success(operations: Vec<PbTxnOpRequest>) -> PbTxnRequest {
    PbTxnRequest {
        success: operations.into_iter().map(operation).collect(),
        ..PbTxnRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_that_cannot_be() {
    let mut pair = Pair::start().await;
    let lease = PbPutRequest {
        lease: 77,
        ..put("a")
    };
    let ignore_value = PbPutRequest {
        ignore_value: true,
        ..put("a")
    };
    let ignore_lease = PbPutRequest {
        ignore_lease: true,
        ..lease.clone()
    };
    let absent = PbPutRequest {
        value: Vec::new(),
        ..ignore_value.clone()
    };
    for (what, request) in [
        ("an empty key", put("")),
        ("an unknown lease", lease),
        ("a value to be ignored", ignore_value),
        ("a lease to be ignored", ignore_lease),
        ("an absent key's value", absent),
        (
            "an absent key's lease",
            PbPutRequest {
                ignore_lease: true,
                ..put("a")
            },
        ),
    ] {
        pair.refused::<_, PbPutResponse>(what, "KV/Put", request)
            .await;
    }
    pair.refused::<_, PbRangeResponse>("an empty key", "KV/Range", range("", "b"))
        .await;
    let future = PbRangeRequest {
        revision: 99,
        ..range("a", "")
    };
    pair.refused::<_, PbRangeResponse>("the future", "KV/Range", future)
        .await;
    let empty = PbDeleteRequest::default();
    pair.refused::<_, PbDeleteResponse>("an empty key", "KV/DeleteRange", empty)
        .await;

    // These are odd, and answered.
    for (what, request) in [
        ("an inverted range", range("b", "a")),
        (
            "a huge limit",
            PbRangeRequest {
                limit: i64::MAX,
                ..range("a", "b")
            },
        ),
        (
            "a limit below zero",
            PbRangeRequest {
                limit: i64::MIN,
                ..range("a", "b")
            },
        ),
        (
            "a revision below zero",
            PbRangeRequest {
                revision: i64::MIN,
                ..range("a", "b")
            },
        ),
    ] {
        let refused = pair
            .ask::<_, PbRangeResponse>(what, "KV/Range", request)
            .await;
        assert_eq!(refused, None, "{what}");
    }
    let inverted = PbDeleteRequest {
        key: b"b".to_vec(),
        range_end: b"a".to_vec(),
        prev_kv: true,
    };
    let refused = pair.ask::<_, PbDeleteResponse>("an inverted range", "KV/DeleteRange", inverted);
    assert_eq!(refused.await, None);
    pair.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn compactions_that_cannot_be() {
    let mut pair = Pair::start().await;
    for key in ["a", "b", "c"] {
        let refused = pair
            .ask::<_, PbPutResponse>("a put", "KV/Put", put(key))
            .await;
        assert_eq!(refused, None);
    }
    let compact = |revision| PbCompactionRequest {
        revision,
        physical: true,
    };
    let path = "KV/Compact";
    pair.refused::<_, PbCompactionResponse>("the future", path, compact(99))
        .await;
    let done = pair.ask::<_, PbCompactionResponse>("at 3", path, compact(3));
    assert_eq!(done.await, None);
    for revision in [3, 2, 0, -1, i64::MIN, i64::MAX] {
        pair.refused::<_, PbCompactionResponse>("again", path, compact(revision))
            .await;
    }
    for revision in [2, 1] {
        let old = PbRangeRequest {
            revision,
            ..range("a", "")
        };
        pair.refused::<_, PbRangeResponse>("the past", "KV/Range", old.clone())
            .await;
        let nested = success(vec![PbTxnOpRequest::RequestRange(old)]);
        pair.refused::<_, PbTxnResponse>("the past in a transaction", "KV/Txn", nested)
            .await;
    }
    pair.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn transactions_that_cannot_be() {
    let mut pair = Pair::start().await;
    let plain = |key: &str| PbTxnOpRequest::RequestPut(put(key));
    let delete = |key: &str, end: &str| {
        PbTxnOpRequest::RequestDeleteRange(PbDeleteRequest {
            key: key.into(),
            range_end: end.into(),
            prev_kv: false,
        })
    };
    let nest = |inner: PbTxnRequest| PbTxnOpRequest::RequestTxn(inner);
    let many = |count: usize| (0..count).map(|i| plain(&format!("{i}"))).collect();
    let lease = PbPutRequest {
        lease: 77,
        ..put("a")
    };
    let empty = PbTxnRequest {
        success: vec![PbTxnRequestOp { request: None }],
        ..PbTxnRequest::default()
    };
    let compare = PbTxnRequest {
        compare: vec![PbCompare::default()],
        ..PbTxnRequest::default()
    };
    let deep = success(vec![nest(success(many(128)))]);
    for (what, request) in [
        ("one key twice", success(vec![plain("a"), plain("a")])),
        (
            "one key twice, nested",
            success(vec![plain("a"), nest(success(vec![plain("a")]))]),
        ),
        (
            "put and deleted",
            success(vec![plain("b"), delete("a", "c")]),
        ),
        (
            "deleted and put, nested",
            success(vec![delete("a", "c"), nest(success(vec![plain("b")]))]),
        ),
        ("129 operations", success(many(129))),
        ("128 operations below one", deep),
        ("an empty key", success(vec![plain("")])),
        ("an operation without a request", empty),
        ("a comparison of an empty key", compare),
        (
            "an unknown lease",
            success(vec![PbTxnOpRequest::RequestPut(lease)]),
        ),
        (
            "the future",
            success(vec![PbTxnOpRequest::RequestRange(PbRangeRequest {
                revision: 99,
                ..range("a", "")
            })]),
        ),
    ] {
        pair.refused::<_, PbTxnResponse>(what, "KV/Txn", request)
            .await;
    }
    for (what, request) in [
        ("128 operations", success(many(128))),
        ("nothing", PbTxnRequest::default()),
        ("one key deleted twice", {
            success(vec![delete("a", ""), delete("a", "")])
        }),
    ] {
        let refused = pair.ask::<_, PbTxnResponse>(what, "KV/Txn", request).await;
        assert_eq!(refused, None, "{what}");
    }
    pair.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_that_are_too_large() {
    let mut pair = Pair::start().await;
    let value = |bytes: usize| PbPutRequest {
        value: vec![b'x'; bytes],
        ..put("a")
    };
    let whole = 3 << 19;
    // Not the very edge: what etcd adds is a byte more or less, with its member's ID.
    let around = (whole - 60..=whole + 20).step_by(8);
    let mut refused = 0;
    for bytes in around {
        let what = format!("{bytes} bytes");
        let answer = pair.ask::<_, PbPutResponse>(&what, "KV/Put", value(bytes));
        refused += usize::from(answer.await.is_some());
    }
    assert!((1..10).contains(&refused), "{refused} of 11");
    for bytes in [whole + 100_000, 2 << 20, 5 << 20] {
        pair.refused::<_, PbPutResponse>(&format!("{bytes} bytes"), "KV/Put", value(bytes))
            .await;
    }
    let half = || PbPutRequest {
        key: b"b".to_vec(),
        ..value(whole / 2)
    };
    let both = success(vec![
        PbTxnOpRequest::RequestPut(value(whole / 2)),
        PbTxnOpRequest::RequestPut(half()),
    ]);
    pair.refused::<_, PbTxnResponse>("two halves", "KV/Txn", both)
        .await;
    pair.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn leases_that_cannot_be() {
    let mut pair = Pair::start().await;
    let grant = |id, ttl| PbLeaseGrantRequest { ttl, id };
    let path = "Lease/LeaseGrant";
    let done = pair.ask::<_, PbLeaseGrantResponse>("a grant", path, grant(7, 100));
    assert_eq!(done.await, None);
    for (what, request) in [
        ("granted twice", grant(7, 100)),
        ("too long", grant(8, 9_000_000_001)),
        ("the longest", grant(8, i64::MAX)),
    ] {
        pair.refused::<_, PbLeaseGrantResponse>(what, path, request)
            .await;
    }
    for (what, request) in [
        ("nothing long", grant(9, 0)),
        ("less than nothing", grant(10, -5)),
        ("an ID below zero", grant(-3, 100)),
        ("the longest allowed", grant(11, 9_000_000_000)),
    ] {
        let refused = pair.ask::<_, PbLeaseGrantResponse>(what, path, request);
        assert_eq!(refused.await, None, "{what}");
    }
    for id in [0, 99, i64::MIN] {
        let revoke = PbLeaseRevokeRequest { id };
        pair.refused::<_, PbLeaseRevokeResponse>("unknown", "Lease/LeaseRevoke", revoke)
            .await;
    }
    let ask = PbLeaseTimeToLiveRequest { id: 0, keys: true };
    pair.ask::<_, PbLeaseTimeToLiveResponse>("none", "Lease/LeaseTimeToLive", ask)
        .await;

    // A keep-alive of an unknown lease is answered, and the stream goes on.
    for wire in [&mut pair.real, &mut pair.ours] {
        let ask = |id| PbLeaseKeepAliveRequest { id };
        let mut talk: Talk<_, PbLeaseKeepAliveResponse> =
            wire.talk("Lease/LeaseKeepAlive", ask(99)).await;
        let answer = talk.next().await.unwrap();
        assert_eq!((answer.id, answer.ttl), (99, 0));
        talk.say(ask(7)).await;
        let answer = talk.next().await.unwrap();
        assert_eq!((answer.id, answer.ttl), (7, 100));
    }
    pair.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_that_are_none() {
    let mut pair = Pair::start().await;
    let none = PbAlarmRequest::default();
    pair.refused::<_, PbAlarmResponse>("Auth/Nonsense", "Auth/Nonsense", none)
        .await;
    for path in ["KV/Nonsense", "Nonsense/Range"] {
        // Here the text is the gRPC library's, which has none.
        let theirs = pair.real.call::<_, PbAlarmResponse>(path, none).await;
        let own = pair.ours.call::<_, PbAlarmResponse>(path, none).await;
        assert_eq!(theirs.unwrap_err().0, Code::Unimplemented);
        assert_eq!(own.unwrap_err().0, Code::Unimplemented);
    }
    // A delete's `prev_kv` (3, varint) is a range's `limit`, but a range's `range_end` no number.
    let wrong = PbLeaseTimeToLiveRequest { id: 7, keys: true };
    let theirs = pair.real.call::<_, PbRangeResponse>("KV/Range", wrong);
    let own = pair.ours.call::<_, PbRangeResponse>("KV/Range", wrong);
    // The text is the decoder's own.
    assert_eq!(theirs.await.unwrap_err().0, Code::Internal);
    assert_eq!(own.await.unwrap_err().0, Code::Internal);
    let nobody = PbMoveLeaderRequest { target_id: 1 };
    pair.refused::<_, PbMoveLeaderResponse>("no such member", "Maintenance/MoveLeader", nobody)
        .await;
    pair.end();
}

#[test]
fn its_end_waits_for_no_client() {
    let mut store = Embedded::start();
    let address = store.url.trim_start_matches("http://").to_owned();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    // The server's settings: it has the connection. Then the client is deaf.
    client.read_exact(&mut [0; 9]).unwrap();
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        store.stop();
        told.send(()).unwrap();
    });
    ended.recv_timeout(PATIENCE).unwrap();
}
