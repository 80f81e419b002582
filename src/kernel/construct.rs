//! Makes, changes and removes devices in one network namespace, by name: bridges, veth pairs, addresses, routes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use nix::errno::Errno;

use super::error::{Cause, Error, Op};
use super::netlink::{Netlink, Request};
use super::netns::Netns;
use super::{message, observe};
use crate::plan::Change;
use crate::plan::state::{Address, Link, Route};

const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// One end of a veth pair.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is.
    pub namespace: &'a Netns,
}

/// Changes the devices of the network namespace in which it was made, from any thread.
#[derive(Debug)]
pub struct Builder {
    netlink: Netlink,
}

impl Builder {
    /// For the devices of a namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered, or the kernel refuses the socket.
    pub fn within(namespace: &Netns) -> Result<Self, Error> {
        let netlink = namespace
            .run(Netlink::open)
            .map_err(|error| Error::io(Op::Open, "a network namespace", &error))??;
        Ok(Self { netlink })
    }

    /// A bridge without spanning tree that forwards multicast to all ports.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn bridge(&mut self, name: &str, mtu: u32) -> Result<(), Error> {
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)])),
            ]),
        ];
        let message = RouteNetlinkMessage::NewLink(link);
        self.carry_out(&format!("create bridge {name}"), message, CREATE)
    }

    /// A veth pair with both ends down. One end need not be in this namespace.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn veth(&mut self, ends: [VethEnd<'_>; 2], mtu: u32) -> Result<(), Error> {
        let [near, far] = ends;
        let attributes = |end: VethEnd<'_>| {
            vec![
                LinkAttribute::IfName(end.name.to_owned()),
                LinkAttribute::Mtu(mtu),
                LinkAttribute::NetNsFd(end.namespace.raw()),
            ]
        };
        let mut peer = LinkMessage::default();
        peer.attributes = attributes(far);
        let mut link = LinkMessage::default();
        link.attributes = attributes(near);
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        let what = format!("create veth {} and {}", near.name, far.name);
        self.carry_out(&what, RouteNetlinkMessage::NewLink(link), CREATE)
    }

    /// Makes a device a port of a bridge.
    ///
    /// # Errors
    /// No such device, or the kernel's refusal.
    pub fn enslave(&mut self, port: &str, bridge: &str) -> Result<(), Error> {
        let bridge_index = self.link(bridge)?.index;
        let mut link = LinkMessage::default();
        link.header.index = self.link(port)?.index;
        link.attributes
            .push(LinkAttribute::Controller(bridge_index));
        let what = format!("make {port} a port of {bridge}");
        self.carry_out(&what, RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Brings a device up or down.
    ///
    /// # Errors
    /// No such device, or the kernel's refusal.
    pub fn set_up(&mut self, name: &str, up: bool) -> Result<(), Error> {
        let mut link = LinkMessage::default();
        link.header.index = self.link(name)?.index;
        link.header.change_mask = LinkFlags::Up;
        if up {
            link.header.flags = LinkFlags::Up;
        }
        let what = format!("bring {name} {}", if up { "up" } else { "down" });
        self.carry_out(&what, RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Sets a device's MTU.
    ///
    /// # Errors
    /// No such device, or the kernel's refusal.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Error> {
        let index = self.link(name)?.index;
        self.change(&Change::SetMtu {
            index,
            name: name.to_owned(),
            mtu,
        })
    }

    /// Removes a device.
    ///
    /// # Errors
    /// No such device, or the kernel's refusal.
    pub fn delete(&mut self, name: &str) -> Result<(), Error> {
        let mut link = LinkMessage::default();
        link.header.index = self.link(name)?.index;
        let message = RouteNetlinkMessage::DelLink(link);
        self.carry_out(&format!("remove {name}"), message, 0)
    }

    /// Gives a device an address.
    ///
    /// # Errors
    /// No such device, or the kernel's refusal.
    pub fn add_address(&mut self, name: &str, net: Ipv4Net) -> Result<(), Error> {
        let address = self.address(name, net)?;
        let request = message::add_address(&address);
        let what = format!("add address {net} to {name}");
        self.carry_out(&what, request.message, request.flags)
    }

    /// Takes an address from a device.
    ///
    /// # Errors
    /// No such device or address, or the kernel's refusal.
    pub fn delete_address(&mut self, name: &str, net: Ipv4Net) -> Result<(), Error> {
        let address = self.address(name, net)?;
        self.change(&Change::DeleteAddress(address))
    }

    /// A default route through a gateway.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<(), Error> {
        self.change(&Change::AddRoute(default_route(gateway)))
    }

    /// Removes a default route through a gateway.
    ///
    /// # Errors
    /// No such route, or the kernel's refusal.
    pub fn delete_default_route(&mut self, gateway: Ipv4Addr) -> Result<(), Error> {
        self.change(&Change::DeleteRoute(default_route(gateway)))
    }

    /// Carries out one step of a plan.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn change(&mut self, change: &Change) -> Result<(), Error> {
        let request = message::request(change);
        self.carry_out(&change.to_string(), request.message, request.flags)
    }

    /// The device of that name.
    ///
    /// # Errors
    /// There is none, or the kernel cannot be read.
    pub fn link(&mut self, name: &str) -> Result<Link, Error> {
        let links = observe::links(&mut self.netlink)?;
        let found = links.into_iter().find(|link| link.name == name);
        found.ok_or_else(|| Error {
            op: Op::Apply,
            object: format!("use device {name}"),
            cause: Cause::from_errno(Errno::ENODEV, String::new()),
        })
    }

    fn address(&mut self, name: &str, net: Ipv4Net) -> Result<Address, Error> {
        Ok(Address {
            index: self.link(name)?.index,
            net,
            peer: None,
        })
    }

    fn carry_out(
        &mut self,
        what: &str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Error> {
        let results = self.netlink.batch(&[Request { message, flags }]);
        match results.into_iter().next() {
            Some(Err(cause)) => Err(Error {
                op: Op::Apply,
                object: what.to_owned(),
                cause,
            }),
            _ => Ok(()),
        }
    }
}

fn default_route(gateway: Ipv4Addr) -> Route {
    Route::flannel(Ipv4Net::default(), Some(gateway), None)
}
