//! Random requests. Revisions in them count from the beginning of their sequence.

use etcd_client::proto::{
    PbCompare, PbDeleteRequest, PbPutRequest, PbRangeRequest, PbTargetUnion, PbTxnOpRequest,
    PbTxnRequest, PbTxnRequestOp,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::wire::Watch;

/// One step of a sequence.
#[derive(Clone, Debug)]
pub enum Step {
    Range(PbRangeRequest),
    Put(PbPutRequest),
    Delete(PbDeleteRequest),
    Txn(PbTxnRequest),
    Compact(i64),
    Grant(i64),
    Revoke(i64),
    TimeToLive(i64, bool),
    KeepAlive(i64),
    Leases,
    Watch(Watch),
    /// The watcher to end, counted among those that live.
    Unwatch(usize),
}

impl Step {
    /// As it can be compared in a sequence with compactions: what was before an event can be gone, sooner
    /// or later, and a watcher that sees nothing is behind them or not.
    pub fn with_compactions(mut self, compacts: bool) -> Self {
        if let (true, Self::Watch(watch)) = (compacts, &mut self) {
            watch.prev_kv = false;
            watch.filters.truncate(1);
        }
        self
    }
}

/// A sequence.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..32)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => range().prop_map(Step::Range),
        8 => put().prop_map(Step::Put),
        3 => delete().prop_map(Step::Delete),
        8 => txn().prop_map(Step::Txn),
        1 => (-2_i64..12).prop_map(Step::Compact),
        2 => lease().prop_map(Step::Grant),
        1 => lease().prop_map(Step::Revoke),
        1 => (lease(), any::<bool>()).prop_map(|(id, keys)| Step::TimeToLive(id, keys)),
        1 => lease().prop_map(Step::KeepAlive),
        1 => Just(Step::Leases),
        3 => watch().prop_map(Step::Watch),
        1 => (0_usize..8).prop_map(Step::Unwatch),
    ]
}

/// Few keys, so that they meet; one that is refused.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        40 => prop::sample::select(vec!["a", "a/b", "b", "b/", "c", "\u{0}", "\u{7f}~"]),
        1 => Just(""),
    ]
    .prop_map(|key| key.as_bytes().to_vec())
}

/// None, a key after or before, a prefix's end, everything.
fn range_end() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => Just(Vec::new()),
        2 => Just(vec![0]),
        3 => key(),
        1 => Just(b"a0".to_vec()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec!["", "x", "y", "yy", "\u{0}"]).prop_map(|value| value.into())
}

fn lease() -> impl Strategy<Value = i64> {
    1_i64..4
}

/// Mostly unset, else around what a sequence reaches.
fn revision() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(0_i64), 4 => -2_i64..20]
}

prop_compose! {
    fn range()(
        key in key(),
        range_end in range_end(),
        limit in prop_oneof![4 => Just(0_i64), 2 => 1_i64..4, 1 => Just(-1), 1 => Just(i64::MAX)],
        revision in revision(),
        // An unknown order or target ends an etcd 3.4 for good.
        sort_order in 0_i32..3,
        sort_target in 0_i32..5,
        (serializable, keys_only, count_only) in (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)),
        (min_mod_revision, max_mod_revision, min_create_revision, max_create_revision) in
            (revision(), revision(), revision(), revision()),
    ) -> PbRangeRequest {
        PbRangeRequest {
            key, range_end, limit, revision, sort_order, sort_target, serializable, keys_only, count_only,
            min_mod_revision, max_mod_revision, min_create_revision, max_create_revision,
        }
    }
}

prop_compose! {
    fn put()(
        key in key(),
        value in value(),
        lease in prop_oneof![3 => Just(0_i64), 2 => lease()],
        prev_kv in any::<bool>(),
        ignore_value in prop::bool::weighted(0.15),
        ignore_lease in prop::bool::weighted(0.15),
    ) -> PbPutRequest {
        PbPutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease }
    }
}

prop_compose! {
    fn delete()(key in key(), range_end in range_end(), prev_kv in any::<bool>()) -> PbDeleteRequest {
        PbDeleteRequest { key, range_end, prev_kv }
    }
}

prop_compose! {
    fn watch()(
        key in key(),
        range_end in range_end(),
        start in prop_oneof![3 => Just(0_i64), 4 => 1_i64..12, 1 => 12_i64..40],
        id in prop_oneof![4 => Just(0_i64), 1 => 1_i64..4],
        prev_kv in any::<bool>(),
        filters in prop::sample::select(vec![vec![], vec![], vec![0], vec![1], vec![0, 1], vec![9]]),
        (progress, fragment) in (any::<bool>(), any::<bool>()),
    ) -> Watch {
        Watch { key, range_end, start, id, prev_kv, progress, fragment, filters }
    }
}

fn union() -> impl Strategy<Value = PbTargetUnion> {
    prop_oneof![
        (0_i64..4).prop_map(PbTargetUnion::Version),
        (0_i64..20).prop_map(PbTargetUnion::CreateRevision),
        (0_i64..20).prop_map(PbTargetUnion::ModRevision),
        value().prop_map(PbTargetUnion::Value),
        lease().prop_map(PbTargetUnion::Lease),
    ]
}

prop_compose! {
    fn compare()(
        result in prop_oneof![12 => 0_i32..4, 1 => Just(9)],
        fits in prop::bool::weighted(0.8),
        target in prop_oneof![12 => 0_i32..5, 1 => Just(9)],
        key in key(),
        range_end in range_end(),
        union in option::weighted(0.95, union()),
    ) -> PbCompare {
        let own = union.as_ref().map_or(target, |union| match union {
            PbTargetUnion::Version(_) => 0,
            PbTargetUnion::CreateRevision(_) => 1,
            PbTargetUnion::ModRevision(_) => 2,
            PbTargetUnion::Value(_) => 3,
            PbTargetUnion::Lease(_) => 4,
        });
        PbCompare { result, target: if fits { own } else { target }, key, range_end, target_union: union }
    }
}

fn txn() -> impl Strategy<Value = PbTxnRequest> {
    let operation = prop_oneof![
        12 => range().prop_map(PbTxnOpRequest::RequestRange),
        16 => put().prop_map(PbTxnOpRequest::RequestPut),
        6 => delete().prop_map(|mut delete| {
            // etcd does not see that an open range takes the key of another operation away, and
            // ends itself over an `ignore_value` of a key that went.
            if delete.range_end == [0] {
                delete.range_end = vec![0xff];
            }
            PbTxnOpRequest::RequestDeleteRange(delete)
        }),
    ];
    let operation = operation.boxed();
    let plain = txn_of(operation.clone());
    let nested = prop_oneof![
        5 => operation.clone(),
        1 => plain.prop_map(PbTxnOpRequest::RequestTxn),
    ];
    let twice = txn_of(nested.clone().boxed());
    let deepest = prop_oneof![
        5 => operation,
        1 => twice.prop_map(PbTxnOpRequest::RequestTxn),
    ];
    txn_of(deepest.boxed())
}

fn txn_of(operation: BoxedStrategy<PbTxnOpRequest>) -> impl Strategy<Value = PbTxnRequest> {
    let operation =
        option::weighted(0.995, operation).prop_map(|request| PbTxnRequestOp { request });
    let list = || vec(operation.clone(), 0..4);
    (vec(compare(), 0..3), list(), list()).prop_map(|(compare, success, failure)| PbTxnRequest {
        compare,
        success,
        failure,
    })
}
