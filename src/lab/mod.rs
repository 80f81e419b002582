//! The lab: hosts in network namespaces on one switch, on one machine, with real agents.
//!
//! `plan` is pure: names, addresses, what is made. [`Stage`] makes it and holds it: its namespaces have no name and
//! no mount, its processes end with the process that holds the stage, so nothing stays behind however that ends.

mod error;
pub mod fault;
mod hold;
mod host;
pub mod lock;
pub mod plan;
mod process;
pub mod record;
mod relay;
mod stage;

pub use error::LabError;
pub use hold::{Lab, Store, Wish};
pub use host::{Container, Host};
pub use process::{Agent, Process};
pub use stage::Stage;
