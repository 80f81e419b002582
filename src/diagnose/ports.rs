//! The encapsulation's port against another one: what became of the small datagrams to both between two nodes. Tells a
//! filter of one port from a host that is down, from a port where nobody listens, and from a way that carries no UDP.

use std::net::Ipv4Addr;

use super::evidence::Point;
use super::probe::IcmpError;
use super::view::View;

/// What became of the datagrams to one port.
#[derive(Debug, Clone, Copy)]
pub struct Fate<'a> {
    /// Which port.
    pub port: u16,
    /// Datagrams that the kernel took.
    pub sent: u16,
    /// Those that came in on the other node's interface; `None`: nobody watched there.
    pub arrived: Option<u16>,
    /// What was said of them.
    pub error: Option<&'a IcmpError>,
}

/// Both ports, from one node to another.
#[derive(Debug, Clone, Copy)]
pub struct Differential<'a> {
    /// The node that received.
    pub to: Ipv4Addr,
    /// The encapsulation's port.
    pub encapsulation: Fate<'a>,
    /// A port where nobody listens.
    pub other: Fate<'a>,
}

/// What two watched interfaces say of the way between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Both kinds arrive.
    Open,
    /// Those to the encapsulation's port vanish, the others arrive.
    PortEaten,
    /// Neither arrives.
    NoUdp,
}

impl Fate<'_> {
    fn vanished(&self) -> bool {
        self.sent > 0 && self.arrived == Some(0)
    }

    fn came(&self) -> bool {
        self.arrived.is_some_and(|count| count > 0)
    }

    fn words(&self, to: Ipv4Addr) -> String {
        let arrived = match self.arrived {
            Some(count) => format!(", {count} arrived"),
            None => String::new(),
        };
        let answer = match self.error {
            Some(error) => format!(", {} says \"{}\"", error.from, meaning(error)),
            None => ", no error".to_owned(),
        };
        format!(
            "UDP to {to} port {}: {} sent{arrived}{answer}",
            self.port, self.sent
        )
    }
}

impl Differential<'_> {
    /// What is between the two nodes; `None` where that was not watched.
    pub fn way(&self) -> Option<Way> {
        let (one, other) = (&self.encapsulation, &self.other);
        if one.came() {
            Some(Way::Open)
        } else if one.vanished() && other.came() {
            Some(Way::PortEaten)
        } else if one.vanished() && other.vanished() {
            Some(Way::NoUdp)
        } else {
            None
        }
    }

    /// The node itself said something of a datagram: it is up, and UDP gets to it.
    pub fn peer_speaks(&self) -> bool {
        let by_peer = |fate: &Fate<'_>| fate.error.is_some_and(|error| error.from == self.to);
        by_peer(&self.encapsulation) || by_peer(&self.other)
    }

    /// One line a port.
    pub fn words(&self) -> [String; 2] {
        [&self.encapsulation, &self.other].map(|fate| fate.words(self.to))
    }
}

/// An ICMP "destination unreachable" in words.
pub fn meaning(error: &IcmpError) -> &'static str {
    match (error.kind, error.code) {
        (3, 0) => "net unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 9 | 10 | 13) => "admin prohibited",
        (3, _) => "unreachable",
        (11, _) => "time exceeded",
        _ => "ICMP error",
    }
}

/// What was tried from one node to another.
pub fn between<'a>(view: &View<'a>, from: Ipv4Addr, to: Ipv4Addr) -> Option<Differential<'a>> {
    let mut fates = view.ladders.iter().filter_map(|ladder| {
        let result = ladder.result;
        let port = result.port()?;
        if (result.path.source_node, result.path.target_node) != (from, to) {
            return None;
        }
        let far = ladder
            .steps
            .iter()
            .find(|step| step.point == Point::Underlay && !step.outgoing && !step.reply);
        let arrived = far
            .filter(|step| step.live)
            .map(|step| u16::try_from(step.seen.len()).unwrap_or(u16::MAX));
        Some(Fate {
            port,
            sent: result.sent,
            arrived,
            error: result.errors.first(),
        })
    });
    let known = view.port()?;
    let (mut encapsulation, mut other) = (None, None);
    for fate in &mut fates {
        match fate.port == known {
            true => encapsulation = Some(fate),
            false => other = Some(fate),
        }
    }
    Some(Differential {
        to,
        encapsulation: encapsulation?,
        other: other?,
    })
}
