//! `docker-config` in its other forms: what is printed, what is written and how, what is merged, what is
//! refused.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

const ENV: &str = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";
const LINE: &str = "DOCKER_NETWORK_OPTIONS=\" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472\"\n";

struct Host {
    folder: tempfile::TempDir,
}

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        host.write("subnet.env", ENV);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Words that start with @ are files of this host.
    fn run(&self, args: &[&str]) -> Answer {
        let mut command = Command::cargo_bin("flannelctl").unwrap();
        command
            .env_clear()
            .args(["docker-config", "--subnet-file"])
            .arg(self.path("subnet.env"));
        for arg in args {
            match arg.strip_prefix('@') {
                Some(name) => command.arg(self.path(name)),
                None => command.arg(arg),
            };
        }
        let out = command.output().unwrap();
        Answer {
            code: out.status.code().unwrap(),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn sysconfig_is_the_default() {
    let host = Host::new();
    let answer = host.run(&["--daemon-json", "@none"]);
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (0, LINE),
        "{}",
        answer.stderr
    );
    assert_eq!(answer.stderr, "");
    let answer = host.run(&["--daemon-json", "@none", "-m", "-k", "X"]);
    assert_eq!(answer.stdout, "X=\" --bip=10.1.74.1/24 --mtu=1472\"\n");
}

#[test]
fn sysconfig_keeps_the_other_lines_of_the_file() {
    let host = Host::new();
    let file = host.write(
        "docker-network",
        "# mine\nHTTP_PROXY=http://192.0.2.1\nDOCKER_NETWORK_OPTIONS=--dns=192.0.2.53\nLAST=1",
    );
    let answer = host.run(&["--daemon-json", "@none", "--write", "@docker-network"]);
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (0, ""),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.contains("--dns=192.0.2.53"),
        "{}",
        answer.stderr
    );
    let expected = format!("# mine\nHTTP_PROXY=http://192.0.2.1\n{LINE}LAST=1\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    // Once more changes nothing.
    host.run(&["--daemon-json", "@none", "--write", "@docker-network"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn a_new_file_is_made_in_one_step_with_its_folders() {
    let host = Host::new();
    let answer = host.run(&[
        "--format",
        "opts",
        "-c",
        "--daemon-json",
        "@none",
        "--write",
        "@a/b/opts",
    ]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(mode(&host.path("a/b/opts")), 0o644);
    assert!(host.read("a/b/opts").starts_with("DOCKER_OPTS=\" --bip="));
    assert_eq!(fs::read_dir(host.path("a/b")).unwrap().count(), 1);
}

#[test]
fn daemon_json_is_merged_and_all_else_kept() {
    let host = Host::new();
    let before = "{\n    \"log-driver\": \"json-file\",\n    \"mtu\": 1500,\n    \"a-key-of-the-future\": {\"x\": [1, null]},\n    \"big\": 12345678901234567890\n}\n";
    host.write("real.json", before);
    fs::set_permissions(host.path("real.json"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.json", host.path("daemon.json")).unwrap();
    let answer = host.run(&["--format", "daemon-json", "--write", "@daemon.json"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let expected = "{\n    \"log-driver\": \"json-file\",\n    \"mtu\": 1472,\n    \"a-key-of-the-future\": {\n        \"x\": [\n            1,\n            null\n        ]\n    },\n    \"big\": 12345678901234567890,\n    \"bip\": \"10.1.74.1/24\",\n    \"ip-masq\": true\n}\n";
    assert_eq!(host.read("real.json"), expected);
    assert_eq!(mode(&host.path("real.json")), 0o640);
    assert!(
        fs::symlink_metadata(host.path("daemon.json"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(host.names(), ["daemon.json", "real.json", "subnet.env"]);
}

#[test]
fn daemon_json_on_stdout() {
    let host = Host::new();
    let answer = host.run(&["--format", "daemon-json", "--daemon-json", "@none"]);
    let value: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(
        value,
        json!({"bip": "10.1.74.1/24", "ip-masq": true, "mtu": 1472})
    );
    host.write("base.json", "{\"debug\": true}");
    let args = [
        "--format",
        "daemon-json",
        "--daemon-json",
        "@base.json",
        "-m",
        "--allow-direct-routing",
    ];
    let value: Value = serde_json::from_str(&host.run(&args).stdout).unwrap();
    assert_eq!(
        value,
        json!({"debug": true, "bip": "10.1.74.1/24", "mtu": 1472, "allow-direct-routing": true})
    );
    assert_eq!(host.read("base.json"), "{\"debug\": true}");
}

#[test]
fn a_daemon_json_that_cannot_take_it_is_left_alone() {
    let table = [
        ("{\"bridge\": \"br0\"}", 1, "bridge"),
        ("{\"mtu\": 1", 2, "not valid JSON"),
        ("[]", 2, "not a JSON object"),
    ];
    for (text, code, says) in table {
        let host = Host::new();
        host.write("daemon.json", text);
        let answer = host.run(&["--format", "daemon-json", "--write", "@daemon.json"]);
        assert_eq!((answer.code, answer.stdout.as_str()), (code, ""), "{text}");
        assert!(answer.stderr.contains(says), "{}", answer.stderr);
        assert_eq!(host.read("daemon.json"), text);
        assert_eq!(host.names(), ["daemon.json", "subnet.env"]);
    }
}

#[test]
fn options_that_clash_are_said() {
    let host = Host::new();
    host.write("daemon.json", "{\"bip\": \"172.17.0.1/16\", \"mtu\": 1500}");
    let answer = host.run(&["--daemon-json", "@daemon.json"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, LINE));
    assert!(
        answer.stderr.contains("bip, mtu") && answer.stderr.contains("refuses to start"),
        "{}",
        answer.stderr
    );
    host.write(
        "fixed.json",
        "{\"fixed-cidr\": \"172.17.5.0/24\", \"default-gateway\": \"10.1.74.9\"}",
    );
    let answer = host.run(&["--format", "daemon-json", "--daemon-json", "@fixed.json"]);
    assert_eq!(answer.code, 0);
    assert!(answer.stderr.contains("fixed-cidr") && !answer.stderr.contains("default-gateway"));
}

#[test]
fn the_drop_in_extends_the_units_own_command() {
    let host = Host::new();
    host.write(
        "docker.service",
        "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/bin/dockerd -H fd:// \\\n    --debug\n",
    );
    let args = [
        "--format",
        "systemd",
        "--daemon-json",
        "@none",
        "--docker-unit",
        "@docker.service",
    ];
    let answer = host.run(&args);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let text = answer.stdout;
    let folder = host.folder.path().display();
    for line in [
        "Wants=flannelctl.service",
        "After=flannelctl.service",
        &format!("EnvironmentFile=-{folder}/docker"),
        "ExecStart=\nExecStart=/usr/bin/dockerd -H fd:// --debug $DOCKER_NETWORK_OPTIONS",
        "# The options at that time: --bip=10.1.74.1/24 --ip-masq=true --mtu=1472",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
    // What the drop-in runs before each start of Docker works.
    let before = text
        .lines()
        .find_map(|l| l.strip_prefix("ExecStartPre="))
        .unwrap();
    let words: Vec<_> = before.split(' ').collect();
    let out = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    assert_eq!(host.read("docker"), LINE);
    // A unit that passes the variable already keeps its command.
    host.write(
        "docker.service",
        "[Service]\nExecStart=/usr/bin/dockerd $DOCKER_NETWORK_OPTIONS\n",
    );
    assert!(!host.run(&args).stdout.contains("ExecStart="));
    host.write(
        "docker.service",
        "[Service]\nExecStart=/usr/bin/dockerd\nExecStart=\n",
    );
    assert_eq!(host.run(&args).code, 2);
}

#[test]
fn systemd_accepts_the_drop_in() {
    let analyze = Path::new("/usr/bin/systemd-analyze");
    let unit = Path::new("/lib/systemd/system/docker.service");
    if !analyze.exists() || !unit.exists() {
        // Neither is a part of flannelctl's world everywhere.
        return;
    }
    let host = Host::new();
    fs::create_dir(host.path("docker.service.d")).unwrap();
    fs::copy(unit, host.path("docker.service")).unwrap();
    let args = [
        "--format",
        "systemd",
        "--daemon-json",
        "@none",
        "--docker-unit",
        "@docker.service",
    ];
    let written = [&args[..], &["--write", "@docker.service.d/zz-flannel.conf"]].concat();
    assert_eq!(host.run(&written).code, 0);
    let out = Command::new(analyze)
        .arg("verify")
        .arg("--man=no")
        .arg(host.path("docker.service"))
        .env(
            "SYSTEMD_UNIT_PATH",
            format!("{}:", host.folder.path().display()),
        )
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!stderr.contains("zz-flannel"), "{stderr}");
}

#[test]
fn flags_of_other_forms_are_refused() {
    let host = Host::new();
    for args in [
        &["-i"][..],
        &["-c"],
        &["--format", "daemon-json", "-k", "X"],
        &["-k", "9X"],
        &["-k", "X=1"],
        &["-k", ""],
        &["--format", "toml"],
    ] {
        let answer = host.run(args);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let host = Host::new();
    host.write("file", "");
    let answer = host.run(&["--daemon-json", "@none", "--write", "@file/below"]);
    assert_eq!(answer.code, 3);
    assert!(answer.stderr.contains("file/below"), "{}", answer.stderr);
    let answer = host.run(&["--daemon-json", "@none", "--write", "@"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert_eq!(host.names(), ["file", "subnet.env"]);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_subnet_that_is_routed_to_another_host_is_refused() {
    let host = Host::new();
    let program = assert_cmd::cargo::cargo_bin("flannelctl");
    let table = [
        ("10.1.74.0/24 via 192.0.2.9", 1),
        ("10.1.74.128/25 via 192.0.2.9", 1),
        ("10.1.75.0/24 via 192.0.2.9", 0),
        ("10.1.0.0/16 via 192.0.2.9", 0),
        ("110.1.74.0/24 via 192.0.2.9", 0),
        ("10.1.74.0/24", 0),
    ];
    for (route, code) in table {
        let script = format!(
            "ip link add fct-dum type veth peer name fct-far && ip link set fct-far up && ip addr add 192.0.2.1/24 dev fct-dum && ip link set fct-dum up && \
             ip route add {route} dev fct-dum && exec {} docker-config --daemon-json /dev/null \
             --subnet-file {} --write {}",
            program.display(),
            host.path("subnet.env").display(),
            host.path("out").display(),
        );
        let out = Command::new("unshare")
            .args(["-n", "sh", "-c", &script])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{route}: {stderr}");
        assert_eq!(host.path("out").exists(), code == 0, "{route}");
        if code == 1 {
            assert!(
                stderr.contains("192.0.2.9") && stderr.contains("10.1.74."),
                "{stderr}"
            );
        } else {
            std::fs::remove_file(host.path("out")).unwrap();
        }
    }
}
