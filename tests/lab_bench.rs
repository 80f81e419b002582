//! `flannelctl lab bench` on the real kernel: figures of every load, Ctrl-C, and nothing left behind.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn bench(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flannelctl"));
    command.args(["lab", "bench", "-o", "json"]).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Its folder and its agents, by the folder's name in their arguments.
fn left_behind(pid: u32) -> Vec<String> {
    let folder = format!("/run/flannelctl-bench/{pid}");
    let mut left = Vec::new();
    if Path::new(&folder).exists() {
        left.push(folder.clone());
    }
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&format!("{folder}/")) {
            left.push(line);
        }
    }
    left
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_short_run_has_every_figure_and_leaves_nothing() {
    let child = bench(&["--rounds=1", "--seconds=0.1", "--underlay=veth"]);
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{messages}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["complete"], true);
    let results = value["results"].as_array().unwrap();
    assert_eq!(results.len(), 5 * 22);
    for result in results {
        let sample = result["samples"][0].as_f64().unwrap();
        // Nothing need be lost, and a clock of ticks may see no work in so short a time.
        let figure = result["figure"].as_str().unwrap();
        let may_be_zero = figure.ends_with("_lost") || figure == "cpu_per_gib";
        assert!(sample > 0.0 || may_be_zero, "{result}");
    }
    assert_eq!(left_behind(pid), Vec::<String>::new());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn another_daemon_is_measured_beside_ours() {
    let folder = tempfile::tempdir().unwrap();
    let flanneld = folder.path().join("flanneld");
    // Called so, it takes flanneld's command line and no other.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_flannelctl"), &flanneld).unwrap();
    let peer = format!("--peer-binary={}", flanneld.display());
    let path = "--path=peer-vxlan,peer-udp";
    let child = bench(&["--quick", "--seconds=0.05", "--underlay=wire", path, &peer]);
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{messages}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        value["paths"].to_string(),
        r#"["vxlan","peer-vxlan","peer-udp"]"#
    );
    assert_eq!(value["peerBinary"], flanneld.to_str().unwrap());
    let samples = value["results"].as_array().unwrap().iter();
    assert!(samples.clone().all(|one| one["samples"][0].is_f64()));
    assert_eq!(left_behind(pid), Vec::<String>::new());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_interrupt_shows_what_was_measured_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("chart.svg");
    let svg = format!("--svg={}", chart.display());
    let vxlan = ["--path=vxlan", "--underlay=veth", "--seconds=0.05"];
    let mut child = bench(&[&vxlan[..], &["--rounds=1000", &svg]].concat());
    let pid = child.id();
    let messages = BufReader::new(child.stderr.take().unwrap());
    let mut lines = messages.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("round 1 of 1000 is measured")));
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap();
    assert!(lines.any(|line| line.contains("interrupted: these are the figures so far")));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["complete"], false);
    assert!(value["results"][0]["samples"][0].as_f64().unwrap() > 0.0);
    assert!(
        std::fs::read_to_string(&chart)
            .unwrap()
            .contains("interrupted")
    );
    assert_eq!(left_behind(pid), Vec::<String>::new());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_interrupt_removes_everything() {
    let mut child = bench(&["--seconds=3600", "--path=vxlan", "--underlay=veth"]);
    let pid = child.id();
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    // It watches for signals before it says anything.
    messages.read_line(&mut String::new()).unwrap();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(left_behind(pid), Vec::<String>::new());
}
