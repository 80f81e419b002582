//! The lab's stage: hosts, switch and containers made by netlink alone, gone with the stage.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use flannelctl::kernel::netns::Netns;
use flannelctl::lab::plan::{Cable, Plan, SWITCH_ADDRESS};
use flannelctl::lab::{Container, Process, Stage};

const SOON: Duration = Duration::from_secs(30);
const BINARY: &str = env!("CARGO_BIN_EXE_flannelctl");
const URL: &str = "http://192.0.2.1:2379";

fn etcd(stage: &Stage) -> Process {
    let mut command = Command::new("etcd");
    let folder = stage.switch().folder().join("etcd");
    command.arg("--data-dir").arg(folder);
    command.args(["--listen-client-urls", URL, "--advertise-client-urls", URL]);
    let mut etcd = stage.switch().start("etcd", command).unwrap();
    let namespace = stage.switch().namespace();
    etcd.wait_until(SOON, || {
        let connect = || TcpStream::connect((SWITCH_ADDRESS, 2379)).is_ok();
        namespace.run(connect).unwrap()
    })
    .unwrap();
    etcd
}

/// Within the switch, to its end.
fn flannelctl(stage: &Stage, args: &[&str]) {
    let output = stage
        .switch()
        .namespace()
        .run(|| {
            let mut command = Command::new(BINARY);
            command.args(["--etcd-endpoints", URL]).args(args).output()
        })
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn pings(from: &Netns, to: Ipv4Addr, size: &str) -> bool {
    let ping = || {
        let args = ["-c1", "-W1", "-s", size, &to.to_string()];
        Command::new("ping").args(args).output().unwrap()
    };
    from.run(ping).unwrap().status.success()
}

fn overlay(cable: Cable, backend: &str) {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::build(&Plan::new(2, cable), folder.path()).unwrap();
    let _etcd = etcd(&stage);
    flannelctl(
        &stage,
        &["init", "--network", "10.5.0.0/16", "--backend", backend],
    );
    let args = ["--etcd-endpoints", URL, "agent", "--iface", "eth0"].map(str::to_owned);
    let mut agents: Vec<_> = stage
        .hosts()
        .iter()
        .map(|host| host.start_agent(Path::new(BINARY), &args).unwrap())
        .collect();
    for agent in &mut agents {
        agent.wait_ready(SOON).unwrap();
    }
    let containers: Vec<Container> = stage
        .hosts()
        .iter()
        .map(|host| {
            let mut idle = Command::new(BINARY);
            idle.args(["lab", "idle"]);
            host.add_container(idle).unwrap()
        })
        .collect();
    let begin = std::time::Instant::now();
    while !pings(containers[0].namespace(), containers[1].address(), "1000") {
        let logs: Vec<_> = agents
            .iter_mut()
            .map(|agent| agent.process().log())
            .collect();
        assert!(begin.elapsed() < SOON, "no ping: {}", logs.concat());
    }
    let pids: Vec<u32> = agents
        .iter_mut()
        .map(|agent| agent.process().pid())
        .collect();
    drop(stage);
    for mut agent in agents {
        let ended = agent.process().wait_until(SOON, || false).unwrap_err();
        assert!(ended.to_string().contains("signal: 9"), "{ended}");
    }
    for pid in pids {
        assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn containers_reach_each_other_by_vxlan() {
    overlay(Cable::Veth, "vxlan");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_wire_carries_the_udp_backend() {
    overlay(Cable::Wire, "udp");
}

#[test]
#[ignore = "needs root: network namespaces, ethtool"]
fn a_wire_has_no_offloads_but_merges() {
    let folder = tempfile::tempdir().unwrap();
    let features = |cable: Cable, folder: &str| {
        let stage = Stage::build(&Plan::new(2, cable), Path::new(folder)).unwrap();
        let show = || {
            Command::new("ethtool")
                .args(["-k", "eth0"])
                .output()
                .unwrap()
        };
        let output = stage.hosts()[0].namespace().run(show).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for (cable, state) in [(Cable::Veth, "on"), (Cable::Wire, "off")] {
        let own = folder.path().join(state);
        fs::create_dir(&own).unwrap();
        let text = features(cable, own.to_str().unwrap());
        let is = |feature: &str, state: &str| {
            let line = text.lines().find(|line| line.trim().starts_with(feature));
            let line = line.unwrap_or_default();
            assert!(line.contains(&format!(": {state}")), "{cable:?}: {line:?}");
        };
        for feature in [
            "tx-checksumming",
            "tx-tcp-segmentation",
            "generic-segmentation-offload",
            "tx-udp-segmentation",
        ] {
            is(feature, state);
        }
        if cable == Cable::Wire {
            is("generic-receive-offload", "on");
        }
    }
}
