//! How each record stands: usable as a peer, or why not. One function serves the agent (which programs
//! only `usable` peers) and `leases` (which shows every state).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Lease, NetworkConfig, RecordError, Snapshot};

/// The state of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is wrong.
    Ok,
    /// Key or value cannot be read.
    Unreadable(RecordError),
    /// The subnet lies outside the configured network.
    OutsideNetwork,
    /// Inside the network, but not of the configured length or outside SubnetMin..SubnetMax: still
    /// a peer (flanneld programs it too), and its owner will move at its next start.
    NotAllocatable,
    /// Another record with this public IP (name of the other record).
    DuplicatePublicIp(String),
    /// Overlaps another lease's subnet (name of the other record, which is newer or more specific).
    Overlap(String),
    /// Written by another backend than the configured one (its type; empty = udp).
    BackendMismatch(String),
    /// Contains an address of this host or a network that this host is connected to.
    OverlapsHost(Ipv4Net),
    /// No IPv4 public address, or one that no peer can have (0.0.0.0, loopback, multicast, broadcast).
    NoPublicIp,
    /// A vxlan lease without a readable VtepMAC.
    NoVtep,
}

/// What this host itself holds, to be kept apart from peers' subnets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostNets {
    /// Addresses and connected networks of the host, without flannel's own devices.
    pub connected: Vec<Ipv4Net>,
}

/// A record's name with all that is wrong with it (empty = ok).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Name below the `subnets` folder.
    pub name: String,
    /// In order of weight; empty means `Ok`.
    pub standings: Vec<Standing>,
}

impl Standing {
    /// True when an agent may program the peer all the same.
    pub fn usable(&self) -> bool {
        todo!()
    }
}

/// Judges every record. `own` is the name of this node's record (left out of peer rules),
/// `host` is empty where it is not known (`leases` from elsewhere).
pub fn judge(
    _snapshot: &Snapshot,
    _config: &NetworkConfig,
    _host: &HostNets,
    _own: Option<&str>,
) -> Vec<Judged> {
    todo!()
}

/// The peers that an agent programs: every readable, usable record but its own, one per IPv4 subnet
/// (the newest by mod revision where a v4-only and a dual-stack key name the same subnet).
pub fn peers<'a>(
    _snapshot: &'a Snapshot,
    _judged: &[Judged],
    _own: Option<&str>,
    _own_ip: Ipv4Addr,
) -> Vec<&'a Lease> {
    todo!()
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Unreadable(reason) => reason.fmt(f),
            Self::OutsideNetwork => f.write_str("the subnet lies outside the network"),
            Self::NotAllocatable => {
                f.write_str("the subnet is not one that the config allows to allocate")
            }
            Self::DuplicatePublicIp(other) => write!(f, "it has the same public IP as {other:?}"),
            Self::Overlap(other) => write!(f, "its subnet overlaps that of {other:?}"),
            Self::BackendMismatch(backend) if backend.is_empty() => {
                f.write_str("its backend is udp")
            }
            Self::BackendMismatch(backend) => write!(f, "its backend is {backend:?}"),
            Self::OverlapsHost(net) => write!(
                f,
                "its subnet overlaps {net}, which this host is connected to"
            ),
            Self::NoPublicIp => f.write_str("it has no usable public IP"),
            Self::NoVtep => f.write_str("it has no readable VtepMAC"),
        }
    }
}
