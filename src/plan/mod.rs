//! (being written)
pub mod firewall;
