//! Flags of `leases`.

use clap::{Args, ValueEnum};

/// Show who owns which subnet.
#[derive(Debug, Args, Default)]
#[command(after_help = HELP)]
pub struct LeasesArgs {
    /// Show only the owner of this container address, subnet, or host (its public IP).
    #[arg(value_name = "IP|SUBNET")]
    pub lookup: Option<String>,

    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: LeasesOutput,

    /// Stay and show what changes: ADDED, CHANGED, RENEWED, REMOVED (table and json only).
    #[arg(short, long)]
    pub watch: bool,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LeasesOutput {
    /// For people.
    #[default]
    Table,
    /// With MAC, VNI, IPv6, etcd lease and revision.
    Wide,
    /// For programs (flannelctl/v1); with --watch one object a line.
    Json,
    /// The same as YAML.
    Yaml,
    /// The keys' names alone.
    Name,
}

const HELP: &str = "\
In the table, * marks this host; the summary goes to stderr.

States:
  ok                   nothing is wrong
  unreadable           key or value cannot be read: flanneld skips the record
  outside-network      outside the configured network: agents do not program it
  not-allocatable      wrong length or outside SubnetMin..SubnetMax: the holder will move at its next start
  duplicate-public-ip  another record has the same public IP
  overlap              overlaps another record's subnet
  unclaimed            a reservation that its node has not taken yet
  backend-mismatch     written by another backend than the configured one
  no-public-ip         no usable IPv4 address      no-vtep-mac  a vxlan lease without a MAC address
  expiring             its holder has missed a renewal      expired  its etcd lease is gone

Exit codes:
  0  done, whatever the states
  1  the lookup found nothing
  2  usage
  3  etcd cannot be reached

Examples:
  flannelctl leases                        all leases
  flannelctl leases 10.5.7.23              which host has this container address?
  flannelctl leases -o json | jq -r '.leases[] | select(.state != \"ok\") | .key'
  flannelctl leases -w -o json             one JSON object a change";
