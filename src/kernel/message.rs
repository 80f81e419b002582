//! A step of a plan as a netlink request, in exactly the form that flannel uses.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
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

use super::netlink::Request;
use crate::plan::Change;
use crate::plan::state::{Address, Mac, Protocol, Route, RouteKind, Scope, VxlanDevice};

const SET: u16 = NLM_F_CREATE | NLM_F_REPLACE;
const ADD: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// The request that carries out `change`.
pub(super) fn request(change: &Change) -> Request {
    use RouteNetlinkMessage as Message;
    let (message, flags) = match change {
        Change::DeleteLink { index, .. } => (Message::DelLink(link(*index)), 0),
        Change::CreateVxlan(device) => (Message::NewLink(vxlan(device)), ADD),
        Change::SetMtu { index, mtu, .. } => {
            let mut message = link(*index);
            message.attributes.push(LinkAttribute::Mtu(*mtu));
            (Message::SetLink(message), 0)
        }
        Change::SetMac { index, mac, .. } => {
            let mut message = link(*index);
            message
                .attributes
                .push(LinkAttribute::Address(mac.0.to_vec()));
            (Message::SetLink(message), 0)
        }
        Change::SetLearning {
            index, learning, ..
        } => {
            let mut message = link(*index);
            message.attributes.push(LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Vxlan),
                LinkInfo::Data(InfoData::Vxlan(vec![InfoVxlan::Learning(*learning)])),
            ]));
            (Message::NewLink(message), 0)
        }
        Change::SetUp { index, .. } => {
            let mut message = link(*index);
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
            (Message::SetLink(message), 0)
        }
        Change::AddAddress { index, address } => {
            let address = Address {
                index: *index,
                net: (*address).into(),
                peer: None,
            };
            (Message::NewAddress(self::address(&address)), ADD)
        }
        Change::SetNeighbour {
            index,
            address,
            mac,
        } => (
            Message::NewNeighbour(neighbour(*index, *address, Some(*mac))),
            SET,
        ),
        Change::SetFdb { index, mac, remote } => {
            (Message::NewNeighbour(fdb(*index, *mac, Some(*remote))), SET)
        }
        Change::SetRoute { route, .. } => (Message::NewRoute(self::route(route)), SET),
        Change::AddRoute(route) => (Message::NewRoute(self::route(route)), ADD),
        Change::DeleteRoute(route) => (Message::DelRoute(self::route(route)), 0),
        Change::DeleteNeighbour { index, address } => {
            (Message::DelNeighbour(neighbour(*index, *address, None)), 0)
        }
        Change::DeleteFdb { index, mac } => (Message::DelNeighbour(fdb(*index, *mac, None)), 0),
        Change::DeleteAddress(address) => (Message::DelAddress(self::address(address)), 0),
    };
    Request { message, flags }
}

/// The request for an address with any prefix length.
pub(super) fn add_address(address: &Address) -> Request {
    Request {
        message: RouteNetlinkMessage::NewAddress(self::address(address)),
        flags: ADD,
    }
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn vxlan(device: &VxlanDevice) -> LinkMessage {
    let mut data = vec![
        InfoVxlan::Id(device.vni),
        InfoVxlan::Link(device.underlay),
        InfoVxlan::Local(device.local),
        InfoVxlan::Ttl(0),
        InfoVxlan::Tos(0),
        InfoVxlan::Learning(device.learning),
        InfoVxlan::Proxy(false),
        InfoVxlan::Rsc(false),
        InfoVxlan::L2Miss(false),
        InfoVxlan::L3Miss(false),
        InfoVxlan::UDPZeroCsumTX(false),
        InfoVxlan::UDPZeroCsumRX(false),
    ];
    data.extend(device.port.map(InfoVxlan::Port));
    data.extend(device.gbp.then_some(InfoVxlan::Gbp));
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(device.name.clone()),
        LinkAttribute::Mtu(device.mtu),
        LinkAttribute::TxQueueLen(0),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Vxlan),
            LinkInfo::Data(InfoData::Vxlan(data)),
        ]),
    ];
    message
        .attributes
        .extend(device.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    message
}

fn address(address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = address.net.prefix_len();
    message.header.index = address.index;
    let local = address.net.addr();
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(local)),
        AddressAttribute::Address(IpAddr::V4(address.peer.unwrap_or(local))),
    ];
    message
}

fn neighbour(index: u32, address: Ipv4Addr, mac: Option<Mac>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = index;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(
        address,
    ))];
    if let Some(mac) = mac {
        message.header.state = NeighbourState::Permanent;
        let bytes = mac.0.to_vec();
        message
            .attributes
            .push(NeighbourAttribute::LinkLayerAddress(bytes));
    }
    message
}

fn fdb(index: u32, mac: Mac, remote: Option<Ipv4Addr>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Own;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
    if let Some(remote) = remote {
        message.header.state = NeighbourState::Permanent;
        message
            .attributes
            .push(NeighbourAttribute::Destination(remote.into()));
    }
    message
}

fn route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = AddressFamily::Inet;
    header.table = RouteHeader::RT_TABLE_MAIN;
    header.destination_prefix_length = route.destination.prefix_len();
    header.tos = route.tos;
    header.protocol = match route.protocol {
        Protocol::Kernel => RouteProtocol::Kernel,
        Protocol::Boot => RouteProtocol::Boot,
        Protocol::Other(number) => number.into(),
    };
    header.scope = match route.scope {
        Scope::Universe => RouteScope::Universe,
        Scope::Link => RouteScope::Link,
        Scope::Other(number) => number.into(),
    };
    header.kind = match route.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Other(number) => number.into(),
    };
    if route.onlink {
        header.flags = RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Destination(RouteAddress::Inet(
        route.destination.network(),
    )));
    // Without next hops the kernel deletes whatever next hops the route has.
    if !route.complex {
        attributes.extend(route.gateway.map(|to| RouteAttribute::Gateway(to.into())));
        attributes.extend(route.oif.map(RouteAttribute::Oif));
    }
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    message
}
