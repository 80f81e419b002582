//! etcd, and only etcd: flannel's config and leases over several endpoints with real failover.
//!
//! Knows the pure types of `subnet` and nothing else of ours. Nothing here decides which subnet a node
//! takes or what a peer is worth; nothing here touches the kernel.

mod acquire;
mod client;
mod error;
mod follow;
mod keys;
mod lifetime;
mod options;
pub mod rendezvous;
mod store;
mod stream;
mod text;
mod v2;

pub use acquire::{AcquireError, Held, Renewal};
pub use error::{Answer, Cause, EndpointFailure, Error, Operation};
pub use follow::{Contact, Followed, follow};
pub use lifetime::KeepAlive;
pub use options::{EndpointProblem, EtcdOptions, OptionsError, Secret};
pub use store::{ConfigValue, PutOutcome, Registry};
