//! The faults: how each is made, and what the diagnosis must say of it. A row is a few lines.
//!
//! Words of the scripts: `$NET` the network; `$DEV` flannel's device (host-gw: the NIC), `$PORT` of the encapsulation;
//! `$FREE` of a subnet that nobody has; `$SELF $SUBNET $KEY $GW $CTR $MAC $ENV` the host's public IP, subnet, key in etcd, bridge address, container, VTEP
//! MAC, subnet.env; `$PEER $PEERNET $PEERBASE $PEERCTR $PEERMAC` the other's; `$IN` runs within the container, `$SW` on
//! the switch between the hosts.

mod containers;
pub mod dresses;
mod firewall;
mod hosts;
mod programmed;
mod store;
mod underlay;

pub use super::patient::Agent;

/// Whether the commands of the printed remedy are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fix {
    /// They are, and all must be well then.
    Tried,
    /// The remedy is beyond the two hosts, or cannot be played here.
    Words,
}

/// A fault on one host.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    /// The check that must be named.
    pub id: &'static str,
    /// With which backends it can be made.
    pub backends: &'static [&'static str],
    /// What becomes of the broken host's agent.
    pub agent: Agent,
    /// Which host is broken, seen from which.
    pub seen: &'static [(usize, usize)],
    /// Run on the broken host.
    pub script: &'static str,
    /// Direction seen from the other host, and from the broken one itself; empty = any.
    pub directions: [&'static str; 2],
    /// The node named is the other one.
    pub on_peer: bool,
    /// No node is named, or a third.
    pub nowhere: bool,
    /// At least.
    pub confidence: &'static str,
    /// Backends where this is not told rightly yet: it counts as not named.
    pub open: &'static [&'static str],
    /// Further checks that are right as well.
    pub also: &'static [&'static str],
    /// It is no more than information.
    pub info: bool,
    pub fix: Fix,
    /// More arguments of `diagnose`.
    pub args: &'static [&'static str],
}

pub const EVERY: &[&str] = &["vxlan", "udp", "host-gw"];
pub const WRAPPED: &[&str] = &["vxlan", "udp"];
pub const VXLAN: &[&str] = &["vxlan"];
pub const UDP: &[&str] = &["udp"];
pub const HOST_GW: &[&str] = &["host-gw"];

/// Made while both agents run: on either host, seen from the first.
const ALIVE: Fault = Fault {
    name: "",
    id: "",
    backends: EVERY,
    agent: Agent::Alive,
    seen: &[(1, 0), (0, 0)],
    script: "",
    directions: ["request", "request"],
    on_peer: false,
    nowhere: false,
    confidence: "proven",
    open: &[],
    also: &[],
    info: false,
    fix: Fix::Tried,
    args: &[],
};

/// What an agent heals at once: made while the host's agent hangs, seen from that host itself.
const HANGS: Fault = Fault {
    agent: Agent::Hangs,
    seen: &[(0, 0), (1, 1)],
    also: &["FL412"],
    ..ALIVE
};

/// All faults that can be made with a backend.
pub fn of(backend: &str) -> Vec<&'static Fault> {
    let all = [
        firewall::FAULTS,
        hosts::FAULTS,
        containers::FAULTS,
        underlay::FAULTS,
        programmed::FAULTS,
        store::FAULTS,
    ];
    all.into_iter()
        .flatten()
        .filter(|fault| fault.backends.contains(&backend))
        .collect()
}
