//! Asks by ARP for nodes of which nothing was seen: a firewall may drop whatever it likes, but a host that is up and
//! connected answers for its address.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::netlink::Netlink;
use super::{arp, observe};
use crate::diagnose::NodeEvidence;
use crate::diagnose::evidence::Point;
use crate::diagnose::route;

/// Two requests are sent within this time.
const PATIENCE: Duration = Duration::from_millis(400);
/// Nodes asked at most.
const MOST: usize = 64;

/// Of these nodes, those on the underlay's own link of which no packet was seen and who do not answer ARP. Empty where
/// that cannot be asked. Blocks only where there is somebody to ask.
pub(super) fn silent(peers: &[Ipv4Addr], evidence: &NodeEvidence) -> Vec<Ipv4Addr> {
    let Some(link) = route::external(evidence).filter(|link| link.works()) else {
        return Vec::new();
    };
    let seen = evidence
        .seen
        .iter()
        .filter(|one| one.point == Point::Underlay && !one.outgoing);
    let heard: BTreeSet<_> = seen
        .map(|one| one.outer.as_ref().map_or(one.from, |outer| outer.from))
        .chain(evidence.icmp_errors.iter().map(|error| error.from))
        .collect();
    let on_link = |peer: &&Ipv4Addr| {
        route::lookup(evidence, **peer)
            .is_some_and(|way| way.gateway.is_none() && way.device.as_deref() == Some(&link.name))
    };
    let quiet = peers.iter().filter(|peer| !heard.contains(peer));
    let quiet: Vec<_> = quiet.filter(on_link).take(MOST).copied().collect();
    if quiet.is_empty() {
        return quiet;
    }
    match ask(link.index, &quiet) {
        Ok(taken) => quiet
            .into_iter()
            .filter(|peer| !taken.contains(peer))
            .collect(),
        Err(error) => {
            tracing::debug!("nobody was asked by ARP: {error}");
            Vec::new()
        }
    }
}

fn ask(index: u32, quiet: &[Ipv4Addr]) -> io::Result<BTreeSet<Ipv4Addr>> {
    let links = Netlink::open().and_then(|mut netlink| observe::links(&mut netlink));
    let links = links.map_err(io::Error::other)?;
    let own = links.iter().find(|link| link.index == index);
    let mac = own.and_then(|link| link.mac);
    let mac = mac.ok_or(io::ErrorKind::AddrNotAvailable)?;
    arp::taken(index, mac, quiet, PATIENCE)
}
