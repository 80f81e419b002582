//! Why a part of the goal cannot be reached, from the plan's point of view.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::state::Mac;

/// Why a part of the goal cannot be reached. It holds up nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The underlay interface is not there.
    #[error("interface {0} does not exist")]
    ExternalGone(String),
    /// The underlay interface is down and the peers' routes need it.
    #[error("interface {0} is down")]
    ExternalDown(String),
    /// The selected address has left the underlay interface.
    #[error("interface {name} no longer has the address {address}")]
    ExternalAddressGone {
        /// Interface.
        name: String,
        /// The selected address.
        address: Ipv4Addr,
    },
    /// The TUN device is not there.
    #[error("the TUN device {0} does not exist")]
    NoTun(String),
    /// host-gw: the peer is not a neighbour on the underlay.
    #[error(
        "peer {subnet}: its address {public_ip} is not on the same link as {interface}; host-gw needs a \
         shared link"
    )]
    NotOnLink {
        /// The peer's subnet.
        subnet: Ipv4Net,
        /// Where it says that it is reached.
        public_ip: Ipv4Addr,
        /// The underlay interface.
        interface: String,
    },
    /// vxlan: the lease has no MAC.
    #[error("peer {0}: its lease has no VtepMAC")]
    NoVtepMac(Ipv4Net),
    /// vxlan: the lease's MAC is none that a device can have, or this host's own.
    #[error("peer {subnet}: its VtepMAC {mac} cannot be used")]
    UnusableMac {
        /// The peer's subnet.
        subnet: Ipv4Net,
        /// The MAC in its lease.
        mac: Mac,
    },
    /// vxlan: two peers publish one MAC; the earlier is served.
    #[error("peer {subnet}: its VtepMAC {mac} is also that of peer {other}")]
    SameMac {
        /// The peer's subnet.
        subnet: Ipv4Net,
        /// The MAC in both leases.
        mac: Mac,
        /// The peer that is served.
        other: Ipv4Net,
    },
    /// Two peers have the same subnet, or subnets that start at one address; the earlier is served.
    #[error("peer {subnet}: it collides with the subnet {other}")]
    SameSubnet {
        /// The peer's subnet.
        subnet: Ipv4Net,
        /// The subnet that is served (a peer's or the own).
        other: Ipv4Net,
    },
    /// A peer has a subnet that this host is itself connected to: the kernel's own route stays.
    #[error("no route to {0}: an interface of this host is itself in that network")]
    Connected(Ipv4Net),
    /// A route of this host takes traffic for a part of a peer's subnet (udp: for any of it) elsewhere. It is
    /// the host's and stays; the rest of the subnet is served.
    #[error("peer {subnet}: {}", diverted(.subnet, .destination, .gateway))]
    Diverted {
        /// The peer's subnet.
        subnet: Ipv4Net,
        /// The route's destination.
        destination: Ipv4Net,
        /// Its next hop, where it has one.
        gateway: Option<Ipv4Addr>,
    },
    /// udp: this host is itself connected to the whole flannel network: the kernel's own route stays.
    #[error("no route to the flannel network {0}: an interface of this host is itself in it")]
    NetworkConnected(Ipv4Net),
}

fn diverted(subnet: &Ipv4Net, destination: &Ipv4Net, gateway: &Option<Ipv4Addr>) -> String {
    let via = gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
    let what = match destination.contains(subnet) {
        true => "it",
        false => "a part of it",
    };
    format!(
        "this host has a route of its own to {destination}{via}, which takes {what} out of the overlay; \
         `ip route del {destination}` gives it back"
    )
}
