//! Why a request is refused. The texts are those of etcd 3.4, which clients compare.

use thiserror::Error;

/// A refused request.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// An empty key.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` or `ignore_lease` on a key that is not there; also an empty operation.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// `ignore_value` with a value.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// `ignore_lease` with a lease.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// A sort order or target that there is not.
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    /// More operations in a transaction than allowed.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOperations,
    /// Two writes of one key in a transaction.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// A request larger than allowed.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// A revision that history no longer has.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// A revision that is yet to come.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The store holds as much as it may.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// A lease that is not there.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A lease ID that is taken.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// A time to live beyond etcd's limit.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// A watch on a range whose end is not after its start (etcd's text for `cancel_reason`).
    #[error("mvcc: watcher range is empty")]
    EmptyWatchRange,
}
