//! The udp backend's state (flannel-compat 5.2): address, MTU and the network's route on the TUN
//! device, which the forwarder opens and closes. Peers are its table, not the kernel's.

use super::goal::{Goal, mtu};
use super::problem::Problem;
use super::state::{Content, Desired, Device, Observed, Protocol, Route};
use super::underlay;

/// What `goal` asks for.
pub fn desired(goal: &Goal, observed: &Observed) -> Desired {
    let mut problems = Vec::new();
    let ext = underlay::external(goal, observed, &mut problems);
    let limit = ext.map_or(u32::MAX, |link| mtu(&goal.backend, link.mtu));
    let device = match &goal.host.tun {
        Some(name) if observed.link(name).is_some() => Device::Tun {
            name: name.clone(),
            mtu: goal.mtu().min(limit),
        },
        Some(name) => {
            problems.push(Problem::NoTun(name.clone()));
            Device::None
        }
        None => Device::None,
    };
    let network = goal.network.trunc();
    let foreign = observed.routes.iter().any(|route| {
        route.destination == network
            && route.protocol == Protocol::Kernel
            && route
                .oif
                .and_then(|oif| observed.link_at(oif))
                .map(|l| &l.name)
                != goal.host.tun.as_ref()
    });
    if foreign {
        problems.push(Problem::NetworkConnected(network));
    }
    if let Some(own) = goal.own {
        underlay::diverted(
            goal,
            own.trunc(),
            goal.peers.iter(),
            observed,
            &mut problems,
        );
    }
    let content = goal
        .own
        .filter(|_| device != Device::None)
        .map(|own| Content {
            network: goal.network,
            own: own.trunc(),
            address: Some(own.network()),
            neighbours: Vec::new(),
            fdb: Vec::new(),
            routes: vec![Route::flannel(network, None, None)],
            blackhole: goal.blackhole,
            former: goal.former,
            hold: false,
        });
    Desired {
        device,
        content,
        problems,
    }
}
