//! One program run: absolute path, deadline, bounded output, errors that say what was run.

use std::path::PathBuf;
use std::time::Duration;

/// A program that did not do what it was started for. Text of the program is escaped: it holds no
/// control character.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It could not be started or talked to.
    #[error("{} {args}: {source}", program.display())]
    Start {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ran longer than it may and was killed.
    #[error("{} {args}: killed after {} s without an answer", program.display(), after.as_secs())]
    Deadline {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// The time it had.
        after: Duration,
    },
    /// It ended with an error.
    #[error("{} {args}: {status}: {stderr}", program.display())]
    Failed {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// `exit status: N` or the signal.
        status: std::process::ExitStatus,
        /// What it said, trimmed and escaped.
        stderr: String,
    },
    /// It wrote more than a firewall listing can be.
    #[error("{} {args}: wrote more than {limit} bytes", program.display())]
    TooMuch {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// The limit, bytes.
        limit: u64,
    },
}
