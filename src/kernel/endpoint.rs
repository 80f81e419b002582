//! A stand-in for a container: a nameless network namespace with a veth on the bridge, an address that nobody
//! uses, and a default route by the bridge. All of it ends with the process, however that ends.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::error::{Error, Op};
use super::message;
use super::netlink::{Netlink, Request};
use super::netns::Netns;
use super::{arp, observe};
use crate::plan::Change;
use crate::plan::state::{Address, Link, Mac, Route};

/// Host's side of the veth: this, the pid in hexadecimal, `-`, a number.
pub(super) const PREFIX: &str = "fctdp";
const INSIDE: &str = "eth0";
/// Addresses tried.
const CANDIDATES: usize = 16;
/// How long an address may take to answer. It is on this host.
const PATIENCE: Duration = Duration::from_millis(160);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A temporary container behind the bridge. Removed when dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: Ipv4Addr,
    veth: String,
    namespace: Netns,
    host: Netns,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No such bridge.
    #[error("there is no interface {bridge} to put a temporary endpoint behind")]
    NoBridge {
        /// Name.
        bridge: String,
    },
    /// Every address tried answers.
    #[error("no free address in {subnet} for a temporary endpoint")]
    NoFreeAddress {
        /// The node's subnet.
        subnet: Ipv4Net,
    },
    /// The namespace could not be made or entered.
    #[error("cannot make a network namespace for a temporary endpoint: {0}")]
    Namespace(#[source] io::Error),
    /// Addresses could not be probed.
    #[error("cannot look for a free address on {bridge}: {source}")]
    Probe {
        /// Name.
        bridge: String,
        /// Why.
        source: io::Error,
    },
    /// A device, address or route was refused.
    #[error("cannot make a temporary endpoint: {0}")]
    Kernel(#[from] Error),
}

impl Endpoint {
    /// Makes one behind `bridge` with an address of `subnet`: one of `prefer` if free, else the highest that
    /// nobody answers for (ARP), never the first two or the last. Blocks for some 200 ms.
    ///
    /// # Errors
    /// `EndpointError`; nothing is left behind.
    pub fn create(
        bridge: &str,
        subnet: Ipv4Net,
        prefer: &[Ipv4Addr],
    ) -> Result<Self, EndpointError> {
        let mut netlink = Netlink::open()?;
        let links = observe::links(&mut netlink)?;
        let Some(port) = links.iter().find(|link| link.name == bridge) else {
            return Err(EndpointError::NoBridge {
                bridge: bridge.to_owned(),
            });
        };
        let addresses = observe::addresses(&mut netlink)?;
        let on_bridge = addresses.iter().filter(|a| a.index == port.index);
        let on_bridge: Vec<Ipv4Net> = on_bridge.map(|a| a.net).collect();
        let mut used: BTreeSet<Ipv4Addr> = addresses.iter().map(|a| a.net.addr()).collect();
        let neighbours = observe::neighbours(&mut netlink, port.index)?;
        used.extend(
            neighbours
                .iter()
                .filter(|neighbour| !neighbour.ephemeral)
                .map(|neighbour| neighbour.address),
        );
        let candidates = candidates(subnet, prefer, &used);

        let namespace = Netns::create().map_err(EndpointError::Namespace)?;
        let veth = name();
        let mut endpoint = Self {
            address: Ipv4Addr::UNSPECIFIED,
            veth,
            namespace,
            host: Netns::own().map_err(EndpointError::Namespace)?,
        };
        apply(
            &mut netlink,
            "veth of a temporary endpoint",
            &endpoint.pair(port),
        )?;
        let probed = endpoint
            .namespace
            .run(|| dress(bridge, subnet, &candidates, &on_bridge))
            .map_err(EndpointError::Namespace)?;
        endpoint.address = probed?;
        Ok(endpoint)
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The host's side of its veth.
    pub fn veth(&self) -> &str {
        &self.veth
    }

    /// Where to send from.
    pub fn namespace(&self) -> &Netns {
        &self.namespace
    }

    /// The request for the veth: this side a port of the bridge and up, the other side inside.
    fn pair(&self, bridge: &Link) -> Request {
        let mut inside = LinkMessage::default();
        inside.attributes = vec![
            LinkAttribute::IfName(INSIDE.into()),
            LinkAttribute::Mtu(bridge.mtu),
            LinkAttribute::NetNsFd(self.namespace.raw()),
        ];
        let mut message = LinkMessage::default();
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes = vec![
            LinkAttribute::IfName(self.veth.clone()),
            LinkAttribute::Mtu(bridge.mtu),
            LinkAttribute::Controller(bridge.index),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
            ]),
        ];
        Request {
            message: RouteNetlinkMessage::NewLink(message),
            flags: NLM_F_CREATE | NLM_F_EXCL,
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The namespace would take the veth with it, but only after a while.
        let removed = self.host.run(|| remove(&self.veth));
        if !matches!(removed, Ok(Ok(()))) {
            tracing::debug!(
                veth = self.veth,
                "the endpoint's device goes with its namespace"
            );
        }
    }
}

/// Deletes a device by name in the calling thread's namespace.
pub(super) fn remove(name: &str) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    let request = Request {
        message: RouteNetlinkMessage::DelLink(message),
        flags: 0,
    };
    apply(&mut netlink, "removal of a temporary endpoint", &request)
}

