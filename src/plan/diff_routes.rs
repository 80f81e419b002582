//! The routes' half of the comparison, where flannel shares table main with everybody.

use std::collections::{HashMap, HashSet};

use ipnet::Ipv4Net;

use super::change::Change;
use super::goal::{Former, Goal};
use super::state::{Content, Observed, Protocol, Route, RouteKind, Scope};

/// Metric of the blackhole route: behind everything, so that the container bridge's own route wins
/// whichever came first. (At metric 0 the kernel would put the bridge's route behind the blackhole.)
pub const BLACKHOLE_METRIC: u32 = u32::MAX;

/// Wanted routes that are missing or wrong, and flannel's that have no peer any more. `device` is the
/// index of flannel's device.
pub fn routes(
    observed: &Observed,
    content: &Content,
    device: Option<u32>,
    changes: &mut Vec<Change>,
    removals: &mut Vec<Change>,
) {
    let mut doomed = Doomed::default();
    if !content.hold {
        let mut there: HashMap<Ipv4Net, Vec<&Route>> = HashMap::new();
        for route in observed
            .routes
            .iter()
            .filter(|r| r.metric == 0 && r.tos == 0)
        {
            there.entry(route.destination).or_default().push(route);
        }
        let mut wanted = HashSet::with_capacity(content.routes.len());
        for route in &content.routes {
            let route = Route {
                oif: route.oif.or(device),
                ..*route
            };
            wanted.insert(route.destination);
            let found = there.get(&route.destination).map_or(&[][..], Vec::as_slice);
            changes.extend(place(&route, found, &mut doomed));
        }
        for route in &observed.routes {
            let spare = !wanted.contains(&route.destination) || route.metric != 0 || route.tos != 0;
            let left = content.former.filter(|_| route.destination != content.own);
            if spare
                && (is_flannels(route, content.network, content.own, device)
                    || left.is_some_and(|former| is_formers(route, former, device)))
            {
                doomed.push(route);
            }
        }
    }
    blackhole(observed, content, changes, &mut doomed);
    removals.extend(doomed.routes.into_iter().map(Change::DeleteRoute));
}

/// All routes of flannel's inside the network.
pub fn cleanup(observed: &Observed, goal: &Goal, device: Option<u32>, changes: &mut Vec<Change>) {
    let own = goal.own.or(goal.peers.first().map(|peer| peer.subnet));
    for route in &observed.routes {
        let flannels = own.is_some_and(|own| is_flannels(route, goal.network, own.trunc(), device))
            || is_our_blackhole(route, goal.network);
        if flannels {
            changes.push(Change::DeleteRoute(*route));
        }
    }
}

/// The step that puts `wanted` in place among the routes of the same destination, metric and TOS.
fn place(wanted: &Route, found: &[&Route], doomed: &mut Doomed) -> Option<Change> {
    if found.iter().any(|route| route.protocol == Protocol::Kernel) {
        // It goes with the address that brought it, or the plan has reported it.
        return None;
    }
    let good = found.iter().position(|route| serves(route, wanted));
    // The kernel replaces the first of several; the others would stay behind.
    for (position, route) in found.iter().enumerate() {
        if position != good.unwrap_or(0) {
            doomed.push(route);
        }
    }
    good.is_none().then(|| Change::SetRoute {
        route: *wanted,
        replaces: found.first().copied().copied(),
    })
}

/// True when `there` does all that `wanted` asks for. Who made it does not count.
fn serves(there: &Route, wanted: &Route) -> bool {
    there.kind == wanted.kind
        && !there.complex
        && there.gateway == wanted.gateway
        && there.oif == wanted.oif
        && there.scope == wanted.scope
        && (there.onlink || !wanted.onlink)
}

/// flannel's own: through its device, or in the form of host-gw and DirectRouting, which is a boot
/// route through a gateway to a whole subnet.
pub(super) fn is_flannels(
    route: &Route,
    network: Ipv4Net,
    own: Ipv4Net,
    device: Option<u32>,
) -> bool {
    if !network.contains(&route.destination)
        || route.kind != RouteKind::Unicast
        || route.protocol == Protocol::Kernel
    {
        return false;
    }
    if device.is_some() && route.oif == device {
        return true;
    }
    route.protocol == Protocol::Boot
        && route.gateway.is_some()
        && !route.complex
        && route.metric == 0
        && route.tos == 0
        && route.destination.prefix_len() == own.prefix_len()
        && route.destination != own
}

/// What an agent left in the network it worked in before. There nothing else of flannel's stands, so a gateway
/// that is itself in that network shows that it is somebody else's by now.
fn is_formers(route: &Route, former: Former, device: Option<u32>) -> bool {
    let Former { network, own } = former;
    if device.is_some() && route.oif == device {
        return is_flannels(route, network, own, device);
    }
    is_flannels(route, network, own, None)
        && route
            .gateway
            .is_some_and(|gateway| !network.contains(&gateway))
        || is_our_blackhole(route, network)
}

fn is_our_blackhole(route: &Route, network: Ipv4Net) -> bool {
    route.kind == RouteKind::Blackhole
        && route.metric == BLACKHOLE_METRIC
        && network.contains(&route.destination)
}

/// Keeps the own subnet's blackhole and drops those of earlier subnets; takes over flanneld's, which
/// stands in the container bridge's way.
fn blackhole(
    observed: &Observed,
    content: &Content,
    changes: &mut Vec<Change>,
    doomed: &mut Doomed,
) {
    let mut missing = content.blackhole;
    for route in &observed.routes {
        let own = route.destination == content.own;
        if is_our_blackhole(route, content.network) {
            if own && content.blackhole {
                missing = false;
            } else {
                doomed.push(route);
            }
        } else if own
            && content.blackhole
            && route.kind == RouteKind::Blackhole
            && route.protocol == Protocol::Boot
            && route.metric == 0
        {
            doomed.push(route);
        }
    }
    if missing {
        changes.push(Change::AddRoute(Route {
            kind: RouteKind::Blackhole,
            metric: BLACKHOLE_METRIC,
            scope: Scope::Universe,
            ..Route::flannel(content.own, None, None)
        }));
    }
}

/// Routes to remove, each once.
#[derive(Default)]
struct Doomed {
    routes: Vec<Route>,
}

impl Doomed {
    fn push(&mut self, route: &Route) {
        if !self.routes.contains(route) {
            self.routes.push(*route);
        }
    }
}
