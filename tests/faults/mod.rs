//! The fault lab: a network with a container on each host, to break, to diagnose and to mend. A fault is a row of
//! `table`: a shell script that breaks one host, and what must be said of it.
#![allow(dead_code, unused_imports)]

pub mod judge;
pub mod looks;
pub mod patient;
pub mod table;
pub mod told;

pub use judge::{Score, judge};
pub use looks::Looks;
pub use patient::{Agent, Patient};
pub use told::{Diagnosed, Told, judged, run_diagnose};
