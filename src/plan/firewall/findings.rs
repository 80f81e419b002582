//! What a listing shows that our rules cannot overcome. Each finding is a sentence with its remedy.

use std::fmt;

use ipnet::Ipv4Net;

use super::reach::{Against, Weigher, covers};
use super::rules::{FORWARD, MASQUERADE};
use super::save::{Listing, Parts, Rule};
use super::{FirewallGoal, Implementation, printable};

/// Something in the way of overlay traffic that is not ours to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// FL102: Docker ≥ 28 drops what comes for a container from elsewhere than its bridge, in the raw
    /// table, in front of every filter rule.
    RawDrop {
        /// How many containers of our subnet.
        containers: usize,
        /// One of the rules.
        rule: String,
    },
    /// FL121: Docker masquerades the node's subnet too, so peers see the node's address.
    DoubleMasquerade {
        /// The rule.
        rule: String,
    },
    /// The administrator's chain drops all overlay traffic before it comes to our rules.
    UserChainDrops {
        /// The rule in `DOCKER-USER`.
        rule: String,
    },
    /// FL130: the other iptables has a say too, and it is no.
    OtherDrops {
        /// The one that our rules are not in.
        implementation: Implementation,
        /// Its policy or rule.
        what: String,
    },
    /// FL131: another nftables base chain drops what nothing in it accepts.
    BaseChainDrops {
        /// `family table chain`.
        chain: String,
    },
}

impl Finding {
    /// Whether overlay traffic is lost by it; masqueraded twice, it arrives all the same.
    pub fn stops_traffic(&self) -> bool {
        !matches!(self, Finding::DoubleMasquerade { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::RawDrop { containers, rule } => write!(
                f,
                "Docker drops overlay traffic to {containers} container{} of this node in the raw table, \
                 in front of any rule of ours (raw PREROUTING {}): set \"allow-direct-routing\": true in \
                 daemon.json (Docker 28.2 or later), or DOCKER_INSECURE_NO_IPTABLES_RAW=1 in dockerd's \
                 environment, and restart dockerd",
                if *containers == 1 { "" } else { "s" },
                printable(rule)
            ),
            Finding::DoubleMasquerade { rule } => write!(
                f,
                "Docker masquerades this node's subnet as well, so peers see the node instead of the \
                 container (nat POSTROUTING {}): set \"ip-masq\": false in daemon.json and restart dockerd",
                printable(rule)
            ),
            Finding::UserChainDrops { rule } => write!(
                f,
                "DOCKER-USER drops overlay traffic before our rules are asked (DOCKER-USER {}): narrow \
                 that rule",
                printable(rule)
            ),
            Finding::OtherDrops {
                implementation,
                what,
            } => write!(
                f,
                "{implementation} drops forwarded overlay traffic too ({}), whatever our rules accept \
                 elsewhere: remove those rules, or let Docker and them use one iptables",
                printable(what)
            ),
            Finding::BaseChainDrops { chain } => write!(
                f,
                "the nftables chain {} drops forwarded traffic that it does not accept itself, whatever \
                 our table accepts: accept the overlay's network there",
                printable(chain)
            ),
        }
    }
}

/// What the listing that holds our rules shows against them.
pub fn findings(listing: &Listing, goal: &FirewallGoal) -> Vec<Finding> {
    let mut out = Vec::new();
    out.extend(raw_drops(listing, goal.subnet.trunc()));
    if goal.ip_masq {
        out.extend(double_masquerade(listing, goal));
    }
    if goal.forward {
        out.extend(user_chain(listing, goal.network.trunc()));
    }
    out
}

/// What the other iptables, which holds no rules of ours, has against forwarded overlay traffic.
pub fn other(
    listing: &Listing,
    implementation: Implementation,
    goal: &FirewallGoal,
) -> Option<Finding> {
    let table = listing.table(FORWARD.table)?;
    let chain = table.chain(FORWARD.base)?;
    let network = goal.network.trunc();
    let finding = |what: String| {
        Some(Finding::OtherDrops {
            implementation,
            what,
        })
    };
    let mut weigher = Weigher::new(table, network);
    for rule in &chain.rules {
        let parts = rule.parts();
        if parts.target.as_deref() == Some("ACCEPT") && covers(&parts, network) {
            return None;
        }
        if covers(&parts, network) && weigher.base_rule(rule) == Against::Surely {
            return finding(format!("FORWARD {}", rule.text));
        }
    }
    match chain.policy.as_deref() {
        Some("DROP") => finding("FORWARD policy DROP".to_owned()),
        _ => None,
    }
}

/// `-d CONTAINER ! -i BRIDGE -j DROP` with no accept for the same container in front.
fn raw_drops(listing: &Listing, subnet: Ipv4Net) -> Option<Finding> {
    let chain = listing.chain("raw", "PREROUTING")?;
    let mut containers: Vec<Ipv4Net> = Vec::new();
    let mut accepted: Vec<Ipv4Net> = Vec::new();
    let mut example: Option<&Rule> = None;
    for rule in &chain.rules {
        let Parts {
            destination: Some((false, to)),
            target: Some(target),
            ..
        } = rule.parts()
        else {
            continue;
        };
        if !subnet.contains(&to) {
            continue;
        }
        match target.as_str() {
            // Docker writes these for trusted_host_interfaces.
            "ACCEPT" => accepted.push(to),
            "DROP" if !accepted.contains(&to) && !containers.contains(&to) => {
                containers.push(to);
                example.get_or_insert(rule);
            }
            _ => {}
        }
    }
    Some(Finding::RawDrop {
        containers: containers.len(),
        rule: example?.text.clone(),
    })
}

/// `-s SUBNET ! -o BRIDGE -j MASQUERADE`, as Docker writes it with `--ip-masq`.
fn double_masquerade(listing: &Listing, goal: &FirewallGoal) -> Option<Finding> {
    let chain = listing.chain(MASQUERADE.table, MASQUERADE.base)?;
    let subnet = goal.subnet.trunc();
    let rule = chain.rules.iter().find(|rule| {
        rule.text.contains("MASQUERADE") && {
            let parts = rule.parts();
            parts.target.as_deref() == Some("MASQUERADE")
                && parts.source == Some((false, subnet))
                && parts.destination.is_none()
                && !MASQUERADE.owns(&chain.name, rule)
        }
    })?;
    Some(Finding::DoubleMasquerade {
        rule: rule.text.clone(),
    })
}

fn user_chain(listing: &Listing, network: Ipv4Net) -> Option<Finding> {
    let table = listing.table(FORWARD.table)?;
    let chain = table.chain(FORWARD.user_chain?)?;
    let mut weigher = Weigher::new(table, network);
    for rule in &chain.rules {
        let parts = rule.parts();
        if !covers(&parts, network) {
            continue;
        }
        // Ours, an accept or a return: what follows is not asked.
        if matches!(parts.target.as_deref(), Some("ACCEPT" | "RETURN"))
            || FORWARD.is_target_of(rule)
        {
            return None;
        }
        if weigher.rule(rule) == Against::Surely {
            return Some(Finding::UserChainDrops {
                rule: rule.text.clone(),
            });
        }
    }
    None
}
