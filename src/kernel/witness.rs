//! Watches a node while probes pass: packets at each point, drops, counters, firewall listings; and tells what
//! state the node is in. Changes nothing but for an nftables table and a tracefs instance of its own, which
//! end with it.
//!
//! Everything here blocks: from async code it is called by `spawn_blocking`. It looks at the network
//! namespace of the thread that arms it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ipnet::Ipv4Net;

use super::capture::{Capture, Look, Place};
use super::counters::{self, Counters};
use super::drops::Trace;
use super::facts::{self, Names};
use super::facts_links::{self, Seen};
use super::listing::{self, Listing};
use super::netlink::Netlink;
use super::nft_trace::NftTrace;
use super::sight::Recogniser;
use super::{containers, docker, endpoint, reach, sweep};
use crate::diagnose::evidence::{ContainerFact, NeighbourFact, Point};
use crate::diagnose::probe::{Origin, Target};
use crate::diagnose::{NodeEvidence, Path};

/// What is to be watched.
#[derive(Debug, Clone)]
pub struct WitnessSpec {
    /// This node's public IP.
    pub node: Ipv4Addr,
    /// `subnet.env`.
    pub subnet_file: PathBuf,
    /// `vxlan`, `udp`, `host-gw`.
    pub backend: String,
    /// UDP port of the encapsulation by the network config.
    pub port: u16,
    /// VNI by the network config.
    pub vni: u32,
    /// This node's subnet, if it has one.
    pub subnet: Option<Ipv4Net>,
    /// The overlay.
    pub network: Ipv4Net,
    /// Underlay interface; `None`: the one that has `node`.
    pub external: Option<String>,
    /// flannel's device; `None`: found by its kind.
    pub device: Option<String>,
    /// The bridge; `None`: the one that has an address of `subnet`, or `docker0`.
    pub bridge: Option<String>,
    /// Public IPs of the other nodes concerned.
    pub peers: Vec<Ipv4Addr>,
    /// What to recognise.
    pub paths: Vec<Path>,
    /// Keep the packets themselves.
    pub packets: bool,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);
/// The ports that VXLAN is sent to, by Linux's tradition and by IANA.
const VXLAN_PORTS: [u16; 2] = [8472, 4789];
/// Bridge ports watched at most, where the port of an address is not known.
const MOST_PORTS: usize = 48;

/// An armed witness. Dropped without `collect`, it removes what it made all the same.
#[derive(Debug)]
pub struct Witness {
    spec: WitnessSpec,
    missing: Vec<String>,
    capture: Capture,
    drops: Option<Trace>,
    nft: Option<NftTrace>,
    listings: Vec<Listing>,
    counters: Counters,
    /// Interfaces whose counters are told.
    counted: Vec<String>,
}

impl Witness {
    /// Starts watching. Never fails: what is not to be had goes into `missing` of the evidence. First removes
    /// what a killed run has left. Takes some 300 ms.
    pub fn arm(spec: &WitnessSpec) -> Self {
        for removed in sweep::leftovers() {
            tracing::info!(removed, "removed what a killed diagnosis had left");
        }
        let mut missing = Vec::new();
        let (places, ports) = places(spec, &mut missing);
        let recogniser = Arc::new(recogniser(spec, ports));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let counted = places.iter().map(|place| place.interface.clone()).collect();
        // What the firewall says of itself comes before our own table.
        let listings = listing::all();
        let mut nft = None;
        let mut drops = None;
        if !spec.paths.is_empty() {
            match NftTrace::start(&recogniser, number) {
                Ok(trace) => nft = Some(trace),
                Err(error) => missing.push(format!("verdicts of nftables (nftrace): {error}")),
            }
            match Trace::start(number) {
                Ok(trace) => drops = Some(trace),
                Err(error) => missing.push(format!("reasons of drops (skb:kfree_skb): {error}")),
            }
        }
        let look = Look {
            recogniser,
            keep: spec.packets,
        };
        let capture = Capture::start(places, look, &mut missing);
        let mut witness = Self {
            spec: spec.clone(),
            missing,
            capture,
            drops,
            nft,
            listings,
            counters: Counters::new(),
            counted,
        };
        witness.counters = witness.count();
        witness
    }

    /// Stops watching, removes what was made, and tells everything that the node knows. Takes some 300 ms.
    pub fn collect(self) -> NodeEvidence {
        let after = self.count();
        let mut evidence = NodeEvidence {
            counters: counters::join(&self.counters, &after),
            ..NodeEvidence::default()
        };
        let mut missing = self.missing;
        let caught = self.capture.stop();
        let moments: Vec<u64> = caught
            .seen
            .iter()
            .map(|sighting| sighting.time_us)
            .collect();
        evidence.drops = self
            .drops
            .map_or_else(Vec::new, |drops| drops.stop(&moments));
        evidence.nft_trace = self.nft.map_or_else(Vec::new, NftTrace::stop);
        evidence.firewall = listing::join(&self.listings, listing::all(), &mut missing);
        if caught.cut {
            missing.push("some packets: there were too many of them".to_owned());
        }
        for point in caught.points.iter().filter(|point| point.lost > 0) {
            let (lost, interface) = (point.lost, &point.interface);
            missing.push(format!(
                "{lost} packets on {interface} that the capture was too slow for"
            ));
        }
        evidence.seen = caught.seen;
        evidence.packets = caught.packets;
        evidence.points = caught.points;
        evidence.icmp_errors = caught.errors;
        evidence.missing = missing;
        state(&self.spec, &mut evidence);
        evidence.no_arp = reach::silent(&self.spec.peers, &evidence);
        evidence
    }

