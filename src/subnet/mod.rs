//! The words of flannel's contract: network config, lease keys and values, allocation, renewal, the
//! table of peers, `subnet.env`. Pure: takes data, returns data; no socket, file, clock or
//! environment, and no other module of ours.

pub mod allocate;
pub mod envfile;
pub mod gojson;
pub mod key;
pub mod lease;
pub mod network;
pub mod own;
pub mod pool;
pub mod renew;
pub mod standing;
pub mod table;

pub use key::SubnetKey;
pub use lease::{Lease, LeaseAttrs, Origin, Record, RecordError, Unreadable, Vtep};
pub use network::{Backend, NetworkConfig};
pub use pool::{Pool4, Pool6};
pub use table::Snapshot;
