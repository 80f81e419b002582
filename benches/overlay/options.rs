//! The command line of the benchmark.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// The cables between the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Underlay {
    /// veth as it is: packets of 64 KiB cross whole
    Veth,
    /// no segmentation or checksum offload, GRO: datagrams of at most 1500 bytes cross
    Wire,
}

/// How packets get from host to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Route {
    /// the kernel's routing, no encapsulation
    HostGw,
    /// the kernel's vxlan; what the others are compared with
    Vxlan,
    /// our udp backend
    Udp,
    /// our udp backend with --udp-offload=off
    UdpPlain,
    /// the udp backend of --peer-binary
    Peer,
}

/// Measures flannel's data paths side by side: containers on two hosts (network namespaces on one
/// switch, real etcd, real agents) talk over each, in turns.
#[derive(Debug, Parser)]
#[command(name = "tests/bench", bin_name = "tests/bench", after_help = AFTER_HELP)]
pub struct Options {
    /// How often each figure is measured; the paths take turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// How long one measurement takes (seven a path, underlay and round)
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// The cables between the hosts
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum, default_values_t = [Underlay::Veth, Underlay::Wire])]
    pub underlay: Vec<Underlay>,
    /// The data paths [default: all; peer only with --peer-binary]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    pub path: Vec<Route>,
    /// A flanneld to measure beside ours (its udp backend, on both hosts)
    #[arg(long, value_name = "PATH")]
    pub peer_binary: Option<PathBuf>,
    /// The flannelctl to measure [default: this build's]
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// One more argument of our agent with the udp backend (--agent-arg=--udp-queues=2); repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub agent_arg: Vec<String>,
    /// Writes all samples, their medians and ratios as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

const AFTER_HELP: &str = "\
Needs root, iperf3, ping (iputils), ethtool, etcd and etcdctl.

Exit codes: 0 measured (whatever the figures), 1 failed, 2 wrong usage, 3 not root, 130 interrupted.

Examples:
  tests/bench
  tests/bench --rounds 5 --seconds 3 --json bench.json
  tests/bench --peer-binary /usr/local/bin/flanneld --underlay wire
  tests/bench --path vxlan,udp --rounds 1";

impl Options {
    /// The data paths to measure, in the order of [`Route`], vxlan always among them.
    pub fn routes(&self) -> Vec<Route> {
        let asked = |route: &Route| match route {
            Route::Vxlan => true,
            Route::Peer => self.peer_binary.is_some(),
            route => self.path.is_empty() || self.path.contains(route),
        };
        Route::value_variants()
            .iter()
            .copied()
            .filter(asked)
            .collect()
    }

    /// What is wrong beyond what clap sees.
    pub fn problem(&self) -> Option<String> {
        if self.path.contains(&Route::Peer) && self.peer_binary.is_none() {
            return Some("--path peer needs --peer-binary".to_owned());
        }
        let programs = [&self.binary, &self.peer_binary];
        let mut missing = programs
            .into_iter()
            .flatten()
            .filter(|path| !path.is_file());
        missing
            .next()
            .map(|path| format!("{}: no such file", path.display()))
    }
}

impl Route {
    /// As tables and JSON name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostGw => "host-gw",
            Self::Vxlan => "vxlan",
            Self::Udp => "udp",
            Self::UdpPlain => "udp-plain",
            Self::Peer => "peer",
        }
    }
}

impl Underlay {
    /// As tables and JSON name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Wire => "wire",
        }
    }
}
