//! Runs `iptables-save`, `iptables-restore` and `nft`, and hears from the kernel that rules changed.
//! Decides nothing: what to write is `plan::firewall`'s business.

mod exec;

pub use exec::ExecError;
