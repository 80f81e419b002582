//! Why the lab cannot be had.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::kernel;
use crate::kernel::file::FileError;
use crate::subnet::envfile::EnvError;

/// Why the lab cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A namespace cannot be made or entered.
    #[error("cannot make a network namespace for {host}: {source}")]
    Namespace {
        /// Whose.
        host: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A device, address or route is refused.
    #[error("{host}: {source}")]
    Kernel {
        /// Where.
        host: String,
        /// What, and why.
        source: kernel::Error,
    },
    /// An offload cannot be switched.
    #[error("{host}: cannot switch the offloads of {device}: {source}")]
    Offload {
        /// Where.
        host: String,
        /// Which device.
        device: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A sysctl cannot be set.
    #[error("{host}: cannot set {name}: {source}")]
    Sysctl {
        /// Where.
        host: String,
        /// Which.
        name: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The store's port cannot be had.
    #[error("switch: cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// A process cannot be started.
    #[error("{host}: cannot start {}: {source}", program.display())]
    Start {
        /// Where.
        host: String,
        /// What.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A process ended that should run.
    #[error("{host}: {program} ended ({status}){last}", last = last_words(log))]
    Ended {
        /// Where.
        host: String,
        /// What.
        program: String,
        /// How.
        status: std::process::ExitStatus,
        /// Its last lines.
        log: String,
    },
    /// A process does not get ready.
    #[error("{host}: {program} was not ready after {} s{last}", after.as_secs(), last = last_words(log))]
    Late {
        /// Where.
        host: String,
        /// What.
        program: String,
        /// How long it was waited for.
        after: Duration,
        /// Its last lines.
        log: String,
    },
    /// The agent wrote a subnet file that cannot be read.
    #[error("{host}: {} has no {missing}", path.display())]
    SubnetFile {
        /// Where.
        host: String,
        /// Which.
        path: PathBuf,
        /// Variable that is missing or wrong.
        missing: &'static str,
    },
    /// The agent wrote a subnet file that is not dotenv.
    #[error("{host}: {}: {source}", path.display())]
    SubnetText {
        /// Where.
        host: String,
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: EnvError,
    },
}

fn last_words(log: &str) -> String {
    if log.is_empty() {
        return String::new();
    }
    let indented: Vec<_> = log.lines().map(|line| format!("\n    {line}")).collect();
    format!("; it said:{}", indented.concat())
}
