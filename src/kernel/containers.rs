//! Containers behind a bridge, found without Docker: the ports' other ends in the namespaces of this host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use super::docker;
use super::endpoint;
use super::error::Error;
use super::facts_links::{self, Seen};
use super::netlink::Netlink;
use super::netns::Netns;
use super::observe;
use crate::diagnose::evidence::{ContainerFact, NeighbourFact, PortFact};
use crate::plan::state::RouteKind;

/// Folders where namespaces are kept by name.
const NAMED: &[&str] = &["/run/docker/netns", "/run/netns"];
/// Containers looked at, at most.
const MOST: usize = 512;

/// A container (or whatever else lives behind a bridge's port).
#[derive(Debug, Clone)]
pub struct Container {
    /// What is told of it.
    pub fact: ContainerFact,
    /// Where to send from, if it may be entered.
    pub namespace: Option<Netns>,
}

/// What is behind a bridge.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    /// Containers, and those whose veth is no port of any bridge.
    pub containers: Vec<Container>,
    /// Ports that could be looked into.
    pub ports: Vec<PortFact>,
}

/// All behind `bridge`, temporary endpoints left out. `missing` gets what could not be looked at. Blocks up
/// to some 100 ms.
pub fn behind(bridge: &str, missing: &mut Vec<String>) -> Behind {
    match search(bridge, missing) {
        Ok(found) => found,
        Err(error) => {
            missing.push(format!("containers behind {bridge}: {error}"));
            Behind::default()
        }
    }
}

/// Docker's running containers by name, with an address each; blocks up to 300 ms.
pub fn running() -> Vec<(String, std::net::Ipv4Addr)> {
    docker::running()
}

fn search(bridge: &str, missing: &mut Vec<String>) -> Result<Behind, Error> {
    let mut netlink = Netlink::open()?;
    let links = facts_links::links(&mut netlink)?;
    let Some(index) = links
        .iter()
        .find(|l| l.fact.name == bridge)
        .map(|l| l.fact.index)
    else {
        return Ok(Behind::default());
    };
    // A veth without a bridge may be one that fell off; one with an address serves the host itself.
    let loose = |link: &Seen| {
        let alone = link.fact.controller.is_none() && link.fact.addresses.is_empty();
        link.fact.kind == "veth" && alone
    };
    let ports: Vec<&Seen> = links
        .iter()
        .filter(|link| link.fact.controller == Some(index) || loose(link))
        .filter(|link| !link.fact.name.starts_with(endpoint::PREFIX))
        .take(MOST)
        .collect();
    let mut found = Vec::new();
    let mut looked = Vec::new();
    let namespaces = namespaces(&mut netlink);
    let mut closed = 0;
    for port in &ports {
        let number = port.peer_namespace;
        let namespace = number.and_then(|number| namespaces.get(&number));
        let veth = &port.fact.name;
        let within = namespace
            .zip(port.peer)
            .and_then(|(namespace, peer)| inside(namespace, peer, veth));
        match within {
            Some(containers) if loose(port) => {
                // Another program's it may be all the same, which its reader decides by the address.
                found.extend(containers.into_iter().map(Container::detached));
            }
            Some(containers) => {
                looked.push(PortFact {
                    interface: veth.clone(),
                    addresses: containers.iter().map(|one| one.fact.address).collect(),
                });
                found.extend(containers);
            }
            None if loose(port) => {}
            None => closed += 1,
        }
    }
    if closed > 0 {
        missing.push(format!(
            "the inside of {closed} of {} containers behind {bridge}: their namespaces cannot be entered",
            ports.len()
        ));
    }
    let names: BTreeMap<u32, String> = links
        .iter()
        .map(|link| (link.fact.index, link.fact.name.clone()))
        .collect();
    let neighbours = facts_links::neighbours(&mut netlink, &names)?;
    let by_mac = facts_links::ports_by_mac(&mut netlink)?;
    let known: BTreeSet<_> = found.iter().map(|c: &Container| c.fact.address).collect();
    let rest = neighbours
        .iter()
        .filter(|n| n.device == bridge && !n.mac.is_empty() && !known.contains(&n.address));
    found.extend(rest.filter_map(|neighbour| from_outside(neighbour, &by_mac, &names)));
    Ok(Behind {
        containers: found,
        ports: looked,
    })
}

