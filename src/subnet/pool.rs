//! The range of one address family from which node subnets are taken.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// IPv4 half of the network config, derived and validated (flannel-compat 1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool4 {
    /// The whole overlay, host bits cleared.
    pub network: Ipv4Net,
    /// Prefix length of one node's subnet, at most 30.
    pub subnet_len: u8,
    /// Base of the first subnet that may be allocated.
    pub min: Ipv4Addr,
    /// Base of the last subnet that may be allocated; below `min` means that none can be.
    pub max: Ipv4Addr,
}

/// IPv6 half of the network config, derived and validated (flannel-compat 1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool6 {
    /// The whole overlay, host bits cleared.
    pub network: Ipv6Net,
    /// Prefix length of one node's subnet, at most 126.
    pub subnet_len: u8,
    /// Base of the first subnet that may be allocated.
    pub min: Ipv6Addr,
    /// Base of the last subnet that may be allocated.
    pub max: Ipv6Addr,
}

impl Pool4 {
    /// True when `subnet` could have been allocated under this config (flannel-compat 3.1).
    pub fn admits(&self, subnet: Ipv4Net) -> bool {
        subnet.prefix_len() == self.subnet_len
            && self.min <= subnet.addr()
            && subnet.addr() <= self.max
    }
}

impl Pool6 {
    /// True when `subnet` could have been allocated under this config (flannel-compat 3.1).
    pub fn admits(&self, subnet: Ipv6Net) -> bool {
        subnet.prefix_len() == self.subnet_len
            && self.min <= subnet.addr()
            && subnet.addr() <= self.max
    }
}
