//! Runs the real binary: agents in the background, other commands to their end.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Etcd, Host, Proc, until};

/// The environment of all programs of the lab is this and nothing of the caller's.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The binary under test; `FLANNELCTL_TEST_BINARY=/path` puts another build in its place.
pub fn flannelctl() -> &'static str {
    static BINARY: OnceLock<String> = OnceLock::new();
    BINARY.get_or_init(|| {
        let given = std::env::var("FLANNELCTL_TEST_BINARY");
        given.unwrap_or_else(|_| env!("CARGO_BIN_EXE_flannelctl").to_owned())
    })
}

/// An agent (or a flanneld) that runs on a host.
pub struct Agent {
    /// Its process.
    pub process: Proc,
    host: Host,
    notify: UnixDatagram,
    /// What it has told systemd so far.
    sent: Vec<String>,
    started: Instant,
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// Panics unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "wrong exit code: {self:#?}");
        self
    }

    /// Panics unless stderr holds `text`, upper or lower case.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stderr.to_lowercase();
        assert!(
            said.contains(&text.to_lowercase()),
            "no {text:?} in {self:#?}"
        );
        self
    }
}

impl Host {
    /// Runs `flannelctl ARGS` on this host to its end.
    pub fn flannelctl<S: AsRef<OsStr>>(&self, args: &[S]) -> Finished {
        let mut command = self.short_command(flannelctl());
        command.env_clear().env("PATH", PATH).args(args);
        command.output().unwrap().into()
    }

    /// Starts `flannelctl agent` on this host with its own subnet file.
    pub fn agent(&self, etcd: &Etcd, args: &[&str]) -> Agent {
        let url = etcd.url();
        let mut all = vec!["--etcd-endpoints", &url, "agent", "--iface", "eth0"];
        all.extend(args);
        self.start_agent(flannelctl(), &all)
    }

    /// Starts a real flanneld on this host, with the subnet file that an agent would have.
    pub fn flanneld(&self, program: &str, etcd: &Etcd, args: &[&str]) -> Agent {
        let url = etcd.url();
        let mut all = vec!["--etcd-endpoints", &url, "--iface", "eth0"];
        all.extend(args);
        self.start_agent(program, &all)
    }

    /// Starts an agent program with exactly these arguments and `--subnet-file`.
    pub fn start_agent(&self, program: &str, args: &[&str]) -> Agent {
        self.start_agent_by(self.command(program), args)
    }

    /// As [`Host::start_agent`], for a command that wraps the program.
    pub fn start_agent_by(&self, mut command: Command, args: &[&str]) -> Agent {
        let socket = self.dir().join(format!("notify-{}", self.shared().next()));
        let notify = UnixDatagram::bind(&socket).unwrap();
        command.env_clear().env("PATH", PATH);
        command.env("NOTIFY_SOCKET", &socket);
        command
            .args(args)
            .arg("--subnet-file")
            .arg(self.subnet_file());
        Agent {
            process: self.spawn("agent", command),
            host: self.clone(),
            notify,
            sent: Vec::new(),
            started: Instant::now(),
        }
    }

    /// The value of a key in this host's subnet file.
    pub fn env(&self, key: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.subnet_file()).ok()?;
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
    }

    /// This host's subnet as its key in etcd names it, from the subnet file: `10.5.3.0-24`.
    pub fn subnet_name(&self) -> String {
        let subnet = self.env("FLANNEL_SUBNET").expect("a FLANNEL_SUBNET");
        let net: ipnet::Ipv4Net = subnet.parse().unwrap();
        format!("{}-{}", net.network(), net.prefix_len())
    }

    /// This host's subnet, base and length: `10.5.3.0/24`.
    pub fn subnet(&self) -> String {
        self.subnet_name().replace('-', "/")
    }

    /// The base address of this host's subnet.
    pub fn base(&self) -> Ipv4Addr {
        self.subnet_name()
            .split('-')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }
}

impl Agent {
    /// Waits for `READY=1` and gives the time since its start; fails at once if it ends before.
    #[track_caller]
    pub fn ready(&mut self) -> Duration {
        self.notified("READY=1", Duration::from_secs(30))
    }

    /// Waits for a line sent to systemd.
    #[track_caller]
    pub fn notified(&mut self, line: &str, deadline: Duration) -> Duration {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            let more = self.receive(Duration::from_millis(50));
            if self.sent.iter().any(|sent| sent == line) {
                return self.started.elapsed();
            }
            if !more && let Some(status) = self.process.ended() {
                panic!("agent ended ({status}) before {line}:\n{}", self.log());
            }
        }
        panic!(
            "agent did not send {line} within {deadline:?}:\n{}",
            self.log()
        );
    }

    /// True if no `READY=1` has been sent up to now.
    pub fn not_ready(&mut self) -> bool {
        while self.receive(Duration::from_millis(1)) {}
        !self.sent.iter().any(|sent| sent == "READY=1")
    }

    /// Takes one datagram of the notify socket, if one comes within `wait`.
    fn receive(&mut self, wait: Duration) -> bool {
        let mut buffer = [0; 4096];
        self.notify.set_read_timeout(Some(wait)).unwrap();
        match self.notify.recv(&mut buffer) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                self.sent.extend(text.lines().map(str::to_owned));
                true
            }
            Err(error) => {
                let none = [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::Interrupted,
                ];
                assert!(none.contains(&error.kind()), "notify socket: {error}");
                false
            }
        }
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for its end and gives what it said.
    pub fn finish(&mut self, deadline: Duration) -> Finished {
        let status = self.process.wait(deadline);
        Finished {
            code: status.code(),
            stdout: String::new(),
            stderr: self.log(),
        }
    }

    /// Waits until it has written its subnet file after its start.
    pub fn wrote_subnet_file(&self) -> PathBuf {
        let path = self.host.subnet_file();
        until("the subnet file", Duration::from_secs(20), || {
            newer(&path, self.started).then_some(())
        });
        path
    }
}

fn newer(path: &Path, start: Instant) -> bool {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified());
    let age = modified.ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age <= start.elapsed())
}