impl Container {
    fn detached(mut self) -> Self {
        self.fact.detached = true;
        self
    }
}

/// What the bridge knows of a container that could not be entered.
fn from_outside(
    neighbour: &NeighbourFact,
    by_mac: &BTreeMap<String, u32>,
    names: &BTreeMap<u32, String>,
) -> Option<Container> {
    let port = by_mac.get(&neighbour.mac)?;
    let veth = names.get(port).cloned();
    if veth.as_ref()?.starts_with(endpoint::PREFIX) {
        return None;
    }
    Some(Container {
        fact: ContainerFact {
            veth,
            ..ContainerFact::at(neighbour.address)
        },
        namespace: None,
    })
}

/// The containers' facts, one for each address on the interface `index` within; `None` where the namespace
/// cannot be entered.
fn inside((path, namespace): &Found, index: u32, veth: &str) -> Option<Vec<Container>> {
    let look = || {
        let mut netlink = Netlink::open()?;
        let links = observe::links(&mut netlink)?;
        let names = links.iter().map(|l| (l.index, l.name.clone())).collect();
        Ok::<_, Error>((
            observe::addresses(&mut netlink)?,
            observe::routes(&mut netlink)?,
            facts_links::neighbours(&mut netlink, &names)?,
            links,
        ))
    };
    let (addresses, routes, neighbours, links) = namespace.run(look).ok()?.ok()?;
    let link = links.iter().find(|link| link.index == index)?;
    let default = routes
        .iter()
        .filter(|route| route.destination.prefix_len() == 0 && route.kind == RouteKind::Unicast)
        .min_by_key(|route| route.metric);
    let gateway = default.and_then(|route| route.gateway);
    let resolved = neighbours
        .into_iter()
        .find(|one| Some(one.address) == gateway && one.device == link.name && !one.mac.is_empty());
    let container = |address: &crate::plan::state::Address| Container {
        fact: ContainerFact {
            veth: Some(veth.to_owned()),
            mtu: Some(link.mtu),
            gateway,
            routes_known: true,
            namespace: Some(path.display().to_string()),
            interface: link.name.clone(),
            gateway_mac: resolved.as_ref().map(|one| one.mac.clone()),
            ..ContainerFact::at(address.net.addr())
        },
        namespace: Some(namespace.clone()),
    };
    let own = addresses.iter().filter(|address| address.index == index);
    Some(own.map(container).collect())
}

/// A namespace and a file that stands for it.
type Found = (PathBuf, Netns);

/// The namespaces of this host that this namespace has a number for.
fn namespaces(netlink: &mut Netlink) -> BTreeMap<i32, Found> {
    let mut seen = BTreeSet::new();
    let mut numbered = BTreeMap::new();
    for path in paths() {
        let Ok(namespace) = Netns::open(&path) else {
            continue;
        };
        if !seen.insert(namespace.inode()) {
            continue;
        }
        if let Some(number) = number(netlink, &namespace) {
            numbered.insert(number, (path, namespace));
        }
    }
    numbered
}

fn paths() -> impl Iterator<Item = PathBuf> {
    let listed = |folder: &str| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(Result::ok).map(|entry| entry.path())
    };
    let processes = listed("/proc").filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()))
    });
    let named: Vec<_> = NAMED.iter().flat_map(|folder| listed(folder)).collect();
    named
        .into_iter()
        .chain(processes.map(|process| process.join("ns/net")))
}

/// The number by which the calling thread's namespace knows another.
fn number(netlink: &mut Netlink, namespace: &Netns) -> Option<i32> {
    let mut message = NsidMessage::default();
    let descriptor = u32::try_from(namespace.raw()).ok()?;
    message.attributes.push(NsidAttribute::Fd(descriptor));
    let request = RouteNetlinkMessage::GetNsId(message);
    let pick = |entry| match entry {
        RouteNetlinkMessage::NewNsId(message) => {
            message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    NsidAttribute::Id(number) if *number >= 0 => Some(*number),
                    _ => None,
                })
        }
        _ => None,
    };
    netlink
        .get("the number of a namespace", &request, pick)
        .ok()?
}
