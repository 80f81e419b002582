//! A case as the checks look at it: ways and losses worked out once.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::case::{Case, LeaseFact};
use super::catalog;
use super::evidence::NodeEvidence;
use super::finding::{Confidence, Direction, Finding, Severity};
use super::ladder::{Hop, Ladder};
use super::loss::{self, Loss};
use super::probe::{PathResult, Target};

/// The case with its losses.
pub struct View<'a> {
    /// All evidence.
    pub case: &'a Case,
    /// Ways, in the order of the case's paths.
    pub ladders: &'a [Ladder<'a>],
    /// Losses that matter: those of paths to containers, and of paths to the bridge where there is none to a
    /// container. `.0`, node addresses and TTL probes only help to explain them.
    pub losses: Vec<Loss<'a>>,
    /// All the others.
    pub side: Vec<Loss<'a>>,
}

/// A finding with the losses (by index) that it explains.
#[derive(Debug, Clone)]
pub struct Found {
    /// The finding.
    pub finding: Finding,
    /// Indices into the view's losses.
    pub explains: Vec<usize>,
    /// Its direction is known only from paths that run back to the asking node.
    pub turned: bool,
}

impl Found {
    /// Takes in a direction. What the asking node sent itself decides; paths that run back to it count where
    /// nothing else is known.
    pub fn meets(&mut self, direction: Direction, turned: bool) {
        if direction == Direction::None {
            return;
        }
        let known = &mut self.finding.direction;
        if *known == Direction::None || (self.turned && !turned) {
            (*known, self.turned) = (direction, turned);
        } else if self.turned == turned && *known != direction {
            *known = Direction::Both;
        }
    }
}

impl<'a> View<'a> {
    /// Works out the losses.
    pub fn new(case: &'a Case, ladders: &'a [Ladder<'a>]) -> Self {
        let (mut losses, mut side) = (Vec::new(), Vec::new());
        for ladder in ladders {
            let main = is_main(case, ladder.result);
            for mut one in loss::losses(ladder) {
                one.turned = case.here == Some(ladder.path().target_node);
                if main {
                    one.index = losses.len();
                    losses.push(one);
                } else {
                    side.push(one);
                }
            }
        }
        Self {
            case,
            ladders,
            losses,
            side,
        }
    }

    /// Losses of packets from or to a node.
    pub fn losses_of(&self, node: &NodeEvidence) -> impl Iterator<Item = &Loss<'a>> {
        let own = node.node;
        self.losses.iter().filter(move |loss| {
            let (from, to) = loss.nodes();
            own == Some(from) || own == Some(to)
        })
    }

    /// Losses that may have happened in one of these hops on a node.
    pub fn lost_at(&self, node: &NodeEvidence, hops: &[Hop]) -> Vec<&Loss<'a>> {
        let Some(address) = node.node else {
            return Vec::new();
        };
        self.losses
            .iter()
            .filter(|one| hops.iter().any(|hop| one.at(*hop, address)))
            .collect()
    }

    /// Packets of a path that matters went through one of these hops on the node, in full.
    pub fn passes(&self, node: &NodeEvidence, hops: &[Hop]) -> bool {
        self.ladders.iter().any(|ladder| {
            ladder.result.whole()
                && ladder.path().target != Target::ContainerTtl2
                && ladder
                    .steps
                    .iter()
                    .any(|step| node.node == Some(step.hop.1) && hops.contains(&step.hop.0))
        })
    }

    /// Leases of the other nodes.
    pub fn peers<'s>(
        &'s self,
        node: &NodeEvidence,
    ) -> impl Iterator<Item = &'a LeaseFact> + use<'a, 's> {
        let own = node.node;
        self.case
            .leases
            .iter()
            .filter(move |lease| Some(lease.public_ip) != own)
    }

    /// The node's lease.
    pub fn lease(&self, node: &NodeEvidence) -> Option<&'a LeaseFact> {
        self.case.lease(node.node?)
    }

    /// The node's subnet by its lease, else by its `subnet.env`.
    pub fn subnet(&self, node: &NodeEvidence) -> Option<Ipv4Net> {
        self.lease(node).map(|lease| lease.subnet).or_else(|| {
            node.subnet_env
                .as_ref()
                .and_then(|env| env.subnet)
                .map(|net| net.trunc())
        })
    }

    /// The flannel network.
    pub fn network(&self) -> Option<Ipv4Net> {
        self.case.network.as_ref().map(|it| it.network)
    }

    /// The backend, or empty.
    pub fn backend(&self) -> &'a str {
        self.case
            .network
            .as_ref()
            .map_or("", |it| it.backend.as_str())
    }

    /// The UDP port of the encapsulation.
    pub fn port(&self) -> Option<u16> {
        self.case
            .network
            .as_ref()
            .filter(|it| it.backend != "host-gw")
            .map(|it| it.port)
    }

    /// Results of probes of one kind between two nodes.
    pub fn probes<'s>(
        &'s self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        target: Target,
    ) -> impl Iterator<Item = &'a PathResult> + use<'a, 's> {
        self.case.paths.iter().filter(move |one| {
            one.path.source_node == from && one.path.target_node == to && one.path.target == target
        })
    }

    /// The nodes' own addresses ping each other, in full: `None` where that was not tried. Pings in either
    /// direction count.
    pub fn underlay_answers(&self, one: Ipv4Addr, other: Ipv4Addr) -> Option<bool> {
        let mut tried = self
            .probes(one, other, Target::Node)
            .chain(self.probes(other, one, Target::Node))
            .filter(|probe| !probe.path.df)
            .peekable();
        tried.peek()?;
        Some(tried.any(|probe| probe.received() > 0))
    }
}

