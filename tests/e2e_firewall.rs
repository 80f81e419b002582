//! Containers reach each other across hosts whatever Docker does to FORWARD, before or after the agent's
//! start (conformance 17; W24 to W26).
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::net::SocketAddr;
use std::time::Duration;

use lab::{Container, Dockerd, Host, Lab, Overlay, http_get, until};

/// One firewall resync (5 s by default) and what a lost ping takes.
const RESYNC: Duration = Duration::from_secs(8);

/// A container on a Docker network that has the host's subnet, as where Docker ran before flannel.
fn container(host: &Host, docker: &Dockerd, name: &str) -> Container {
    let subnet = format!("--subnet={}", host.subnet());
    let bridge = "com.docker.network.bridge.name=fl0";
    docker.docker(&["network", "create", "--opt", bridge, &subnet, "overlay"]);
    docker.container_with(name, &["--network", "overlay"])
}

#[track_caller]
fn both_ways(a: &Container, b: &Container) {
    for (from, to) in [(a, b), (b, a)] {
        let what = format!("{} to reach {}", from.address, to.address);
        until(&what, RESYNC, || from.net.reaches(to.address).then_some(()));
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn traffic_passes_a_docker_that_drops_in_forward() {
    let lab = Lab::new(2);
    let docks: Vec<_> = lab
        .nodes()
        .iter()
        .map(|host| host.dockerd_with(&["--ip-masq=false"]))
        .collect();
    for host in lab.nodes() {
        let policy = host.run("iptables", &["-S", "FORWARD"]);
        assert!(policy.starts_with("-P FORWARD DROP"), "{policy}");
    }
    let mut overlay = Overlay::bare(lab, &["--backend", "vxlan"], &["--ip-masq"]);
    let a = container(overlay.node(0), &docks[0], "ca");
    let b = container(overlay.node(1), &docks[1], "cb");
    both_ways(&a, &b);
    // A foreign hand empties the chain; Docker's reload puts its own rules first again.
    overlay.node(0).run("iptables", &["-F", "FORWARD"]);
    both_ways(&a, &b);
    overlay.agents[1].process.kill9();
    overlay.agents[1] = overlay.node(1).agent(&overlay.etcd, &["--ip-masq"]);
    overlay.agents[1].ready();
    both_ways(&a, &b);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn foreign_rules_are_never_touched() {
    let lab = Lab::new(1);
    let host = lab.node(0).clone();
    for rule in [
        ["-A", "INPUT", "-s", "203.0.113.7", "-j", "DROP"],
        ["-A", "FORWARD", "-s", "203.0.113.8", "-j", "DROP"],
        ["-A", "OUTPUT", "-d", "203.0.113.9", "-j", "ACCEPT"],
    ] {
        host.run("iptables", &rule);
    }
    let foreign = rules_with(&host, "203.0.113.");
    let mut overlay = Overlay::bare(lab, &["--backend", "vxlan"], &["--ip-masq"]);
    assert_eq!(rules_with(&host, "203.0.113."), foreign);
    let ours = rules_with(&host, "10.1.0.0/16");
    assert!(ours.len() >= 4, "{ours:#?}");
    // A restart changes none of ours either.
    overlay.agents[0].process.kill9();
    overlay.agents[0] = host.agent(&overlay.etcd, &["--ip-masq"]);
    overlay.agents[0].ready();
    assert_eq!(rules_with(&host, "10.1.0.0/16"), ours);
    assert_eq!(rules_with(&host, "203.0.113."), foreign);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn deleted_rules_come_back() {
    let lab = Lab::new(1);
    let host = lab.node(0).clone();
    let _overlay = Overlay::bare(lab, &["--backend", "host-gw"], &["--ip-masq"]);
    let ours = rules_with(&host, "");
    for table in ["filter", "nat"] {
        host.run("iptables", &["-t", table, "-F"]);
        until("the rules to come back", RESYNC, || {
            (rules_with(&host, "") == ours).then_some(())
        });
    }
}

fn rules_with(host: &Host, text: &str) -> Vec<String> {
    let all = host.run::<&str>("iptables-save", &[]);
    let rules = all
        .lines()
        .filter(|line| line.starts_with("-A") && line.contains(text));
    rules.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_rule_that_drops_the_overlay_is_told_by_readyz_while_it_stands() {
    let overlay = Overlay::with(
        Lab::new(1),
        &["--backend", "vxlan"],
        &["--healthz-port", "8471"],
    );
    let host = overlay.node(0);
    let address = SocketAddr::from((host.address, 8471));
    let ask = |path: &str| http_get(host, address, path).unwrap_or_default();
    assert_eq!(ask("/readyz").0, 200);
    host.run("iptables", &["-N", "DOCKER-USER"]);
    host.run("iptables", &["-I", "FORWARD", "-j", "DOCKER-USER"]);
    let dropping = ["-A", "DOCKER-USER", "-d", "10.1.0.0/16", "-j", "DROP"];
    host.run("iptables", &dropping);
    until("/readyz to tell of the rule", RESYNC, || {
        let (status, text) = ask("/readyz");
        (status == 503 && text.contains("DOCKER-USER")).then_some(())
    });
    assert_eq!(ask("/healthz").0, 200, "a restart would not mend it");
    host.run("iptables", &["-F", "DOCKER-USER"]);
    until("readiness", RESYNC, || {
        (ask("/readyz").0 == 200).then_some(())
    });
}
