//! The name of a lease below `<prefix>/subnets/`: `10.5.52.0-24`, or dual stack
//! `10.5.52.0-24&2001:cafe:42:39::-64` (flannel-compat 2.1).

use std::fmt;

use ipnet::{Ipv4Net, Ipv6Net};

/// A node's subnet(s) as its key names them. Host bits are kept as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubnetKey {
    /// The IPv4 subnet; `0.0.0.0/0` on an IPv6-only node.
    pub v4: Ipv4Net,
    /// The IPv6 subnet of a dual-stack or IPv6-only node.
    pub v6: Option<Ipv6Net>,
}

/// Why a key's last part names no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form `A.B.C.D-LEN` or `A.B.C.D-LEN&V6-LEN6`.
    #[error("the key is not of the form 10.5.52.0-24 or 10.5.52.0-24&fc00::-64")]
    Form,
    /// The IPv4 half is no address.
    #[error("the key's IPv4 address is not valid")]
    Address4,
    /// The IPv6 half is no address.
    #[error("the key's IPv6 address is not valid")]
    Address6,
    /// A prefix length that flanneld refuses (IPv4 above 31, IPv6 above 127).
    #[error("the key's prefix length is out of range (IPv4 0-31, IPv6 0-127)")]
    Length,
    /// The key lies beside the `subnets` folder, where flanneld would still take it for a lease.
    #[error("the key is not directly below the subnets folder")]
    Folder,
}

impl SubnetKey {
    /// An IPv4-only key.
    pub fn v4(subnet: Ipv4Net) -> Self {
        Self {
            v4: subnet,
            v6: None,
        }
    }

    /// Reads the last part of a key exactly as flanneld does: not anchored at the start, anchored at
    /// the end (table in flannel-compat 2.1).
    ///
    /// # Errors
    /// `KeyError` names what flanneld would have refused.
    pub fn parse(_name: &str) -> Result<Self, KeyError> {
        todo!()
    }

    /// The IPv4 subnet with host bits cleared, or `None` on an IPv6-only node.
    pub fn subnet4(&self) -> Option<Ipv4Net> {
        (self.v4.prefix_len() > 0).then(|| self.v4.trunc())
    }
}

impl fmt::Display for SubnetKey {
    /// The key's last part as flanneld writes it.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
