//! The firewall rules a node should hold (flannel-compat 6): masquerade for what leaves the overlay,
//! accept for what is forwarded within it. Pure: reads listings as text and returns text to apply;
//! runs no program and knows no clock.
//!
//! # Where the rules go, and why they win
//!
//! Content and comments are flanneld's, so that either finds and replaces the other's rules. Place is
//! not: flanneld appends, behind Docker's drops (moby 49792).
//!
//! * **`DOCKER-USER`, when it exists: our jump comes last in it** (before the bare `RETURN` that Docker
//!   up to 27 puts there). Docker promises to visit that chain first and never rewrites it, so an
//!   accept there holds through every restart of dockerd without us, without a gap. Last, because the
//!   chain belongs to the administrator: a block that he put there keeps its word.
//! * **`FORWARD`: one jump before everything that can drop traffic between overlay addresses**, right
//!   behind the jump to `DOCKER-USER` where that leads the chain, else at the top. This serves hosts
//!   without Docker (ufw, firewalld, a bare DROP policy), Docker's first start, and a rule in
//!   `DOCKER-USER` that returns early. dockerd pushes this jump down when it starts; that is seen and
//!   put right, and until then `DOCKER-USER` holds.
//!
//! A rule in front of ours that cannot drop traffic between overlay addresses (a ban of one outside
//! address, a log line, an accept) is left in front: it is someone's intention and costs nothing.
//! Docker's raw-table drops come before any filter rule; they are reported ([`findings`]), not fought.

pub mod choose;
pub mod decide;
pub mod findings;
pub mod nft;
mod reach;
pub mod rules;
pub mod save;

use std::fmt;

use ipnet::Ipv4Net;

pub use choose::{Choice, Seen, choose};
pub use decide::{Change, holds_any, plan};
pub use save::Listing;

/// What the rules are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirewallGoal {
    /// The whole overlay (`Network` of the config).
    pub network: Ipv4Net,
    /// This node's subnet; host bits are ignored.
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

impl FirewallGoal {
    /// True when it wants any rule at all.
    pub fn wants_any(&self) -> bool {
        self.ip_masq || self.forward
    }
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

/// A rule for a message: control characters escaped.
fn printable(rule: &str) -> String {
    rule.chars()
        .map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}
