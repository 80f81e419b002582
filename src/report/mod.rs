//! Rendering: tables for people, JSON and YAML for programs, messages and progress for the terminal.
//! Knows the pure types; asks neither etcd nor the kernel, and decides nothing. Every text that comes
//! from outside passes [`terminal::clean`] (or is escaped) before it is shown.

pub mod benchmark;
pub mod diagnosis;
pub mod diff;
pub mod json;
pub mod lease_list;
pub mod message;
pub mod pcapng;
pub mod progress;
pub mod table;
pub mod terminal;
pub mod yaml;
