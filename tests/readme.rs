//! The README's commands, as they stand there, on real hosts: every `sh` block is run by a test.
//!
//! What is different from a reader's machine: `cargo` builds without optimization, `systemctl restart docker` starts
//! dockerd (no systemd runs here), `busybox` is an image that is already there, the benchmark runs `--quick`.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "readme/blocks.rs"]
mod blocks;
mod lab;
#[path = "readme/machine.rs"]
mod machine;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use blocks::{Block, blocks};
use lab::{Lab, until};
use machine::Machine;

/// `flannelctl lab` is one on a machine.
static ONE: Mutex<()> = Mutex::new(());
const SOON: Duration = Duration::from_secs(20);

/// The sections with commands, and how many blocks each has. The last needs no test: it starts this one.
const SECTIONS: [(&str, usize); 8] = [
    ("See it work on one machine", 2),
    ("Two hosts in five minutes", 6),
    ("init", 1),
    ("leases", 1),
    ("diagnose", 1),
    ("docker-config", 1),
    ("Benchmark", 1),
    ("Tests", 1),
];

#[test]
fn every_block_belongs_to_a_test() {
    let mut found: Vec<(String, usize)> = Vec::new();
    for block in blocks("sh") {
        match found.last_mut() {
            Some((section, count)) if *section == block.section => *count += 1,
            _ => found.push((block.section, 1)),
        }
    }
    assert_eq!(
        found,
        SECTIONS.map(|(name, count)| (name.to_owned(), count))
    );
}

fn section(name: &str) -> Vec<Block> {
    let of = blocks("sh").into_iter().filter(|b| b.section == name);
    let of: Vec<_> = of.collect();
    assert!(!of.is_empty(), "no section {name}");
    of
}

#[test]
#[ignore = "needs root: network namespaces"]
fn one_line_ends_in_a_working_overlay_and_faults_are_found_on_it() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new(0);
    let machine = Machine::of_a_newcomer(&lab.switch);
    let [first, more] = &section("See it work on one machine")[..] else {
        panic!("two blocks")
    };
    let shown = machine.run(first, &[]);
    for text in [
        "the lab stands after",
        "3 of 255 subnets used, 0 reserved, 0 with problems",
        "healthy",
        "flannelctl lab down",
    ] {
        assert!(shown.contains(text), "no {text:?} in\n{shown}");
    }
    let shown = machine.run(
        more,
        &[("flannelctl lab exec node1 -- flannelctl diagnose", 1)],
    );
    assert!(shown.contains("FL101"), "{shown}");
    assert!(shown.contains(" 0% packet loss"), "{shown}");
    assert!(!std::path::Path::new("/run/flannelctl-lab").exists());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_benchmark_prints_and_draws() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new(0);
    let machine = Machine::of_a_newcomer(&lab.switch);
    machine.install();
    for block in section("Benchmark") {
        let quick = block.text.replace("lab bench", "lab bench --quick");
        let shown = machine.run(
            &Block {
                text: quick,
                ..block
            },
            &[],
        );
        assert!(shown.contains("vxlan"), "{shown}");
    }
    let drawn = std::fs::read_to_string(machine.folder().join("bench.svg")).unwrap();
    assert!(drawn.contains("<svg"), "{drawn}");
}

#[test]
#[ignore = "needs root: network namespaces, etcd, docker"]
fn two_hosts_in_five_minutes_and_the_examples_of_each_command() {
    let lab = Lab::new(3);
    let steps = section("Two hosts in five minutes");
    let [etcd, init, agent, docker, far, near] = &steps[..] else {
        panic!("six blocks")
    };
    let keys = Machine::new(&lab.switch);
    let [here, there] = [1, 2].map(|i| Machine::new(lab.node(i)));
    // As on a host that has run flannel before: the subnet that the README shows.
    there.remember_subnet("10.5.0.0/16", "10.5.97.1/24");

    let _etcd = keys.start(etcd);
    until("etcd", SOON, || keys.answers(":2379").then_some(()));
    keys.run(init, &[]);
    let _agents = [&here, &there].map(|host| host.start(agent));
    for host in [&here, &there] {
        until("subnet.env", SOON, || {
            host.file("/run/flannel/subnet.env").map(drop)
        });
    }
    let mut daemons = Vec::new();
    for host in [&here, &there] {
        host.run(docker, &[]);
        daemons.push(host.restarted_docker());
    }
    let shown = there.run(far, &[]);
    assert!(shown.contains("10.5.97.2"), "{shown}");
    let shown = here.run(near, &[]);
    assert!(shown.contains(" 0% packet loss"), "{shown}");
    assert!(shown.contains("192.0.2.12"), "{shown}");
    assert!(shown.contains("healthy"), "{shown}");

    let file = blocks("yaml").remove(0);
    here.write("network.yaml", &file.text);
    for name in ["init", "leases", "diagnose", "docker-config"] {
        for mut block in section(name) {
            if name == "init" {
                // Its examples are for a network that is not there yet.
                block
                    .text
                    .insert_str(0, "export FLANNELCTL_ETCD_PREFIX=/examples/network\n");
            }
            here.run(&block, &[]);
        }
    }
    assert!(
        here.file("/etc/docker/daemon.json")
            .unwrap()
            .contains("\"bip\"")
    );
    let captured = std::fs::read(here.folder().join("way.pcapng")).unwrap();
    assert_eq!(captured[..4], [0x0a, 0x0d, 0x0d, 0x0a], "pcapng");
}
