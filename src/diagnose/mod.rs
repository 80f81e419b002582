//! Diagnosis: what was seen and found on the nodes goes in, findings with place, cause, proof and remedy come
//! out. Pure: no socket, file, clock or environment; imports `subnet`, `packet` and `plan` alone. The types
//! here are also what nodes send each other through etcd (as JSON), so everything in them is untrusted.
//!
//! * `evidence`: what one node knows: state, counters, firewall listings, drops, packets seen at each point.
//! * `probe`: what was sent, and which answers came.
//! * `case`: all evidence of all nodes with leases and probes: the input of the verdict.
//! * `finding`: the output.
//! * `mesh`: which pairs of nodes reach each other, and causes that pairs have in common.
//! * `packets`: caught packets with what is to be said beside each.
//! * `ports`: what became of datagrams to the encapsulation's port, against those to another.
//! * `request`: the words in which nodes ask each other for evidence.
//! * `catalog`: every check by id, in words; `select`: which of them the user wants.
//! * `verdict`: case in, diagnosis out.

pub mod case;
pub mod catalog;
pub mod checks;
pub mod evidence;
pub mod finding;
pub mod ladder;
pub mod listing;
pub mod loss;
pub mod mesh;
pub mod packets;
pub mod ports;
pub mod probe;
pub mod request;
pub mod route;
pub mod select;
pub mod verdict;
pub mod view;

pub use case::Case;
pub use evidence::NodeEvidence;
pub use finding::{Confidence, Diagnosis, Direction, Finding, PathReport, Severity, Status};
pub use probe::{Path, PathResult};
pub use select::{Selection, UnknownCheck};
pub use verdict::verdict;
