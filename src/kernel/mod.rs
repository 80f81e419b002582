//! Linux, and only here; all unsafe code is below this folder.

pub mod firewall;
pub mod process;
