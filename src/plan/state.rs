//! The kernel's objects as flannel sees them: what is there ([`Observed`]) and what should be
//! ([`Desired`]). Only data; how they are compared is in `diff`, how they are read in `kernel`.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::goal::Former;
use super::problem::Problem;

/// The kernel's default VXLAN port, unless the module was loaded with another.
pub const VXLAN_PORT: u16 = 8472;

/// A link-layer address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// True for an address that one device can have: neither zero, multicast nor broadcast.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the kernel holds, as far as flannel cares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// All interfaces.
    pub links: Vec<Link>,
    /// All IPv4 addresses.
    pub addresses: Vec<Address>,
    /// IPv4 routes of table main, in the kernel's order (the first of equal ones is used).
    pub routes: Vec<Route>,
    /// IPv4 neighbours on flannel's own device.
    pub neighbours: Vec<Neighbour>,
    /// Forwarding entries of flannel's own (vxlan) device.
    pub fdb: Vec<FdbEntry>,
    /// The port that this kernel gives a vxlan device when none is asked for.
    pub vxlan_default_port: Option<u16>,
}

impl Observed {
    /// The interface of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The interface of that index.
    pub fn link_at(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = Ipv4Net> {
        self.addresses
            .iter()
            .filter(move |address| address.index == index)
            .map(|address| address.net)
    }
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// MTU in bytes.
    pub mtu: u32,
    /// Link-layer address, where it has one of six bytes.
    pub mac: Option<Mac>,
    /// What kind of device.
    pub kind: LinkKind,
}

/// The kinds that make a difference here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// VXLAN with its attributes.
    Vxlan(Vxlan),
    /// TUN or TAP.
    Tun,
    /// A bridge (`docker0`).
    Bridge,
    /// Anything else.
    Other,
}

/// Attributes of an existing VXLAN device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// Network identifier.
    pub vni: u32,
    /// Index of the underlay interface.
    pub underlay: Option<u32>,
    /// Source address of outer packets.
    pub local: Option<Ipv4Addr>,
    /// UDP destination port.
    pub port: u16,
    /// Source learning.
    pub learning: bool,
    /// Group-based policy extension.
    pub gbp: bool,
    /// Sends unknown destinations to a group or fixed remote, asks user space for them, takes its
    /// destinations from metadata, or has an IPv6 source: not a device as flannel makes it.
    pub alien: Option<Alien>,
}

/// What keeps a VXLAN device from being flannel's, beside the compared attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alien {
    /// Has a group or default remote.
    Group,
    /// Notifies of L2 misses.
    L2Miss,
    /// Is in external (metadata) mode.
    External,
    /// Has an IPv6 local address.
    Local6,
}

/// An IPv4 address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Interface index.
    pub index: u32,
    /// The address with its prefix length (host bits kept).
    pub net: Ipv4Net,
    /// The other end of a point-to-point address.
    pub peer: Option<Ipv4Addr>,
}

/// Who made a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The kernel itself, from an address.
    Kernel,
    /// `boot`: what `ip route add` and flannel use.
    Boot,
    /// Another: a routing daemon, DHCP, an admin's `proto static`.
    Other(u8),
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// Forwards.
    Unicast,
    /// Drops silently.
    Blackhole,
    /// Unreachable, prohibit, throw, … by the kernel's number.
    Other(u8),
}

/// How far a route's destination is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere (`global`).
    Universe,
    /// On the link.
    Link,
    /// Another, by the kernel's number.
    Other(u8),
}

/// An IPv4 route of table main.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Destination (base with length).
    pub destination: Ipv4Net,
    /// Next hop.
    pub gateway: Option<Ipv4Addr>,
    /// Outgoing interface.
    pub oif: Option<u32>,
    /// The gateway is taken as on-link unasked.
    pub onlink: bool,
    /// Metric; 0 = none.
    pub metric: u32,
    /// Type of service.
    pub tos: u8,
    /// Who made it.
    pub protocol: Protocol,
    /// What it does.
    pub kind: RouteKind,
    /// How far it reaches.
    pub scope: Scope,
    /// Several next hops, a next-hop object or a next hop of another family: never flannel's form.
    pub complex: bool,
}

