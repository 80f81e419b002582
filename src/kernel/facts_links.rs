//! Interfaces, neighbours, forwarding entries and policy rules, in the words of a diagnosis. Only reads.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Stats64,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::error::Error;
use super::netlink::Netlink;
use super::observe;
use crate::diagnose::evidence::{LinkFact, NeighbourFact, VxlanFact};
use crate::plan::state::Mac;

/// An interface with what only this host needs to know of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub fact: LinkFact,
    /// Index of the veth's other end, in its own namespace.
    pub peer: Option<u32>,
    /// Number of the namespace of the other end; `None`: this one.
    pub peer_namespace: Option<i32>,
    pub statistics: Option<Stats64>,
}

/// All interfaces with their addresses.
pub(super) fn links(netlink: &mut Netlink) -> Result<Vec<Seen>, Error> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut links = netlink.dump("interfaces", &request, |entry| match entry {
        RouteNetlinkMessage::NewLink(message) => Some(link(&message)),
        _ => None,
    })?;
    for address in observe::addresses(netlink)? {
        let holder = links.iter_mut().find(|l| l.fact.index == address.index);
        if let Some(holder) = holder {
            holder.fact.addresses.push(address.net);
        }
    }
    Ok(links)
}

fn link(message: &LinkMessage) -> Seen {
    let mut seen = Seen::default();
    let fact = &mut seen.fact;
    fact.index = message.header.index;
    fact.up = message.header.flags.contains(LinkFlags::Up);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => fact.name.clone_from(name),
            LinkAttribute::Mtu(bytes) => fact.mtu = *bytes,
            LinkAttribute::Carrier(on) => fact.carrier = *on != 0,
            LinkAttribute::Controller(index) => fact.controller = Some(*index),
            LinkAttribute::Address(bytes) => {
                let mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac);
                fact.mac = mac.map_or_else(String::new, |mac| mac.to_string());
            }
            LinkAttribute::Link(index) => seen.peer = Some(*index),
            LinkAttribute::LinkNetNsId(number) => seen.peer_namespace = Some(*number),
            LinkAttribute::Stats64(statistics) => seen.statistics = Some(*statistics),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => fact.kind = kind_name(kind),
                        LinkInfo::Data(InfoData::Vxlan(data)) => fact.vxlan = Some(vxlan(data)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    seen
}

fn kind_name(kind: &InfoKind) -> String {
    match kind {
        InfoKind::Vxlan => "vxlan".into(),
        InfoKind::Bridge => "bridge".into(),
        InfoKind::Veth => "veth".into(),
        InfoKind::Tun => "tun".into(),
        other => other.to_string(),
    }
}

fn vxlan(data: &[InfoVxlan]) -> VxlanFact {
    let mut fact = VxlanFact::default();
    for info in data {
        match info {
            InfoVxlan::Id(vni) => fact.vni = *vni,
            InfoVxlan::Port(port) => fact.port = *port,
            InfoVxlan::Local(local) => fact.local = Some(*local).filter(|l| !l.is_unspecified()),
            InfoVxlan::Link(index) => fact.underlay = Some(*index).filter(|index| *index != 0),
            InfoVxlan::Learning(on) => fact.learning = *on,
            InfoVxlan::CollectMetadata(on) => fact.external = *on,
            _ => {}
        }
    }
    fact
}

/// IPv4 neighbours on all interfaces that `names` knows.
pub(super) fn neighbours(
    netlink: &mut Netlink,
    names: &BTreeMap<u32, String>,
) -> Result<Vec<NeighbourFact>, Error> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    let request = RouteNetlinkMessage::GetNeighbour(message);
    netlink.dump("neighbours", &request, |entry| match entry {
        RouteNetlinkMessage::NewNeighbour(message) => neighbour(&message, names),
        _ => None,
    })
}

