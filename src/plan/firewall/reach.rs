//! Can a rule decide against traffic between two overlay addresses? Answers for a rule with all that
//! it leads to. Must err on the side of "it may".

use std::collections::HashMap;

use ipnet::Ipv4Net;

use super::save::{Parts, Rule, Table};

/// How a rule treats packets whose source and destination are both in the overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Against {
    /// It lets them on, or accepts them.
    Never,
    /// It stops or changes those that also meet a condition which we do not weigh.
    Perhaps,
    /// It stops or changes some or all of them, by addresses alone.
    Surely,
}

/// Weighs the rules of one table; remembers chains already weighed.
pub(super) struct Weigher<'a> {
    table: &'a Table,
    network: Ipv4Net,
    chains: HashMap<&'a str, Against>,
}

/// Targets after which a packet goes on unchanged in what matters here, or is accepted.
const HARMLESS: [&str; 21] = [
    "ACCEPT",
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DSCP",
    "ECN",
    "IDLETIMER",
    "LOG",
    "MARK",
    "NFLOG",
    "NOTRACK",
    "RATEEST",
    "SECMARK",
    "TCPMSS",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

impl<'a> Weigher<'a> {
    pub(super) fn new(table: &'a Table, network: Ipv4Net) -> Self {
        Self {
            table,
            network,
            chains: HashMap::new(),
        }
    }

    /// Weighs a rule of a built-in chain, where `RETURN` means the chain's policy.
    pub(super) fn base_rule(&mut self, rule: &Rule) -> Against {
        let parts = rule.parts();
        if parts.target.as_deref() == Some("RETURN") && concerns(&parts, self.network) {
            return Against::Perhaps;
        }
        self.weigh(&parts)
    }

    /// Weighs a rule of a chain that is jumped to.
    pub(super) fn rule(&mut self, rule: &Rule) -> Against {
        self.weigh(&rule.parts())
    }

    fn weigh(&mut self, parts: &Parts) -> Against {
        let Some(target) = parts.target.as_deref() else {
            return Against::Never;
        };
        if !concerns(parts, self.network) || target == "RETURN" || HARMLESS.contains(&target) {
            return Against::Never;
        }
        let table = self.table;
        let verdict = match table.chain(target) {
            Some(chain) => self.chain(&chain.name),
            None => Against::Surely,
        };
        if parts.narrowed {
            verdict.min(Against::Perhaps)
        } else {
            verdict
        }
    }

    fn chain(&mut self, name: &'a str) -> Against {
        if let Some(known) = self.chains.get(name) {
            return *known;
        }
        // A loop, which iptables refuses to make, ends here. So does a chain of jumps too deep for
        // our stack: it may do anything.
        if self.chains.len() >= 512 {
            return Against::Perhaps;
        }
        self.chains.insert(name, Against::Never);
        let mut worst = Against::Never;
        // Something in front took part of the traffic out of the chain.
        let mut partial = false;
        let table = self.table;
        for rule in table.chain(name).into_iter().flat_map(|c| &c.rules) {
            let parts = rule.parts();
            if !concerns(&parts, self.network) {
                continue;
            }
            let ends = matches!(parts.target.as_deref(), Some("ACCEPT" | "RETURN"));
            if ends && covers(&parts, self.network) {
                break;
            }
            let verdict = self.weigh(&parts);
            worst = worst.max(if partial {
                verdict.min(Against::Perhaps)
            } else {
                verdict
            });
            partial |= ends || parts.target.is_some_and(|t| table.chain(&t).is_some());
        }
        self.chains.insert(name, worst);
        worst
    }
}

/// True when the rule can match a packet between two addresses of `network`.
fn concerns(parts: &Parts, network: Ipv4Net) -> bool {
    [parts.source, parts.destination]
        .into_iter()
        .flatten()
        .all(|(negated, net)| {
            if negated {
                !net.contains(&network)
            } else {
                net.contains(&network) || network.contains(&net)
            }
        })
}

/// True when the rule matches every packet between two addresses of `network`.
pub(super) fn covers(parts: &Parts, network: Ipv4Net) -> bool {
    !parts.narrowed
        && [parts.source, parts.destination]
            .into_iter()
            .flatten()
            .all(|(negated, net)| {
                if negated {
                    !net.contains(&network) && !network.contains(&net)
                } else {
                    net.contains(&network)
                }
            })
}
