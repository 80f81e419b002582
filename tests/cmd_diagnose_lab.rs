//! `diagnose` between real agents on real namespaces: both sides help, nothing is left behind, and every way out
//! is clean. Which fault gets which name is the fault lab's business.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod diagnose_lab;
mod lab;

use diagnose_lab::{LIMIT, diagnose, diagnose_keys, leavings, network};
use lab::until;
use nix::sys::signal::Signal;
use serde_json::Value;

/// Paths of pings that begin on this node, what they sent, what was answered.
fn numbers(case: &Value, node: &str) -> (usize, u64, u64) {
    let paths = case["paths"].as_array().unwrap();
    let pings = paths
        .iter()
        .filter(|p| p["path"]["target"]["port"].is_null());
    let of = pings.filter(|p| p["path"]["source_node"] == node);
    let of: Vec<_> = of.collect();
    let sent = of.iter().map(|p| p["sent"].as_u64().unwrap()).sum();
    let answered = of
        .iter()
        .map(|p| p["replies"].as_array().unwrap().len() as u64)
        .sum();
    (of.len(), sent, answered)
}

fn healthy(backend: &str, full: usize) {
    let overlay = network(2, backend, &[]);
    let before = [leavings(overlay.node(0)), leavings(overlay.node(1))];
    let target = overlay.node(1).address.to_string();
    let (finished, case) = diagnose(&overlay, 0, &[&target, "-o", "json"]);
    assert_eq!(case["silent"], serde_json::json!([]), "{finished:#?}");
    let nodes = case["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2, "{finished:#?}");
    for node in nodes {
        assert_eq!(node["missing"], serde_json::json!([]));
        assert!(!node["seen"].as_array().unwrap().is_empty(), "{node:#}");
    }
    let (here, there) = (overlay.node(0).address.to_string(), target);
    let (paths, sent, answered) = numbers(&case, &here);
    // The one with TTL 2 sends two and gets errors instead of answers.
    let answers = 5 * (full as u64 - 1);
    assert_eq!((paths, sent, answered), (full, answers + 2, answers));
    // To the node, and from host and container to the container.
    assert_eq!(numbers(&case, &there), (3, 15, 15));
    finished.expect(0);
    assert_eq!(
        before,
        [leavings(overlay.node(0)), leavings(overlay.node(1))]
    );
    assert_eq!(diagnose_keys(&overlay), 0);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn both_sides_of_vxlan_tell_what_they_saw() {
    healthy("vxlan", 8);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn both_sides_of_udp_tell_what_they_saw() {
    healthy("udp", 8);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn both_sides_of_host_gw_tell_what_they_saw() {
    healthy("host-gw", 7);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_agent_that_is_off_or_dead_is_told() {
    let mut overlay = network(2, "vxlan", &["--diagnose=off"]);
    let (finished, case) = diagnose(&overlay, 0, &["-o", "json"]);
    let there = overlay.node(1).address.to_string();
    assert_eq!(case["silent"], serde_json::json!([there]));
    assert!(finished.stdout.contains("--diagnose=off"), "{finished:#?}");
    overlay.agents[1].process.kill9();
    let (finished, case) = diagnose(&overlay, 0, &["-o", "json"]);
    assert_eq!(case["silent"], serde_json::json!([there]));
    assert!(!finished.stdout.contains("--diagnose=off"), "{finished:#?}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_mesh_asks_every_node_to_send() {
    let overlay = network(3, "vxlan", &[]);
    let (finished, case) = diagnose(&overlay, 0, &["--mesh", "-o", "json"]);
    assert_eq!(case["paths"].as_array().unwrap().len(), 6, "{finished:#?}");
    for i in 0..3 {
        let node = overlay.node(i).address.to_string();
        assert_eq!(numbers(&case, &node), (2, 10, 10), "{finished:#?}");
    }
    assert_eq!(diagnose_keys(&overlay), 0);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_interrupted_diagnosis_leaves_nothing_behind() {
    let overlay = network(2, "vxlan", &[]);
    let host = overlay.node(0);
    let before = [leavings(host), leavings(overlay.node(1))];
    let (url, env) = (overlay.etcd.url(), host.subnet_file());
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut command = host.command(lab::flannelctl());
        command.args([
            "--etcd-endpoints",
            &url,
            "diagnose",
            "--count",
            "500",
            "--timeout",
            "60s",
        ]);
        command.args(["--subnet-file", env.to_str().unwrap()]);
        let mut process = host.spawn("diagnose", command);
        until("its keys", LIMIT, || {
            (diagnose_keys(&overlay) > 1).then_some(())
        });
        until("its sending", LIMIT, || {
            // On both hosts: what the other one is about to make would appear after it was looked for.
            let both = leavings(host) != before[0] && leavings(overlay.node(1)) != before[1];
            both.then_some(())
        });
        process.signal(signal);
        let status = process.wait(LIMIT);
        if signal == Signal::SIGINT {
            assert_eq!(status.code(), Some(130), "{}", process.log());
            until("no keys", LIMIT, || {
                (diagnose_keys(&overlay) == 0).then_some(())
            });
            let now = || [leavings(host), leavings(overlay.node(1))];
            lab::within_time(LIMIT, || (before == now()).then_some(()));
            assert_eq!(before, now());
        }
    }
    // The killed one's lease still stands, so its peer may be busy: what counts is that nothing is left.
    let (_, _) = diagnose(&overlay, 0, &["-o", "json", "--source", "host"]);
    assert_eq!(before[0], leavings(host));
}
