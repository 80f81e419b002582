//! Holds the kernel to the newest goal: look, plan, compare, correct, until nothing differs. Woken by a
//! new goal, by the kernel's own notices and by a slow timer. It stops without touching anything: the
//! data path of vxlan and host-gw outlives the agent.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::Ipv4Net;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::kernel;
use crate::plan::{Goal, Problem};
use crate::subnet::standing::HostNets;

/// Where the reconciler stands. A new one is sent after every round.
#[derive(Debug, Clone, Default)]
pub struct ReconcileStatus {
    /// The goal that the last round worked on (compare with `Arc::ptr_eq`).
    pub goal: Option<Arc<Goal>>,
    /// Rounds so far; each looked at the kernel at least once.
    pub rounds: u64,
    /// When the kernel was last seen to hold the whole goal, with nothing failing.
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
    pub fn is(&self, selected: &crate::plan::External) -> bool {
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Plan(problem) => problem.fmt(f),
            Failure::Kernel(error) => error.fmt(f),
        }
    }
}

/// Owns the netlink socket and what must outlast a round. Make it in the network namespace that it is to
/// look after.
#[derive(Debug)]
pub struct Reconciler {}

impl Reconciler {
    /// Opens the netlink sockets.
    ///
    /// # Errors
    /// `kernel::Error` where netlink is not to be had.
    pub fn open() -> Result<Self, kernel::Error> {
        todo!()
    }

    /// One round, at once: for the start, before the lease (device) and before READY (everything).
    /// Fails never: what fails is in the status.
    pub fn once(&mut self, _goal: &Arc<Goal>) -> ReconcileStatus {
        todo!()
    }

    /// Runs until cancelled, or until all senders of goals are gone. The work is done on a thread of
    /// its own, which lives in the caller's network namespace.
    pub async fn run(
        self,
        _goals: watch::Receiver<Arc<Goal>>,
        _status: watch::Sender<ReconcileStatus>,
        _cancel: CancellationToken,
    ) {
        todo!()
    }

    /// Removes all that `goal` asks for and all that earlier runs left: device, routes, neighbours.
    /// Returns what could not be removed.
    pub fn cleanup(&mut self, _goal: &Goal) -> Vec<Failure> {
        todo!()
    }

    /// Addresses and connected networks of the host, for the first judgement of peers.
    ///
    /// # Errors
    /// `kernel::Error` where the kernel cannot be read.
    pub fn host_nets(&mut self, _own: Option<Ipv4Net>) -> Result<HostNets, kernel::Error> {
        todo!()
    }
}
