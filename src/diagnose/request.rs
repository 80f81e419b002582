//! The words in which nodes ask each other for evidence, below `<prefix>/diagnose/<id>/…` in etcd, as JSON with a
//! short lease. Read from etcd, so nothing in them is trusted: an agent checks the whole of a request before
//! it does anything.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::evidence::{NodeEvidence, Sighting};
use super::probe::{Path, PathResult};

/// What the asking side wants of one node, step by step; a later step replaces the earlier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Request {
    /// Watch for these paths; make an endpoint behind the bridge if `endpoint`; take the "before" of counters and
    /// listings.
    Arm {
        /// Public IP of the asking node.
        asked_by: Ipv4Addr,
        /// A temporary endpoint is wanted (the node has no container to ping).
        endpoint: bool,
        /// Paths to watch for; their `to` may be 0.0.0.0 where the endpoint's address is not known yet.
        paths: Vec<Path>,
        /// The packets themselves are wanted too.
        #[serde(default)]
        packets: bool,
    },
    /// Send the paths of which this node is the source, and tell the results.
    Send {
        /// The paths.
        paths: Vec<Path>,
        /// Their targets that take part in this diagnosis.
        #[serde(default)]
        watching: Vec<Ipv4Addr>,
    },
    /// Stop watching, gather everything, remove what was made.
    Collect,
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Answer {
    /// Heard, and at work: somebody is there, however long it takes.
    Heard,
    /// Watching.
    Armed {
        /// Address of the endpoint, or of a container that can be pinged.
        target: Option<Ipv4Addr>,
        /// It is a real container.
        container: bool,
    },
    /// Sent.
    Sent {
        /// Results.
        results: Vec<PathResult>,
    },
    /// Everything that the node knows.
    Evidence {
        /// It.
        evidence: Box<NodeEvidence>,
        /// Its packets seen, packed; those in `evidence` itself come before them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        packed: Vec<Packed>,
    },
    /// The node will not (`agent --diagnose=off`), or cannot.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Packets of one path at one point that differ in number and time alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// The first of them.
    pub first: Sighting,
    /// The others: sequence number, microseconds after the first.
    pub rest: Vec<(u16, u64)>,
}

impl Packed {
    /// Packs sightings; only the first of each run keeps its line.
    pub fn pack(seen: Vec<Sighting>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for one in seen {
            let same = |run: &&mut Self| continues(&run.first, &one);
            match runs.iter_mut().rev().find(same) {
                Some(run) => run
                    .rest
                    .push((one.sequence, one.time_us - run.first.time_us)),
                None => runs.push(Self {
                    first: one,
                    rest: Vec::new(),
                }),
            }
        }
        runs
    }

    /// The sightings in the order of time, at most `limit`.
    pub fn unpack(runs: Vec<Self>, limit: usize) -> Vec<Sighting> {
        let mut seen: Vec<_> = runs
            .into_iter()
            .flat_map(|run| {
                let copy = run.first.clone();
                let rest = run.rest.into_iter().map(move |(sequence, after)| Sighting {
                    sequence,
                    time_us: copy.time_us.saturating_add(after),
                    line: String::new(),
                    ..copy.clone()
                });
                std::iter::once(run.first).chain(rest)
            })
            .take(limit)
            .collect();
        seen.sort_by_key(|one| one.time_us);
        seen
    }
}

/// Alike but for number, time and line, and not earlier.
fn continues(first: &Sighting, one: &Sighting) -> bool {
    let key = |s: &Sighting| {
        (
            (s.path, s.point, s.reply, s.outgoing, s.otherhost),
            (s.from, s.to, s.ttl, s.length),
        )
    };
    key(first) == key(one)
        && first.interface == one.interface
        && first.outer == one.outer
        && first.time_us <= one.time_us
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::evidence::Point;

    #[test]
    fn runs_come_back_as_they_were() {
        let seen = |point, sequence: u16| Sighting {
            point,
            interface: "eth0".into(),
            path: 3,
            reply: false,
            sequence,
            time_us: 1_000_000 + 20_000 * u64::from(sequence),
            outgoing: true,
            otherhost: false,
            from: [10, 5, 1, 2].into(),
            to: [10, 5, 2, 2].into(),
            ttl: 63,
            length: 211,
            outer: None,
            line: format!("IP seq {sequence}"),
        };
        let all: Vec<_> = (1..=100)
            .flat_map(|n| [seen(Point::Bridge, n), seen(Point::Underlay, n)])
            .collect();
        let runs = Packed::pack(all.clone());
        assert_eq!(runs.len(), 2);
        let back = Packed::unpack(runs.clone(), 1000);
        assert_eq!(back.len(), all.len());
        for (one, other) in back.iter().zip(&all) {
            assert_eq!(
                (one.point, one.sequence, one.time_us),
                (other.point, other.sequence, other.time_us)
            );
        }
        assert_eq!(back[0].line, "IP seq 1");
        assert_eq!(Packed::unpack(runs, 7).len(), 7);
    }
}
