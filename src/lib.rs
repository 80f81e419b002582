//! flannelctl: an admin's command line for flannel on Docker and etcd hosts, with the agent inside.
//!
//! The layer rule (held by `tests/layers.rs`, drawn in `ARCHITECTURE.md`): pure decisions in the
//! middle, one thin layer that touches the world, arrows one way.
//!
//! * `subnet`, `packet`, `bench` are pure and import nothing of ours.
//! * `plan`, `forward` are pure and import only those.
//! * `docker` is pure and imports `subnet`; `diagnose` is pure and imports `subnet`, `packet`, `plan`.
//! * `registry` (etcd) and `kernel` (Linux) touch the world; they know the pure types and never
//!   each other.
//! * `report` renders; it knows the pure types.
//! * `lab` makes hosts in namespaces by `kernel`; `lab::plan` is pure.
//! * `agent` and `commands` know everything below them; `agent` never knows `commands`.

pub mod agent;
pub mod bench;
pub mod cli;
pub mod commands;
pub mod diagnose;
pub mod docker;
pub mod embedded;
pub mod exit;
pub mod forward;
pub mod kernel;
pub mod lab;
pub mod packet;
pub mod plan;
pub mod registry;
pub mod report;
pub mod settings;
pub mod subnet;
