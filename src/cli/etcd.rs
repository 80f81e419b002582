//! Flags that say how to reach etcd. Global: accepted before and after every subcommand.

use std::path::PathBuf;

use clap::Args;

/// How to reach etcd.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "etcd options")]
pub struct EtcdArgs {
    /// Endpoints, separated by commas [default: http://127.0.0.1:4001,http://127.0.0.1:2379].
    #[arg(long, global = true, value_name = "URL,…")]
    pub etcd_endpoints: Option<String>,

    /// Folder of flannel's keys [default: /coreos.com/network].
    #[arg(long, global = true, value_name = "PATH")]
    pub etcd_prefix: Option<String>,

    /// CA certificate(s) in PEM that etcd's certificate is checked against.
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,

    /// Client certificate in PEM (with --etcd-keyfile).
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_certfile: Option<PathBuf>,

    /// Key of the client certificate in PEM.
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_keyfile: Option<PathBuf>,

    /// User for etcd's authentication.
    #[arg(long, global = true, value_name = "NAME")]
    pub etcd_username: Option<String>,

    /// Password of that user; every local user can read it in the process list, a file cannot.
    #[arg(
        long,
        global = true,
        value_name = "TEXT",
        conflicts_with = "etcd_password_file"
    )]
    pub etcd_password: Option<String>,

    /// File whose first line is the password.
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_password_file: Option<PathBuf>,

    /// How long one command waits for etcd [default: 5s].
    #[arg(long, global = true, value_name = "DURATION")]
    pub etcd_timeout: Option<String>,
}
