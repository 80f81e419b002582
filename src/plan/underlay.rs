//! What the plan needs to know of the host's other networks: the interface below the overlay, who is
//! on-link, which peers can be served side by side, and which networks are the host's own.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::diff_routes::is_flannels;
use super::goal::{Goal, Peer};
use super::problem::Problem;
use super::state::{Link, Observed, Protocol, Route, RouteKind};
use crate::subnet::network::Backend;
use crate::subnet::standing::HostNets;

/// The interface that carries the overlay: by name, else (renamed) by index. Notes in `problems` when it
/// is gone or has lost the selected address.
pub fn external<'a>(
    goal: &Goal,
    observed: &'a Observed,
    problems: &mut Vec<Problem>,
) -> Option<&'a Link> {
    let selected = &goal.host.ext;
    let found = observed
        .link(&selected.name)
        .or_else(|| observed.link_at(selected.index));
    let Some(link) = found else {
        problems.push(Problem::ExternalGone(selected.name.clone()));
        return None;
    };
    let held = observed
        .addresses_of(link.index)
        .any(|net| net.addr() == selected.address);
    if !held {
        problems.push(Problem::ExternalAddressGone {
            name: link.name.clone(),
            address: selected.address,
        });
    }
    Some(link)
}

/// The peers that can be served side by side, in their order: of those whose subnets start at one
/// address the first; none that collides with the own subnet or a network that this host is connected to.
pub fn servable<'a>(
    goal: &'a Goal,
    own: Ipv4Net,
    observed: &Observed,
    problems: &mut Vec<Problem>,
) -> Vec<&'a Peer> {
    let connected: HashSet<Ipv4Net> = observed
        .routes
        .iter()
        .filter(|route| route.protocol == Protocol::Kernel && route.metric == 0)
        .map(|route| route.destination)
        .collect();
    let mut taken = HashMap::with_capacity(goal.peers.len() + 1);
    taken.insert(own.network(), own);
    let mut served = Vec::with_capacity(goal.peers.len());
    for peer in &goal.peers {
        let subnet = peer.subnet.trunc();
        if let Some(&other) = taken.get(&subnet.network()) {
            problems.push(Problem::SameSubnet { subnet, other });
        } else if connected.contains(&subnet) {
            problems.push(Problem::Connected(subnet));
        } else {
            taken.insert(subnet.network(), subnet);
            served.push(peer);
        }
    }
    diverted(goal, own, served.iter().copied(), observed, problems);
    served
}

/// Notes the host's own routes inside the network that win over those to `peers` because they are more
/// specific: to a part of a peer's subnet, and where one route leads to all peers (udp) to all of it.
pub fn diverted<'a>(
    goal: &Goal,
    own: Ipv4Net,
    peers: impl Iterator<Item = &'a Peer> + Clone,
    observed: &Observed,
    problems: &mut Vec<Problem>,
) {
    let one_route = matches!(goal.backend, Backend::Udp { .. });
    let device = goal
        .device_name()
        .and_then(|name| observed.link(&name))
        .map(|link| link.index);
    let network = goal.network.trunc();
    let foreign = observed.routes.iter().filter(|route| {
        route.protocol != Protocol::Kernel
            && route.tos == 0
            && route.destination != network
            && network.contains(&route.destination)
            && !is_flannels(route, network, own, device)
    });
    for route in foreign {
        let destination = route.destination;
        for peer in peers.clone() {
            let subnet = peer.subnet.trunc();
            let part = subnet != destination && subnet.contains(&destination);
            if part || one_route && destination.contains(&subnet) {
                problems.push(Problem::Diverted {
                    subnet,
                    destination,
                    gateway: route.gateway,
                });
            }
        }
    }
}

/// Answers who is on-link, from the routes that are not flannel's.
pub struct OnLink<'a> {
    routes: Vec<&'a Route>,
}

impl<'a> OnLink<'a> {
    /// Leaves out routes through flannel's device and to peers' subnets: the answer must not depend on
    /// what the plan itself installs.
    pub fn new(goal: &Goal, observed: &'a Observed) -> Self {
        let device = goal
            .device_name()
            .and_then(|name| observed.link(&name))
            .map(|link| link.index);
        let subnets: HashSet<Ipv4Net> = goal.peers.iter().map(|peer| peer.subnet.trunc()).collect();
        let routes = observed
            .routes
            .iter()
            .filter(|route| route.tos == 0)
            .filter(|route| route.oif.is_none() || route.oif != device)
            .filter(|route| !subnets.contains(&route.destination))
            .collect();
        Self { routes }
    }

    /// The interface on whose link `address` is; `None` where a gateway, another kind of route or
    /// no route leads there.
    pub fn interface(&self, address: Ipv4Addr) -> Option<u32> {
        let mut best: Option<&Route> = None;
        for &route in &self.routes {
            if !route.destination.contains(&address) {
                continue;
            }
            let better = best.is_none_or(|best| {
                let (ours, theirs) = (
                    route.destination.prefix_len(),
                    best.destination.prefix_len(),
                );
                ours > theirs || (ours == theirs && route.metric < best.metric)
            });
            if better {
                best = Some(route);
            }
        }
        best.filter(|route| {
            route.kind == RouteKind::Unicast && !route.complex && route.gateway.is_none()
        })
        .and_then(|route| route.oif)
    }
}

/// Addresses (as /32) and connected networks of this host, without loopback, flannel's own devices and the
/// container bridge that sits in the own subnet.
pub fn host_nets(observed: &Observed, own: Option<Ipv4Net>) -> HostNets {
    let mut connected = Vec::new();
    for address in &observed.addresses {
        let Some(link) = observed.link_at(address.index) else {
            continue;
        };
        let net = match address.peer {
            Some(peer) => Ipv4Net::from(peer),
            None => address.net.trunc(),
        };
        let bridge = own.is_some_and(|own| own.contains(&address.net.addr()));
        if link.loopback || link.name.starts_with("flannel") || bridge {
            continue;
        }
        connected.push(Ipv4Net::from(address.net.addr()));
        connected.push(net);
    }
    connected.sort_unstable();
    connected.dedup();
    HostNets { connected }
}
