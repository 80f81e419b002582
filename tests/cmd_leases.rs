//! `leases` against a real etcd: every form, junk among the records, lookup, watch, exit codes.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc;
use std::thread::spawn;
use std::time::Duration;

use assert_cmd::Command;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::{Value, json};

#[path = "support/etcd.rs"]
mod etcd;
use etcd::Etcd;

const PREFIX: &str = "/coreos.com/network";

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

fn leases(etcd: &Etcd, args: &[&str]) -> Answer {
    let out = Command::cargo_bin("flannelctl")
        .unwrap()
        .env_clear()
        .args(["--etcd-endpoints", &etcd.url, "leases"])
        .args(args)
        .output()
        .unwrap();
    Answer {
        code: out.status.code().unwrap(),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn json_of(etcd: &Etcd, args: &[&str]) -> Value {
    let answer = leases(etcd, &[args, &["-o", "json"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    serde_json::from_str(&answer.stdout).unwrap()
}

fn vxlan(ip: &str, last: u8) -> String {
    format!(
        r#"{{"PublicIP":"{ip}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"02:00:00:00:00:{last:02x}"}}}}"#
    )
}

fn put(etcd: &Etcd, name: &str, value: &str) {
    etcd.put(&format!("{PREFIX}/subnets/{name}"), value);
}

fn put_leased(etcd: &Etcd, name: &str, value: &str, ttl: u32) -> String {
    let granted = etcd.ctl(&["lease", "grant", &ttl.to_string()]);
    let id = granted.split(' ').nth(1).unwrap().to_owned();
    let lease = format!("--lease={id}");
    etcd.ctl(&[
        "put",
        &lease,
        "--",
        &format!("{PREFIX}/subnets/{name}"),
        value,
    ]);
    id
}

/// A network with one record of every kind.
fn populated() -> (Etcd, String) {
    let etcd = Etcd::start();
    etcd.put(
        &format!("{PREFIX}/config"),
        r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#,
    );
    let id = put_leased(&etcd, "10.5.7.0-24", &vxlan("192.0.2.7", 7), 86_400);
    put_leased(&etcd, "10.5.100.0-24", &vxlan("192.0.2.100", 100), 600);
    put(&etcd, "10.5.20.0-24", &vxlan("127.0.0.1", 20));
    put_leased(
        &etcd,
        "10.5.30.0-24&fc00:0:0:30::-64",
        r#"{"PublicIP":"192.0.2.30","PublicIPv6":"2001:db8::30","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:30"},"BackendV6Data":{"VNI":1,"VtepMAC":"02:00:00:00:06:30"}}"#,
        86_400,
    );
    put_leased(&etcd, "10.6.1.0-24", &vxlan("192.0.2.61", 61), 86_400);
    put_leased(
        &etcd,
        "10.5.41.0-24",
        r#"{"PublicIP":"192.0.2.41","PublicIPv6":null}"#,
        86_400,
    );
    put_leased(&etcd, "10.5.42.0-24", "no json \u{1b}[31m", 86_400);
    put(&etcd, "junk\u{1b}]0;owned\u{7}\u{202e}", "{}");
    (etcd, id)
}

#[test]
fn the_json_contract() {
    let (etcd, id) = populated();
    let list = json_of(&etcd, &[]);
    assert_eq!(list["apiVersion"], "flannelctl/v1");
    assert_eq!(list["kind"], "LeaseList");
    assert_eq!(list["revision"], etcd.revision());
    let rows = list["leases"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    let row = |subnet: &str| rows.iter().find(|row| row["subnet"] == subnet).unwrap();
    let seven = row("10.5.7.0/24");
    let ttl = seven["ttlSeconds"].as_i64().unwrap();
    assert!((86_300..=86_400).contains(&ttl), "{ttl}");
    for (field, expected) in [
        ("publicIP", json!("192.0.2.7")),
        ("backend", json!("vxlan")),
        ("type", json!("lease")),
        ("state", json!("ok")),
        ("vni", json!(1)),
        ("vtepMAC", json!("02:00:00:00:00:07")),
        ("leaseId", json!(format!("{:0>16}", id))),
        ("key", json!("10.5.7.0-24")),
        ("thisNode", json!(false)),
    ] {
        assert_eq!(seven[field], expected, "{field}");
    }
    assert!(seven["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(row("10.5.100.0/24")["state"], "expiring");
    let reserved = row("10.5.20.0/24");
    assert_eq!(reserved["type"], "reservation");
    assert_eq!(
        (&reserved["ttlSeconds"], &reserved["expiresAt"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(reserved["thisNode"], true);
    let dual = row("10.5.30.0/24");
    assert_eq!(dual["ipv6Subnet"], "fc00:0:0:30::/64");
    assert_eq!(dual["publicIPv6"], "2001:db8::30");
    assert_eq!(row("10.6.1.0/24")["state"], "outside-network");
    assert_eq!(row("10.5.41.0/24")["backend"], "udp");
    assert_eq!(row("10.5.42.0/24")["state"], "unreadable");
    let junk = &rows[7];
    assert_eq!(
        (&junk["subnet"], &junk["state"]),
        (&Value::Null, &json!("unreadable"))
    );
    assert!(junk["key"].as_str().unwrap().contains("junk\u{1b}]0;"));
}

#[test]
fn tables_names_and_yaml_never_steer_the_terminal() {
    let (etcd, _) = populated();
    let table = leases(&etcd, &[]);
    let lines: Vec<_> = table.stdout.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["SUBNET", "PUBLIC-IP", "BACKEND", "TYPE", "TTL", "STATE"]
    );
    // In the order of addresses, not of etcd's bytes.
    assert!(lines[1].starts_with("10.5.7.0/24 "), "{}", table.stdout);
    assert!(lines[2].starts_with("10.5.20.0/24 * "), "{}", table.stdout);
    assert!(lines[8].starts_with("junk\\u{1b}]0;"), "{}", table.stdout);
    assert!(
        table.stderr.contains("of 255 subnets used") && table.stderr.contains("2 reserved"),
        "{}",
        table.stderr
    );
    let wide = leases(&etcd, &["-o", "wide"]);
    assert!(wide.stdout.contains("VTEP-MAC") && wide.stdout.contains("fc00:0:0:30::/64"));
    let names = leases(&etcd, &["-o", "name"]);
    assert_eq!(names.stdout.lines().next(), Some("10.5.7.0-24"));
    assert_eq!(names.stderr, "");
    let yaml = leases(&etcd, &["-o", "yaml"]);
    assert!(
        yaml.stdout
            .starts_with("apiVersion: flannelctl/v1\nkind: LeaseList\n")
    );
    let json = leases(&etcd, &["-o", "json"]);
    for answer in [table, wide, names, yaml, json] {
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!answer.stdout.contains(harmful), "{:?}", answer.stdout);
        assert!(!answer.stderr.contains(harmful), "{:?}", answer.stderr);
    }
}

#[test]
fn who_has_this_address() {
    let (etcd, _) = populated();
    for (text, expected) in [
        ("10.5.7.23", "10.5.7.0-24"),
        ("192.0.2.30", "10.5.30.0-24&fc00:0:0:30::-64"),
        ("2001:db8::30", "10.5.30.0-24&fc00:0:0:30::-64"),
        ("fc00:0:0:30::9", "10.5.30.0-24&fc00:0:0:30::-64"),
        ("10.5.20.0/24", "10.5.20.0-24"),
        ("10.5.20.0-24", "10.5.20.0-24"),
        ("10.5.42.1", "10.5.42.0-24"),
    ] {
        let answer = leases(&etcd, &[text, "-o", "name"]);
        assert_eq!(
            (answer.code, answer.stdout.trim_end()),
            (0, expected),
            "{text} {}",
            answer.stderr
        );
        assert_eq!(leases(&etcd, &[text]).stdout.lines().count(), 2, "{text}");
    }
    for (text, says) in [
        ("10.5.8.1", "10.5.0.0/16"),
        ("10.99.0.1", "outside the network 10.5.0.0/16"),
        ("fc00::1", "fc00::1"),
    ] {
        let answer = leases(&etcd, &[text]);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{text}");
        assert!(answer.stderr.contains(says), "{}", answer.stderr);
    }
    let answer = leases(&etcd, &["10.5.8.1", "-o", "json"]);
    let list: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((answer.code, &list["leases"]), (1, &json!([])));
    for text in ["host7", "10.5.8", "10.5.8.0/33", "\u{1b}[2J"] {
        let answer = leases(&etcd, &[text]);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{text}");
        assert!(!answer.stderr.contains('\u{1b}'));
    }
}

#[test]
fn no_config_and_a_bad_one_are_no_obstacle() {
    let etcd = Etcd::start();
    put_leased(&etcd, "10.5.7.0-24", &vxlan("192.0.2.7", 7), 86_400);
    for (config, says) in [(None, "no network config"), (Some("\u{1b}"), "not valid")] {
        if let Some(config) = config {
            etcd.put(&format!("{PREFIX}/config"), config);
        }
        let answer = leases(&etcd, &["-o", "name"]);
        assert_eq!((answer.code, answer.stdout.as_str()), (0, "10.5.7.0-24\n"));
        assert!(answer.stderr.contains(says), "{}", answer.stderr);
    }
    let none = json_of(&Etcd::start(), &[]);
    assert_eq!(none["leases"], json!([]));
}

#[test]
fn one_endpoint_of_three_is_enough_and_none_is_exit_code_three() {
    let (etcd, _) = populated();
    let (first, second) = (etcd::closed_url(), etcd::closed_url());
    let run = |endpoints: &str| {
        Command::cargo_bin("flannelctl")
            .unwrap()
            .env_clear()
            .args(["leases", "-o", "name", "--etcd-endpoints", endpoints])
            .output()
            .unwrap()
    };
    let out = run(&format!("{first},{second},{}", etcd.url));
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert_eq!(out.stdout.iter().filter(|b| **b == b'\n').count(), 8);
    let out = run(&format!("{first},{second}"));
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(
        (out.status.code(), out.stdout.len()),
        (Some(3), 0),
        "{stderr}"
    );
    assert!(
        stderr.contains(&first) && stderr.contains(&second),
        "{stderr}"
    );
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let etcd = Etcd::start();
    for third in 0..20 {
        for fourth in (0..240).step_by(12) {
            put(
                &etcd,
                &format!("10.{third}.{fourth}.0-24"),
                &vxlan("192.0.2.7", 7),
            );
        }
    }
    let program = assert_cmd::cargo::cargo_bin("flannelctl");
    let line = format!(
        "{} --etcd-endpoints {} leases -o json | head -1; echo ${{PIPESTATUS[0]}}",
        program.display(),
        etcd.url
    );
    let out = Process::new("bash").args(["-c", &line]).output().unwrap();
    let stdout = String::from_utf8(out.stdout).unwrap();
    // Ended by SIGPIPE like any other filter, or done before the reader left.
    assert!(stdout == "{\n141\n" || stdout == "{\n0\n", "{stdout}");
    assert!(!String::from_utf8_lossy(&out.stderr).contains("pipe"));
}

/// `leases --watch`, ended with its handle.
struct Watch {
    child: Child,
    /// `None`: its reader left.
    lines: Option<std::io::Lines<BufReader<std::process::ChildStdout>>>,
}

impl Watch {
    fn start(etcd: &Etcd, args: &[&str]) -> Self {
        let mut child = Process::new(assert_cmd::cargo::cargo_bin("flannelctl"))
            .args(["--etcd-endpoints", &etcd.url, "leases", "--watch"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines: Some(lines),
        }
    }

    fn line(&mut self) -> String {
        self.lines.as_mut().unwrap().next().unwrap().unwrap()
    }

    fn event(&mut self) -> (String, String) {
        let event: Value = serde_json::from_str(&self.line()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&event["type"]), text(&event["lease"]["key"]))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The reader of stdout ends it; a socket whose peer left, which raises the same signal, must not.
#[test]
fn watch_ends_by_sigpipe_for_its_reader_alone() {
    let (etcd, _) = populated();
    let mut watch = Watch::start(&etcd, &["-o", "json"]);
    watch.event();
    let status = std::fs::read_to_string(format!("/proc/{}/status", watch.child.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    assert_ne!(ignored & (1 << (libc::SIGPIPE - 1)), 0, "{status}");
    watch.lines = None;
    put_leased(&etcd, "10.5.8.0-24", &vxlan("192.0.2.8", 8), 86_400);
    let child = Id::Pid(Pid::from_raw(watch.child.id().cast_signed()));
    let (tell, told) = mpsc::channel();
    spawn(move || tell.send(waitid(child, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)));
    let ended = told.recv_timeout(Duration::from_secs(10)).expect("an end");
    assert!(
        matches!(ended, Ok(WaitStatus::Signaled(_, Signal::SIGPIPE, _))),
        "{ended:?}"
    );
}

#[test]
fn watch_tells_what_changes() {
    let (etcd, id) = populated();
    let mut watch = Watch::start(&etcd, &["-o", "json"]);
    let mut first: Vec<_> = (0..8).map(|_| watch.event()).collect();
    first.sort();
    assert_eq!(first[0], ("ADDED".into(), "10.5.100.0-24".into()));
    put_leased(&etcd, "10.5.8.0-24", &vxlan("192.0.2.8", 8), 86_400);
    assert_eq!(watch.event(), ("ADDED".into(), "10.5.8.0-24".into()));
    put_leased(&etcd, "10.5.8.0-24", &vxlan("192.0.2.8", 8), 86_400);
    assert_eq!(watch.event(), ("RENEWED".into(), "10.5.8.0-24".into()));
    put_leased(&etcd, "10.5.8.0-24", &vxlan("192.0.2.8", 9), 86_400);
    assert_eq!(watch.event(), ("CHANGED".into(), "10.5.8.0-24".into()));
    put(&etcd, "10.5.8.0-24", &vxlan("192.0.2.8", 9));
    assert_eq!(watch.event(), ("CHANGED".into(), "10.5.8.0-24".into()));
    etcd.ctl(&["lease", "revoke", &id]);
    assert_eq!(watch.event(), ("REMOVED".into(), "10.5.7.0-24".into()));
    drop(watch);
    let mut watch = Watch::start(&etcd, &["10.5.8.77"]);
    let words = |line: String| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(watch.line()),
        ["ADDED", "10.5.8.0/24", "192.0.2.8", "vxlan", "ok"]
    );
    assert_eq!(leases(&etcd, &["-w", "-o", "yaml"]).code, 2);
}