    /// The state of the node alone: no capture, no counters before and after, nothing made.
    pub fn look(spec: &WitnessSpec) -> NodeEvidence {
        let mut evidence = NodeEvidence::default();
        let listings = listing::all();
        evidence.firewall = listing::join(&listings, listings.clone(), &mut evidence.missing);
        state(spec, &mut evidence);
        evidence
    }

    fn count(&self) -> Counters {
        let links = Netlink::open().and_then(|mut netlink| facts_links::links(&mut netlink));
        let mut links = links.unwrap_or_default();
        links.retain(|link| self.counted.contains(&link.fact.name));
        counters::read(&links)
    }
}

/// State, containers, Docker.
fn state(spec: &WitnessSpec, evidence: &mut NodeEvidence) {
    let mut docker_missing = Vec::new();
    let docker = std::thread::scope(|scope| {
        let docker = scope.spawn(|| docker::ask(&mut docker_missing));
        facts::gather(spec, evidence);
        if let Some(bridge) = evidence.bridge.clone() {
            let found = containers::behind(&bridge, &mut evidence.missing);
            let facts = found.containers.into_iter().map(|one| one.fact);
            evidence.containers = facts.collect();
            evidence.ports = found.ports;
        }
        docker.join().unwrap_or_default()
    });
    evidence.missing.append(&mut docker_missing);
    for (name, network, address) in docker.containers {
        let known = evidence
            .containers
            .iter_mut()
            .find(|c| c.address == address);
        if let Some(container) = known {
            container.name = name;
            container.network = network;
        } else {
            evidence.containers.push(ContainerFact {
                name,
                network,
                ..ContainerFact::at(address)
            });
        }
    }
    evidence.docker = docker.fact;
}

fn recogniser(spec: &WitnessSpec, mut ports: Vec<u16>) -> Recogniser {
    if matches!(spec.backend.as_str(), "vxlan" | "udp" | "") {
        ports.push(spec.port);
    }
    if spec.backend == "vxlan" {
        // What a node sends by another port than agreed is to be seen as well.
        ports.extend(VXLAN_PORTS);
    }
    ports.retain(|port| *port != 0);
    ports.sort_unstable();
    ports.dedup();
    Recogniser {
        paths: spec
            .paths
            .iter()
            .map(|path| (path.icmp_id, path.index))
            .collect(),
        ports,
        bare: matches!(spec.backend.as_str(), "udp" | ""),
        peers: spec.peers.iter().copied().chain([spec.node]).collect(),
    }
}

/// Where to watch, and the port that the device really has.
fn places(spec: &WitnessSpec, missing: &mut Vec<String>) -> (Vec<Place>, Vec<u16>) {
    let found = Netlink::open().and_then(|mut netlink| {
        let links = facts_links::links(&mut netlink)?;
        let names: BTreeMap<u32, String> = links
            .iter()
            .map(|link| (link.fact.index, link.fact.name.clone()))
            .collect();
        let neighbours = facts_links::neighbours(&mut netlink, &names)?;
        let by_mac = facts_links::ports_by_mac(&mut netlink)?;
        Ok((links, neighbours, by_mac))
    });
    let (links, neighbours, by_mac) = match found {
        Ok(found) => found,
        Err(error) => {
            missing.push(format!("packets on any interface: {error}"));
            return (Vec::new(), Vec::new());
        }
    };
    let names = Names::find(spec, &links);
    let place = |point, name: &Option<String>| {
        let link = links
            .iter()
            .find(|link| Some(&link.fact.name) == name.as_ref())?;
        Some(Place {
            point: Some(point),
            interface: link.fact.name.clone(),
            index: link.fact.index,
        })
    };
    let mut places = Vec::new();
    places.extend(place(Point::Underlay, &names.external));
    places.extend(place(Point::Overlay, &names.device));
    let bridge = place(Point::Bridge, &names.bridge);
    if let Some(bridge) = &bridge {
        places.extend(ports(spec, bridge, &links, &neighbours, &by_mac));
    }
    places.extend(bridge);
    let loopback = links.iter().find(|link| link.fact.name == "lo");
    places.extend(loopback.map(|link| Place {
        point: None,
        interface: link.fact.name.clone(),
        index: link.fact.index,
    }));
    let device = links
        .iter()
        .find(|link| Some(&link.fact.name) == names.device.as_ref());
    let vxlan = device.and_then(|device| device.fact.vxlan.as_ref());
    (places, vxlan.map(|vxlan| vxlan.port).into_iter().collect())
}

/// The bridge's ports that lead to addresses of the paths; all of them where one cannot be told.
fn ports(
    spec: &WitnessSpec,
    bridge: &Place,
    links: &[Seen],
    neighbours: &[NeighbourFact],
    by_mac: &BTreeMap<String, u32>,
) -> Vec<Place> {
    let here = spec.paths.iter().flat_map(|path| {
        let from =
            (path.source_node == spec.node && path.origin != Origin::Host).then_some(path.from);
        let to = (path.target_node == spec.node
            && matches!(path.target, Target::Container | Target::ContainerTtl2))
        .then_some(path.to);
        [from, to].into_iter().flatten()
    });
    let port_of = |address: Ipv4Addr| {
        let neighbour = neighbours
            .iter()
            .find(|n| n.address == address && n.device == bridge.interface)?;
        by_mac.get(&neighbour.mac).copied()
    };
    let wanted: Option<BTreeSet<u32>> = here.map(port_of).collect();
    let all = links
        .iter()
        .filter(|l| l.fact.controller == Some(bridge.index));
    let concerned = all.filter(|link| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&link.fact.index))
            || link.fact.name.starts_with(endpoint::PREFIX)
    });
    concerned
        .take(MOST_PORTS)
        .map(|link| Place {
            point: Some(Point::Container),
            interface: link.fact.name.clone(),
            index: link.fact.index,
        })
        .collect()
}
