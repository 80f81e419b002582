//! A real dockerd on a host of the lab, and containers on it. The only image is made of busybox-static.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::agent::PATH;
use super::{Host, Net, Proc, until};

const IMAGE: &str = "fct-busybox";

/// Docker's own containerd is below its exec-root; only the shims' sockets have a fixed place, hidden in
/// a mount namespace of its own, in which also no mount outlives the daemon.
const START: &str = "mount -t tmpfs none /run/containerd && cd / && \
    if [ -n \"$OPTS_FILE\" ]; then . \"$OPTS_FILE\"; fi && exec dockerd \"$@\" $DOCKER_OPTS $DOCKER_NETWORK_OPTIONS";

/// A Docker daemon.
pub struct Dockerd {
    host: Host,
    socket: String,
    process: Proc,
}

/// A running container.
pub struct Container {
    name: String,
    socket: String,
    host: Host,
    /// Its network namespace.
    pub net: Net,
    /// Its address on Docker's bridge.
    pub address: Ipv4Addr,
}

impl Host {
    /// Starts dockerd with the `DOCKER_OPTS` or `DOCKER_NETWORK_OPTIONS` of a file, as units do.
    pub fn dockerd(&self, opts_file: &Path) -> Dockerd {
        self.start_dockerd(Some(opts_file), &[])
    }

    /// Starts dockerd with these options.
    pub fn dockerd_with(&self, options: &[&str]) -> Dockerd {
        self.start_dockerd(None, options)
    }

    fn start_dockerd(&self, opts_file: Option<&Path>, options: &[&str]) -> Dockerd {
        std::fs::create_dir_all("/run/containerd").unwrap();
        let at = |name: &str| self.dir().join(name).display().to_string();
        let socket = format!("unix://{}", at("docker.sock"));
        let mut command = self.command("unshare");
        command.args(["--mount", "--propagation", "slave", "--"]);
        command.args(["sh", "-c", START, "dockerd"]);
        command.env_clear().env("PATH", PATH);
        if let Some(file) = opts_file {
            command.env("OPTS_FILE", file);
        }
        command.args(["--data-root", &at("docker"), "--exec-root", &at("exec")]);
        command.args(["--pidfile", &at("docker.pid"), "--host", &socket]);
        command.args(["--storage-driver", "vfs", "--iptables=true"]);
        command.args([
            "--userland-proxy=false",
            "--shutdown-timeout",
            "2",
            "--log-level",
            "warn",
        ]);
        command.args(["--cgroup-parent", &format!("/{}", self.name())]);
        command.args(options);
        let mut dockerd = Dockerd {
            host: self.clone(),
            process: self.spawn("dockerd", command),
            socket,
        };
        dockerd.wait_until_it_serves();
        if dockerd.docker(&["image", "ls", "-q", IMAGE]).is_empty() {
            dockerd.import_image();
        }
        dockerd
    }
}

impl Dockerd {
    fn wait_until_it_serves(&mut self) {
        until("dockerd to serve", Duration::from_secs(60), || {
            if let Some(status) = self.process.ended() {
                panic!("dockerd ended: {status}\n{}", self.process.log());
            }
            let mut command = docker(&self.host, &self.socket);
            let info = command.args(["version", "--format", "ok"]).output();
            info.unwrap().status.success().then_some(())
        });
    }

    fn import_image(&self) {
        let root = self.host.dir().join("image");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "sleep", "cat", "ip", "ping", "nc"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let tar = self.host.dir().join("image.tar");
        let tar = tar.to_str().unwrap();
        self.host
            .run("tar", &["-C", root.to_str().unwrap(), "-cf", tar, "."]);
        self.docker(&["import", tar, IMAGE]);
    }

    /// `docker ARGS` and its stdout.
    pub fn docker(&self, args: &[&str]) -> String {
        run(docker(&self.host, &self.socket), args)
    }

    /// Starts a container that sleeps.
    pub fn container(&self, name: &str) -> Container {
        self.container_with(name, &[])
    }

    /// As [`Dockerd::container`], with options of `docker run`.
    pub fn container_with(&self, name: &str, options: &[&str]) -> Container {
        let mut args = vec!["run", "--detach", "--name", name, "--stop-signal", "KILL"];
        args.extend(options);
        args.extend([IMAGE, "/bin/sleep", "100000"]);
        self.docker(&args);
        let format = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let text = self.docker(&["inspect", "--format", format, name]);
        let (pid, address) = text.trim().split_once(' ').unwrap();
        let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
        Container {
            name: name.to_owned(),
            socket: self.socket.clone(),
            host: self.host.clone(),
            net: Net::new(self.host.shared(), path, self.host.dir()),
            address: address.parse().unwrap(),
        }
    }

    /// What the daemon has said.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Container {
    /// Runs a command inside by `docker exec`, and gives its stdout.
    pub fn exec(&self, args: &[&str]) -> String {
        let mut all = vec!["exec", self.name.as_str()];
        all.extend(args);
        run(docker(&self.host, &self.socket), &all)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.host.shared().dump_if_panicking();
        if self.process.ended().is_none() && !std::thread::panicking() {
            // An orderly end takes its containers along; what is left is killed with the namespace.
            self.process.terminate();
        }
    }
}

fn docker(host: &Host, socket: &str) -> Command {
    let mut command = host.short_command("docker");
    command.env_clear().env("PATH", PATH);
    // The client reads a config below HOME: have it find none.
    command.env("HOME", host.dir());
    command.args(["--host", socket]);
    command
}

fn run(mut command: Command, args: &[&str]) -> String {
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Removes the control groups of a lab's containers, cgroup v1 and v2.
pub fn remove_cgroups(tag: &str) {
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    folders.extend(subfolders(Path::new("/sys/fs/cgroup")));
    for folder in folders {
        for group in subfolders(&folder) {
            let name = group.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&format!("{tag}-")) {
                remove_tree(&group);
            }
        }
    }
}

/// Control groups have no files to remove, only folders.
fn remove_tree(folder: &Path) {
    for inner in subfolders(folder) {
        remove_tree(&inner);
    }
    let gone = super::within_time(Duration::from_secs(2), || {
        (std::fs::remove_dir(folder).is_ok() || !folder.exists()).then_some(())
    });
    if gone.is_none() {
        eprintln!("lab: cannot remove {}", folder.display());
    }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}
