//! Firewall listings as text become chains and rules that can be asked: does this rule meet this packet, by how
//! much did its counter rise. What is not understood is remembered as such and never guessed.

mod iptables;
mod nft;
mod packet;

use super::evidence::FirewallFact;

pub use iptables::net;
pub use packet::{Ender, Meets, Packet, dropper, hooks};

/// What a rule does with what it meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Lets it through this base chain.
    Accept,
    /// Drops it.
    Drop,
    /// Drops it and says so.
    Reject,
    /// Goes on in another chain, and comes back.
    Jump(String),
    /// Goes on in another chain, and does not come back.
    Goto(String),
    /// Back to the calling chain.
    Return,
    /// Rewrites the source.
    Masquerade,
    /// Counts, logs, marks: the packet goes on.
    Pass,
    /// Not understood.
    Unknown,
}

/// Which packets a rule meets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// Sources, and whether negated.
    pub from: Option<(Vec<ipnet::Ipv4Net>, bool)>,
    /// Destinations.
    pub to: Option<(Vec<ipnet::Ipv4Net>, bool)>,
    /// Incoming interface; a trailing `+` or `*` means any that begin so.
    pub input: Option<(String, bool)>,
    /// Outgoing interface.
    pub output: Option<(String, bool)>,
    /// `icmp`, `udp`, `tcp`, or a number.
    pub protocol: Option<(String, bool)>,
    /// UDP or TCP destination ports, first to last.
    pub port: Option<(Vec<(u16, u16)>, bool)>,
    /// Connection states in upper case.
    pub states: Option<(Vec<String>, bool)>,
    /// It has conditions that are not understood.
    pub unknown: bool,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// As its program prints it.
    pub text: String,
    /// Which packets.
    pub meets: Match,
    /// What then.
    pub action: Action,
    /// Packets and bytes before and after the probes, where it counts.
    pub counter: Option<[(u64, u64); 2]>,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// `iptables-nft`, `iptables-legacy`, `nft`.
    pub program: String,
    /// `ip`, `inet`, ….
    pub family: String,
    /// Table.
    pub table: String,
    /// Name.
    pub name: String,
    /// Hook in lower case (`forward`), where it is a base chain.
    pub hook: Option<String>,
    /// Priority among the base chains of its hook.
    pub priority: i64,
    /// The policy drops.
    pub drops: bool,
    /// The policy's packets and bytes before and after.
    pub policy_counter: Option<[(u64, u64); 2]>,
    /// Rules in order.
    pub rules: Vec<Rule>,
}

impl Rule {
    /// By how much its counter rose: packets, bytes.
    pub fn rise(&self) -> Option<(u64, u64)> {
        self.counter.map(difference)
    }
}

impl Chain {
    /// By how much the policy's counter rose: packets, bytes.
    pub fn policy_rise(&self) -> Option<(u64, u64)> {
        self.policy_counter.map(difference)
    }

    /// `iptables-legacy filter FORWARD`; the usual iptables is only `ip`.
    pub fn title(&self) -> String {
        let lead = match self.program.as_str() {
            "iptables-legacy" => "iptables-legacy ip",
            _ => self.family.as_str(),
        };
        format!("{lead} {} {}", self.table, self.name)
    }
}

fn difference([before, after]: [(u64, u64); 2]) -> (u64, u64) {
    (
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
    )
}

/// All chains of all listings of a node. Tables that iptables-nft lists are not taken twice from nft.
pub fn read(listings: &[FirewallFact]) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let (native, classic): (Vec<_>, Vec<_>) = listings.iter().partition(|it| it.program == "nft");
    for listing in classic {
        let before = iptables::read(&listing.program, &listing.before);
        chains.extend(joined(
            before,
            iptables::read(&listing.program, &listing.after),
        ));
    }
    for listing in native {
        let fresh = joined(nft::read(&listing.before), nft::read(&listing.after));
        let known = chains.len();
        for chain in fresh {
            let twice = chains.iter().take(known).any(|one| {
                one.program == "iptables-nft"
                    && chain.family == "ip"
                    && one.table == chain.table
                    && one.name == chain.name
            });
            if !twice {
                chains.push(chain);
            }
        }
    }
    chains
}

/// The later listing with the counters of the earlier. A rule that is not in the earlier counted from zero.
fn joined(before: Vec<Chain>, mut after: Vec<Chain>) -> Vec<Chain> {
    if after.is_empty() {
        return before;
    }
    for chain in &mut after {
        let earlier = before.iter().find(|one| {
            one.family == chain.family && one.table == chain.table && one.name == chain.name
        });
        let Some(earlier) = earlier else { continue };
        if let (Some(mine), Some(theirs)) = (&mut chain.policy_counter, earlier.policy_counter) {
            mine[0] = theirs[1];
        }
        let mut used = vec![false; earlier.rules.len()];
        for rule in &mut chain.rules {
            let twin = earlier
                .rules
                .iter()
                .zip(&mut used)
                .find(|(one, used)| !**used && one.text == rule.text);
            if let Some((twin, used)) = twin {
                *used = true;
                if let (Some(mine), Some(theirs)) = (&mut rule.counter, twin.counter) {
                    mine[0] = theirs[1];
                }
            }
        }
    }
    after
}
