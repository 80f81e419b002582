//! Requests from the wire into the store's words.

use etcd_client::proto::{
    PbCompare, PbDeleteRequest, PbPutRequest, PbRangeRequest, PbTargetUnion, PbTxnOpRequest,
    PbTxnRequest, PbTxnRequestOp,
};
use etcd_client::{CompareOp, SortOrder, SortTarget};

use crate::embedded::core::{
    Comparison, Delete, Expected, Operation, Order, Put, Query, Refusal, Relation, Span, Target,
    Transaction,
};

/// A read.
pub(super) fn query(request: PbRangeRequest) -> Result<Query, Refusal> {
    let order = match SortOrder::try_from(request.sort_order) {
        Ok(SortOrder::None) => None,
        Ok(SortOrder::Ascend) => Some(Order::Ascending),
        Ok(SortOrder::Descend) => Some(Order::Descending),
        Err(_) => return Err(Refusal::InvalidSortOption),
    };
    let target = match SortTarget::try_from(request.sort_target) {
        Ok(SortTarget::Key) => Target::Key,
        Ok(SortTarget::Version) => Target::Version,
        Ok(SortTarget::Create) => Target::Create,
        Ok(SortTarget::Mod) => Target::Mod,
        Ok(SortTarget::Value) => Target::Value,
        Err(_) => return Err(Refusal::InvalidSortOption),
    };
    Ok(Query {
        span: Span::new(request.key, request.range_end),
        limit: request.limit,
        revision: request.revision,
        order,
        target,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
    })
}

/// A write.
pub(super) fn put(request: PbPutRequest) -> Put {
    Put {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

/// A deletion.
pub(super) fn delete(request: PbDeleteRequest) -> Delete {
    Delete {
        span: Span::new(request.key, request.range_end),
        prev_kv: request.prev_kv,
    }
}

/// A transaction.
pub(super) fn transaction(request: PbTxnRequest) -> Result<Transaction, Refusal> {
    let operations =
        |list: Vec<PbTxnRequestOp>| list.into_iter().map(operation).collect::<Result<_, _>>();
    Ok(Transaction {
        compare: request.compare.into_iter().map(comparison).collect(),
        success: operations(request.success)?,
        failure: operations(request.failure)?,
    })
}

fn operation(request: PbTxnRequestOp) -> Result<Operation, Refusal> {
    Ok(match request.request {
        Some(PbTxnOpRequest::RequestRange(range)) => Operation::Range(query(range)?),
        Some(PbTxnOpRequest::RequestPut(write)) => Operation::Put(put(write)),
        Some(PbTxnOpRequest::RequestDeleteRange(range)) => Operation::Delete(delete(range)),
        Some(PbTxnOpRequest::RequestTxn(nested)) => Operation::Transaction(transaction(nested)?),
        None => Operation::Empty,
    })
}

fn comparison(request: PbCompare) -> Comparison {
    // etcd looks at the target, and takes a value of another kind as zero.
    let union = request.target_union;
    let expected = match request.target {
        0 => Expected::Version(match union {
            Some(PbTargetUnion::Version(version)) => version,
            _ => 0,
        }),
        1 => Expected::Create(match union {
            Some(PbTargetUnion::CreateRevision(revision)) => revision,
            _ => 0,
        }),
        2 => Expected::Mod(match union {
            Some(PbTargetUnion::ModRevision(revision)) => revision,
            _ => 0,
        }),
        3 => Expected::Value(match union {
            Some(PbTargetUnion::Value(value)) => value,
            _ => Vec::new(),
        }),
        4 => Expected::Lease(match union {
            Some(PbTargetUnion::Lease(lease)) => lease,
            _ => 0,
        }),
        _ => Expected::Unknown,
    };
    let relation = match CompareOp::try_from(request.result) {
        Ok(CompareOp::Equal) => Relation::Equal,
        Ok(CompareOp::Greater) => Relation::Greater,
        Ok(CompareOp::Less) => Relation::Less,
        Ok(CompareOp::NotEqual) => Relation::NotEqual,
        Err(_) => Relation::Unknown,
    };
    Comparison {
        span: Span::new(request.key, request.range_end),
        expected,
        relation,
    }
}
