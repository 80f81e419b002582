//! What a lab consists of: pure names and addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Fewest and most hosts.
pub const NODES: std::ops::RangeInclusive<u8> = 2..=50;
/// The underlay, a network for documentation: no machine has it.
pub const UNDERLAY: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24);
/// The switch's own address: everybody's default gateway, and where etcd is.
pub const SWITCH_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Name of the switch, as host and in `lab exec`.
pub const SWITCH: &str = "switch";
/// The bridge in the switch's namespace.
pub const SWITCH_BRIDGE: &str = "br0";
/// A host's interface on the underlay, and a container's only one.
pub const UPLINK: &str = "eth0";
/// The bridge on each host, called as Docker calls it.
pub const BRIDGE: &str = "docker0";
/// The host's end of its container's cable.
pub const CONTAINER_PORT: &str = "veth0";
/// MTU of the underlay.
pub const MTU: u32 = 1500;

/// The last byte of the first host's address, less one.
const BEFORE_FIRST: u8 = 10;

/// How the hosts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cable {
    /// veth as it is: giant packets are handed over whole, without checksums.
    #[default]
    Veth,
    /// As a cable between machines: packets of at most the MTU, with checksums, merged where they arrive.
    Wire,
}

/// Names and addresses of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The hosts, `node1` first.
    pub hosts: Vec<HostPlan>,
    /// How they are joined.
    pub cable: Cable,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// `node1`, …; the switch's port to it has the same name.
    pub name: String,
    /// On the underlay.
    pub address: Ipv4Addr,
}

impl Plan {
    /// A lab of so many hosts; `NODES` says how many there can be.
    pub fn new(nodes: u8, cable: Cable) -> Self {
        let nodes = nodes.clamp(*NODES.start(), *NODES.end());
        let host = |number: u8| HostPlan {
            name: format!("node{number}"),
            address: Ipv4Addr::new(192, 0, 2, BEFORE_FIRST + number),
        };
        Self {
            hosts: (1..=nodes).map(host).collect(),
            cable,
        }
    }
}

/// The address of the container on a host whose bridge has `bridge`.
pub fn container_address(bridge: Ipv4Net) -> Ipv4Net {
    let base = u32::from(bridge.network());
    Ipv4Net::new_assert(Ipv4Addr::from(base + 2), bridge.prefix_len())
}

/// The overlay's network.
pub const NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 5, 0, 0), 16);
/// Where the lab's keys are in etcd; with an etcd of one's own, nothing else there is touched.
pub const ETCD_PREFIX: &str = "/flannelctl-lab/network";
/// Port of the store on the switch.
pub const ETCD_PORT: u16 = 2379;

/// The store's URL, as all hosts of the lab see it.
pub fn etcd_url() -> String {
    format!("http://{SWITCH_ADDRESS}:{ETCD_PORT}")
}
