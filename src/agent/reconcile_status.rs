//! What the reconciler tells the rest of the agent after each round.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::Ipv4Net;

use crate::kernel;
use crate::plan::{External, Goal, Problem};
use crate::subnet::standing::HostNets;

/// Where the reconciler stands. A new one is sent after every round.
#[derive(Debug, Clone, Default)]
pub struct ReconcileStatus {
    /// The goal that the last round worked on (compare with `Arc::ptr_eq`).
    pub goal: Option<Arc<Goal>>,
    /// Rounds so far; each looked at the kernel at least once.
    pub rounds: u64,
    /// When the kernel was last seen to hold all that the plan makes of this goal. What the plan cannot
    /// make (a peer without a MAC) is in `failures` all the same.
    pub last_ok: Option<Instant>,
    /// When the last round ended, whatever it found: stands still when the reconciler hangs.
    pub last_round: Option<Instant>,
    /// What is not as it should be after the last round. One entry per object.
    pub failures: Vec<Failure>,
    /// The MAC that the vxlan device holds.
    pub mac: Option<[u8; 6]>,
    /// Index of flannel's own device.
    pub device_index: Option<u32>,
    /// Addresses and connected networks of this host without flannel's own devices.
    pub host_nets: HostNets,
    /// The underlay interface as last seen, found by name; `None` = gone.
    pub external: Option<ExternalSeen>,
}

/// The underlay interface as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalSeen {
    /// Interface index; another than the selected one means that it was made anew.
    pub index: u32,
    /// Administratively up.
    pub up: bool,
    /// MTU in bytes.
    pub mtu: u32,
    /// Its IPv4 addresses with their prefix lengths.
    pub addresses: Vec<Ipv4Net>,
}

impl ExternalSeen {
    /// True while the interface is still what was selected.
    pub fn is(&self, selected: &External) -> bool {
        self.index == selected.index && self.mtu == selected.mtu && self.holds(selected.address)
    }

    /// True while it has the address.
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|net| net.addr() == address)
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The plan cannot be made whole.
    Plan(Problem),
    /// The kernel refused a step, or could not be read.
    Kernel(kernel::Error),
}

impl Failure {
    /// True when only a peer is affected: its lease, its way, its entries. Everything else is the own side.
    pub fn concerns_peer(&self) -> bool {
        match self {
            Failure::Plan(problem) => !matches!(
                problem,
                Problem::ExternalGone(_)
                    | Problem::ExternalDown(_)
                    | Problem::ExternalAddressGone { .. }
                    | Problem::NoTun(_)
                    | Problem::NetworkConnected(_)
            ),
            Failure::Kernel(error) => error.op == kernel::Op::ApplyPeer,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Plan(problem) => problem.fmt(f),
            Failure::Kernel(error) => error.fmt(f),
        }
    }
}
