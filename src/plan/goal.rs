//! What the agent wants of the kernel, in the words of leases and settings; and the numbers that follow
//! from it alone (MTU, device name).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::subnet::network::Backend;

/// Bytes that VXLAN adds in front of an inner IP packet over IPv4: Ethernet 14, VXLAN 8, UDP 8, IP 20.
pub const VXLAN_OVERHEAD: u32 = 50;
/// Bytes that the udp backend adds: UDP 8, IP 20.
pub const UDP_OVERHEAD: u32 = 28;
/// The smallest MTU that IPv4 allows on a device.
pub const SMALLEST_MTU: u32 = 68;

/// Everything that decides what the kernel should hold. Newest wins: a goal replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// This host's own side.
    pub host: Host,
    /// The data path with its options.
    pub backend: Backend,
    /// Base of the own subnet (`10.5.52.0/24`). `None` before the lease is held: then only the device
    /// is prepared, and nothing that an earlier run left is touched.
    pub own: Option<Ipv4Net>,
    /// The flannel network; routes inside it are flannel's.
    pub network: Ipv4Net,
    /// The other nodes that are to be reached. Where two of them collide the earlier wins.
    pub peers: Vec<Peer>,
    /// Keep a blackhole route for the own subnet, behind the container bridge's.
    pub blackhole: bool,
    /// Where this host's agent worked before, when that was another network or another length of subnets:
    /// what it made there is removed.
    pub former: Option<Former>,
}

/// The network and the own subnet of an earlier run on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Former {
    /// The flannel network.
    pub network: Ipv4Net,
    /// Base of the own subnet; its length is that of the peers' routes.
    pub own: Ipv4Net,
}

/// This host's own side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The interface that carries the overlay.
    pub ext: External,
    /// The address that is published in the lease; behind NAT it is not one of the host's.
    pub public_ip: Ipv4Addr,
    /// The MAC that the vxlan device must hold (the published one). `None`: keep that of an existing
    /// device, or invent one.
    pub mac: Option<[u8; 6]>,
    /// Name of the udp backend's TUN device, while it is open.
    pub tun: Option<String>,
}

/// The interface that carries the overlay, as it was when selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Interface index.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// The address on it that is the source of overlay packets.
    pub address: Ipv4Addr,
}

/// Another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its subnet's base with length.
    pub subnet: Ipv4Net,
    /// Where it is reached on the underlay.
    pub public_ip: Ipv4Addr,
    /// MAC of its vxlan device; needed by the vxlan backend alone.
    pub vtep_mac: Option<[u8; 6]>,
}

impl Goal {
    /// The MTU that containers may use: what goes into `subnet.env`.
    pub fn mtu(&self) -> u32 {
        mtu(&self.backend, self.host.ext.mtu)
    }

    /// Name of flannel's own device: `flannel.<VNI>`, or the TUN's; host-gw has none.
    pub fn device_name(&self) -> Option<String> {
        match &self.backend {
            Backend::Vxlan(options) => Some(vxlan_device(options.vni)),
            Backend::Udp { .. } => self.host.tun.clone(),
            Backend::HostGw => None,
        }
    }
}

/// The MTU inside the overlay for an interface of `ext_mtu` bytes. A configured underlay MTU (vxlan)
/// counts only up to the interface's: the kernel refuses a larger one.
pub fn mtu(backend: &Backend, ext_mtu: u32) -> u32 {
    let inner = match backend {
        Backend::Udp { .. } => ext_mtu.saturating_sub(UDP_OVERHEAD),
        Backend::Vxlan(options) => options
            .mtu
            .map_or(ext_mtu, |configured| configured.min(ext_mtu))
            .saturating_sub(VXLAN_OVERHEAD),
        Backend::HostGw => ext_mtu,
    };
    inner.max(SMALLEST_MTU)
}

/// Name of the vxlan device of a VNI.
pub fn vxlan_device(vni: u32) -> String {
    format!("flannel.{vni}")
}
