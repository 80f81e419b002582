//! The kernel's own notices (links, IPv4 addresses, IPv4 routes, neighbours) as one event: "something
//! that matters has changed". What has changed is not passed on: whoever is woken looks for himself, so
//! that a lost notice costs nothing.
#![allow(unsafe_code)]

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

use ipnet::Ipv4Net;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::constants::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::Interest as Readiness;
use tokio::io::unix::AsyncFd;

use super::error::{Error, Op};
use super::netlink::Datagrams;
use super::observe;

const GROUPS: u32 = libc::RTMGRP_LINK.cast_unsigned()
    | libc::RTMGRP_NEIGH.cast_unsigned()
    | libc::RTMGRP_IPV4_IFADDR.cast_unsigned()
    | libc::RTMGRP_IPV4_ROUTE.cast_unsigned();
const WHAT: &str = "the kernel's network state";
const RECEIVE: usize = 64 * 1024;
/// Our own changes come back as notices: room for those of a thousand peers.
const BUFFER: usize = 4 * 1024 * 1024;

/// What matters. A busy host talks all the time about other things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// Routes inside or around it matter.
    pub network: Ipv4Net,
    /// The interfaces that matter, by name: flannel's device and the one below.
    pub names: Vec<String>,
    /// The same by index, as far as they exist.
    pub indexes: Vec<u32>,
    /// flannel's device: its neighbours matter.
    pub device: Option<u32>,
}

/// A socket that receives the kernel's notices for the network namespace in which it was opened.
pub struct Monitor {
    socket: Socket,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

impl Monitor {
    /// Starts to listen.
    ///
    /// # Errors
    /// Where the system refuses the socket.
    pub fn open() -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io(Op::Watch, WHAT, &error);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind(&SocketAddr::new(0, GROUPS)).map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        if let Err(refused) = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER) {
            tracing::debug!(%refused, "the monitor keeps the default receive buffer");
        }
        Ok(Self { socket })
    }

    /// A handle to wait on, for [`Monitor::changed`]; belongs to the calling tokio runtime.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn ready(&self) -> Result<AsyncFd<OwnedFd>, Error> {
        let failed = |error: io::Error| Error::io(Op::Watch, WHAT, &error);
        let fd = self.socket.as_fd().try_clone_to_owned().map_err(failed)?;
        // SAFETY: an `OwnedFd` is an open file and stays the same one; it is closed only when the
        // `AsyncFd` that owns it is dropped, after its registration.
        let ready = unsafe { AsyncFd::register_with_interest(fd, Readiness::READABLE) };
        ready.map_err(|error| failed(error.into()))
    }

    /// Throws away the notices so far. Call it before looking: what they tell will be seen.
    pub fn drain(&self) {
        self.read(|_| {});
    }

    /// Waits until something that matters has changed, or notices were lost. Safe to cancel.
    ///
    /// # Errors
    /// Where the runtime can no longer wait.
    pub async fn changed(
        &self,
        ready: &AsyncFd<OwnedFd>,
        interest: &Interest,
    ) -> Result<(), Error> {
        loop {
            let mut guard = ready
                .readable()
                .await
                .map_err(|error| Error::io(Op::Watch, WHAT, &error))?;
            guard.clear_ready();
            let mut matters = false;
            let overrun = self.read(|bytes| matters = matters || interest.covers(bytes));
            if matters || overrun {
                return Ok(());
            }
        }
    }

    /// Reads all that is there. True when the kernel had to drop something (or the socket fails, which
    /// the next look will tell better).
    fn read(&self, mut each: impl FnMut(&[u8])) -> bool {
        let mut buffer = Vec::with_capacity(RECEIVE);
        let mut overrun = false;
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, 0) {
                Ok(_) => Datagrams(&buffer).for_each(&mut each),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return overrun,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => overrun = true,
                Err(_) => return true,
            }
        }
    }
}

impl Interest {
    fn covers(&self, bytes: &[u8]) -> bool {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) else {
            return false;
        };
        let NetlinkPayload::InnerMessage(message) = message.payload else {
            return false;
        };
        match message {
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                self.link(&link)
            }
            // Rare, and the host's own networks decide which peers can be served.
            RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_) => true,
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                observe::route(&route).is_some_and(|route| {
                    let to = route.destination;
                    // A route without a gateway decides who is on-link.
                    route.gateway.is_none()
                        || self.network.contains(&to)
                        || (to.contains(&self.network) && to.addr() != Ipv4Addr::UNSPECIFIED)
                })
            }
            RouteNetlinkMessage::DelNeighbour(entry) => self.device == Some(entry.header.ifindex),
            RouteNetlinkMessage::NewNeighbour(entry) => self.neighbour(&entry),
            _ => false,
        }
    }

    fn link(&self, link: &LinkMessage) -> bool {
        self.indexes.contains(&link.header.index)
            || link.attributes.iter().any(|attribute| {
                matches!(attribute, LinkAttribute::IfName(name) if self.names.contains(name))
            })
    }

    /// Entries that are being resolved or learned come and go by themselves.
    fn neighbour(&self, entry: &NeighbourMessage) -> bool {
        let state = u16::from(entry.header.state);
        let lasting = u16::from(NeighbourState::Permanent) | u16::from(NeighbourState::Noarp);
        let passing = u16::from(NeighbourState::Incomplete) | u16::from(NeighbourState::Failed);
        let matters = match entry.header.family {
            AddressFamily::Bridge => state & lasting != 0,
            AddressFamily::Inet => state & passing == 0,
            _ => false,
        };
        matters && self.device == Some(entry.header.ifindex)
    }
}
