//! The firewall rules a node should hold (flannel-compat 6): masquerade for what leaves the overlay,
//! accept for what is forwarded within it. Pure: reads listings as text and returns text to apply;
//! runs no program and knows no clock.

use std::fmt;

use ipnet::Ipv4Net;

/// What the rules are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirewallGoal {
    /// The whole overlay (`Network` of the config).
    pub network: Ipv4Net,
    /// This node's subnet, host bits cleared.
    pub subnet: Ipv4Net,
    /// `--ip-masq`: masquerade what leaves or enters the overlay. False removes our masquerade rules.
    pub ip_masq: bool,
    /// `MASQUERADE --random-fully` where the program knows it.
    pub random_fully: bool,
    /// `--iptables-forward-rules`: accept forwarded overlay traffic. False removes our forward rules.
    pub forward: bool,
}

/// Where the rules live. Never in more than one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// iptables programs that write nftables (`iptables-nft`).
    IptablesNft,
    /// iptables programs that write x_tables (`iptables-legacy`).
    IptablesLegacy,
    /// The table `ip flannel-ipv4`, written with `nft`.
    NftTable,
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Implementation::IptablesNft => "iptables-nft",
            Implementation::IptablesLegacy => "iptables-legacy",
            Implementation::NftTable => "nft table ip flannel-ipv4",
        })
    }
}