impl Route {
    /// A route as flannel makes it: unicast, proto boot, scope universe, no metric.
    pub fn flannel(destination: Ipv4Net, gateway: Option<Ipv4Addr>, oif: Option<u32>) -> Self {
        Self {
            destination,
            gateway,
            oif,
            onlink: false,
            metric: 0,
            tos: 0,
            protocol: Protocol::Boot,
            kind: RouteKind::Unicast,
            scope: Scope::Universe,
            complex: false,
        }
    }
}

/// An IPv4 neighbour entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its link-layer address, once known.
    pub mac: Option<Mac>,
    /// Set by hand, never expires.
    pub permanent: bool,
    /// The kernel's own (`NOARP`: multicast, broadcast) or not resolved: none of our business.
    pub ephemeral: bool,
}

/// An entry of a VXLAN device's own forwarding database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbEntry {
    /// Inner destination.
    pub mac: Mac,
    /// Outer destination, if it is one IPv4 address.
    pub remote: Option<Ipv4Addr>,
    /// Set by hand (not learned), never expires.
    pub permanent: bool,
    /// Carries a port, VNI or interface of its own.
    pub special: bool,
}

/// What the kernel should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// flannel's own device.
    pub device: Device,
    /// What goes with a held lease; `None` before: then only the device is looked after.
    pub content: Option<Content>,
    /// What keeps the goal from being reached, from the plan's point of view.
    pub problems: Vec<Problem>,
}

/// flannel's own device, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The backend has none, or it cannot be looked after now (a problem says why).
    None,
    /// The vxlan device; it is made when missing.
    Vxlan(VxlanDevice),
    /// The TUN, which the forwarder holds: only configured here.
    Tun {
        /// Name.
        name: String,
        /// MTU in bytes.
        mtu: u32,
    },
}

impl Device {
    /// Its name.
    pub fn name(&self) -> Option<&str> {
        match self {
            Device::None => None,
            Device::Vxlan(device) => Some(&device.name),
            Device::Tun { name, .. } => Some(name),
        }
    }

    /// Its MTU in bytes.
    pub fn mtu(&self) -> Option<u32> {
        match self {
            Device::None => None,
            Device::Vxlan(device) => Some(device.mtu),
            Device::Tun { mtu, .. } => Some(*mtu),
        }
    }
}

/// The vxlan device, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VxlanDevice {
    /// `flannel.<VNI>`.
    pub name: String,
    /// Network identifier.
    pub vni: u32,
    /// Index of the underlay interface.
    pub underlay: u32,
    /// Source address of outer packets: the interface's own, also behind NAT.
    pub local: Ipv4Addr,
    /// UDP port; `None` = the kernel's default.
    pub port: Option<u16>,
    /// MTU in bytes.
    pub mtu: u32,
    /// The MAC to hold; `None`: an existing device keeps its own, a new one gets what
    /// `Change::CreateVxlan` says.
    pub mac: Option<Mac>,
    /// Source learning.
    pub learning: bool,
    /// Group-based policy extension.
    pub gbp: bool,
}

/// What a host with a lease holds beside the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The flannel network.
    pub network: Ipv4Net,
    /// The own subnet.
    pub own: Ipv4Net,
    /// The address on the device, always with length 32 (vxlan, udp).
    pub address: Option<Ipv4Addr>,
    /// Permanent neighbours on the device.
    pub neighbours: Vec<(Ipv4Addr, Mac)>,
    /// Forwarding entries of the device.
    pub fdb: Vec<(Mac, Ipv4Addr)>,
    /// Routes. `oif` is `None` where it is the device.
    pub routes: Vec<Route>,
    /// Keep a blackhole route for the own subnet.
    pub blackhole: bool,
    /// Where this host's agent worked before: what it left there goes.
    pub former: Option<Former>,
    /// The peers could not be planned now (underlay down): leave theirs as it is.
    pub hold: bool,
}
