//! The vxlan backend's state (flannel-compat 5.3, 5.4): the device, and per peer a neighbour, a
//! forwarding entry and an on-link route through it; or a plain route where `DirectRouting` finds the
//! peer on the same link.

use std::collections::HashMap;

use ipnet::Ipv4Net;

use super::goal::{Goal, Peer, mtu, vxlan_device};
use super::problem::Problem;
use super::state::{Content, Desired, Device, Link, Mac, Observed, Route, VxlanDevice};
use super::underlay::{self, OnLink};
use crate::subnet::network::VxlanOptions;

/// What `goal` asks for.
pub fn desired(goal: &Goal, options: &VxlanOptions, observed: &Observed) -> Desired {
    let mut problems = Vec::new();
    // The kernel removes a vxlan device with its underlay, so there is nothing to look after.
    let Some(ext) = underlay::external(goal, observed, &mut problems) else {
        return Desired {
            device: Device::None,
            content: None,
            problems,
        };
    };
    let device = Device::Vxlan(device(goal, options, ext));
    let content = goal
        .own
        .map(|own| content(goal, options, own.trunc(), ext, observed, &mut problems));
    Desired {
        device,
        content,
        problems,
    }
}

fn device(goal: &Goal, options: &VxlanOptions, ext: &Link) -> VxlanDevice {
    VxlanDevice {
        name: vxlan_device(options.vni),
        vni: options.vni,
        underlay: ext.index,
        local: goal.host.ext.address,
        port: options.port,
        mtu: goal.mtu().min(mtu(&goal.backend, ext.mtu)),
        mac: goal.host.mac.map(Mac),
        learning: options.learning,
        gbp: options.gbp,
    }
}

fn content(
    goal: &Goal,
    options: &VxlanOptions,
    own: Ipv4Net,
    ext: &Link,
    observed: &Observed,
    problems: &mut Vec<Problem>,
) -> Content {
    let mut content = Content {
        network: goal.network,
        own,
        address: Some(own.network()),
        neighbours: Vec::with_capacity(goal.peers.len()),
        fdb: Vec::with_capacity(goal.peers.len()),
        routes: Vec::with_capacity(goal.peers.len()),
        blackhole: goal.blackhole,
        former: goal.former,
        hold: options.direct_routing && !ext.up,
    };
    if content.hold {
        problems.push(Problem::ExternalDown(ext.name.clone()));
        return content;
    }
    let on_link = options.direct_routing.then(|| OnLink::new(goal, observed));
    let mut macs = HashMap::with_capacity(goal.peers.len());
    for peer in underlay::servable(goal, own, observed, problems) {
        let subnet = peer.subnet.trunc();
        let direct = on_link
            .as_ref()
            .and_then(|on_link| on_link.interface(peer.public_ip));
        if direct.is_some() {
            content
                .routes
                .push(Route::flannel(subnet, Some(peer.public_ip), direct));
            continue;
        }
        match usable_mac(peer, goal.host.mac, &mut macs) {
            Ok(mac) => {
                let base = subnet.network();
                content.neighbours.push((base, mac));
                content.fdb.push((mac, peer.public_ip));
                content.routes.push(Route {
                    onlink: true,
                    ..Route::flannel(subnet, Some(base), None)
                });
            }
            Err(problem) => problems.push(problem),
        }
    }
    content
}

/// The peer's MAC, if a forwarding entry can be made for it: one MAC leads to one host.
fn usable_mac(
    peer: &Peer,
    own: Option<[u8; 6]>,
    macs: &mut HashMap<Mac, Ipv4Net>,
) -> Result<Mac, Problem> {
    let subnet = peer.subnet.trunc();
    let Some(octets) = peer.vtep_mac else {
        return Err(Problem::NoVtepMac(subnet));
    };
    let mac = Mac(octets);
    if !mac.is_unicast() || own == Some(octets) {
        return Err(Problem::UnusableMac { subnet, mac });
    }
    if let Some(&other) = macs.get(&mac) {
        return Err(Problem::SameMac { subnet, mac, other });
    }
    macs.insert(mac, subnet);
    Ok(mac)
}
