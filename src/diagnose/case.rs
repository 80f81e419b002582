//! Everything that the verdict looks at. A case can be written to a file and read back: a user's report becomes
//! a test.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::evidence::NodeEvidence;
use super::probe::PathResult;
use crate::plan::state::VXLAN_PORT;
use crate::subnet::network::ConfigError;
use crate::subnet::{Backend, Lease, NetworkConfig};

/// The input of the verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// The network config, where etcd has one that can be read.
    pub network: Option<NetworkFact>,
    /// What is wrong with the config or with etcd, one sentence each.
    pub store_troubles: Vec<StoreTrouble>,
    /// The leases.
    pub leases: Vec<LeaseFact>,
    /// Node where the command runs.
    pub here: Option<Ipv4Addr>,
    /// Evidence, one entry a node that was asked; absent evidence of a node that did not answer is a
    /// `silent` entry below.
    pub nodes: Vec<NodeEvidence>,
    /// Nodes that were asked and have no agent that answers.
    pub silent: Vec<Ipv4Addr>,
    /// What was sent.
    pub paths: Vec<PathResult>,
    /// Where large packets vanish and small ones pass: at which size.
    pub sizes: Vec<SizeFact>,
}

/// Up to which size packets of a path pass. Bytes of the inner IP packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeFact {
    /// Inner source.
    pub from: Ipv4Addr,
    /// Inner destination.
    pub to: Ipv4Addr,
    /// The largest that was answered.
    pub passes: u16,
    /// The smallest that was not.
    pub vanishes: u16,
}

/// Trouble with etcd or what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "detail")]
pub enum StoreTrouble {
    /// No endpoint answers (FL410).
    Unreachable(String),
    /// TLS or authentication (FL411).
    Denied(String),
    /// No config (FL401).
    NoConfig(String),
    /// No config here, and one below another prefix (FL402).
    ConfigElsewhere(String),
    /// No config here, and one in etcd's old v2 interface (FL403).
    ConfigInV2 {
        /// The endpoint that has it.
        url: String,
        /// Its key.
        key: String,
        /// Its value, cut.
        value: String,
    },
    /// Config not valid (FL404).
    BadConfig(String),
    /// A record cannot be read.
    UnreadableRecord(String),
}

/// The network config as the checks need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFact {
    /// The overlay.
    pub network: Ipv4Net,
    /// Length of a node's subnet.
    pub subnet_len: u8,
    /// `udp`, `vxlan`, `host-gw`.
    pub backend: String,
    /// VNI (vxlan).
    pub vni: u32,
    /// UDP port of the encapsulation (vxlan, udp).
    pub port: u16,
    /// vxlan's DirectRouting.
    pub direct_routing: bool,
}

/// A lease as the checks need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseFact {
    /// Subnet base.
    pub subnet: Ipv4Net,
    /// Holder.
    pub public_ip: Ipv4Addr,
    /// Backend type; empty = udp.
    pub backend: String,
    /// VXLAN device's MAC, `aa:bb:…`, or empty.
    pub vtep_mac: String,
    /// Seconds left; `None` for a reservation.
    pub ttl: Option<i64>,
}

impl NetworkFact {
    /// From a config; `None` where it has no IPv4 half.
    ///
    /// # Errors
    /// The backend or one of its options is not one of ours.
    pub fn of(config: &NetworkConfig) -> Result<Option<Self>, ConfigError> {
        let backend = config.backend()?;
        let Some(pool) = &config.ipv4 else {
            return Ok(None);
        };
        let (vni, port, direct_routing) = match &backend {
            Backend::Vxlan(options) => (
                options.vni,
                options.port.unwrap_or(VXLAN_PORT),
                options.direct_routing,
            ),
            Backend::Udp { port } => (0, *port, false),
            Backend::HostGw => (0, 0, false),
        };
        Ok(Some(Self {
            network: pool.network.trunc(),
            subnet_len: pool.subnet_len,
            backend: backend.name().to_owned(),
            vni,
            port,
            direct_routing,
        }))
    }
}

impl LeaseFact {
    /// From a lease and the seconds that it still lives; `None` for one without an IPv4 subnet.
    pub fn of(lease: &Lease, ttl: Option<i64>) -> Option<Self> {
        let vtep = lease.attrs.vtep().map(|vtep| {
            let hex = vtep.mac.map(|byte| format!("{byte:02x}"));
            hex.join(":")
        });
        Some(Self {
            subnet: lease.key.subnet4()?,
            public_ip: lease.attrs.public_ip,
            backend: lease.attrs.backend_type.clone(),
            vtep_mac: vtep.unwrap_or_default(),
            ttl,
        })
    }
}

impl Case {
    /// Evidence of a node.
    pub fn node(&self, public_ip: Ipv4Addr) -> Option<&NodeEvidence> {
        self.nodes.iter().find(|node| node.node == Some(public_ip))
    }

    /// Lease of a node.
    pub fn lease(&self, public_ip: Ipv4Addr) -> Option<&LeaseFact> {
        self.leases
            .iter()
            .find(|lease| lease.public_ip == public_ip)
    }
}
