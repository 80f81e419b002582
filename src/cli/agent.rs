//! Flags of `agent`: all of flanneld's that make sense with etcd (flannel-compat 7.1), and a few of ours.

use std::path::PathBuf;

use clap::Args;

/// Run the overlay on this host.
#[derive(Debug, Args, Default)]
#[command(after_help = HELP)]
pub struct AgentArgs {
    /// Interface (name or IP address) for traffic between hosts; repeat to try several in order.
    #[arg(long, value_name = "NAME|IP")]
    pub iface: Vec<String>,

    /// Regular expression for the interface's addresses, then names; repeatable, tried after --iface.
    #[arg(long, value_name = "REGEX")]
    pub iface_regex: Vec<String>,

    /// Use the interface from which this address is reached; tried last.
    #[arg(long, value_name = "IP")]
    pub iface_can_reach: Option<String>,

    /// Address that other hosts reach this one by, where it is not the interface's own (NAT).
    #[arg(long, value_name = "IP")]
    pub public_ip: Option<String>,

    /// The same for IPv6.
    #[arg(long, value_name = "IP")]
    pub public_ipv6: Option<String>,

    /// File for Docker; its folder holds all runtime files of this agent [default: /run/flannel/subnet.env].
    #[arg(long, value_name = "FILE")]
    pub subnet_file: Option<PathBuf>,

    /// Refresh the lease at the latest this many minutes before it ends, 1 to 1439 [default: 60].
    #[arg(long, value_name = "MINUTES")]
    pub subnet_lease_renew_margin: Option<String>,

    /// Masquerade traffic that leaves the overlay.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip_masq: Option<String>,

    /// Do not ask for fully random source ports when masquerading.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip_masq_fully_random_disable: Option<String>,

    /// Seconds between two looks at the firewall rules; 0 turns them off [default: 5].
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub iptables_resync: Option<String>,

    /// Accept the overlay's traffic in the FORWARD chain [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub iptables_forward_rules: Option<String>,

    /// Add a blackhole route for the own subnet, so that packets for absent containers do not loop.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip_blackhole_route: Option<String>,

    /// Address for /healthz, /readyz and /metrics [default: 0.0.0.0].
    #[arg(long, value_name = "IP")]
    pub healthz_ip: Option<String>,

    /// Port for /healthz, /readyz and /metrics; 0 = none [default: 0].
    #[arg(long, value_name = "PORT")]
    pub healthz_port: Option<String>,

    /// udp: use the kernel's segmentation offloads where they are (auto), or send each packet alone (off) [default: auto].
    #[arg(long, value_name = "auto|off")]
    pub udp_offload: Option<String>,

    /// udp: accept packets of peers, from their own subnets (peers), or anything from anyone, as flanneld
    /// does (any) [default: peers].
    #[arg(long, value_name = "peers|any")]
    pub udp_accept: Option<String>,

    /// Help `flannelctl diagnose` on other nodes: watch its packets and tell this node's state through etcd (on),
    /// or refuse (off) [default: on].
    #[arg(long, value_name = "on|off")]
    pub diagnose: Option<String>,

    /// udp: queues of the device, with two threads each; 0 = as the processors suggest [default: 0].
    #[arg(long, value_name = "N")]
    pub udp_queues: Option<String>,

    /// udp: while packets come closer together than this, look for the next one instead of sleeping, which saves the
    /// time that a sleeping thread takes to wake (up to two processors a queue, as long as nobody else needs them; at
    /// most 10ms; 0 = always sleep) [default: 200us].
    #[arg(long, value_name = "DURATION")]
    pub udp_busy_poll: Option<String>,

    /// Remove everything that the agent made on this host (devices, routes, rules, subnet file) and exit.
    #[arg(long)]
    pub cleanup: bool,

    /// Print the version and exit (flanneld's spelling).
    #[arg(long = "flanneld-version", hide = true)]
    pub flanneld_version: bool,

    /// klog flag of flanneld, accepted and without effect.
    #[arg(long, hide = true)]
    pub vmodule: Option<String>,

    /// klog flag of flanneld, accepted and without effect.
    #[arg(long = "log_backtrace_at", hide = true)]
    pub log_backtrace_at: Option<String>,

    /// Kubernetes mode of flanneld, refused.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub kube_subnet_mgr: Option<String>,

    /// Kubernetes only, without effect.
    #[arg(long, hide = true)]
    pub kube_api_url: Option<String>,

    /// Kubernetes only, without effect.
    #[arg(long, hide = true)]
    pub kube_annotation_prefix: Option<String>,

    /// Kubernetes only, without effect.
    #[arg(long, hide = true)]
    pub kubeconfig_file: Option<String>,

    /// Kubernetes only, without effect.
    #[arg(long, hide = true)]
    pub net_config_path: Option<String>,

    /// Kubernetes only, without effect.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub set_node_network_unavailable: Option<String>,
}

const HELP: &str = "\
flanneld's own spelling works too: single dashes (-iface=eth0 -ip-masq), FLANNELD_* variables, and the binary
called as `flanneld`. Stop with SIGTERM or Ctrl-C: the lease stays, and so do vxlan's and host-gw's devices and
routes, so a restart interrupts no traffic.

Needs CAP_NET_ADMIN, and CAP_NET_RAW for iptables.

Examples:
  flannelctl --etcd-endpoints http://192.0.2.1:2379 agent --iface eth0 --ip-masq
  flannelctl agent --public-ip 198.51.100.7        behind NAT
  flannelctl agent --cleanup                       remove what the agent made";
