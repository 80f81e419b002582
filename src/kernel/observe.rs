//! Reads what the kernel holds into `plan`'s words. Only reads.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::error::{Cause, Error};
use super::netlink::Netlink;
use crate::plan::state::{
    Address, Alien, FdbEntry, Link, LinkKind, Mac, Neighbour, Observed, Protocol, Route, RouteKind,
    Scope, Vxlan,
};

/// Where the vxlan module tells its default port; absent while it is not loaded.
const DEFAULT_PORT: &str = "/sys/module/vxlan/parameters/udp_port";

/// Reads everything that a plan looks at. `device` is the name of flannel's own device, whose neighbours
/// and forwarding entries are read too.
///
/// # Errors
/// Names the table that could not be read.
pub fn observe(netlink: &mut Netlink, device: Option<&str>) -> Result<Observed, Error> {
    let mut observed = Observed {
        links: links(netlink)?,
        addresses: addresses(netlink)?,
        routes: routes(netlink)?,
        vxlan_default_port: std::fs::read_to_string(DEFAULT_PORT)
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        ..Observed::default()
    };
    let own = device.and_then(|name| observed.link(name));
    if let Some((index, vxlan)) = own.map(|l| (l.index, matches!(l.kind, LinkKind::Vxlan(_)))) {
        observed.neighbours = neighbours(netlink, index)?;
        if vxlan {
            observed.fdb = fdb(netlink, index)?;
        }
    }
    Ok(observed)
}

/// All interfaces.
///
/// # Errors
/// Where they cannot be read.
pub fn links(netlink: &mut Netlink) -> Result<Vec<Link>, Error> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    netlink.dump("interfaces", &request, |entry| match entry {
        RouteNetlinkMessage::NewLink(message) => link(&message),
        _ => None,
    })
}

/// All IPv4 addresses.
///
/// # Errors
/// Where they cannot be read.
pub fn addresses(netlink: &mut Netlink) -> Result<Vec<Address>, Error> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    let request = RouteNetlinkMessage::GetAddress(message);
    netlink.dump("addresses", &request, |entry| match entry {
        RouteNetlinkMessage::NewAddress(message) => address(&message),
        _ => None,
    })
}

/// The IPv4 routes of table main.
///
/// # Errors
/// Where they cannot be read.
pub fn routes(netlink: &mut Netlink) -> Result<Vec<Route>, Error> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    let request = RouteNetlinkMessage::GetRoute(message);
    let read = netlink.dump("routes", &request, |entry| match entry {
        RouteNetlinkMessage::NewRoute(message) => route(&message),
        _ => None,
    });
    match read {
        // A namespace that never had a route has no table main.
        Err(error) if matches!(error.cause, Cause::Errno(Errno::ENOENT, _)) => Ok(Vec::new()),
        read => read,
    }
}

pub(super) fn neighbours(netlink: &mut Netlink, index: u32) -> Result<Vec<Neighbour>, Error> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.attributes.push(NeighbourAttribute::IfIndex(index));
    let request = RouteNetlinkMessage::GetNeighbour(message);
    netlink.dump("neighbours", &request, |entry| match entry {
        RouteNetlinkMessage::NewNeighbour(message) if message.header.ifindex == index => {
            neighbour(&message)
        }
        _ => None,
    })
}

pub(super) fn fdb(netlink: &mut Netlink, index: u32) -> Result<Vec<FdbEntry>, Error> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    let request = RouteNetlinkMessage::GetNeighbour(message);
    netlink.dump("forwarding entries", &request, |entry| match entry {
        RouteNetlinkMessage::NewNeighbour(message) if message.header.ifindex == index => {
            fdb_entry(&message)
        }
        _ => None,
    })
}

fn link(message: &LinkMessage) -> Option<Link> {
    let mut name = None;
    let mut mtu = 0;
    let mut mac = None;
    let mut kind = LinkKind::Other;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Mtu(bytes) => mtu = *bytes,
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac),
            LinkAttribute::LinkInfo(infos) => kind = link_kind(infos),
            _ => {}
        }
    }
    Some(Link {
        index: message.header.index,
        name: name?,
        up: message.header.flags.contains(LinkFlags::Up),
        loopback: message.header.flags.contains(LinkFlags::Loopback),
        mtu,
        mac,
        kind,
    })
}

fn link_kind(infos: &[LinkInfo]) -> LinkKind {
    let mut kind = LinkKind::Other;
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Tun) => kind = LinkKind::Tun,
            LinkInfo::Kind(InfoKind::Bridge) => kind = LinkKind::Bridge,
            LinkInfo::Data(InfoData::Vxlan(data)) => kind = LinkKind::Vxlan(vxlan(data)),
            _ => {}
        }
    }
    kind
}

