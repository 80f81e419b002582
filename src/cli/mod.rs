//! Every flag and subcommand, as typed by the user. No logic and no defaults: an absent flag is `None`,
//! and `settings` decides what it means together with environment and defaults.

mod agent;
pub mod argv;
mod bench;
mod diagnose;
mod docker_config;
mod etcd;
mod generate;
mod init;
mod lab;
mod leases;

pub use agent::AgentArgs;
pub use bench::{BenchArgs, BenchOutput, PathArg, UnderlayArg};
pub use diagnose::{DiagnoseArgs, DiagnoseCommand, DiagnosisOutput, SourceArg};
pub use docker_config::{DockerConfigArgs, DockerFormat};
pub use etcd::EtcdArgs;
pub use generate::{GenerateArgs, Generated};
pub use init::{BackendName, InitArgs};
pub use lab::{LabArgs, LabCommand, LabOutput, RaiseArgs};
pub use leases::{LeasesArgs, LeasesOutput};

use clap::{ArgAction, Parser, Subcommand};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "flannelctl",
    version,
    about = "flannel for Docker and etcd hosts: admin commands with the agent inside",
    long_about = "flannelctl seeds flannel's network config in etcd, runs the overlay on each host, shows who owns \
                  which subnet and configures Docker for it. It is wire- and store-compatible with flanneld.",
    after_help = EXAMPLES,
    after_long_help = LONG_HELP,
    arg_required_else_help = true,
    propagate_version = true,
    infer_subcommands = false
)]
pub struct Cli {
    /// Flags for etcd, accepted before and after the subcommand.
    #[command(flatten)]
    pub etcd: EtcdArgs,

    /// Say more on stderr (-v: debug, -vv: trace).
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the overlay on this host, in the foreground (flannel's agent).
    Agent(Box<AgentArgs>),
    /// Find where packets between nodes are lost, why, and what to do.
    Diagnose(Box<DiagnoseArgs>),
    /// Print or write what Docker needs to live in this node's subnet.
    DockerConfig(DockerConfigArgs),
    /// Write the network config that all agents read.
    Init(Box<InitArgs>),
    /// A whole network on this one machine, to try and to break.
    Lab(LabArgs),
    /// Show who owns which subnet.
    Leases(LeasesArgs),
    /// Write manual pages or completions.
    #[command(hide = true)]
    Generate(GenerateArgs),
}

const EXAMPLES: &str = "\
Examples:
  flannelctl --etcd-endpoints http://192.0.2.1:2379 init --network 10.5.0.0/16 --backend vxlan
  flannelctl --etcd-endpoints http://192.0.2.1:2379 agent --iface eth0
  flannelctl --etcd-endpoints http://192.0.2.1:2379 leases
  flannelctl --etcd-endpoints http://192.0.2.1:2379 diagnose 10.5.7.23
  flannelctl docker-config --write";

const LONG_HELP: &str = "\
Examples:
  flannelctl --etcd-endpoints http://192.0.2.1:2379 init --network 10.5.0.0/16 --backend vxlan
  flannelctl --etcd-endpoints http://192.0.2.1:2379 agent --iface eth0
  flannelctl --etcd-endpoints http://192.0.2.1:2379 leases
  flannelctl --etcd-endpoints http://192.0.2.1:2379 diagnose 10.5.7.23
  flannelctl docker-config --write

Environment:
  The agent's and etcd's flags can be given as FLANNELCTL_<FLAG>, for example FLANNELCTL_ETCD_ENDPOINTS,
  and as FLANNELD_<FLAG>; etcd's as ETCDCTL_* too.
  Order: flag, FLANNELCTL_*, FLANNELD_*, ETCDCTL_*, default. NO_COLOR turns colours off.

Exit codes:
  0 done   1 problems found   2 usage   3 could not run   4 inconclusive   130 interrupted";
