//! Flags of `init`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ipnet::{Ipv4Net, Ipv6Net};

/// Write the network config that all agents read.
#[derive(Debug, Args, Default)]
#[command(after_help = HELP)]
pub struct InitArgs {
    /// The whole overlay; every node gets a subnet of it.
    #[arg(long, value_name = "CIDR")]
    pub network: Option<Ipv4Net>,

    /// Prefix length of a node's subnet [default: 24, or network + 2 where that does not fit].
    #[arg(long, value_name = "LEN")]
    pub subnet_len: Option<u8>,

    /// First subnet to give out [default: the network's second].
    #[arg(long, value_name = "IP")]
    pub subnet_min: Option<Ipv4Addr>,

    /// Last subnet to give out [default: the network's last].
    #[arg(long, value_name = "IP")]
    pub subnet_max: Option<Ipv4Addr>,

    /// How packets travel between hosts [default: vxlan].
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,

    /// vxlan: network identifier, 1 to 9999999 [default: 1].
    #[arg(long, value_name = "ID", help_heading = "Backend options")]
    pub vni: Option<u32>,

    /// vxlan, udp: UDP port [default: 8472 for vxlan, 8285 for udp].
    #[arg(long, value_name = "PORT", help_heading = "Backend options")]
    pub port: Option<u16>,

    /// vxlan: MTU of the underlay to count from [default: that of the interface].
    #[arg(long, value_name = "BYTES", help_heading = "Backend options")]
    pub mtu: Option<u32>,

    /// vxlan: group-based policy extension.
    #[arg(long, help_heading = "Backend options")]
    pub gbp: bool,

    /// vxlan: let the kernel learn addresses from traffic.
    #[arg(long, help_heading = "Backend options")]
    pub learning: bool,

    /// vxlan: plain routes between hosts on one link.
    #[arg(long, help_heading = "Backend options")]
    pub direct_routing: bool,

    /// IPv6 half of a dual-stack overlay.
    #[arg(long, value_name = "CIDR", help_heading = "IPv6 options")]
    pub ipv6_network: Option<Ipv6Net>,

    /// Prefix length of a node's IPv6 subnet [default: 64, or network + 2].
    #[arg(
        long,
        value_name = "LEN",
        requires = "ipv6_network",
        help_heading = "IPv6 options"
    )]
    pub ipv6_subnet_len: Option<u8>,

    /// First IPv6 subnet to give out.
    #[arg(
        long,
        value_name = "IP",
        requires = "ipv6_network",
        help_heading = "IPv6 options"
    )]
    pub ipv6_subnet_min: Option<Ipv6Addr>,

    /// Last IPv6 subnet to give out.
    #[arg(
        long,
        value_name = "IP",
        requires = "ipv6_network",
        help_heading = "IPv6 options"
    )]
    pub ipv6_subnet_max: Option<Ipv6Addr>,

    /// Read the config from a YAML or JSON file with flannel's keys instead; - reads stdin.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = [
        "network", "subnet_len", "subnet_min", "subnet_max", "backend", "vni", "port", "mtu", "gbp",
        "learning", "direct_routing", "ipv6_network",
    ])]
    pub file: Option<PathBuf>,

    /// Check everything and print what would be written; write nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Replace an existing config without asking.
    #[arg(short, long)]
    pub yes: bool,

    /// Write even if live leases fall outside.
    #[arg(long)]
    pub force: bool,
}

/// Backends that the agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// Packets in UDP, forwarded by the agent itself: works everywhere.
    Udp,
    /// The kernel's VXLAN.
    Vxlan,
    /// Plain routes; all hosts must be on one link.
    HostGw,
}

impl BackendName {
    /// As the config spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Vxlan => "vxlan",
            Self::HostGw => "host-gw",
        }
    }
}

const HELP: &str = "\
An existing config is shown as a diff and replaced only after a yes, or with --yes. Without any flag, on a terminal,
init asks. Agents that run keep the config with which they started.

Exit codes:
  0  written, or already so
  1  live leases would fall outside, or not confirmed; nothing is written
  2  the config or a flag is wrong, or --yes is missing without a terminal
  3  etcd cannot be reached, or somebody else changed the config meanwhile

Examples:
  flannelctl init --network 10.5.0.0/16 --backend vxlan
  flannelctl init --network 10.5.0.0/16 --subnet-len 26 --backend udp --port 8285 --yes
  flannelctl init -f network.yaml --dry-run

  # network.yaml: the keys of flannel's JSON
  Network: 10.5.0.0/16
  Backend:
    Type: vxlan
    VNI: 7";
