//! What the user means by TARGET.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::survey::{Here, Survey};
use crate::exit::Failure;

/// What is to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// All other nodes.
    All,
    /// One node.
    Node(Ipv4Addr),
    /// One container, on this node.
    Container(Ipv4Addr, Ipv4Addr),
    /// From the local container of this name to all other nodes.
    FromNamed(String),
}

/// Reads the text.
///
/// # Errors
/// Usage: neither of this network nor the name of anything.
pub fn read(text: &str, survey: &Survey, here: &Here) -> Result<Aim, Failure> {
    if let Ok(subnet) = text.parse::<Ipv4Net>() {
        let lease = survey
            .leases
            .iter()
            .find(|lease| lease.subnet == subnet.trunc());
        return match lease {
            Some(lease) => Ok(Aim::Node(lease.public_ip)),
            None => Err(nobody(text)),
        };
    }
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return named(text);
    };
    if survey.leases.iter().any(|lease| lease.public_ip == address) {
        return Ok(Aim::Node(address));
    }
    if let Some(lease) = survey.holder(address) {
        let base = u32::from(lease.subnet.network());
        // `.0` and `.1` stand for the node itself.
        return Ok(match u32::from(address).wrapping_sub(base) {
            0 | 1 => Aim::Node(lease.public_ip),
            _ => Aim::Container(address, lease.public_ip),
        });
    }
    let network = survey.network.as_ref().map(|network| network.network);
    match network.or(here.network) {
        // Nobody known holds it (its lease is gone, or etcd is away), and it may answer all the same.
        Some(network) if network.contains(&address) => {
            Ok(Aim::Container(address, Ipv4Addr::UNSPECIFIED))
        }
        _ => Err(nobody(text)),
    }
}

fn named(text: &str) -> Result<Aim, Failure> {
    let known = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match !text.is_empty() && text.chars().all(known) && !text.contains("..") {
        true => Ok(Aim::FromNamed(text.to_owned())),
        false => Err(nobody(text)),
    }
}

fn nobody(text: &str) -> Failure {
    Failure::usage(format!(
        "{text:?} is neither a node (public IP or subnet), nor an address of the network, nor a local container's name"
    ))
    .with_remedy("`flannelctl leases` shows the nodes")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::diagnose::case::{LeaseFact, NetworkFact};

    fn survey() -> Survey {
        Survey {
            network: Some(NetworkFact {
                network: "10.5.0.0/16".parse().unwrap(),
                subnet_len: 24,
                backend: "vxlan".into(),
                vni: 1,
                port: 8472,
                direct_routing: false,
            }),
            leases: vec![LeaseFact {
                subnet: "10.5.7.0/24".parse().unwrap(),
                public_ip: "192.0.2.7".parse().unwrap(),
                backend: "vxlan".into(),
                vtep_mac: String::new(),
                ttl: None,
            }],
            ..Survey::default()
        }
    }

    #[test]
    fn every_form_is_understood() {
        let node = Ipv4Addr::new(192, 0, 2, 7);
        let container = |last| Ipv4Addr::new(10, 5, 7, last);
        let table = [
            ("192.0.2.7", Some(Aim::Node(node))),
            ("10.5.7.0/24", Some(Aim::Node(node))),
            ("10.5.7.0", Some(Aim::Node(node))),
            ("10.5.7.1", Some(Aim::Node(node))),
            ("10.5.7.9", Some(Aim::Container(container(9), node))),
            (
                "10.5.8.9",
                Some(Aim::Container([10, 5, 8, 9].into(), Ipv4Addr::UNSPECIFIED)),
            ),
            ("web_1", Some(Aim::FromNamed("web_1".into()))),
            ("10.5.8.0/24", None),
            ("203.0.113.1", None),
            ("", None),
            ("\u{1b}[2J", None),
            ("../x", None),
        ];
        for (text, expected) in table {
            let aim = read(text, &survey(), &Here::default());
            assert_eq!(aim.ok(), expected, "{text:?}");
        }
    }
}
