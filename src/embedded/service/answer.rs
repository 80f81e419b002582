//! The store's answers into words of the wire.

use etcd_client::proto::{
    PbDeleteResponse, PbEvent, PbKeyValue, PbPutResponse, PbRangeResponse, PbResponseHeader,
    PbResponseOp, PbTxnOpResponse, PbTxnResponse,
};
use tonic::{Code, Status};

use crate::embedded::core::{
    Change, Deleted, Done, Found, Item, PutDone, Refusal, TransactionDone,
};

/// A refusal with etcd's code.
pub(super) fn status(refusal: Refusal) -> Status {
    let code = match refusal {
        Refusal::EmptyKey
        | Refusal::KeyNotFound
        | Refusal::ValueProvided
        | Refusal::LeaseProvided
        | Refusal::InvalidSortOption
        | Refusal::TooManyOperations
        | Refusal::DuplicateKey
        | Refusal::RequestTooLarge
        | Refusal::EmptyWatchRange => Code::InvalidArgument,
        Refusal::Compacted | Refusal::FutureRevision | Refusal::LeaseTtlTooLarge => {
            Code::OutOfRange
        }
        Refusal::NoSpace => Code::ResourceExhausted,
        Refusal::LeaseNotFound => Code::NotFound,
        Refusal::LeaseExists => Code::FailedPrecondition,
    };
    Status::new(code, refusal.to_string())
}

/// How a stream ends with its server.
pub(super) fn stopped() -> Status {
    Status::unavailable("etcdserver: server stopped")
}

/// A key.
pub(super) fn key_value(item: &Item) -> PbKeyValue {
    PbKeyValue {
        key: item.key.to_vec(),
        create_revision: item.create_revision,
        mod_revision: item.mod_revision,
        version: item.version,
        value: item.value.to_vec(),
        lease: item.lease,
    }
}

/// An event.
pub(super) fn event(change: &Change) -> PbEvent {
    PbEvent {
        r#type: i32::from(change.deleted),
        kv: Some(key_value(&change.item)),
        prev_kv: change.before.as_ref().map(key_value),
    }
}

/// The header of an answer inside a transaction: etcd fills in the revision alone.
fn inner(revision: i64) -> PbResponseHeader {
    PbResponseHeader {
        revision,
        ..PbResponseHeader::default()
    }
}

/// The answer to a read.
pub(super) fn range(found: &Found, header: PbResponseHeader) -> PbRangeResponse {
    PbRangeResponse {
        header: Some(header),
        kvs: found.items.iter().map(key_value).collect(),
        more: found.more,
        count: found.count,
    }
}

/// The answer to a write.
pub(super) fn put(done: &PutDone, header: PbResponseHeader) -> PbPutResponse {
    PbPutResponse {
        header: Some(header),
        prev_kv: done.before.as_ref().map(key_value),
    }
}

/// The answer to a deletion.
pub(super) fn delete(done: &Deleted, header: PbResponseHeader) -> PbDeleteResponse {
    PbDeleteResponse {
        header: Some(header),
        deleted: done.count,
        prev_kvs: done.before.iter().map(key_value).collect(),
    }
}

/// The answer to a transaction.
pub(super) fn transaction(done: &TransactionDone, header: PbResponseHeader) -> PbTxnResponse {
    let response = |done: &Done| PbResponseOp {
        response: Some(match done {
            Done::Range(found) => {
                PbTxnOpResponse::ResponseRange(range(found, inner(found.revision)))
            }
            Done::Put(done) => PbTxnOpResponse::ResponsePut(put(done, inner(done.revision))),
            Done::Delete(done) => {
                PbTxnOpResponse::ResponseDeleteRange(delete(done, inner(done.revision)))
            }
            Done::Transaction(done) => {
                PbTxnOpResponse::ResponseTxn(transaction(done, inner(done.revision)))
            }
        }),
    };
    PbTxnResponse {
        header: Some(header),
        succeeded: done.succeeded,
        responses: done.responses.iter().map(response).collect(),
    }
}
