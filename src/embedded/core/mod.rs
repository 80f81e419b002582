//! The store as a pure state machine: keys with their history, leases, transactions, watchers.
//! No tokio, no clock (`now` comes in), no wire format: `service` translates.

mod check;
mod keyspace;
mod lessor;
mod operation;
mod query;
mod refusal;
mod span;
mod store;
mod transaction;
mod watch;

pub use keyspace::Item;
pub use lessor::{LeaseView, MIN_TTL};
pub use operation::{Delete, Deleted, Put, PutDone};
pub use query::{Found, Order, Query, Target};
pub use refusal::Refusal;
pub use span::Span;
pub use store::{Limits, Store};
pub use transaction::{
    Comparison, Done, Expected, Operation, Relation, Transaction, TransactionDone,
};
pub use watch::{Change, News, WatchRequest, Watcher};
