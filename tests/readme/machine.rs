//! A host that a reader types the README's commands on: own /etc, /run and /usr/local/bin.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::blocks::Block;
use crate::lab::{Dockerd, Host, Proc, flannelctl, until};

/// Own folders over the machine's, for as long as the process lives.
const KEEP: &str = r#"
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/etc" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/flannel /etc/docker
echo ready
exec sleep infinity
"#;

pub struct Machine {
    host: Host,
    /// Holds the mounts; none for a newcomer, whose commands are about the whole machine.
    keeper: Option<Proc>,
    folder: PathBuf,
    programs: PathBuf,
}

impl Machine {
    /// One with `flannelctl` installed.
    pub fn new(host: &Host) -> Self {
        let own = host.dir().join("own");
        std::fs::create_dir(&own).unwrap();
        let mut command = host.command("unshare");
        command.args(["--mount", "--propagation", "slave", "--", "sh", "-c", KEEP]);
        command.arg("keep").arg(own);
        let mut keeper = host.spawn("keeper", command);
        keeper.says("ready", Duration::from_secs(10));
        let machine = Self::prepared(host, Some(keeper));
        machine.install();
        machine.program(
            "systemctl",
            "[ \"$*\" = 'restart docker' ] && exec touch \"$ASKED\"",
        );
        machine
    }

    /// A clone of the repository, and nothing built in it.
    pub fn of_a_newcomer(host: &Host) -> Self {
        let machine = Self::prepared(host, None);
        let root = env!("CARGO_MANIFEST_DIR");
        let built = flannelctl();
        machine.program(
            "cargo",
            &format!(
                r#"first=$1; shift
                [ "$1" = --release ] && shift
                mkdir -p target/release && ln -sf {built} target/release/flannelctl
                exec "$CARGO" "$first" --quiet --locked --offline --manifest-path {root}/Cargo.toml --bin flannelctl "$@""#
            ),
        );
        // /usr/local/bin is not the test's to write to.
        machine.program(
            "install",
            "[ \"$4\" = /usr/local/bin/ ] && exec /usr/bin/install \"$1\" \"$2\" \"$3\" \"$INSTALLED\"",
        );
        machine
    }

    /// Puts `flannelctl` on the path.
    pub fn install(&self) {
        self.program("flannelctl", &format!("exec {} \"$@\"", flannelctl()));
    }

    fn prepared(host: &Host, keeper: Option<Proc>) -> Self {
        let [folder, programs] = ["reader", "programs"].map(|name| host.dir().join(name));
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(&programs).unwrap();
        let host = host.clone();
        Self {
            host,
            keeper,
            folder,
            programs,
        }
    }

    fn program(&self, name: &str, body: &str) {
        let path = self.programs.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Where the reader works.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file there.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    /// What a file of this host holds, if it is there.
    pub fn file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.inside(path)).ok()
    }

    fn inside(&self, path: &str) -> PathBuf {
        let keeper = self.keeper.as_ref().unwrap();
        PathBuf::from(format!("/proc/{}/root{path}", keeper.pid()))
    }

    /// An earlier agent's subnet.env.
    pub fn remember_subnet(&self, network: &str, subnet: &str) {
        let text = format!(
            "FLANNEL_NETWORK={network}\nFLANNEL_SUBNET={subnet}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n"
        );
        std::fs::write(self.inside("/run/flannel/subnet.env"), text).unwrap();
    }

    /// True when something listens at `ADDRESS:PORT` of this host.
    pub fn answers(&self, port: &str) -> bool {
        let listening = self.host.run("ss", &["-Hltn"]);
        listening.contains(&format!("{}{port}", self.host.address))
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = match &self.keeper {
            Some(keeper) => {
                let mut command = self.host.command("nsenter");
                command.arg(format!("--mount=/proc/{}/ns/mnt", keeper.pid()));
                command.arg(format!("--wdns={}", self.folder.display()));
                command.args(["--", "sh", "-c", script]);
                command
            }
            None => {
                let mut command = Command::new("sh");
                command.args(["-c", script]).current_dir(&self.folder);
                command
            }
        };
        let rest = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{rest}", self.programs.display());
        let docker = format!("unix://{}/docker.sock", self.host.dir().display());
        command.env("PATH", path).env("DOCKER_HOST", docker);
        command.env("CARGO", env!("CARGO"));
        command.env("ASKED", self.folder.join("restart-asked"));
        command.env("INSTALLED", &self.programs);
        for name in ["FLANNELCTL_ETCD_ENDPOINTS", "ETCDCTL_ENDPOINTS"] {
            command.env_remove(name);
        }
        if self.keeper.is_some() {
            command.env("FLANNELCTL_ETCD_ENDPOINTS", "http://192.0.2.1:2379");
        }
        command
    }

    /// Types a block, line by line; all it shows. Each line ends with 0, or with the code that `but` has for it.
    pub fn run(&self, block: &Block, but: &[(&str, i32)]) -> String {
        let mut script = String::new();
        for line in block.text.lines().filter(|line| !line.trim().is_empty()) {
            let command = line.split(" #").next().unwrap_or_default().trim();
            let expected = but.iter().find(|(text, _)| *text == command);
            let expected = expected.map_or(0, |(_, code)| *code);
            script.push_str(&format!(
                "{line}\ncode=$?\n[ $code = {expected} ] || {{ echo \"it ended with $code, not {expected}\"; exit 99; }}\n"
            ));
        }
        let output = self
            .shell(&format!("exec 2>&1\n{script}"))
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = &block.text;
        assert!(output.status.success(), "{text}\n{shown}");
        shown
    }

    /// Starts a block whose last line stays in the foreground.
    pub fn start(&self, block: &Block) -> Proc {
        self.host.spawn("foreground", self.shell(&block.text))
    }

    /// What `systemctl restart docker` is for: dockerd with the configuration of this host.
    pub fn restarted_docker(&self) -> Dockerd {
        let asked = self.folder.join("restart-asked");
        until("the restart", Duration::from_secs(1), || {
            asked.exists().then_some(())
        });
        let config = self.inside("/etc/docker/daemon.json");
        let docker = self
            .host
            .dockerd_with(&["--config-file", config.to_str().unwrap()]);
        docker.docker(&["tag", "fct-busybox", "busybox"]);
        docker
    }
}