fn neighbour(message: &NeighbourMessage, names: &BTreeMap<u32, String>) -> Option<NeighbourFact> {
    let mut address = None;
    let mut mac = String::new();
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(to)) => address = Some(*to),
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                let bytes = <[u8; 6]>::try_from(&bytes[..]).ok();
                mac = bytes.map_or_else(String::new, |bytes| Mac(bytes).to_string());
            }
            _ => {}
        }
    }
    let address: Ipv4Addr = address?;
    // What the kernel makes up for groups and broadcast says nothing.
    if message.header.state == NeighbourState::Noarp {
        return None;
    }
    let state = match message.header.state {
        NeighbourState::Incomplete => "incomplete",
        NeighbourState::Reachable => "reachable",
        NeighbourState::Stale => "stale",
        NeighbourState::Delay => "delay",
        NeighbourState::Probe => "probe",
        NeighbourState::Failed => "failed",
        NeighbourState::Permanent => "permanent",
        _ => "none",
    };
    Some(NeighbourFact {
        device: names.get(&message.header.ifindex)?.clone(),
        address,
        mac,
        state: state.into(),
    })
}

/// Which port of a bridge each MAC is behind, by the bridge's forwarding entries.
pub(super) fn ports_by_mac(netlink: &mut Netlink) -> Result<BTreeMap<String, u32>, Error> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    let request = RouteNetlinkMessage::GetNeighbour(message);
    let entries = netlink.dump(
        "forwarding entries of bridges",
        &request,
        |entry| match entry {
            RouteNetlinkMessage::NewNeighbour(message) => {
                let mac = message
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        NeighbourAttribute::LinkLayerAddress(bytes) => {
                            <[u8; 6]>::try_from(&bytes[..]).ok().map(Mac)
                        }
                        _ => None,
                    })?;
                // A port's own address is permanent; what is learned is behind it.
                let learned = message.header.state != NeighbourState::Permanent;
                learned.then(|| (mac.to_string(), message.header.ifindex))
            }
            _ => None,
        },
    )?;
    Ok(entries.into_iter().collect())
}

/// Policy rules beside the kernel's three.
pub(super) fn rules(netlink: &mut Netlink) -> Result<Vec<String>, Error> {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    let request = RouteNetlinkMessage::GetRule(message);
    netlink.dump("policy rules", &request, |entry| match entry {
        RouteNetlinkMessage::NewRule(message) => rule(&message),
        _ => None,
    })
}

/// As `ip rule` prints it; `None` for a standard one.
fn rule(message: &RuleMessage) -> Option<String> {
    let header = &message.header;
    let mut priority = 0;
    let mut table = u32::from(header.table);
    let (mut from, mut to) = ("all".to_owned(), String::new());
    let mut more = String::new();
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Source(IpAddr::V4(ip)) => from = net(*ip, header.src_len),
            RuleAttribute::Destination(IpAddr::V4(ip)) => {
                to = format!(" to {}", net(*ip, header.dst_len));
            }
            RuleAttribute::FwMark(mark) => more.push_str(&format!(" fwmark {mark:#x}")),
            RuleAttribute::Iifname(name) => more.push_str(&format!(" iif {name}")),
            RuleAttribute::Oifname(name) => more.push_str(&format!(" oif {name}")),
            RuleAttribute::IpProtocol(protocol) => {
                more.push_str(&format!(" ipproto {}", i32::from(*protocol)));
            }
            RuleAttribute::Goto(target) => more.push_str(&format!(" goto {target}")),
            _ => {}
        }
    }
    let standard = [(0, 255), (32766, 254), (32767, 253)].contains(&(priority, table));
    if standard && from == "all" && to.is_empty() && more.is_empty() {
        return None;
    }
    let action = match header.action {
        RuleAction::ToTable => format!(" lookup {}", table_name(table)),
        RuleAction::Blackhole => " blackhole".into(),
        RuleAction::Unreachable => " unreachable".into(),
        RuleAction::Prohibit => " prohibit".into(),
        _ => String::new(),
    };
    Some(format!("{priority}: from {from}{to}{more}{action}"))
}

fn net(address: Ipv4Addr, length: u8) -> String {
    if length == 32 {
        address.to_string()
    } else {
        format!("{address}/{length}")
    }
}

fn table_name(table: u32) -> String {
    match table {
        255 => "local".into(),
        254 => "main".into(),
        253 => "default".into(),
        other => other.to_string(),
    }
}
