//! The firewall's decisions on recorded `iptables-save` texts.
#![allow(clippy::unwrap_used, missing_docs)]

mod findings;
mod place;
mod replace;
mod support;
