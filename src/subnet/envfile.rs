//! `subnet.env`: what the agent writes for Docker and reads back for its previous subnet
//! (flannel-compat 4.1). Parsed as data, never executed.

use ipnet::{Ipv4Net, Ipv6Net};

/// The file's contents. Subnets are given as bases; the file holds base + 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetEnv {
    /// `FLANNEL_NETWORK` and the node's subnet (base), when IPv4 is on.
    pub v4: Option<(Ipv4Net, Ipv4Net)>,
    /// `FLANNEL_IPV6_NETWORK` and the node's subnet (base), when IPv6 is on.
    pub v6: Option<(Ipv6Net, Ipv6Net)>,
    /// `FLANNEL_MTU`.
    pub mtu: u32,
    /// `FLANNEL_IPMASQ`: true when flannel does the masquerading.
    pub ip_masq: bool,
}

/// Subnets of an earlier run (bases), as far as the file held exactly one valid value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreviousSubnets {
    /// From `FLANNEL_SUBNET`.
    pub v4: Option<Ipv4Net>,
    /// From `FLANNEL_IPV6_SUBNET`.
    pub v6: Option<Ipv6Net>,
}

/// One `KEY=VALUE` of a dotenv file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Line number, from 1.
    pub line: usize,
    /// Name, `export ` removed.
    pub key: String,
    /// Value, quotes and comment removed.
    pub value: String,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Neither empty, nor a comment, nor `KEY=VALUE`.
    #[error("line {line} is not KEY=VALUE")]
    Line {
        /// From 1.
        line: usize,
    },
}

impl SubnetEnv {
    /// The file byte for byte as flanneld writes it.
    pub fn render(&self) -> String {
        todo!()
    }
}

/// Reads dotenv text: `export `, quotes and `#` comments are understood; nothing is expanded or run.
///
/// # Errors
/// `EnvError` names the line.
pub fn parse(_text: &str) -> Result<Vec<Assignment>, EnvError> {
    todo!()
}

/// The previous subnets by flanneld's lenient rule: whatever cannot be read is "none".
pub fn previous(_text: &str) -> PreviousSubnets {
    todo!()
}
