//! The host's interfaces as the choice of the underlay needs them. Only reads.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::error::Error;
use super::netlink::Netlink;
use super::observe;
use crate::plan::interface::{HostInterfaces, Interface, InterfaceAddress};
use crate::plan::state::{Route, RouteKind};

/// True when an interface of that name exists.
pub fn exists(name: &str) -> bool {
    nix::net::if_::if_nametoindex(name).is_ok()
}

/// Reads interfaces, addresses and the best default route; for `can_reach` also the kernel's way there.
///
/// # Errors
/// Where the kernel cannot be read.
pub fn read(can_reach: Option<Ipv4Addr>) -> Result<HostInterfaces, Error> {
    let mut netlink = Netlink::open()?;
    let mut addresses = addresses(&mut netlink)?;
    let interfaces: Vec<Interface> = observe::links(&mut netlink)?
        .into_iter()
        .map(|link| Interface {
            index: link.index,
            addresses: addresses.remove(&link.index).unwrap_or_default(),
            name: link.name,
            mtu: link.mtu,
        })
        .collect();
    let default_route = default_route(&observe::routes(&mut netlink)?);
    let mut host = HostInterfaces {
        interfaces,
        default_route,
        reaches: None,
    };
    host.reaches = can_reach.and_then(source_for).and_then(|source| {
        let holder = host.holder(source)?;
        Some((holder.index, source))
    });
    Ok(host)
}

/// Interface of the default route with the lowest metric; a multipath route does not count.
fn default_route(routes: &[Route]) -> Option<u32> {
    let defaults = routes.iter().filter(|route| {
        route.destination.prefix_len() == 0 && route.kind == RouteKind::Unicast && !route.complex
    });
    defaults.min_by_key(|route| route.metric)?.oif
}

/// The address from which the kernel would send to `destination`. Connecting a UDP socket sends nothing.
pub fn source_for(destination: Ipv4Addr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Any port but 0 will do.
    socket.connect((destination, 9)).ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    }
}

/// IPv4 addresses by interface, in kernel order.
fn addresses(netlink: &mut Netlink) -> Result<BTreeMap<u32, Vec<InterfaceAddress>>, Error> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    let request = RouteNetlinkMessage::GetAddress(message);
    let entries = netlink.dump("addresses", &request, |entry| match entry {
        RouteNetlinkMessage::NewAddress(message) => address(&message),
        _ => None,
    })?;
    let mut by_interface = BTreeMap::<u32, Vec<InterfaceAddress>>::new();
    for (index, address) in entries {
        by_interface.entry(index).or_default().push(address);
    }
    Ok(by_interface)
}

fn address(message: &AddressMessage) -> Option<(u32, InterfaceAddress)> {
    let mut local = None;
    let mut peer = None;
    let mut flags = AddressFlags::empty();
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(ip)) => local = Some(*ip),
            AddressAttribute::Address(IpAddr::V4(ip)) => peer = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let address = InterfaceAddress {
        address: local.or(peer)?,
        deprecated: flags.contains(AddressFlags::Deprecated),
        permanent: flags.contains(AddressFlags::Permanent),
    };
    Some((message.header.index, address))
}
