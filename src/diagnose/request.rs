//! The words in which nodes ask each other for evidence, below `<prefix>/diagnose/<id>/…` in etcd, as JSON with a
//! short lease. Read from etcd, so nothing in them is trusted: an agent checks the whole of a request before
//! it does anything.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::evidence::NodeEvidence;
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
    },
    /// Send the paths of which this node is the source, and tell the results.
    Send {
        /// The paths.
        paths: Vec<Path>,
    },
    /// Stop watching, gather everything, remove what was made.
    Collect,
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Answer {
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
    },
    /// The node will not (`agent --diagnose=off`), or cannot.
    Refused {
        /// Why.
        reason: String,
    },
}
