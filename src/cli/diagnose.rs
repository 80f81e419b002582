//! Flags of `diagnose`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

/// Find where packets between nodes are lost, why, and what to do.
#[derive(Debug, Args, Default)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true)]
pub struct DiagnoseArgs {
    /// A node (public IP or subnet), a container's address, or the name of a container of this host, from which
    /// all nodes are then tried [default: all nodes].
    #[arg(value_name = "TARGET", conflicts_with_all = ["all", "mesh"])]
    pub target: Option<String>,

    /// From this node to every other one.
    #[arg(long)]
    pub all: bool,

    /// From every node that runs flannelctl's agent to every other one.
    #[arg(long, conflicts_with = "all")]
    pub mesh: bool,

    /// From where to send: the host, a container, or the local container with this address [default: host and
    /// container].
    #[arg(long, value_name = "IP|host|container")]
    pub source: Option<SourceArg>,

    /// Packets a path, 1 to 1000; more find small losses [default: 5].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: Option<u16>,

    /// The agent's file for Docker on this host [default: /run/flannel/subnet.env].
    #[arg(long, value_name = "FILE")]
    pub subnet_file: Option<PathBuf>,

    /// Report only these checks.
    #[arg(long, value_name = "FLnnn,…", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Leave these checks out.
    #[arg(long, value_name = "FLnnn,…", value_delimiter = ',')]
    pub skip: Vec<String>,

    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: DiagnosisOutput,

    /// Also write the checks as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Also write the probe packets of all nodes to one pcapng file, with a comment for each.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// How long it may take; each round of a mesh has this time, and each packet beyond 5 adds 30 ms [default: 10s,
    /// and half a second for each node beyond 4, up to 20s].
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,

    /// Also write everything that was seen, as JSON, for a report to the authors; look through it before you hand
    /// it on: it holds addresses and firewall rules.
    #[arg(long, value_name = "FILE")]
    pub save_case: Option<PathBuf>,

    /// Judge a file of --save-case again; nothing is sent.
    #[arg(long, value_name = "FILE", hide = true, conflicts_with_all = ["target", "all", "mesh", "save_case"])]
    pub from_case: Option<PathBuf>,

    /// List all checks.
    #[arg(long, conflicts_with_all = ["target", "all", "mesh", "from_case"])]
    pub list_checks: bool,

    /// What else.
    #[command(subcommand)]
    pub command: Option<DiagnoseCommand>,
}

/// What `diagnose` does beside diagnosing.
#[derive(Debug, Subcommand)]
pub enum DiagnoseCommand {
    /// Explain a check: symptom, cause, remedy. Works offline.
    Explain {
        /// Its identifier or name.
        #[arg(value_name = "FLnnn")]
        id: String,
    },
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DiagnosisOutput {
    /// For people: the verdict, the packet's way, the checks.
    #[default]
    Table,
    /// For programs (flannelctl/v1).
    Json,
    /// The verdict in a few lines, to paste into a chat.
    Short,
}

/// From where to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceArg {
    /// The host.
    Host,
    /// A container of this host, or a temporary endpoint in its place.
    Container,
    /// The container with this address.
    Address(Ipv4Addr),
}

impl FromStr for SourceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "host" => Ok(Self::Host),
            "container" => Ok(Self::Container),
            _ => text
                .parse()
                .map(Self::Address)
                .map_err(|_| "use host, container or an IPv4 address".into()),
        }
    }
}

const HELP: &str = "\
Sends a few pings from this host and from a container (or a temporary endpoint in its place), watches them on both
hosts at container, bridge, flannel device and underlay, and compares leases, kernel, firewall and Docker. The other
host's agent helps through etcd; without one (flanneld, or agent --diagnose=off) what one side can tell is told.

Changes nothing but what it makes for the time of the test and removes: a network namespace with a veth, an nft table,
a tracefs instance. Run it as root on a node; without root it does what it can and says what is missing.

Exit codes:
  0  healthy
  1  a problem was found
  2  usage
  3  could not run
  4  inconclusive: packets are lost and the cause is not known, or nothing could be looked at
  130  interrupted; everything was removed

Examples:
  flannelctl diagnose                        from this node to all others
  flannelctl diagnose 192.0.2.12             to one node
  flannelctl diagnose 10.5.7.23              to one container
  flannelctl diagnose 10.5.7.23 -o json | jq -r '.findings[] | [.id, .node, .summary] | @tsv'
  flannelctl diagnose --all --count 200      find small losses
  flannelctl diagnose 10.5.7.23 --write way.pcapng && tcpdump -r way.pcapng
  flannelctl diagnose explain FL101";
