//! A network of real agents on which `diagnose` runs as its users run it.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{self, Finished, Host, Lab, Overlay};

pub const LIMIT: Duration = Duration::from_secs(10);

/// A network as Docker leaves it: with forwarding on.
pub fn network(nodes: usize, backend: &str, agent: &[&str]) -> Overlay {
    let lab = Lab::new(nodes);
    for host in lab.nodes() {
        host.sysctl("net/ipv4/ip_forward", "1");
    }
    let overlay = Overlay::with(lab, &["--backend", backend], agent);
    for host in overlay.lab.nodes() {
        let mtu = host.env("FLANNEL_MTU").unwrap();
        host.ip(&format!("link set docker0 mtu {mtu}"));
    }
    overlay.connected(LIMIT);
    overlay
}

/// Runs `diagnose` on a host and gives the saved case with the output.
pub fn diagnose(overlay: &Overlay, i: usize, args: &[&str]) -> (Finished, Value) {
    let host = overlay.node(i);
    let case = host.dir().join(format!("case-{i}.json"));
    drop(std::fs::remove_file(&case));
    let (url, env) = (overlay.etcd.url(), host.subnet_file());
    let mut all = vec!["--etcd-endpoints", &url, "diagnose"];
    all.extend(["--subnet-file", env.to_str().unwrap()]);
    all.extend(["--save-case", case.to_str().unwrap()]);
    all.extend(args);
    let started = Instant::now();
    let finished = host.flannelctl(&all);
    let took = started.elapsed();
    assert!(took < LIMIT, "it took {took:?}: {finished:#?}");
    let case = std::fs::read_to_string(case).unwrap_or_else(|_| panic!("no case: {finished:#?}"));
    (finished, serde_json::from_str(&case).unwrap())
}

/// What `diagnose` could leave behind on a host.
pub fn leavings(host: &Host) -> Vec<String> {
    let links = host.ip("-o link show");
    let links = links.lines().filter(|line| !line.contains("eth0"));
    let mut all: Vec<_> = links
        .filter_map(|line| line.split(':').nth(1).map(|name| name.trim().to_owned()))
        .collect();
    // The agent's own tables come when it likes.
    let tables = host.run::<&str>("nft", &["list", "tables"]);
    let tables = tables.lines().filter(|line| !line.ends_with("filter"));
    all.extend(tables.map(str::to_owned));
    all
}

pub fn diagnose_keys(overlay: &Overlay) -> usize {
    let folder = format!("{}/diagnose/", lab::PREFIX);
    let keys = overlay
        .etcd
        .ctl(&["get", "--prefix", "--keys-only", &folder]);
    keys.lines().filter(|line| !line.is_empty()).count()
}