/// At most 15 bytes: pids have at most 22 bits.
fn name() -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 256;
    format!("{PREFIX}{:x}-{number:x}", std::process::id() & 0x3f_ffff)
}

/// What to try, the best first.
fn candidates(subnet: Ipv4Net, prefer: &[Ipv4Addr], used: &BTreeSet<Ipv4Addr>) -> Vec<Ipv4Addr> {
    let base = u32::from(subnet.network());
    let last = u32::from(subnet.broadcast());
    let usable = |address: Ipv4Addr| {
        let n = u32::from(address);
        n > base.saturating_add(1) && n < last && !used.contains(&address)
    };
    let high = (base..=last).rev().take(4 * CANDIDATES).map(Ipv4Addr::from);
    let mut tried = BTreeSet::new();
    prefer
        .iter()
        .copied()
        .chain(high)
        .filter(|address| usable(*address) && tried.insert(*address))
        .take(CANDIDATES)
        .collect()
}

/// Inside: device up, a free address, the default route. Returns the address.
fn dress(
    bridge: &str,
    subnet: Ipv4Net,
    candidates: &[Ipv4Addr],
    on_bridge: &[Ipv4Net],
) -> Result<Ipv4Addr, EndpointError> {
    let mut netlink = Netlink::open()?;
    let links = observe::links(&mut netlink)?;
    for link in &links {
        let up = Change::SetUp {
            index: link.index,
            name: link.name.clone(),
        };
        apply(
            &mut netlink,
            "temporary endpoint up",
            &message::request(&up),
        )?;
    }
    let own = links.iter().find(|link| link.name == INSIDE);
    let (index, mac) = own
        .and_then(|link| Some((link.index, link.mac?)))
        .unwrap_or((0, Mac([0; 6])));
    let taken =
        arp::taken(index, mac, candidates, PATIENCE).map_err(|source| EndpointError::Probe {
            bridge: bridge.to_owned(),
            source,
        })?;
    let free = candidates.iter().find(|address| !taken.contains(*address));
    let address = *free.ok_or(EndpointError::NoFreeAddress { subnet })?;
    // As Docker does it: the bridge's own network, and the bridge as router.
    let router = on_bridge.iter().find(|net| net.contains(&address));
    let length = router.map_or(subnet.prefix_len(), |net| net.prefix_len());
    let net = Ipv4Net::new_assert(address, length);
    let add = Address {
        index,
        net,
        peer: None,
    };
    apply(
        &mut netlink,
        "address of a temporary endpoint",
        &message::add_address(&add),
    )?;
    if let Some(router) = router {
        let all = Ipv4Net::default();
        let route = Change::AddRoute(Route::flannel(all, Some(router.addr()), Some(index)));
        apply(
            &mut netlink,
            "default route of a temporary endpoint",
            &message::request(&route),
        )?;
    }
    Ok(address)
}

fn apply(netlink: &mut Netlink, object: &str, request: &Request) -> Result<(), Error> {
    let results = netlink.batch(std::slice::from_ref(request));
    match results.into_iter().next() {
        Some(Err(cause)) => Err(Error {
            op: Op::Apply,
            object: object.to_owned(),
            cause,
        }),
        _ => Ok(()),
    }
}