fn vxlan(data: &[InfoVxlan]) -> Vxlan {
    let mut seen = Vxlan {
        vni: 0,
        underlay: None,
        local: None,
        port: 0,
        learning: false,
        gbp: false,
        alien: None,
    };
    for info in data {
        match info {
            InfoVxlan::Id(vni) => seen.vni = *vni,
            InfoVxlan::Link(index) => seen.underlay = Some(*index).filter(|index| *index != 0),
            InfoVxlan::Local(local) => {
                seen.local = Some(*local).filter(|local| !local.is_unspecified());
            }
            InfoVxlan::Port(port) => seen.port = *port,
            InfoVxlan::Learning(on) => seen.learning = *on,
            InfoVxlan::Gbp => seen.gbp = true,
            InfoVxlan::Group(group) if !group.is_unspecified() => seen.alien = Some(Alien::Group),
            InfoVxlan::Group6(_) => seen.alien = Some(Alien::Group),
            InfoVxlan::Local6(_) => seen.alien = Some(Alien::Local6),
            InfoVxlan::L2Miss(true) => seen.alien = Some(Alien::L2Miss),
            InfoVxlan::CollectMetadata(true) => seen.alien = Some(Alien::External),
            _ => {}
        }
    }
    seen
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut local = None;
    let mut remote = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(address)) => local = Some(*address),
            AddressAttribute::Address(IpAddr::V4(address)) => remote = Some(*address),
            _ => {}
        }
    }
    let address = local.or(remote)?;
    Some(Address {
        index: message.header.index,
        net: Ipv4Net::new(address, message.header.prefix_len).ok()?,
        peer: remote.filter(|remote| *remote != address),
    })
}

/// A route of table main; `None` for any other.
pub(super) fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let mut table = u32::from(header.table);
    let mut base = Ipv4Addr::UNSPECIFIED;
    let mut route = Route {
        onlink: header.flags.contains(RouteFlags::Onlink),
        tos: header.tos,
        protocol: match header.protocol {
            RouteProtocol::Kernel => Protocol::Kernel,
            RouteProtocol::Boot => Protocol::Boot,
            other => Protocol::Other(other.into()),
        },
        kind: match header.kind {
            RouteType::Unicast => RouteKind::Unicast,
            RouteType::BlackHole => RouteKind::Blackhole,
            other => RouteKind::Other(other.into()),
        },
        scope: match header.scope {
            RouteScope::Universe => Scope::Universe,
            RouteScope::Link => Scope::Link,
            other => Scope::Other(other.into()),
        },
        ..Route::flannel(Ipv4Net::default(), None, None)
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => base = *address,
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => route.gateway = Some(*address),
            RouteAttribute::Oif(index) => route.oif = Some(*index),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::MultiPath(_)
            | RouteAttribute::Via(_)
            | RouteAttribute::NhId(_)
            | RouteAttribute::EncapType(_) => route.complex = true,
            _ => {}
        }
    }
    route.destination = Ipv4Net::new(base, header.destination_prefix_length).ok()?;
    let main = header.address_family == AddressFamily::Inet
        && table == u32::from(RouteHeader::RT_TABLE_MAIN)
        && !header.flags.contains(RouteFlags::Cloned);
    main.then_some(route)
}

fn neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    if message.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let state = u16::from(message.header.state);
    let is = |wanted: NeighbourState| state & u16::from(wanted) != 0;
    let mut seen = Neighbour {
        address: Ipv4Addr::UNSPECIFIED,
        mac: None,
        permanent: is(NeighbourState::Permanent),
        ephemeral: state == 0
            || is(NeighbourState::Noarp)
            || is(NeighbourState::Incomplete)
            || is(NeighbourState::Failed),
    };
    let mut found = false;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                seen.address = *address;
                found = true;
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                seen.mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac);
            }
            _ => {}
        }
    }
    found.then_some(seen)
}

fn fdb_entry(message: &NeighbourMessage) -> Option<FdbEntry> {
    if !message.header.flags.contains(NeighbourFlags::Own) {
        return None;
    }
    let state = u16::from(message.header.state);
    let by_hand = u16::from(NeighbourState::Permanent) | u16::from(NeighbourState::Noarp);
    let mut mac = None;
    let mut remote = None;
    let mut special = false;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac);
            }
            // In family BRIDGE the parser leaves the address as bytes.
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
                remote = <[u8; 4]>::try_from(&bytes[..]).ok().map(Ipv4Addr::from);
            }
            NeighbourAttribute::Port(_)
            | NeighbourAttribute::Vni(_)
            | NeighbourAttribute::IfIndex(_) => special = true,
            _ => {}
        }
    }
    Some(FdbEntry {
        mac: mac?,
        remote,
        permanent: state & by_hand != 0,
        special,
    })
}
