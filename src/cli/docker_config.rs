//! Flags of `docker-config`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Print or write what Docker needs to live in this node's subnet.
#[derive(Debug, Args, Default)]
#[command(after_help = HELP)]
pub struct DockerConfigArgs {
    /// The agent's file; read as data, never executed [default: /run/flannel/subnet.env].
    #[arg(long, value_name = "FILE")]
    pub subnet_file: Option<PathBuf>,

    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    pub format: DockerFormat,

    /// Write to the file instead of stdout, in one step [default PATH: that of the format, see below].
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    pub write: Option<Option<PathBuf>>,

    /// Name of the variable that holds all options (sysconfig, opts, systemd).
    #[arg(short, long, value_name = "NAME")]
    pub key: Option<String>,

    /// opts: one DOCKER_OPT_* line an option (default: both forms).
    #[arg(short, long)]
    pub individual: bool,

    /// opts: all options in one line (default: both forms).
    #[arg(short, long)]
    pub combined: bool,

    /// Leave ip-masq out.
    #[arg(short = 'm', long)]
    pub no_ip_masq: bool,

    /// Let other hosts reach containers directly; Docker 28.2 and later drop such traffic otherwise.
    #[arg(long)]
    pub allow_direct_routing: bool,

    /// Docker's own config: merged into (daemon-json), else looked at for options given twice
    /// [default: the file that --write names, else /etc/docker/daemon.json].
    #[arg(long, value_name = "FILE")]
    pub daemon_json: Option<PathBuf>,

    /// systemd: the unit whose ExecStart is extended [default: docker.service of this host].
    #[arg(long, value_name = "FILE")]
    pub docker_unit: Option<PathBuf>,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DockerFormat {
    /// DOCKER_NETWORK_OPTIONS=" --bip=… --ip-masq=… --mtu=…", for /etc/sysconfig/docker-network.
    #[default]
    Sysconfig,
    /// The output of flannel's mk-docker-opts.sh, byte for byte.
    Opts,
    /// Docker's config file with our options merged in; other keys are kept.
    DaemonJson,
    /// A drop-in for docker.service that reads the options afresh at each start.
    Systemd,
}

impl DockerFormat {
    /// Where `--write` puts it when no path is given.
    pub fn default_path(self) -> &'static str {
        match self {
            Self::Sysconfig => "/etc/sysconfig/docker-network",
            Self::Opts => "/run/docker_opts.env",
            Self::DaemonJson => "/etc/docker/daemon.json",
            Self::Systemd => "/etc/systemd/system/docker.service.d/zz-flannel.conf",
        }
    }
}

const HELP: &str = "\
Paths of --write without PATH:
  sysconfig    /etc/sysconfig/docker-network (other lines are kept)
  opts         /run/docker_opts.env
  daemon-json  /etc/docker/daemon.json (other keys are kept)
  systemd      /etc/systemd/system/docker.service.d/zz-flannel.conf

ip-masq is the inverse of the agent's --ip-masq: only one of the two may masquerade.
With opts, variables of the caller's environment add nothing to the output, unlike with mk-docker-opts.sh.

Exit codes:
  0  done
  1  the own subnet is routed to another host, or Docker's config cannot go with it; nothing is written
  2  usage, or a subnet file that is incomplete or holds a bad value
  3  no subnet file, or a file that cannot be read or written

Examples:
  flannelctl docker-config                                    show the options
  flannelctl docker-config --format daemon-json --write       then: systemctl restart docker
  flannelctl docker-config --format systemd --write           then: systemctl daemon-reload; systemctl restart docker
  flannelctl docker-config --format opts -c -k DOCKER_OPTS    as mk-docker-opts.sh -c -k DOCKER_OPTS";
