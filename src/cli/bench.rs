//! Flags of `lab bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Measure the data paths side by side on this machine.
///
/// Containers on two hosts (network namespaces on one switch, real agents, an embedded store) talk over each data
/// path, in turns. The load generator is built in.
#[derive(Debug, Args, Default)]
#[command(after_help = HELP)]
pub struct BenchArgs {
    /// How often everything is measured [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,

    /// How long one load is measured; seven a path, underlay and round [default: 0.4].
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,

    /// One round of 0.2 s a load, where --rounds and --seconds do not say otherwise: for a first look.
    #[arg(long)]
    pub quick: bool,

    /// The cables between the hosts [default: both].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    pub underlay: Vec<UnderlayArg>,

    /// The data paths [default: all that there are; vxlan is always among them].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    pub path: Vec<PathArg>,

    /// A flanneld to measure beside ours, with its vxlan and its udp backend.
    #[arg(long, value_name = "PATH")]
    pub peer_binary: Option<PathBuf>,

    /// The flannelctl whose agents are measured [default: this one].
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,

    /// One more argument of our agents with the udp backend (--agent-arg=--udp-queues=2); repeatable.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub agent_arg: Vec<String>,

    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: BenchOutput,

    /// Also write all samples as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Also write a bar chart to this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BenchOutput {
    /// For people.
    #[default]
    Table,
    /// For programs (flannelctl/v1, kind Benchmark), with all samples.
    Json,
}

/// The cables between the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnderlayArg {
    /// veth as it is: packets of 64 KiB cross whole.
    Veth,
    /// No segmentation or checksum offload, GRO: datagrams of at most 1500 bytes cross.
    Wire,
}

/// How packets get from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PathArg {
    /// Node to node: no overlay, no container.
    Bare,
    /// The kernel's routing between containers, no encapsulation.
    HostGw,
    /// The kernel's vxlan; what the others are compared with.
    Vxlan,
    /// Our udp backend.
    Udp,
    /// Our udp backend with --udp-offload=off.
    UdpPlain,
    /// The vxlan backend of --peer-binary.
    PeerVxlan,
    /// The udp backend of --peer-binary.
    PeerUdp,
}

fn seconds(text: &str) -> Result<f64, String> {
    let range = 0.05..=3600.0;
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| "from 0.05 to 3600".to_owned())
}

const HELP: &str = "\
Each cell of the tables is a median of the rounds and half of their range in per cent of it. Ratios compare the same
round. Whatever else the machine does makes figures worse: the load before the run is told.

Needs root. Ctrl-C shows what was measured so far and removes everything.

Exit codes:
  0    measured, whatever the figures
  1    something could not be measured, in three tries
  2    usage
  3    could not run
  130  interrupted

Examples:
  flannelctl lab bench                                   about two minutes
  flannelctl lab bench --quick --path vxlan,udp
  flannelctl lab bench --rounds 5 --seconds 2 -o json > bench.json
  flannelctl lab bench --svg bench.svg
  flannelctl lab bench --peer-binary /usr/local/bin/flanneld --underlay wire";
