//! Flags of `lab`.

use clap::{Args, Subcommand, ValueEnum};

use super::{BackendName, BenchArgs};

/// A whole flannel network on this one machine, to try and to break.
///
/// Hosts in network namespaces on one switch, a real agent and a container on each. Alone, `lab` raises one, shows
/// its leases, who reaches whom and a traced diagnosis, and says what to try next.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = HELP)]
pub struct LabArgs {
    /// What to do with the lab.
    #[command(subcommand)]
    pub command: Option<LabCommand>,

    /// What lab to raise, where none runs.
    #[command(flatten)]
    pub raise: RaiseArgs,
}

/// The subcommands of `lab`.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Raise a lab and leave it running in the background.
    Up(RaiseArgs),
    /// Run a program in a host or container of the lab; its exit code is passed on.
    #[command(after_help = EXEC_HELP)]
    Exec {
        /// Where: node1, node1/container, switch.
        #[arg(value_name = "PLACE")]
        place: String,
        /// The program and its arguments.
        #[arg(value_name = "CMD", required = true, last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Show the hosts, their subnets, and whether their agents run.
    Status {
        /// Form of the output.
        #[arg(short, long, value_enum, default_value_t)]
        output: LabOutput,
    },
    /// Put a fault into a host, to watch `diagnose` find it; without a name, list them.
    #[command(after_help = FAULT_HELP)]
    Fault {
        /// Which; `flannelctl lab fault` lists them.
        #[arg(value_name = "NAME", requires = "node")]
        name: Option<String>,
        /// The host: node1, node2, …
        #[arg(value_name = "NODE")]
        node: Option<String>,
        /// Take the fault out again.
        #[arg(long, requires = "name")]
        undo: bool,
    },
    /// Measure the data paths side by side on this machine.
    Bench(Box<BenchArgs>),
    /// Take the lab down, with everything that it made.
    Down,
    /// Raise a lab and hold it until SIGTERM.
    #[command(hide = true)]
    Hold(RaiseArgs),
    /// What runs in a container of the lab: nothing, until it is ended.
    #[command(hide = true)]
    Idle,
}

/// What lab to raise.
#[derive(Debug, Clone, Args)]
pub struct RaiseArgs {
    /// How many hosts [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=50))]
    pub nodes: Option<u8>,

    /// How packets travel between them [default: vxlan].
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,

    /// An etcd to use, reached from this machine (http only); `embedded` for the store of the lab itself
    /// [default: the program etcd if it is on the path, else embedded].
    #[arg(long, value_name = "URL")]
    pub etcd: Option<String>,
}

/// Forms of `lab status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LabOutput {
    /// For people.
    #[default]
    Table,
    /// For programs (flannelctl/v1).
    Json,
}

const HELP: &str = "\
Needs root: network namespaces. Nothing outside the lab's namespaces and /run/flannelctl-lab is touched. With an etcd
of one's own, the lab's keys are below /flannelctl-lab/network there, and stay.

Examples:
  flannelctl lab
  flannelctl lab up --nodes 5 --backend udp
  flannelctl lab exec node1/container -- ping -c 3 10.5.7.2
  flannelctl lab fault forward-drop node2
  flannelctl lab exec node1 -- flannelctl diagnose
  flannelctl lab down
  flannelctl lab bench --quick

Exit codes:
  0 done   1 problems found   2 usage   3 could not run   130 interrupted";

const EXEC_HELP: &str = "\
flannelctl needs no flags there: FLANNELCTL_ETCD_ENDPOINTS, FLANNELCTL_ETCD_PREFIX and FLANNELCTL_SUBNET_FILE are set,
and it is on the path.

Examples:
  flannelctl lab exec node1 -- flannelctl leases
  flannelctl lab exec node2 -- ip route
  flannelctl lab exec node1/container -- ping -c 3 192.0.2.12";

const FAULT_HELP: &str = "\
Examples:
  flannelctl lab fault
  flannelctl lab fault forwarding-off node2
  flannelctl lab exec node1 -- flannelctl diagnose
  flannelctl lab fault forwarding-off node2 --undo";
