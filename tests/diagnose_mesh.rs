//! `diagnose --mesh` and `--all`: who reaches whom, small losses, and causes that many pairs have in common.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod diagnose_lab;
mod lab;

use std::time::{Duration, Instant};

use diagnose_lab::{diagnose_keys, network};
use lab::{Finished, Host, Overlay, until};
use serde_json::Value;

/// What `diagnose` on a host says, and how long it took.
fn run(overlay: &Overlay, i: usize, args: &[&str]) -> (Finished, Duration) {
    let host = overlay.node(i);
    let (url, env) = (overlay.etcd.url(), host.subnet_file());
    let mut all = vec!["--etcd-endpoints", &url, "diagnose"];
    all.extend(["--subnet-file", env.to_str().unwrap()]);
    all.extend(args);
    let started = Instant::now();
    let finished = host.flannelctl(&all);
    (finished, started.elapsed())
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:#?}"))
}

/// `id node` of each finding.
fn findings(value: &Value) -> Vec<String> {
    let all = value["findings"].as_array().unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    all.iter()
        .map(|one| format!("{} {}", text(one, "id"), text(one, "node")))
        .collect()
}

/// Drops what a rule matches, on its way through a host.
fn drop_forwarded(host: &Host, rule: &str) {
    let chain = "type filter hook forward priority -5;";
    let table = format!("table ip stop {{ chain c {{ {chain} {rule} counter drop; }}; }}");
    host.run("nft", &[table]);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn one_cause_of_many_pairs_is_one_finding() {
    let overlay = network(4, "vxlan", &[]);
    let (finished, _) = run(&overlay, 0, &["--mesh"]);
    let text = finished.expect(0).stdout;
    assert!(
        text.contains("12 of 12 pairs of 4 nodes answer in full"),
        "{text}"
    );
    let broken = overlay.node(2);
    drop_forwarded(broken, "oifname docker0 icmp type echo-request");
    let (finished, _) = run(&overlay, 0, &["--mesh", "-o", "json"]);
    let value = json(&finished);
    assert_eq!(
        findings(&value),
        [format!("FL133 {}", broken.address)],
        "{finished:#?}"
    );
    let evidence = value["findings"][0]["evidence"][0].as_str().unwrap();
    assert!(evidence.starts_with("3 pairs of nodes: "), "{evidence}");
    assert_eq!(
        value["paths"].as_array().unwrap().len(),
        12,
        "{finished:#?}"
    );
    finished.expect(1);
    let (finished, _) = run(&overlay, 0, &["--mesh"]);
    let rows: Vec<Vec<_>> = finished
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<_>| {
            words
                .get(1)
                .is_some_and(|w: &&str| w.starts_with("192.0.2."))
                && words.len() == 6
        })
        .collect();
    let cells: Vec<_> = rows.iter().map(|words| words[2..].join(" ")).collect();
    let expected = ["· ✓ ✗a ✓", "✓ · ✗a ✓", "✓ ✓ · ✓", "✓ ✓ ✗a ·"];
    assert_eq!(cells, expected, "{}", finished.stdout);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn three_percent_are_found_with_enough_packets() {
    let overlay = network(2, "vxlan", &[]);
    let broken = overlay.node(1);
    drop_forwarded(
        broken,
        "oifname docker0 ip protocol icmp numgen random mod 100 < 3",
    );
    let (finished, took) = run(&overlay, 0, &["--all", "--count", "500", "-o", "json"]);
    let value = json(&finished);
    assert_eq!(
        findings(&value),
        [format!("FL133 {}", broken.address)],
        "{finished:#?}"
    );
    assert_eq!(
        value["findings"][0]["confidence"], "proven",
        "{finished:#?}"
    );
    let paths = value["paths"].as_array().unwrap();
    let some = paths.iter().any(|path| {
        let (sent, received) = (
            path["sent"].as_u64().unwrap(),
            path["received"].as_u64().unwrap(),
        );
        sent == 500 && received < 500 && received > 450
    });
    assert!(some, "{finished:#?}");
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_small_loss_between_the_nics_is_the_underlays() {
    let overlay = network(2, "vxlan", &[]);
    let chain = "type filter hook forward priority 0;";
    let rule = "udp dport 8472 numgen random mod 100 < 3 drop;";
    let table = format!("table bridge stop {{ chain c {{ {chain} {rule} }}; }}");
    overlay.lab.switch.run("nft", &[table]);
    let (finished, _) = run(&overlay, 0, &["--all", "--count", "500", "-o", "json"]);
    let value = json(&finished);
    let ids: Vec<_> = findings(&value)
        .iter()
        .map(|one| one[..5].to_owned())
        .collect();
    assert!(
        !ids.is_empty() && ids.iter().all(|id| id == "FL241"),
        "{finished:#?}"
    );
    finished.expect(1);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn twenty_nodes_are_tried_in_little_time() {
    let mut overlay = network(20, "vxlan", &[]);
    let (finished, took) = run(&overlay, 0, &["--mesh", "-o", "json"]);
    let value = json(&finished);
    assert_eq!(findings(&value), Vec::<String>::new(), "{finished:#?}");
    assert_eq!(value["paths"].as_array().unwrap().len(), 20 * 19);
    assert!(took < Duration::from_secs(45), "{took:?}");
    assert_eq!(diagnose_keys(&overlay), 0);
    let (finished, took) = run(&overlay, 0, &["--all", "-o", "json"]);
    assert_eq!(
        findings(&json(&finished)),
        Vec::<String>::new(),
        "{finished:#?}"
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
    // One without an agent: its bridge stands for its containers.
    overlay.agents[7].process.kill9();
    let silent = overlay.node(7).address;
    until("the diagnosis to tell", Duration::from_secs(60), || {
        let (finished, _) = run(&overlay, 0, &["--mesh"]);
        let text = &finished.stdout;
        let told = text.contains(&format!("{silent}: no agent answers there"));
        let pairs = text.contains("361 of 361 pairs of 20 nodes answer in full");
        (told && pairs).then_some(())
    });
}
