//! Real etcd processes on free loopback ports with temporary folders, for tests. A process dies with its
//! handle, and with the test program (`setpriv --pdeathsig`). Start it on the test's own thread: the
//! kernel counts the death of the thread that started it.
//!
//! Use from a test file: `#[path = "support/etcd.rs"] mod etcd;`

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::let_underscore_must_use
)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "ctl.rs"]
pub mod ctl;

use ctl::Ctl;

/// How long a member may take to serve; the machine is shared.
const START: Duration = Duration::from_secs(30);

/// Certificates for a member (server.pem, server.key, ca.pem below `folder`).
#[derive(Clone, Debug)]
pub struct Tls {
    pub folder: PathBuf,
    /// Clients must show a certificate of the CA.
    pub client_auth: bool,
}

/// What a member is started with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub tls: Option<Tls>,
    /// Further arguments of etcd.
    pub args: Vec<String>,
}

/// One member.
pub struct Etcd {
    child: Option<Child>,
    folder: tempfile::TempDir,
    command: Vec<String>,
    ctl: Ctl,
    health: u16,
}

impl Deref for Etcd {
    type Target = Ctl;

    fn deref(&self) -> &Ctl {
        &self.ctl
    }
}

/// Ports that nobody listens on, all different. (Somebody else may take one before we do: starting is
/// tried again with others.)
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect()
}

/// A URL where connections are refused, each time another: at an address where nobody else looks for a free port.
pub fn closed_url() -> String {
    static LAST: AtomicU8 = AtomicU8::new(1);
    format!("http://127.0.0.{}:1", LAST.fetch_add(1, Relaxed) + 1)
}

impl Etcd {
    /// A cluster of one.
    pub fn start() -> Self {
        Self::start_with(&Config::default())
    }

    /// A cluster of one.
    pub fn start_with(config: &Config) -> Self {
        cluster(1, config).remove(0)
    }

    /// Kills it (-9). The data stay.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again after [`Etcd::kill`], with the same data and ports.
    pub fn restart(&mut self) {
        self.kill();
        let until = Instant::now() + START;
        // Somebody else may have one of its ports for a moment.
        loop {
            self.spawn();
            if self.wait_ready(START) {
                return;
            }
            self.kill();
            assert!(
                Instant::now() < until,
                "etcd did not come back: {}",
                self.log()
            );
        }
    }

    /// Throws the data away and starts an empty etcd in the same place.
    pub fn restart_empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
        self.restart();
    }

    /// A copy of the data, for [`Etcd::restart_from`]. Kills it meanwhile.
    pub fn backup(&mut self) -> tempfile::TempDir {
        self.kill();
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&self.folder.path().join("data"), copy.path());
        self.restart();
        copy
    }

    /// Puts a copy of the data back.
    pub fn restart_from(&mut self, copy: &Path) {
        self.kill();
        let data = self.folder.path().join("data");
        std::fs::remove_dir_all(&data).unwrap();
        copy_dir(copy, &data);
        self.restart();
    }

    /// Stops it without ending it: connections stay open, nothing answers (a black hole).
    pub fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        // A thread on the other processor may answer for a moment yet.
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::fs::read_dir(format!("/proc/{}/task", self.pid()))
            .unwrap()
            .flatten()
            .any(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                !stat.contains(") T ")
            })
        {
            assert!(Instant::now() < deadline, "etcd does not stop");
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        let id = self.child.as_ref().expect("etcd is killed").id();
        Pid::from_raw(i32::try_from(id).unwrap())
    }

    fn spawn(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "etcd"])
            .args(&self.command)
            // etcd takes its flags from the environment too.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn wait_ready(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if let Some(child) = &mut self.child
                && child.try_wait().unwrap().is_some()
            {
                return false;
            }
            if healthy(self.health) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A cluster of `count` members, all serving.
pub fn cluster(count: usize, config: &Config) -> Vec<Etcd> {
    for _ in 0..5 {
        if let Some(members) = try_cluster(count, config) {
            return members;
        }
    }
    panic!("etcd could not be started (is etcd-server installed?)");
}

fn try_cluster(count: usize, config: &Config) -> Option<Vec<Etcd>> {
    let ports = free_ports(3 * count);
    let peers: Vec<String> = (0..count)
        .map(|i| format!("m{i}=http://127.0.0.1:{}", ports[3 * i]))
        .collect();
    let token = format!("test-{}", ports[0]);
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut members: Vec<Etcd> = (0..count)
        .map(|i| {
            let folder = tempfile::Builder::new()
                .prefix("fct-etcd")
                .tempdir()
                .unwrap();
            let peer = format!("http://127.0.0.1:{}", ports[3 * i]);
            let url = format!("{scheme}://127.0.0.1:{}", ports[3 * i + 1]);
            let health = ports[3 * i + 2];
            let mut command = vec![
                format!("--name=m{i}"),
                format!("--data-dir={}", folder.path().join("data").display()),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--listen-client-urls={url}"),
                format!("--advertise-client-urls={url}"),
                format!("--listen-metrics-urls=http://127.0.0.1:{health}"),
                format!("--initial-cluster={}", peers.join(",")),
                format!("--initial-cluster-token={token}"),
                "--logger=zap".to_owned(),
                "--log-level=warn".to_owned(),
            ];
            if let Some(tls) = &config.tls {
                let file = |name: &str| tls.folder.join(name).display().to_string();
                command.push(format!("--cert-file={}", file("server.pem")));
                command.push(format!("--key-file={}", file("server.key")));
                if tls.client_auth {
                    command.push("--client-cert-auth".to_owned());
                    command.push(format!("--trusted-ca-file={}", file("ca.pem")));
                }
            }
            command.extend(config.args.iter().cloned());
            Etcd {
                child: None,
                folder,
                command,
                ctl: Ctl { url },
                health,
            }
        })
        .collect();
    for member in &mut members {
        member.spawn();
    }
    for member in &mut members {
        if !member.wait_ready(START) {
            eprintln!("etcd did not start: {}", member.log());
            return None;
        }
    }
    Some(members)
}

/// etcd's own word, on the port that is plaintext also with TLS.
fn healthy(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
    let request = b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n";
    if socket.write_all(request).is_err() {
        return false;
    }
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    answer.contains("\"true\"") || answer.contains(": true")
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A CA with a server certificate for 127.0.0.1 and localhost and a client certificate, made by the
/// `openssl` program: ca.pem, server.pem, server.key, client.pem, client.key.
pub fn make_certificates(folder: &Path) {
    let openssl = |args: &[&str]| {
        let out = Command::new("openssl")
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "openssl {args:?}: {err}");
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let mut ca = vec!["req", "-x509", "-days", "2", "-subj", "/CN=test CA"];
    ca.extend(key);
    ca.extend(["-keyout", "ca.key", "-out", "ca.pem"]);
    openssl(&ca);
    for (name, extensions) in [
        (
            "server",
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n",
        ),
        ("client", "extendedKeyUsage=clientAuth\n"),
    ] {
        let ext = format!("{name}.ext");
        std::fs::write(folder.join(&ext), extensions).unwrap();
        let subject = format!("/CN={name}");
        let (key_file, csr, pem) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
        );
        let mut request = vec!["req", "-subj", &subject];
        request.extend(key);
        request.extend(["-keyout", &key_file, "-out", &csr]);
        openssl(&request);
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &csr,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            &ext,
            "-out",
            &pem,
        ]);
    }
}
