//! The verdict on one packet, in each direction.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use super::counters::Reason;
use super::table::Table;
use crate::packet::icmp;
use crate::packet::ipv4::{Ipv4, Malformed};

/// Whose datagrams are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accept {
    /// Those of a peer's public address whose inner source belongs to that peer.
    #[default]
    Peers,
    /// Anybody's, as flanneld does (W33).
    Any,
}

/// The text is neither `peers` nor `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use peers or any")]
pub struct AcceptError;

impl FromStr for Accept {
    type Err = AcceptError;

    fn from_str(text: &str) -> Result<Self, AcceptError> {
        match text {
            "peers" => Ok(Self::Peers),
            "any" => Ok(Self::Any),
            _ => Err(AcceptError),
        }
    }
}

/// What happens to a packet that the host sends into the overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// Take one from its TTL and send it to this peer.
    Send(SocketAddrV4),
    /// Drop it; tell its sender where there is an error to tell.
    Drop(Reason, Option<icmp::Error>),
}

/// What happens to a datagram that came from the underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// Take one from its TTL and hand it to the host.
    Deliver,
    /// Drop it; tell the inner sender where there is an error to tell.
    Drop(Reason, Option<icmp::Error>),
}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Short => Reason::Short,
            Malformed::Version => Reason::NotIpv4,
            Malformed::HeaderLength => Reason::HeaderLength,
            Malformed::TotalLength => Reason::TotalLength,
        }
    }
}

/// Judges one packet that was read from the TUN device.
pub fn outbound(packet: &[u8], table: &Table) -> Outbound {
    let packet = match Ipv4::parse(packet) {
        Ok(packet) => packet,
        Err(malformed) => return Outbound::Drop(malformed.into(), None),
    };
    let refuse = |reason, error| Outbound::Drop(reason, icmp::may_answer(&packet).then_some(error));
    let Some(peer) = table.lookup(packet.destination()) else {
        return refuse(Reason::NoPeer, icmp::Error::NetUnreachable);
    };
    if packet.ttl() <= 1 {
        return refuse(Reason::TtlExceeded, icmp::Error::TimeExceeded);
    }
    Outbound::Send(peer)
}

/// Judges datagrams that came from one address. Many in a row from one inner source are looked up once.
#[derive(Debug)]
pub struct Sender<'a> {
    address: Ipv4Addr,
    table: &'a Table,
    accept: Accept,
    /// Some peer has this address, or anybody is accepted.
    known: bool,
    /// The latest inner source that is this peer's.
    own: Option<Ipv4Addr>,
}

impl<'a> Sender<'a> {
    /// The table must be the one of the time when the datagrams came.
    pub fn new(address: Ipv4Addr, table: &'a Table, accept: Accept) -> Self {
        Self {
            address,
            table,
            accept,
            known: accept == Accept::Any || table.knows_sender(address),
            own: None,
        }
    }

    /// Judges one datagram's payload.
    pub fn judge(&mut self, packet: &[u8]) -> Inbound {
        if !self.known {
            return Inbound::Drop(Reason::UnknownSender, None);
        }
        let packet = match Ipv4::parse(packet) {
            Ok(packet) => packet,
            Err(malformed) => return Inbound::Drop(malformed.into(), None),
        };
        let source = packet.source();
        if self.accept == Accept::Peers && self.own != Some(source) {
            if !self.owns(source) {
                return Inbound::Drop(Reason::ForeignSource, None);
            }
            self.own = Some(source);
        }
        if packet.ttl() <= 1 {
            let error = icmp::may_answer(&packet).then_some(icmp::Error::TimeExceeded);
            return Inbound::Drop(Reason::TtlExceeded, error);
        }
        Inbound::Deliver
    }

    /// True when `source` is in a subnet of this peer (its tunnel address is the base of that subnet) or is its
    /// own public address.
    fn owns(&self, source: Ipv4Addr) -> bool {
        source == self.address
            || self
                .table
                .lookup(source)
                .is_some_and(|peer| *peer.ip() == self.address)
    }
}
