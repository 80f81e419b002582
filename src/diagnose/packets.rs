//! The caught packets themselves, for a file that Wireshark opens: what a node keeps of each, and what is to be said
//! beside each.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::case::Case;
use super::evidence::NodeEvidence;
use super::ladder::{self, Ladder};
use super::loss;
use super::probe::{Origin, Target};

/// Bytes of the link-layer header of Linux "cooked" captures, version 2 (LINKTYPE_LINUX_SLL2).
pub const COOKED: usize = 20;

/// One caught packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketFact {
    /// Interface name.
    pub interface: String,
    /// Microseconds since the epoch, by the node's clock.
    pub time_us: u64,
    /// Leaving the host's stack through this interface.
    pub outgoing: bool,
    /// The probe that it is, or several in one segmentation-offload packet; none: an ICMP error that quotes one.
    pub probes: Vec<ProbeFact>,
    /// Bytes of the packet, without a link-layer header.
    pub length: u32,
    /// A cooked header ([`COOKED`] bytes), then the packet, which may be cut off.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub bytes: Vec<u8>,
}

/// Which probe a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFact {
    /// Which path of the diagnosis.
    pub path: u8,
    /// Reply instead of request.
    pub reply: bool,
    /// ICMP sequence number.
    pub sequence: u16,
}

/// A packet with its node and what is to be said beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted<'a> {
    /// Public IP of the node that caught it.
    pub node: Option<Ipv4Addr>,
    /// The packet.
    pub packet: &'a PacketFact,
    /// Node, interface, direction, phase, note.
    pub comment: String,
}

/// All packets of all nodes in the order of time.
pub fn noted(case: &Case) -> Vec<Noted<'_>> {
    let ladders: Vec<_> = case.paths.iter().map(|p| ladder::build(case, p)).collect();
    let mut all: Vec<_> = case
        .nodes
        .iter()
        .flat_map(|node| node.packets.iter().map(move |packet| (node, packet)))
        .map(|(node, packet)| Noted {
            node: node.node,
            packet,
            comment: comment(node, packet, &ladders),
        })
        .collect();
    all.sort_by_key(|one| one.packet.time_us);
    all
}

fn comment(node: &NodeEvidence, packet: &PacketFact, ladders: &[Ladder<'_>]) -> String {
    let name = node
        .node
        .map_or_else(|| "?".to_owned(), |ip| ip.to_string());
    let way = if packet.outgoing { "out" } else { "in" };
    let front = format!("{name} {} {way}", packet.interface);
    let probes = packet.probes.iter();
    let texts: Vec<_> = probes
        .map(|one| of_probe(node, packet, *one, ladders))
        .collect();
    match texts.is_empty() {
        true => format!("{front}: ICMP error about a probe"),
        false => format!("{front}: {}", texts.join(" + ")),
    }
}

fn of_probe(
    node: &NodeEvidence,
    packet: &PacketFact,
    probe: ProbeFact,
    ladders: &[Ladder<'_>],
) -> String {
    let phase = if probe.reply { "reply" } else { "request" };
    let ladder = ladders.iter().find(|one| one.path().index == probe.path);
    let Some(ladder) = ladder else {
        return format!("{phase} {}", probe.sequence);
    };
    let path = ladder.path();
    let mut text = format!(
        "{phase} {} of {}, path {} ({} to {}{})",
        probe.sequence,
        path.count,
        path.index,
        from(path.origin, path.from),
        path.to,
        if path.target == Target::ContainerTtl2 {
            ", TTL 2"
        } else {
            ""
        },
    );
    for note in notes(node, packet, probe, ladder) {
        text.push_str("; ");
        text.push_str(&note);
    }
    text
}

fn from(origin: Origin, address: Ipv4Addr) -> String {
    match origin {
        Origin::Host => format!("host {address}"),
        Origin::Container => format!("container {address}"),
        Origin::Endpoint => format!("endpoint {address}"),
    }
}

fn notes(
    node: &NodeEvidence,
    packet: &PacketFact,
    probe: ProbeFact,
    ladder: &Ladder<'_>,
) -> Vec<String> {
    let mut notes = Vec::new();
    let path = ladder.path();
    let step = ladder.steps.iter().position(|step| {
        Some(step.node) == node.node
            && step.interface == packet.interface
            && step.outgoing == packet.outgoing
            && step.reply == probe.reply
    });
    let seen = step.and_then(|index| {
        let step = ladder.steps.get(index)?;
        step.seen.iter().find(|one| one.sequence == probe.sequence)
    });
    if let Some(seen) = seen {
        let planned = if probe.reply { path.to } else { path.from };
        if seen.from != planned && !planned.is_unspecified() {
            notes.push(format!("source changed from {planned}"));
        }
        if seen.otherhost {
            notes.push("for another MAC (otherhost)".to_owned());
        }
    } else {
        notes.push("not on its way".to_owned());
    }
    let answered = ladder
        .result
        .replies
        .iter()
        .any(|(n, _)| *n == probe.sequence);
    let meant = match path.target {
        Target::ContainerTtl2 => true,
        // Not answered; its way is done where it arrives, and where nobody watches whether it does.
        Target::Port(_) => !packet.outgoing || !ladder.steps.get(1).is_some_and(|next| next.live),
        _ => loss::answered(ladder),
    };
    if step.is_some() && !answered && !meant && ladder.furthest(probe.sequence) == step {
        notes.push("LOST after this".to_owned());
    }
    notes
}

fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}
