//! What the kernel lacks, and which translations it still carries out.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Something that the backend needs and the kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LackFact {
    /// `VXLAN` or `TUN`.
    pub what: String,
    /// What shows it.
    pub why: String,
    /// It surely cannot be had (otherwise it may be loaded when it is asked for).
    pub certain: bool,
}

/// A flow of the overlay whose source connection tracking translates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFact {
    /// `udp`, `tcp`, `icmp`, ….
    pub protocol: String,
    /// Source before.
    pub from: Ipv4Addr,
    /// Destination.
    pub to: Ipv4Addr,
    /// Destination port, where the protocol has ports.
    pub port: u16,
    /// Source after.
    pub translated: Ipv4Addr,
}
