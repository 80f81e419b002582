//! Runs `iptables-save`, `iptables-restore` and `nft`, and hears from the kernel that rules changed.
//! Decides nothing: what to write is `plan::firewall`'s business. Programs run in the network
//! namespace of the calling thread.

mod events;
mod exec;
mod programs;

pub use events::RuleEvents;
pub use exec::ExecError;
pub use programs::{Iptables, Nft, Programs, legacy_in_use, search_path};
