//! Does a rule meet a packet; and what becomes of a packet in the chains of a hook.

use std::net::Ipv4Addr;

use super::{Action, Chain, Match, Rule};

/// A packet as a firewall sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Source.
    pub from: Ipv4Addr,
    /// Destination.
    pub to: Ipv4Addr,
    /// Incoming interface; empty where it comes from the host itself.
    pub input: String,
    /// Outgoing interface; empty where it ends on the host, or is not known yet.
    pub output: String,
    /// `icmp` or `udp`.
    pub protocol: &'static str,
    /// UDP destination port.
    pub port: u16,
    /// It answers a packet that passed this host (connection tracking knows it).
    pub established: bool,
}

/// Whether a rule meets a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// It does.
    Yes,
    /// It may: it has conditions that are not understood.
    Maybe,
    /// It does not.
    No,
}

/// Chains deeper than this are not followed.
const MAX_DEPTH: u8 = 16;

impl Match {
    /// Whether this meets the packet.
    pub fn of(&self, packet: &Packet) -> Meets {
        let inside =
            |nets: &[ipnet::Ipv4Net], address| nets.iter().any(|net| net.contains(&address));
        let checks = [
            self.from
                .as_ref()
                .map(|(nets, not)| inside(nets, packet.from) != *not),
            self.to
                .as_ref()
                .map(|(nets, not)| inside(nets, packet.to) != *not),
            self.input
                .as_ref()
                .map(|(name, not)| named(name, &packet.input) != *not),
            self.output
                .as_ref()
                .map(|(name, not)| named(name, &packet.output) != *not),
            self.protocol
                .as_ref()
                .map(|(name, not)| same_protocol(name, packet.protocol) != *not),
            self.port.as_ref().map(|(ports, not)| {
                let fits = |(first, last): &(u16, u16)| (*first..=*last).contains(&packet.port);
                packet.protocol != "icmp" && ports.iter().any(fits) != *not
            }),
            self.states.as_ref().map(|(states, not)| {
                let now = if packet.established {
                    "ESTABLISHED"
                } else {
                    "NEW"
                };
                states.iter().any(|state| state.eq_ignore_ascii_case(now)) != *not
            }),
        ];
        if checks.contains(&Some(false)) {
            Meets::No
        } else if self.unknown {
            Meets::Maybe
        } else {
            Meets::Yes
        }
    }
}

fn named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(['+', '*']) {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn same_protocol(pattern: &str, protocol: &str) -> bool {
    let number = match protocol {
        "icmp" => "1",
        "udp" => "17",
        "tcp" => "6",
        _ => "",
    };
    pattern.eq_ignore_ascii_case(protocol)
        || pattern == number
        || pattern == "all"
        || pattern == "0"
}

/// Who ends a packet's way: a rule (or the policy) of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ender<'c> {
    /// The chain.
    pub chain: &'c Chain,
    /// The rule; `None` for the policy.
    pub rule: Option<&'c Rule>,
}

/// What a chain does with a packet, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate<'c> {
    Accepted,
    Ended(Ender<'c>),
    Returned,
    Unknown,
}

/// The rule or policy that surely drops the packet at this hook, by reading alone. `None`: it passes, or it
/// depends on what is not understood.
pub fn dropper<'c>(chains: &'c [Chain], hook: &str, packet: &Packet) -> Option<Ender<'c>> {
    let mut bases: Vec<&Chain> = chains
        .iter()
        .filter(|chain| chain.hook.as_deref() == Some(hook) && chain.table != "nat")
        .collect();
    bases.sort_by_key(|chain| chain.priority);
    for base in bases {
        match walk(chains, base, packet, 0) {
            Fate::Ended(ender) => return Some(ender),
            Fate::Returned if base.drops => {
                return Some(Ender {
                    chain: base,
                    rule: None,
                });
            }
            Fate::Accepted | Fate::Returned | Fate::Unknown => {}
        }
    }
    None
}

fn walk<'c>(chains: &'c [Chain], chain: &'c Chain, packet: &Packet, depth: u8) -> Fate<'c> {
    if depth > MAX_DEPTH {
        return Fate::Unknown;
    }
    let mut doubt = false;
    for rule in &chain.rules {
        let meets = rule.meets.of(packet);
        if meets == Meets::No {
            continue;
        }
        let fate = match &rule.action {
            Action::Pass => continue,
            Action::Accept => Fate::Accepted,
            Action::Return => Fate::Returned,
            Action::Drop | Action::Reject => Fate::Ended(Ender {
                chain,
                rule: Some(rule),
            }),
            Action::Jump(name) | Action::Goto(name) => match sub(chains, chain, name) {
                Some(next) => match walk(chains, next, packet, depth + 1) {
                    Fate::Returned if matches!(rule.action, Action::Jump(_)) => continue,
                    fate => fate,
                },
                None => Fate::Unknown,
            },
            Action::Masquerade => Fate::Accepted,
            Action::Unknown => Fate::Unknown,
        };
        if fate == Fate::Unknown || meets == Meets::Maybe {
            doubt = true;
            continue;
        }
        // Something earlier may have decided otherwise.
        return if doubt { Fate::Unknown } else { fate };
    }
    if doubt { Fate::Unknown } else { Fate::Returned }
}

fn sub<'c>(chains: &'c [Chain], of: &Chain, name: &str) -> Option<&'c Chain> {
    chains.iter().find(|chain| {
        chain.program == of.program
            && chain.family == of.family
            && chain.table == of.table
            && chain.name == name
    })
}

/// The hooks from which a chain is reached.
pub fn hooks<'c>(chains: &'c [Chain], chain: &'c Chain) -> Vec<&'c str> {
    let mut found = Vec::new();
    let mut queue = vec![chain];
    let mut known: Vec<&Chain> = Vec::new();
    while let Some(one) = queue.pop() {
        if known.contains(&one) {
            continue;
        }
        known.push(one);
        found.extend(one.hook.as_deref());
        let callers = chains.iter().filter(|other| {
            other.program == one.program
                && other.family == one.family
                && other.table == one.table
                && other.rules.iter().any(|rule| {
                    matches!(&rule.action, Action::Jump(name) | Action::Goto(name) if *name == one.name)
                })
        });
        queue.extend(callers);
    }
    found
}
