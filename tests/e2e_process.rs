//! The agent as a process: what systemd hears of it, and that there is only one of it in a namespace.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Etcd, Host, Lab, flannelctl, init_network};

const SOON: Duration = Duration::from_secs(10);

fn one_host() -> (Etcd, Lab, Host) {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "host-gw"]);
    let host = lab.node(0).clone();
    (etcd, lab, host)
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn the_watchdog_is_told_and_the_stop_announced() {
    let (etcd, _lab, host) = one_host();
    let url = etcd.url();
    let args = [
        "WATCHDOG_USEC=400000",
        flannelctl(),
        "--etcd-endpoints",
        &url,
        "agent",
    ];
    let mut agent = host.start_agent_by(host.command("env"), &args);
    agent.ready();
    agent.notified("WATCHDOG=1", SOON);
    assert!(agent.process.terminate().success());
    agent.notified("STOPPING=1", SOON);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_second_agent_in_one_namespace_is_refused_and_harms_nothing() {
    let (etcd, _lab, host) = one_host();
    let mut agent = host.agent(&etcd, &[]);
    agent.ready();
    let url = etcd.url();
    let other = host.dir().join("other/subnet.env");
    let other = other.to_str().unwrap();
    let args = ["--etcd-endpoints", &url, "agent", "--subnet-file", other];
    host.flannelctl(&args)
        .expect(3)
        .says("already runs in this network namespace");
    let file = host.subnet_file();
    let args = [
        "--etcd-endpoints",
        &url,
        "agent",
        "--subnet-file",
        file.to_str().unwrap(),
    ];
    host.flannelctl(&args)
        .expect(3)
        .says(&format!("process {}", agent.process.pid()));
    // Killed hard, it leaves nothing that keeps the next one out.
    agent.process.kill9();
    host.agent(&etcd, &[]).ready();
}
