//! Completion as a real bash asks for it, with a real etcd: what is offered, and that a key press never waits long.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

#[path = "support/etcd.rs"]
mod etcd;
use etcd::Etcd;

/// What bash offers for the last of `words` (as bash splits a line), by the committed script.
fn offered(words: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_flannelctl"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/flannelctl.bash");
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; \
         _flannelctl flannelctl '{}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        quoted.join(" "),
        words.len() - 1,
        words.last().unwrap(),
    );
    let folder = program.parent().unwrap().display();
    let out = Command::new("bash")
        .args(["--norc", "-c", &ask])
        .env_clear()
        .env("PATH", format!("{folder}:/usr/sbin:/usr/bin:/sbin:/bin"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    let text = String::from_utf8(out.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(ToOwned::to_owned).collect()
}

/// `flannelctl --etcd-endpoints http://127.0.0.1:PORT …`, split as bash does.
fn with_etcd(port: &str, rest: &[&str]) -> Vec<String> {
    let head = [
        "flannelctl",
        "--etcd-endpoints",
        "http",
        ":",
        "//127.0.0.1",
        ":",
        port,
    ];
    let words = [&head[..], rest].concat();
    offered(&words)
}

#[test]
fn subcommands_flags_and_checks_need_no_network() {
    assert_eq!(offered(&["flannelctl", "lea"]), ["leases"]);
    assert!(offered(&["flannelctl", "init", "--net"]).contains(&"--network".to_owned()));
    let checks = offered(&["flannelctl", "diagnose", "explain", "FL10"]);
    assert!(checks.contains(&"FL101".to_owned()), "{checks:?}");
    let second = offered(&["flannelctl", "diagnose", "--only", "FL101,FL12"]);
    assert!(second.contains(&"FL101,FL121".to_owned()), "{second:?}");
    let piece = offered(&["flannelctl", "leases", "--output", "=", "js"]);
    assert_eq!(piece, ["json"], "without what bash takes for other words");
}

/// Completion says nothing where etcd takes longer than a person waits: as a person, asks again.
fn with_busy_etcd(port: &str, rest: &[&str]) -> Vec<String> {
    let mut tries = (0..10).map(|_| with_etcd(port, rest));
    tries.find(|found| !found.is_empty()).unwrap_or_default()
}

#[test]
fn nodes_and_subnets_come_from_the_etcd_of_the_line() {
    let etcd = Etcd::start();
    let lease = r#"{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"host-gw"}"#;
    etcd.put("/coreos.com/network/subnets/10.5.7.0-24", lease);
    etcd.put("/coreos.com/network/subnets/junk", "\u{1b}[2J");
    let port = etcd.url.rsplit(':').next().unwrap().trim_end_matches('/');
    assert_eq!(with_busy_etcd(port, &["leases", "10."]), ["10.5.7.0/24"]);
    assert_eq!(with_busy_etcd(port, &["diagnose", "192."]), ["192.0.2.7"]);
}

#[test]
fn an_etcd_that_does_not_answer_costs_the_budget_and_no_word() {
    // It accepts and stays silent.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let begin = Instant::now();
    assert_eq!(with_etcd(&port, &["leases", "10."]), [""; 0]);
    // The client's own deadline is 5 s: far below it is the budget's doing, however busy the machine is.
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
}
