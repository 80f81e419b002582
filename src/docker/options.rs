//! The three options, read from `subnet.env` and validated.

use ipnet::Ipv4Net;

use crate::subnet::envfile::{self, Assignment, EnvError};

/// Smallest MTU that IPv4 allows.
const MIN_MTU: u32 = 68;
/// Largest MTU that a bridge can have.
const MAX_MTU: u32 = 65535;

/// What `subnet.env` says to Docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// `--bip`: the bridge's address with the subnet's length; `None` on an IPv6-only node.
    pub bip: Option<Ipv4Net>,
    /// `--ip-masq`: the inverse of `FLANNEL_IPMASQ`, as only one of the two may masquerade; `None` where
    /// the caller leaves it out.
    pub ip_masq: Option<bool>,
    /// `--mtu`.
    pub mtu: u32,
    /// `--allow-direct-routing` (Docker 28.2 and later), where the caller asks for it.
    pub allow_direct_routing: bool,
    /// The file's other assignments; mk-docker-opts.sh passes some of them on.
    pub others: Vec<Assignment>,
}

/// Why a `subnet.env` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A line that is no assignment.
    #[error(transparent)]
    Line(#[from] EnvError),
    /// The agent always writes it: the file is incomplete or not a subnet file.
    #[error("{0} is missing: the file is incomplete")]
    Missing(&'static str),
    /// A value that is no value for its key.
    #[error("line {line}: {key}={value:?} is not valid: {expected}")]
    Value {
        /// From 1.
        line: usize,
        /// The variable.
        key: &'static str,
        /// Its text.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl DockerOptions {
    /// Reads the file's text. Without `with_ip_masq`, `FLANNEL_IPMASQ` is neither needed nor looked at.
    ///
    /// # Errors
    /// `OptionsError` names the line or the missing key.
    pub fn read(text: &str, with_ip_masq: bool) -> Result<Self, OptionsError> {
        let assignments = envfile::parse(text)?;
        // As in a shell, the last assignment counts.
        let find = |key: &str| assignments.iter().rev().find(|a| a.key == key);
        let bip = match find("FLANNEL_SUBNET") {
            Some(a) => {
                Some(bip(&a.value).map_err(|expected| refuse(a, "FLANNEL_SUBNET", expected))?)
            }
            // An IPv6-only node; Docker's bridge then keeps its own IPv4 subnet.
            None if find("FLANNEL_IPV6_SUBNET").is_some() => None,
            None => return Err(OptionsError::Missing("FLANNEL_SUBNET")),
        };
        let mtu = find("FLANNEL_MTU").ok_or(OptionsError::Missing("FLANNEL_MTU"))?;
        let mtu = match plain_number(&mtu.value) {
            Some(number @ MIN_MTU..=MAX_MTU) => number,
            _ => return Err(refuse(mtu, "FLANNEL_MTU", "expected 68 to 65535")),
        };
        let ip_masq = if with_ip_masq {
            let masq = find("FLANNEL_IPMASQ").ok_or(OptionsError::Missing("FLANNEL_IPMASQ"))?;
            match masq.value.as_str() {
                "true" => Some(false),
                "false" => Some(true),
                _ => return Err(refuse(masq, "FLANNEL_IPMASQ", "expected true or false")),
            }
        } else {
            None
        };
        Ok(Self {
            bip,
            ip_masq,
            mtu,
            allow_direct_routing: false,
            others: assignments,
        })
    }

    /// The node's subnet, if it has an IPv4 one.
    pub fn subnet(&self) -> Option<Ipv4Net> {
        self.bip.map(|bip| bip.trunc())
    }

    /// The options as words of dockerd's command line, named as mk-docker-opts.sh names them, in its
    /// alphabetical order.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        if self.allow_direct_routing {
            flags.push((
                "ALLOW_DIRECT_ROUTING",
                "--allow-direct-routing=true".to_owned(),
            ));
        }
        if let Some(bip) = self.bip {
            flags.push(("BIP", format!("--bip={bip}")));
        }
        if let Some(masq) = self.ip_masq {
            flags.push(("IPMASQ", format!("--ip-masq={masq}")));
        }
        flags.push(("MTU", format!("--mtu={}", self.mtu)));
        flags
    }

    /// The combined value: every option after one blank.
    pub fn combined(&self) -> String {
        self.flags()
            .iter()
            .map(|(_, flag)| format!(" {flag}"))
            .collect()
    }
}

fn refuse(assignment: &Assignment, key: &'static str, expected: &'static str) -> OptionsError {
    OptionsError::Value {
        line: assignment.line,
        key,
        value: assignment.value.clone(),
        expected,
    }
}

fn bip(text: &str) -> Result<Ipv4Net, &'static str> {
    let net: Ipv4Net = text
        .parse()
        .map_err(|_| "expected an address with a prefix length, like 10.5.52.1/24")?;
    if net.prefix_len() > 30 || net.prefix_len() == 0 {
        return Err("expected a prefix length of 1 to 30: a bridge and a container must fit");
    }
    if net.addr() == net.network() || net.addr() == net.broadcast() {
        return Err("expected the bridge's address, which is neither the subnet's first nor last");
    }
    Ok(net)
}

fn plain_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
