//! One step from what the kernel holds to what it should: a typed list that `kernel::apply` turns into
//! netlink messages, and the words in which it is told.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::state::{Address, Alien, Mac, Route, RouteKind, VxlanDevice};

/// One step. `index` is always the interface that holds the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Remove an interface.
    DeleteLink {
        /// Interface.
        index: u32,
        /// Its name.
        name: String,
        /// Why.
        reason: Reason,
    },
    /// Make the vxlan device (without `mac`: with one that the caller invents).
    CreateVxlan(VxlanDevice),
    /// Set an interface's MTU.
    SetMtu {
        /// Interface.
        index: u32,
        /// Its name.
        name: String,
        /// Bytes.
        mtu: u32,
    },
    /// Set an interface's MAC.
    SetMac {
        /// Interface.
        index: u32,
        /// Its name.
        name: String,
        /// The address.
        mac: Mac,
    },
    /// Switch source learning of a vxlan device.
    SetLearning {
        /// Interface.
        index: u32,
        /// Its name.
        name: String,
        /// On or off.
        learning: bool,
    },
    /// Bring an interface up.
    SetUp {
        /// Interface.
        index: u32,
        /// Its name.
        name: String,
    },
    /// Add an address of length 32.
    AddAddress {
        /// Interface.
        index: u32,
        /// The address.
        address: Ipv4Addr,
    },
    /// Make or correct a permanent neighbour.
    SetNeighbour {
        /// Interface.
        index: u32,
        /// The neighbour.
        address: Ipv4Addr,
        /// Its MAC.
        mac: Mac,
    },
    /// Make or correct a permanent forwarding entry.
    SetFdb {
        /// Interface.
        index: u32,
        /// Inner destination.
        mac: Mac,
        /// Outer destination.
        remote: Ipv4Addr,
    },
    /// Make a route, or put it in the place of the one that is there.
    SetRoute {
        /// The route.
        route: Route,
        /// What it replaces.
        replaces: Option<Route>,
    },
    /// Add a route only where no other with its destination and metric is.
    AddRoute(Route),
    /// Remove a route.
    DeleteRoute(Route),
    /// Remove a neighbour.
    DeleteNeighbour {
        /// Interface.
        index: u32,
        /// The neighbour.
        address: Ipv4Addr,
    },
    /// Remove a forwarding entry, whatever it points to.
    DeleteFdb {
        /// Interface.
        index: u32,
        /// Inner destination.
        mac: Mac,
    },
    /// Remove an address.
    DeleteAddress(Address),
}

/// Why an interface is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is not a vxlan device.
    Kind,
    /// It has another VNI.
    Vni,
    /// It has another underlay interface.
    Underlay,
    /// It has another source address.
    Local(Ipv4Addr),
    /// It uses another port.
    Port(u16),
    /// Group-based policy differs.
    Gbp,
    /// It has something that flannel's never has.
    Alien(Alien),
    /// An earlier configuration made it, for this network.
    Leftover,
    /// The agent's traces are being removed.
    Cleanup,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Kind => f.write_str("it is not a vxlan device"),
            Reason::Vni => f.write_str("it has another VNI"),
            Reason::Underlay => f.write_str("it sits on another interface"),
            Reason::Local(local) => write!(f, "its local address is {local}"),
            Reason::Port(port) => write!(f, "it uses port {port}"),
            Reason::Gbp => f.write_str("its group policy setting differs"),
            Reason::Alien(Alien::Group) => f.write_str("it has a group or default remote"),
            Reason::Alien(Alien::L2Miss) => f.write_str("it reports L2 misses"),
            Reason::Alien(Alien::External) => f.write_str("it is in external mode"),
            Reason::Alien(Alien::Local6) => f.write_str("its local address is IPv6"),
            Reason::Leftover => f.write_str("an earlier configuration left it"),
            Reason::Cleanup => f.write_str("cleaning up"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::DeleteLink { name, reason, .. } => write!(f, "delete device {name} ({reason})"),
            Change::CreateVxlan(device) => write!(
                f,
                "create device {} (VNI {}, local {}, MTU {})",
                device.name, device.vni, device.local, device.mtu
            ),
            Change::SetMtu { name, mtu, .. } => write!(f, "set MTU of {name} to {mtu}"),
            Change::SetMac { name, mac, .. } => write!(f, "set MAC of {name} to {mac}"),
            Change::SetLearning { name, learning, .. } => {
                write!(f, "switch learning of {name} {}", on(*learning))
            }
            Change::SetUp { name, .. } => write!(f, "bring {name} up"),
            Change::AddAddress { address, .. } => write!(f, "add address {address}/32"),
            Change::SetNeighbour { address, mac, .. } => write!(f, "set neighbour {address} {mac}"),
            Change::SetFdb { mac, remote, .. } => {
                write!(f, "set forwarding entry {mac} to {remote}")
            }
            Change::SetRoute { route, replaces } => {
                write!(f, "set route {}", Shown(route))?;
                match replaces {
                    Some(old) => write!(f, " in place of {}", Shown(old)),
                    None => Ok(()),
                }
            }
            Change::AddRoute(route) => write!(f, "add route {}", Shown(route)),
            Change::DeleteRoute(route) => write!(f, "delete route {}", Shown(route)),
            Change::DeleteNeighbour { address, .. } => write!(f, "delete neighbour {address}"),
            Change::DeleteFdb { mac, .. } => write!(f, "delete forwarding entry {mac}"),
            Change::DeleteAddress(address) => write!(f, "delete address {}", address.net),
        }
    }
}

impl Change {
    /// True when only one peer's traffic depends on the step.
    pub fn concerns_peer(&self) -> bool {
        match self {
            Change::SetNeighbour { .. }
            | Change::SetFdb { .. }
            | Change::DeleteRoute(_)
            | Change::DeleteNeighbour { .. }
            | Change::DeleteFdb { .. } => true,
            // The udp backend's route of the whole network has no gateway.
            Change::SetRoute { route, .. } => route.gateway.is_some(),
            _ => false,
        }
    }

    /// The subnet that a route change is about.
    pub fn destination(&self) -> Option<Ipv4Net> {
        match self {
            Change::SetRoute { route, .. }
            | Change::AddRoute(route)
            | Change::DeleteRoute(route) => Some(route.destination),
            _ => None,
        }
    }
}

fn on(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}

struct Shown<'a>(&'a Route);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.0;
        match route.kind {
            RouteKind::Unicast => {}
            RouteKind::Blackhole => f.write_str("blackhole ")?,
            RouteKind::Other(kind) => write!(f, "type {kind} ")?,
        }
        write!(f, "{}", route.destination)?;
        match (route.gateway, route.oif) {
            (Some(gateway), _) => write!(f, " via {gateway}")?,
            (None, Some(oif)) => write!(f, " on interface {oif}")?,
            (None, None) => {}
        }
        if route.complex {
            f.write_str(" with several next hops")?;
        }
        Ok(())
    }
}
