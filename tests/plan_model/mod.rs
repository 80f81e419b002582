//! A small model of the kernel, as far as a plan can tell: what a step does to it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::Ipv4Addr;

use flannelctl::plan::state::{
    Address, FdbEntry, Link, LinkKind, Neighbour, Protocol, Route, Scope, Vxlan,
};
use flannelctl::plan::{Change, External, Goal, Host, Mac, Observed, Peer, desired, diff};
use flannelctl::subnet::network::{Backend, VxlanOptions};
use ipnet::Ipv4Net;

pub const EXT: u32 = 2;
pub const BRIDGE: u32 = 3;
pub const DEVICE: u32 = 7;

pub fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

pub fn options() -> VxlanOptions {
    VxlanOptions {
        vni: 1,
        port: None,
        mtu: None,
        gbp: false,
        learning: false,
        direct_routing: false,
    }
}

pub fn peer(n: u8) -> Peer {
    Peer {
        subnet: net(&format!("10.5.{n}.0/24")),
        public_ip: Ipv4Addr::new(192, 0, 2, 100 + n),
        vtep_mac: Some([2, 0, 0, 0, 0, n]),
    }
}

pub fn goal(backend: Backend, peers: &[u8]) -> Goal {
    Goal {
        host: Host {
            ext: External {
                index: EXT,
                name: "eth0".into(),
                mtu: 1500,
                address: Ipv4Addr::new(192, 0, 2, 1),
            },
            public_ip: Ipv4Addr::new(192, 0, 2, 1),
            mac: Some([2, 0, 0, 0, 0, 200]),
            tun: None,
        },
        backend,
        own: Some(net("10.5.0.0/24")),
        network: net("10.5.0.0/16"),
        peers: peers.iter().copied().map(peer).collect(),
        blackhole: false,
        former: None,
    }
}

pub fn link(index: u32, name: &str, kind: LinkKind) -> Link {
    Link {
        index,
        name: name.into(),
        up: true,
        loopback: false,
        mtu: 1500,
        mac: Some(Mac([2, 9, 9, 9, 9, index as u8])),
        kind,
    }
}

pub fn vxlan() -> Vxlan {
    Vxlan {
        vni: 1,
        underlay: Some(EXT),
        local: Some(Ipv4Addr::new(192, 0, 2, 1)),
        port: 8472,
        learning: false,
        gbp: false,
        alien: None,
    }
}

pub fn kernel_route(to: &str, oif: u32) -> Route {
    Route {
        protocol: Protocol::Kernel,
        scope: Scope::Link,
        ..Route::flannel(net(to), None, Some(oif))
    }
}

/// A host with an underlay and a container bridge in the own subnet.
pub fn host() -> Observed {
    Observed {
        links: vec![
            link(EXT, "eth0", LinkKind::Other),
            link(BRIDGE, "docker0", LinkKind::Bridge),
        ],
        addresses: vec![
            Address {
                index: EXT,
                net: net("192.0.2.1/24"),
                peer: None,
            },
            Address {
                index: BRIDGE,
                net: net("10.5.0.1/24"),
                peer: None,
            },
        ],
        routes: vec![
            kernel_route("192.0.2.0/24", EXT),
            kernel_route("10.5.0.0/24", BRIDGE),
        ],
        ..Observed::default()
    }
}

/// The kernel, as far as a plan can tell: carries out one step.
pub fn step(kernel: &mut Observed, change: &Change) {
    match change {
        Change::DeleteLink { index, .. } => {
            kernel.links.retain(|link| link.index != *index);
            kernel.addresses.retain(|address| address.index != *index);
            kernel.routes.retain(|route| route.oif != Some(*index));
            if *index == DEVICE {
                kernel.neighbours.clear();
                kernel.fdb.clear();
            }
        }
        Change::CreateVxlan(device) => kernel.links.push(Link {
            up: false,
            mtu: device.mtu,
            mac: device.mac,
            ..link(
                DEVICE,
                &device.name,
                LinkKind::Vxlan(Vxlan {
                    vni: device.vni,
                    underlay: Some(device.underlay),
                    local: Some(device.local),
                    port: device.port.unwrap_or(8472),
                    learning: device.learning,
                    gbp: device.gbp,
                    alien: None,
                }),
            )
        }),
        Change::SetMtu { index, mtu, .. } => at(kernel, *index).mtu = *mtu,
        Change::SetMac { index, mac, .. } => at(kernel, *index).mac = Some(*mac),
        Change::SetUp { index, .. } => at(kernel, *index).up = true,
        Change::SetLearning {
            index, learning, ..
        } => {
            if let LinkKind::Vxlan(vxlan) = &mut at(kernel, *index).kind {
                vxlan.learning = *learning;
            }
        }
        Change::AddAddress { index, address } => kernel.addresses.push(Address {
            index: *index,
            net: (*address).into(),
            peer: None,
        }),
        Change::DeleteAddress(address) => kernel.addresses.retain(|there| there != address),
        Change::SetNeighbour { address, mac, .. } => {
            kernel.neighbours.retain(|there| there.address != *address);
            kernel.neighbours.push(Neighbour {
                address: *address,
                mac: Some(*mac),
                permanent: true,
                ephemeral: false,
            });
        }
        Change::DeleteNeighbour { address, .. } => {
            kernel.neighbours.retain(|there| there.address != *address);
        }
        Change::SetFdb { mac, remote, .. } => {
            kernel.fdb.retain(|there| there.mac != *mac);
            kernel.fdb.push(FdbEntry {
                mac: *mac,
                remote: Some(*remote),
                permanent: true,
                special: false,
            });
        }
        Change::DeleteFdb { mac, .. } => kernel.fdb.retain(|there| there.mac != *mac),
        Change::SetRoute { route, .. } => {
            let same = |r: &&mut Route| {
                (r.destination, r.metric, r.tos) == (route.destination, route.metric, route.tos)
            };
            match kernel.routes.iter_mut().find(same) {
                Some(first) => *first = *route,
                None => kernel.routes.push(*route),
            }
        }
        Change::AddRoute(route) => kernel.routes.push(*route),
        Change::DeleteRoute(route) => {
            let there = kernel.routes.iter().position(|r| r == route);
            kernel
                .routes
                .remove(there.expect("a route that is not there is deleted"));
        }
    }
}

pub fn at(kernel: &mut Observed, index: u32) -> &mut Link {
    kernel
        .links
        .iter_mut()
        .find(|link| link.index == index)
        .unwrap()
}

/// Works until nothing differs; returns all steps.
pub fn converge(kernel: &mut Observed, goal: &Goal) -> Vec<Change> {
    let mut all = Vec::new();
    for _ in 0..5 {
        let changes = diff(kernel, &desired(goal, kernel));
        if changes.is_empty() {
            return all;
        }
        changes.iter().for_each(|change| step(kernel, change));
        all.extend(changes);
    }
    panic!("never done: {:?}", diff(kernel, &desired(goal, kernel)));
}
