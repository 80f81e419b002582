//! Exit codes, and what a command says when it fails.

use std::fmt;

/// What the process tells its caller. The same numbers for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done; healthy.
    Done = 0,
    /// It ran and found problems.
    Problems = 1,
    /// Flags, arguments or input files are wrong.
    Usage = 2,
    /// It could not run: etcd away, permission missing, kernel refuses.
    CouldNotRun = 3,
    /// It ran and cannot tell.
    Inconclusive = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A failure as the user reads it: what and why, then what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code that it gives.
    pub code: Code,
    message: String,
    remedy: Option<String>,
}

impl Failure {
    /// Flags, arguments or input files are wrong (exit 2).
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Code::Usage, message)
    }

    /// The command could not run (exit 3).
    pub fn could_not_run(message: impl fmt::Display) -> Self {
        Self::new(Code::CouldNotRun, message)
    }

    /// Any code.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            remedy: None,
        }
    }

    /// Adds what to do about it, shown on a line of its own.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  → {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        (code as u8).into()
    }
}
