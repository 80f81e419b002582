//! The checks: small pure functions from the view of a case to findings. One table registers them; none stops
//! another.
//!
//! Those of the first tier need to see a cause: a state, a counter, a reason, a rule. Those of the second speak
//! for losses that none of the first explains, from the place alone.

mod addresses;
mod agent;
mod bridge;
mod container;
mod encapsulation;
mod firewall;
mod firewall_why;
mod firewall_words;
mod forwarding;
mod kernel;
mod masquerade;
mod mtu;
mod one_sided;
mod place;
mod policy;
mod programmed;
mod store;
mod strangers;
mod tables;
mod underlay;

use super::evidence::NodeEvidence;
use super::finding::Direction;
use super::ladder::Hop;
use super::loss::Loss;
use super::probe::Target;
use super::view::{Found, View};

/// A check of the first tier.
pub type Check = fn(&View<'_>) -> Vec<Found>;
/// A check of the second: it gets the losses that have no explanation yet.
pub type Fallback = for<'v, 'a> fn(&'v View<'a>, &[&'v Loss<'a>]) -> Vec<Found>;

/// A check that reads what the first tier found.
pub type Companion = fn(&View<'_>, &[Found]) -> Vec<Found>;

/// Between the tiers.
pub const COMPANIONS: &[Companion] = &[agent::managers, kernel::bridged];

/// First tier.
pub const CHECKS: &[Check] = &[
    store::etcd,
    store::leases,
    addresses::identity,
    addresses::overlaps,
    addresses::foreign_routes,
    addresses::backends,
    firewall::drops,
    firewall::standing,
    masquerade::hidden,
    masquerade::both,
    bridge::bridge,
    bridge::sizes,
    bridge::env,
    container::absent,
    container::renamed,
    container::routes,
    container::detached,
    container::unplugged,
    container::gateway,
    container::elsewhere,
    encapsulation::macs,
    encapsulation::numbers,
    encapsulation::checksums,
    encapsulation::clash,
    agent::hangs,
    agent::gone,
    programmed::device,
    programmed::peers,
    strangers::routes,
    forwarding::forwarding,
    forwarding::reverse_path,
    policy::rules,
    tables::connections,
    kernel::modules,
    kernel::flows,
    underlay::routes,
    underlay::interface,
    underlay::unresolved,
    underlay::translated,
    mtu::chain,
    mtu::black_hole,
    one_sided::quoted,
    one_sided::refused_between,
];

/// Second tier.
pub const FALLBACKS: &[Fallback] = &[
    one_sided::table,
    place::underlay,
    place::container,
    place::udp_daemon,
    tables::overflows,
];

/// Where routing and forwarding on a node happen.
const ROUTED: [Hop; 5] = [
    Hop::Originate,
    Hop::ForwardOut,
    Hop::ForwardIn,
    Hop::Answer,
    Hop::Deliver,
];

/// Losses of packets on their way from `node` to `peer` in one of these hops on `node`; an answer that a host
/// does not give is on its way back.
fn outbound<'v, 'a>(
    view: &'v View<'a>,
    node: &NodeEvidence,
    peer: std::net::Ipv4Addr,
    hops: &[Hop],
) -> Vec<&'v Loss<'a>> {
    view.lost_at(node, hops)
        .into_iter()
        .filter(|one| {
            let (from, to) = one.nodes();
            let there = Some(from) == node.node && to == peer;
            let back = answers(one) && Some(to) == node.node && from == peer;
            there || back
        })
        .collect()
}

/// A host (not a container) got the request and no answer was seen.
fn answers(loss: &Loss<'_>) -> bool {
    !loss.reply
        && loss.hops.first().is_some_and(|hop| hop.0 == Hop::Answer)
        && matches!(loss.path().target, Target::Bridge | Target::Device)
}

/// The direction for a cause that acts on the way out of a node.
fn outbound_direction(losses: &[&Loss<'_>]) -> Option<Direction> {
    (!losses.is_empty() && losses.iter().all(|one| answers(one))).then_some(Direction::Reply)
}

/// One of them is certain of its place.
fn any_certain(losses: &[&Loss<'_>]) -> bool {
    losses.iter().any(|one| one.certain())
}

/// The largest number of packets lost at one of them.
fn most(losses: &[&Loss<'_>]) -> u64 {
    losses
        .iter()
        .map(|one| u64::from(one.lost))
        .max()
        .unwrap_or(0)
}
