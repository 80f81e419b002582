//! Which subnet a node takes (flannel-compat 3.2, 3.3). The registry carries the decision out by a guarded
//! transaction and, when it loses, asks again with a fresh snapshot.

use std::net::Ipv4Addr;

use rand::Rng;

use super::envfile::PreviousSubnets;
use super::{NetworkConfig, Origin, Snapshot, SubnetKey};

/// What to do in etcd to hold a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquisition {
    /// Our record of an earlier run fits: rewrite it, guarded by its mod revision. With
    /// `origin.lease_id == 0` it is a reservation and stays without an etcd lease.
    Reuse {
        /// The record's name as it stands in etcd.
        name: String,
        /// Its subnet.
        key: SubnetKey,
        /// Where it stands.
        origin: Origin,
    },
    /// Our record of an earlier run no longer fits the config: delete it, guarded by its mod revision,
    /// then ask again.
    Discard {
        /// The record's name.
        name: String,
        /// Where it stands.
        origin: Origin,
    },
    /// Create the key if it does not exist (version = 0).
    Create {
        /// The subnet to take.
        key: SubnetKey,
    },
}

/// Why there is no subnet to take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// Every subnet of the family's range overlaps a record.
    #[error("out of subnets: all {total} {family} subnets between {min} and {max} are taken")]
    OutOfSubnets {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// How many the range has.
        total: u128,
        /// First base.
        min: String,
        /// Last base.
        max: String,
    },
}

/// Decides from one snapshot.
///
/// # Errors
/// `AllocateError` when the range is full.
pub fn decide(
    _config: &NetworkConfig,
    _snapshot: &Snapshot,
    _public_ip: Ipv4Addr,
    _previous: &PreviousSubnets,
    _rng: &mut impl Rng,
) -> Result<Acquisition, AllocateError> {
    todo!()
}