/// Losses of this path are what is judged.
pub(super) fn is_main(case: &Case, result: &PathResult) -> bool {
    let path = &result.path;
    if path.df {
        // Size sweeps are judged by the check of sizes.
        return false;
    }
    match path.target {
        Target::Container => true,
        Target::Bridge => !case.paths.iter().any(|other| {
            other.path.target == Target::Container
                && !other.path.df
                && other.path.source_node == path.source_node
                && other.path.target_node == path.target_node
        }),
        _ => false,
    }
}

/// A finding in the making.
pub struct Build(Found);

/// Begins a finding: an error, likely, about no packets.
pub fn found(id: &'static str, node: Option<Ipv4Addr>, place: impl Into<String>) -> Build {
    let entry = catalog::find(id);
    Build(Found {
        turned: false,
        finding: Finding {
            id: id.to_owned(),
            name: entry.map_or("", |it| it.name).to_owned(),
            severity: Severity::Error,
            node,
            place: place.into(),
            direction: Direction::None,
            confidence: Confidence::Likely,
            summary: entry.map_or("", |it| it.title).to_owned(),
            evidence: Vec::new(),
            fix: Vec::new(),
            pairs: Vec::new(),
        },
        explains: Vec::new(),
    })
}

impl Build {
    /// One sentence: where and why.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.0.finding.summary = text.into();
        self
    }

    /// What shows it.
    pub fn evidence(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() && !self.0.finding.evidence.contains(&text) {
            self.0.finding.evidence.push(text);
        }
        self
    }

    /// What shows it, line by line.
    pub fn evidences(self, lines: impl IntoIterator<Item = String>) -> Self {
        lines.into_iter().fold(self, Self::evidence)
    }

    /// What mends it.
    pub fn fix(mut self, text: impl Into<String>) -> Self {
        self.0.finding.fix.push(text.into());
        self
    }

    /// A command that mends it, on the finding's node.
    pub fn run(self, command: impl Into<String>) -> Self {
        let command = command.into();
        match self.0.finding.node {
            Some(node) => self.fix(format!("on {node}: {command}")),
            None => self.fix(command),
        }
    }

    /// How bad.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.0.finding.severity = severity;
        self
    }

    /// How sure.
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.0.finding.confidence = confidence;
        self
    }

    /// Proven if so, else as it was.
    pub fn proven_if(mut self, yes: bool) -> Self {
        if yes {
            self.0.finding.confidence = Confidence::Proven;
        }
        self
    }

    /// Which packets.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.0.finding.direction = direction;
        self
    }

    /// The losses that it explains: direction and evidence come from them.
    pub fn explains<'l, 'a: 'l>(mut self, losses: impl IntoIterator<Item = &'l Loss<'a>>) -> Self {
        for one in losses {
            self.0.meets(one.direction(), one.turned);
            self.0.explains.push(one.index);
            self = self.evidence(one.words());
        }
        self
    }

    /// Done; without a fix of its own it takes the catalog's.
    pub fn done(mut self) -> Found {
        if self.0.finding.fix.is_empty()
            && let Some(entry) = catalog::find(&self.0.finding.id)
        {
            self.0.finding.fix.push(entry.mend.to_owned());
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_no_packet_leaves_the_direction_as_it_is() {
        let mut one = found("FL101", None, "ip filter FORWARD policy").done();
        one.meets(Direction::Reply, true);
        one.meets(Direction::None, false);
        assert_eq!(one.finding.direction, Direction::Reply);
        one.meets(Direction::Request, true);
        assert_eq!(one.finding.direction, Direction::Both);
        one.meets(Direction::Request, false);
        assert_eq!(one.finding.direction, Direction::Request);
    }
}
