//! A host: a network namespace with a name, a folder and an underlay address.

use std::ffi::OsStr;
use std::fs::File;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};

use super::{Capture, Ping, Proc, Shared};

/// No command of the lab may hang a test.
const COMMAND_SECONDS: &str = "60";

/// A network namespace: a host's or a container's.
#[derive(Clone)]
pub struct Net {
    path: PathBuf,
    dir: PathBuf,
    shared: Arc<Shared>,
}

/// A host of the lab.
#[derive(Clone)]
pub struct Host {
    net: Net,
    name: String,
    /// Underlay address on eth0.
    pub address: Ipv4Addr,
}

impl Deref for Host {
    type Target = Net;

    fn deref(&self) -> &Net {
        &self.net
    }
}

impl Host {
    /// A new namespace with nothing but `lo`.
    pub fn new(shared: &Arc<Shared>, label: &str, address: Ipv4Addr) -> Self {
        let name = format!("{}-{label}", shared.tag);
        let dir = shared.dir.join(label);
        std::fs::create_dir(&dir).unwrap();
        let added = Command::new("ip").args(["netns", "add", &name]).output();
        let added = added.unwrap();
        assert!(added.status.success(), "ip netns add {name}: {added:?}");
        shared.register(&name, &dir);
        let net = Net::new(shared, PathBuf::from("/run/netns").join(&name), &dir);
        net.ip("link set lo up");
        Self { net, name, address }
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The subnet file that this host's agents write.
    pub fn subnet_file(&self) -> PathBuf {
        self.dir().join("run").join("subnet.env")
    }

    /// Sets `/proc/sys/NAME` of this host.
    pub fn sysctl(&self, name: &str, value: &str) {
        self.within(|| std::fs::write(format!("/proc/sys/{name}"), value))
            .unwrap_or_else(|error| panic!("sysctl {name}: {error}"));
    }
}

impl Net {
    pub fn new(shared: &Arc<Shared>, path: PathBuf, dir: &Path) -> Self {
        Self {
            path,
            dir: dir.to_owned(),
            shared: Arc::clone(shared),
        }
    }

    /// Where this host's files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// A command in this namespace that execs (its pid is the program's) and dies with the calling thread.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        self.enter(&mut command, program);
        command
    }

    fn enter(&self, command: &mut Command, program: impl AsRef<OsStr>) {
        command
            .arg("nsenter")
            .arg(format!("--net={}", self.path.display()))
            .arg("--")
            .arg(program);
    }

    /// A short command, ended after a minute at the latest.
    pub fn short_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "timeout", "-k", "2"]);
        command.args([COMMAND_SECONDS, "setpriv", "--pdeathsig", "KILL", "--"]);
        self.enter(&mut command, program);
        command
    }

    /// Runs a short command, whatever its outcome.
    pub fn try_run<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Output {
        let output = self.short_command(program).args(args).output();
        output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"))
    }

    /// Runs a short command that must succeed, and gives its stdout.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> String {
        let output = self.try_run(program, args);
        let args: Vec<_> = args.iter().map(|arg| arg.as_ref().to_owned()).collect();
        assert!(
            output.status.success(),
            "{program} {args:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `ip ARGS`, split at blanks.
    pub fn ip(&self, args: &str) -> String {
        self.run("ip", &args.split_whitespace().collect::<Vec<_>>())
    }

    /// `bridge ARGS`, split at blanks.
    pub fn bridge(&self, args: &str) -> String {
        self.run("bridge", &args.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `f` on a thread in this namespace. Sockets made there stay in it.
    pub fn within<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let namespace = File::open(&self.path).unwrap();
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                f()
            });
            thread.join().unwrap()
        })
    }

    /// Starts a long-running process here.
    pub fn spawn(&self, label: &str, command: Command) -> Proc {
        Proc::spawn(&self.shared, &self.dir, label, command)
    }

    /// Sends pings every 20 ms until stopped.
    pub fn ping(&self, target: Ipv4Addr) -> Ping {
        Ping::start(self, target, "0.02")
    }

    /// True if one of some pings within a second is answered.
    pub fn reaches(&self, target: Ipv4Addr) -> bool {
        let target = target.to_string();
        // With a deadline, the count is that of answers.
        let args = ["-n", "-q", "-c", "1", "-i", "0.1", "-w", "1", &target];
        let text = self.try_run("ping", &args).stdout;
        let text = String::from_utf8_lossy(&text);
        text.contains("received") && !text.contains(" 0 received")
    }

    /// Captures packets on a device.
    pub fn capture(&self, device: &str, filter: &str) -> Capture {
        Capture::start(self, device, filter)
    }
}
