//! Processes on a host: what they are started as, whether they are ready, what they said.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::LabError;

/// Pause between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(5);
/// Lines of a log that tell why a process ended.
const LAST_LINES: usize = 5;

/// A process that is to run until it is ended. Ended with the handle, and with the stage.
#[derive(Debug)]
pub struct Process {
    host: String,
    label: String,
    child: Child,
    log: PathBuf,
    started: Instant,
}

/// An agent: a process that writes a subnet file when it is ready.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    subnet_file: PathBuf,
    /// The file of an agent before this one; a new file has another number.
    before: Option<u64>,
}

impl Process {
    pub(super) fn new(host: &str, label: &str, child: Child, log: PathBuf) -> Self {
        Self {
            host: host.to_owned(),
            label: label.to_owned(),
            child,
            log,
            started: Instant::now(),
        }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// All it has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// It ends before, or takes longer than `patience` from its start; its last words are told.
    pub fn wait_until(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), LabError> {
        loop {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(LabError::Ended {
                    host: self.host.clone(),
                    program: self.label.clone(),
                    status,
                    log: self.last_words(),
                });
            }
            if self.started.elapsed() > patience {
                return Err(LabError::Late {
                    host: self.host.clone(),
                    program: self.label.clone(),
                    after: patience,
                    log: self.last_words(),
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until it has done its work.
    ///
    /// # Errors
    /// It fails, or takes longer than `patience` from its start; its last words are told.
    pub fn wait_done(&mut self, patience: Duration) -> Result<(), LabError> {
        match self.wait_until(patience, || false) {
            Err(LabError::Ended { status, .. }) if status.success() => Ok(()),
            waited => waited,
        }
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let first = lines.len().saturating_sub(LAST_LINES);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Agent {
    /// Before the process is started: what it has to replace.
    pub(super) fn number(subnet_file: &Path) -> Option<u64> {
        Some(fs::metadata(subnet_file).ok()?.ino())
    }

    pub(super) fn new(process: Process, subnet_file: PathBuf, before: Option<u64>) -> Self {
        Self {
            process,
            subnet_file,
            before,
        }
    }

    /// Waits until it has written its subnet file.
    ///
    /// # Errors
    /// See [`Process::wait_until`].
    pub fn wait_ready(&mut self, patience: Duration) -> Result<(), LabError> {
        let (file, before) = (&self.subnet_file, self.before);
        self.process.wait_until(patience, || {
            let now = Self::number(file);
            now.is_some() && now != before
        })
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
