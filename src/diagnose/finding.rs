//! The verdict's words, in the shape of the JSON contract (`apiVersion: flannelctl/v1, kind: Diagnosis`).

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// In one word.
    pub status: Status,
    /// Most important first.
    pub findings: Vec<Finding>,
    /// What was sent and where it was seen.
    pub paths: Vec<PathReport>,
    /// What could not be observed, one sentence each.
    pub not_observed: Vec<String>,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything answers, nothing is wrong.
    Healthy,
    /// At least one finding of severity error or warning.
    Problem,
    /// Packets are lost and the cause is not known.
    Inconclusive,
}

/// One cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `FL101`.
    pub id: String,
    /// `forward-policy-drop`.
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// The node where it is to be mended.
    pub node: Option<Ipv4Addr>,
    /// The very object: `ip filter FORWARD policy`, `route 10.5.2.0/24`, ….
    #[serde(rename = "where")]
    pub place: String,
    /// Which packets suffer.
    pub direction: Direction,
    /// How sure.
    pub confidence: Confidence,
    /// One sentence: where and why.
    pub summary: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Commands or changes that mend it.
    pub fix: Vec<String>,
    /// Pairs of nodes whose packets are lost by it, source and target. No part of the contract.
    #[serde(skip)]
    pub pairs: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Packets are lost.
    Error,
    /// Packets will be lost, or some are.
    Warning,
    /// Worth knowing.
    Info,
}

/// Which packets suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// On the way to the target.
    Request,
    /// On the way back.
    Reply,
    /// Both.
    Both,
    /// None now.
    None,
}

/// How sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The packet was seen before, not after, and the cause was seen to act.
    Proven,
    /// Everything fits, one link was not observed.
    Likely,
    /// One explanation among others.
    Possible,
}

/// One path's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathReport {
    /// Inner source.
    pub from: Ipv4Addr,
    /// Inner destination.
    pub to: Ipv4Addr,
    /// Requests sent.
    pub sent: u16,
    /// Answers.
    pub received: u16,
    /// Mean round-trip time, milliseconds.
    pub rtt_ms: Option<f64>,
    /// Where packets were last seen, if any were lost.
    pub lost_at: Option<LostAt>,
    /// Points in the order of the way.
    pub observations: Vec<Observation>,
    /// Which nodes it joins, for a path that counts: one to a container, or what stands for it. No part of the
    /// contract.
    #[serde(skip)]
    pub between: Option<Between>,
}

/// The nodes that a path joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// The one that sends.
    pub source: Ipv4Addr,
    /// The one that should answer.
    pub target: Ipv4Addr,
    /// What is lost is lost on the way back.
    pub reply: bool,
}

/// Where packets were last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LostAt {
    /// Node of the last sighting.
    pub node: Option<Ipv4Addr>,
    /// Interface of the last sighting; empty = never seen.
    pub after: String,
    /// Request or reply.
    pub direction: Direction,
}

/// One point of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// Node.
    pub node: Option<Ipv4Addr>,
    /// Interface.
    pub interface: String,
    /// `in` or `out`.
    pub direction: String,
    /// `request` or `reply`.
    pub phase: String,
    /// Packets seen there.
    pub seen: u16,
    /// First of them, as tcpdump prints it with its time.
    pub line: String,
    /// What is special there.
    pub note: String,
}
