//! `diagnose` without a network: explanations, usage, trouble with etcd, saved cases, the forms of the output.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use assert_cmd::Command;
use serde_json::{Value, json};

#[path = "support/etcd.rs"]
mod etcd;
use etcd::{Config, Etcd};

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

fn diagnose(args: &[&str]) -> Answer {
    let out = Command::cargo_bin("flannelctl")
        .unwrap()
        .env_clear()
        .args(args)
        .output()
        .unwrap();
    Answer {
        code: out.status.code().unwrap(),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn with(etcd: &str, args: &[&str]) -> Answer {
    diagnose(&[&["--etcd-endpoints", etcd, "diagnose"], args].concat())
}

fn ids(value: &Value) -> Vec<&str> {
    let findings = value["findings"].as_array().unwrap();
    findings.iter().map(|f| f["id"].as_str().unwrap()).collect()
}

#[test]
fn checks_are_listed_and_explained_offline() {
    let list = diagnose(&["diagnose", "--list-checks"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    for id in ["FL101", "FL301", "FL410", "FL901"] {
        assert!(list.stdout.contains(id), "{id} in {}", list.stdout);
    }
    let few = diagnose(&["diagnose", "--list-checks", "--only", "FL101,FL410"]);
    assert_eq!(few.stdout.lines().count(), 3, "{}", few.stdout);
    for word in ["FL101", "fl101", "forward-policy-drop"] {
        let explained = diagnose(&["diagnose", "explain", word]);
        assert_eq!(explained.code, 0, "{}", explained.stderr);
        assert!(explained.stdout.starts_with("FL101 forward-policy-drop"));
        assert!(
            explained
                .stdout
                .lines()
                .all(|line| line.chars().count() <= 100)
        );
    }
}

#[test]
fn usage_errors_name_what_is_wrong() {
    let etcd = Etcd::start();
    etcd.put("/coreos.com/network/config", r#"{"Network":"10.5.0.0/16"}"#);
    for (args, word) in [
        (&["explain", "FL9999"][..], "FL9999"),
        (&["--only", "nonsense"], "nonsense"),
        (&["--count", "0"], "0"),
        (&["--count", "1001"], "1001"),
        (&["--source", "moon"], "moon"),
        (&["--timeout", "soon"], "soon"),
        (&["--timeout", "1ms"], "--timeout"),
        (&["--all", "--mesh"], "--mesh"),
        (&["10.5.1.2", "--all"], "--all"),
        (&["--from-case", "/nonexistent"], "/nonexistent"),
    ] {
        let answer = with(&etcd.url, args);
        assert_eq!(answer.code, 2, "{args:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(word), "{args:?}: {}", answer.stderr);
    }
}

#[test]
fn a_host_that_is_no_node_says_so() {
    let etcd = Etcd::start();
    etcd.put("/coreos.com/network/config", r#"{"Network":"10.5.0.0/16"}"#);
    let answer = with(&etcd.url, &["--subnet-file", "/nonexistent"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("no lease"), "{}", answer.stderr);
}

#[test]
fn where_nothing_was_looked_at_nothing_is_called_healthy() {
    let etcd = Etcd::start();
    etcd.put("/coreos.com/network/config", r#"{"Network":"10.5.0.0/16"}"#);
    for (url, args) in [
        (etcd.url.as_str(), &["--mesh"][..]),
        ("http://127.0.0.1:1", &["--only", "FL1"]),
    ] {
        let args = [&["--subnet-file", "/nonexistent"], args].concat();
        let answer = with(url, &args);
        assert_eq!(answer.code, 4, "{args:?}: {}", answer.stdout);
        assert!(
            answer.stdout.contains("no node was looked at"),
            "{}",
            answer.stdout
        );
        assert!(!answer.stdout.contains("fine"), "{}", answer.stdout);
    }
}

#[test]
fn an_etcd_that_is_away_is_a_finding() {
    let answer = with(
        "http://127.0.0.1:1",
        &["-o", "json", "--subnet-file", "/nonexistent"],
    );
    let value: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(value["kind"], "Diagnosis");
    assert_eq!(ids(&value), ["FL410"], "{}", answer.stdout);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
}

#[test]
fn a_missing_and_a_bad_config_are_findings() {
    let etcd = Etcd::start();
    let file = ["-o", "json", "--subnet-file", "/nonexistent"];
    let answer = with(&etcd.url, &file);
    assert_eq!(
        ids(&serde_json::from_str(&answer.stdout).unwrap()),
        ["FL401"]
    );
    etcd.put(
        "/coreos.com/network/config",
        r#"{"Network":"10.5.0.0/16\u001b"}"#,
    );
    let answer = with(&etcd.url, &file);
    assert_eq!(
        ids(&serde_json::from_str(&answer.stdout).unwrap()),
        ["FL404"]
    );
    assert!(!answer.stdout.contains('\u{1b}'));
    assert_eq!(answer.code, 1);
}

#[test]
fn a_config_of_the_old_interface_is_found_and_moved() {
    const CONFIG: &str = r#"{"Network":"10.7.0.0/16","Backend":{"Type":"vxlan"}}"#;
    let etcd = Etcd::start_with(&Config {
        args: vec!["--enable-v2=true".to_owned()],
        ..Config::default()
    });
    let file = ["-o", "json", "--subnet-file", "/nonexistent"];
    let said = || {
        let answer = with(&etcd.url, &file);
        serde_json::from_str::<Value>(&answer.stdout).unwrap_or(Value::String(answer.stderr))
    };
    // The interface is there, and empty.
    assert_eq!(ids(&said()), ["FL401"]);
    let set = std::process::Command::new("etcdctl")
        .env("ETCDCTL_API", "2")
        .args([
            "--endpoints",
            &etcd.url,
            "set",
            "/coreos.com/network/config",
            CONFIG,
        ])
        .output()
        .unwrap();
    assert!(set.status.success(), "{set:?}");
    let it = said();
    assert_eq!(ids(&it), ["FL403"], "{it:#}");
    let evidence = it["findings"][0]["evidence"][0].as_str().unwrap();
    assert!(evidence.contains("10.7.0.0/16"), "{evidence}");
    // The printed command moves it.
    let fix = it["findings"][0]["fix"][0].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_flannelctl"));
    let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
    let moved = std::process::Command::new("sh")
        .args(["-euc", fix])
        .current_dir(&folder)
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(moved.status.success(), "{fix}: {moved:?}");
    // No node, but a network.
    let it = said();
    assert!(it.as_str().unwrap().contains("no lease"), "{it:#}");
}

#[test]
fn a_saved_case_is_judged_again() {
    let dir = tempfile::tempdir().unwrap();
    let (case, xml) = (dir.path().join("case.json"), dir.path().join("junit.xml"));
    let (case, xml) = (case.to_str().unwrap(), xml.to_str().unwrap());
    let first = with(
        "http://127.0.0.1:1",
        &[
            "-o",
            "json",
            "--subnet-file",
            "/nonexistent",
            "--save-case",
            case,
            "--junit",
            xml,
        ],
    );
    assert_eq!(first.code, 1, "{}", first.stderr);
    let again = diagnose(&["diagnose", "--from-case", case, "-o", "json"]);
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap()["findings"].clone();
    assert_eq!(value(&again.stdout), value(&first.stdout));
    assert_eq!(again.code, 1);
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.starts_with("<?xml") && xml.contains("FL410"), "{xml}");
    for form in ["table", "short"] {
        let shown = diagnose(&["diagnose", "--from-case", case, "-o", form]);
        assert_eq!(shown.code, 1);
        assert!(shown.stdout.contains("FL410"), "{}", shown.stdout);
    }
    let skipped = diagnose(&[
        "diagnose",
        "--from-case",
        case,
        "--skip",
        "FL410",
        "-o",
        "json",
    ]);
    assert_eq!(value(&skipped.stdout), json!([]));
    std::fs::write(case, "{\"nodes\": 7, \u{1b}").unwrap();
    let bad = diagnose(&["diagnose", "--from-case", case]);
    assert_eq!(bad.code, 2);
    assert!(!bad.stderr.contains('\u{1b}'), "{}", bad.stderr);
}
