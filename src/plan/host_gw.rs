//! The host-gw backend's state (flannel-compat 5.5): one route per peer through its underlay address,
//! only where that is on-link; a peer elsewhere is reported.

use ipnet::Ipv4Net;

use super::goal::Goal;
use super::problem::Problem;
use super::state::{Content, Desired, Device, Observed, Route};
use super::underlay::{self, OnLink};

/// What `goal` asks for.
pub fn desired(goal: &Goal, observed: &Observed) -> Desired {
    let mut problems = Vec::new();
    let content = goal
        .own
        .map(|own| content(goal, own.trunc(), observed, &mut problems));
    Desired {
        device: Device::None,
        content,
        problems,
    }
}

fn content(goal: &Goal, own: Ipv4Net, observed: &Observed, problems: &mut Vec<Problem>) -> Content {
    let ext = underlay::external(goal, observed, problems);
    if let Some(link) = ext
        && !link.up
    {
        problems.push(Problem::ExternalDown(link.name.clone()));
    }
    let ext = ext.filter(|link| link.up);
    let mut routes = Vec::with_capacity(goal.peers.len());
    if let Some(ext) = ext {
        let on_link = OnLink::new(goal, observed);
        for peer in underlay::servable(goal, own, observed, problems) {
            let subnet = peer.subnet.trunc();
            if on_link.interface(peer.public_ip) == Some(ext.index) {
                routes.push(Route::flannel(
                    subnet,
                    Some(peer.public_ip),
                    Some(ext.index),
                ));
            } else {
                problems.push(Problem::NotOnLink {
                    subnet,
                    public_ip: peer.public_ip,
                    interface: ext.name.clone(),
                });
            }
        }
    }
    Content {
        network: goal.network,
        own,
        address: None,
        neighbours: Vec::new(),
        fdb: Vec::new(),
        routes,
        blackhole: goal.blackhole,
        former: goal.former,
        hold: ext.is_none(),
    }
}
