//! The network config at `<prefix>/config` (flannel-compat 1): decoding by Go's rules, derivation of
//! the ranges, validation of what flanneld validates.

use super::pool::{Pool4, Pool6};

/// A config that flanneld would accept. Which backend it asks for is decided by
/// [`NetworkConfig::backend`], as flanneld also looks only later.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkConfig {
    /// IPv4 range, unless `EnableIPv4` is false.
    pub ipv4: Option<Pool4>,
    /// IPv6 range, if `EnableIPv6` is true.
    pub ipv6: Option<Pool6>,
    /// `EnableNFTables`.
    pub nftables: bool,
    /// Lower-cased `Backend.Type`; `udp` without `Backend`, empty without `Type`.
    pub backend_type: String,
    /// The raw `Backend` object's members in order.
    pub backend_options: Vec<(String, serde_json::Value)>,
}

/// A backend of ours with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Raw IP packets in UDP, forwarded in user space.
    Udp {
        /// UDP port, the same on all nodes. Default 8285.
        port: u16,
    },
    /// Kernel VXLAN.
    Vxlan(VxlanOptions),
    /// Routes to the peers' underlay addresses.
    HostGw,
}

/// Options of the vxlan backend (flannel-compat 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VxlanOptions {
    /// 1 to 16777215. Default 1.
    pub vni: u32,
    /// UDP port; `None` = the kernel's default, 8472.
    pub port: Option<u16>,
    /// MTU of the underlay to count from; `None` = that of the interface.
    pub mtu: Option<u32>,
    /// Group-based policy extension.
    pub gbp: bool,
    /// Source learning in the kernel.
    pub learning: bool,
    /// Plain routes to peers on the same link.
    pub direct_routing: bool,
}

/// Why a config is refused; every variant names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Placeholder until the decoder is written.
    #[error("the config is not a JSON object")]
    NotAnObject,
}

impl NetworkConfig {
    /// Decodes, derives and validates (flannel-compat 1.1 to 1.4).
    ///
    /// # Errors
    /// `ConfigError` names field, value and remedy.
    pub fn parse(_text: &[u8]) -> Result<Self, ConfigError> {
        todo!()
    }

    /// The backend asked for, with options read and validated (ranges of VNI, Port and MTU too).
    ///
    /// # Errors
    /// `ConfigError` for an unknown or unsupported type or an option out of range.
    pub fn backend(&self) -> Result<Backend, ConfigError> {
        todo!()
    }
}

impl Backend {
    /// `udp`, `vxlan`, `host-gw`.
    pub fn name(&self) -> &'static str {
        match self {
            Backend::Udp { .. } => "udp",
            Backend::Vxlan(_) => "vxlan",
            Backend::HostGw => "host-gw",
        }
    }

    /// The `BackendType` of this backend's leases; udp writes none.
    pub fn lease_type(&self) -> &'static str {
        match self {
            Backend::Udp { .. } => "",
            other => other.name(),
        }
    }
}
