//! Processes of the lab: started in a namespace, logged to a file, dead with the test.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::probe::{until, within_time};
use super::{Net, Shared};

/// A long-running process. Dropping it kills it.
pub struct Proc {
    child: Child,
    log: PathBuf,
    label: String,
    shared: Arc<Shared>,
}

impl Proc {
    /// Starts `command` (made by [`Net::command`], so that it execs and keeps its pid) with its output
    /// going to a file named after `label` in `dir`.
    pub fn spawn(shared: &Arc<Shared>, dir: &Path, label: &str, mut command: Command) -> Self {
        let log = dir.join(format!("{label}-{}.log", shared.next()));
        let out = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {label}: {error}"));
        Self {
            child,
            log,
            label: label.to_owned(),
            shared: Arc::clone(shared),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let label = format!("the end of {}", self.label);
        until(&label, deadline, || self.child.try_wait().unwrap())
    }

    /// SIGTERM, and its exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(Duration::from_secs(15))
    }

    /// SIGKILL, as a crash.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until its log holds `text`; fails at once if it ends before.
    pub fn says(&mut self, text: &str, deadline: Duration) {
        let found = within_time(deadline, || {
            let ended = self.ended().is_some();
            if self.log().contains(text) {
                return Some(true);
            }
            ended.then_some(false)
        });
        assert_eq!(
            found,
            Some(true),
            "{} did not say {text:?}; it said:\n{}",
            self.label,
            self.log()
        );
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|line| line.split_whitespace().nth(1))
            .and_then(|kib| kib.parse().ok())
            .unwrap_or_else(|| panic!("{} has no VmRSS (ended?)", self.label))
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.shared.dump_if_panicking();
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = Pid::from_raw(-(self.child.id() as i32));
            if kill(group, Signal::SIGKILL).is_err() || self.child.wait().is_err() {
                eprintln!("lab: cannot end {}", self.label);
            }
        }
    }
}

/// Kills every process in a namespace, and their descendants (containers have namespaces of their own).
pub fn kill_namespace(netns: &str) {
    let killed = within_time(Duration::from_secs(10), || {
        let pids = namespace_pids(netns);
        if pids.is_empty() {
            return Some(());
        }
        for pid in pids {
            descendants(pid, &mut |pid| {
                // It may have ended in between.
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            });
        }
        None
    });
    if killed.is_none() {
        eprintln!(
            "lab: processes remain in {netns}: {:?}",
            namespace_pids(netns)
        );
    }
}

fn namespace_pids(netns: &str) -> Vec<i32> {
    let output = Command::new("ip").args(["netns", "pids", netns]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Calls `f` for the children first, then for `pid`.
fn descendants(pid: i32, f: &mut impl FnMut(i32)) {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
        {
            descendants(child, f);
        }
    }
    f(pid);
}
