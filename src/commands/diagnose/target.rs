//! What the user means by TARGET.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::survey::{Here, Survey};
use crate::agent::respond::hands::{Site, on_thread};
use crate::diagnose::evidence::{ContainerFact, FROM_DOCKER, NodeEvidence};
use crate::exit::Failure;
use crate::kernel::witness::Witness;
use crate::report::terminal::clean_short;

/// Containers named in an error.
const LISTED: usize = 20;
/// How often a Docker that does not answer is asked for a name.
const LOOKS: u32 = 3;

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
        return named_like(text);
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

/// The address of the local container with this name.
///
/// # Errors
/// Usage: there is none; says which there are. Could not run: Docker does not say.
pub async fn named(name: &str, site: Option<&Site>) -> Result<Ipv4Addr, Failure> {
    let Some(site) = site else {
        return choose(name, &[], None, None);
    };
    let mut evidence = NodeEvidence::default();
    for _ in 0..LOOKS {
        let spec = site.spec(Vec::new(), Vec::new());
        let look = on_thread(move || Witness::look(&spec));
        evidence = look.await.unwrap_or_default();
        let is_there = evidence.containers.iter().any(|one| one.name == name);
        if is_there || unknown(&evidence.missing).is_none() {
            break;
        }
    }
    choose(
        name,
        &evidence.containers,
        site.subnet,
        unknown(&evidence.missing),
    )
}

/// Why the containers' names are not all known, if so.
fn unknown(missing: &[String]) -> Option<&str> {
    let found = missing.iter().find(|one| one.starts_with(FROM_DOCKER));
    found.map(String::as_str)
}

/// One of them in the node's subnet, if it has several addresses.
fn choose(
    name: &str,
    containers: &[ContainerFact],
    subnet: Option<Ipv4Net>,
    unknown: Option<&str>,
) -> Result<Ipv4Addr, Failure> {
    let inside = |one: &&ContainerFact| subnet.is_none_or(|subnet| subnet.contains(&one.address));
    let mut all: Vec<_> = containers.iter().filter(|one| one.name == name).collect();
    all.sort_by_key(|one| !inside(one));
    match all.first() {
        Some(one) if inside(one) => return Ok(one.address),
        Some(one) => {
            return Err(Failure::usage(format!(
                "container {name:?} has the address {}, outside of this node's subnet: it is on another network of Docker",
                one.address
            ))
            .with_remedy("`flannelctl diagnose explain FL303` tells more"));
        }
        None => {}
    }
    if let Some(why) = unknown {
        return Err(Failure::could_not_run(format!(
            "whether {name:?} is a container of this host is not known: {}",
            clean_short(why, 200)
        ))
        .with_remedy("`docker ps` has to answer; or give the container's address"));
    }
    let known: Vec<_> = containers
        .iter()
        .filter(|one| inside(one) && !one.name.is_empty())
        .take(LISTED)
        .map(|one| format!("{} ({})", clean_short(&one.name, 80), one.address))
        .collect();
    let known = match known.is_empty() {
        true => "no container of Docker runs on this host's bridge".to_owned(),
        false => format!("the containers of this host are {}", known.join(", ")),
    };
    Err(Failure::usage(format!(
        "{name:?} is neither a node, nor an address, nor the name of a container of this host"
    ))
    .with_remedy(format!("{known}; `flannelctl leases` shows the nodes")))
}

fn named_like(text: &str) -> Result<Aim, Failure> {
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
    use crate::exit::Code;

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
    fn a_name_that_nothing_has_lists_those_that_are_there() {
        let container = |name: &str, address: [u8; 4]| -> ContainerFact {
            let address = Ipv4Addr::from(address);
            let fact = serde_json::json!({"address": address, "name": name, "routes_known": false});
            serde_json::from_value(fact).unwrap()
        };
        let all = [
            container("web", [172, 18, 0, 2]),
            container("web", [10, 5, 7, 2]),
            container("elsewhere", [172, 18, 0, 3]),
            container("", [10, 5, 7, 3]),
        ];
        let subnet = "10.5.7.0/24".parse().ok();
        assert_eq!(
            choose("web", &all, subnet, Some("Docker: late")).unwrap(),
            Ipv4Addr::new(10, 5, 7, 2)
        );
        let said = |name| choose(name, &all, subnet, None).unwrap_err().to_string();
        assert!(
            said("wbe").contains("of this host are web (10.5.7.2);"),
            "{}",
            said("wbe")
        );
        assert!(
            said("elsewhere").contains("172.18.0.3, outside of"),
            "{}",
            said("elsewhere")
        );
        let none = choose("web", &[], subnet, None).unwrap_err().to_string();
        assert!(none.contains("no container of Docker runs"), "{none}");
        let late = choose("wbe", &all, subnet, Some("Docker: no answer within 1 s"));
        let late = late.unwrap_err();
        assert_eq!(late.code, Code::CouldNotRun);
        let text = late.to_string();
        assert!(text.contains("is not known: Docker: no answer"), "{text}");
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
