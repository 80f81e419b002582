//! What the udp backend does with each packet: which peer gets it, what is answered, what is
//! dropped and under which name. Pure: imports `packet` only; no socket, clock, lock or allocation
//! per packet.

pub mod coalesce;
pub mod counters;
pub mod decide;
pub mod group;
pub mod segment;
pub mod table;

pub use counters::{Counters, Offload, Reason};
pub use decide::Accept;
pub use table::{Peer, Table};
