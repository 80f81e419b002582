//! The temporary endpoint: lives behind the bridge, takes no address that is used, and leaves nothing behind, not
//! even when its process is killed. The same for the table and the tracefs instance of a witness.
#![allow(clippy::unwrap_used, missing_docs)]

mod witness_support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flannelctl::diagnose::Path;
use flannelctl::diagnose::probe::{Origin, Target};
use flannelctl::kernel::echo::{self, Sending};
use flannelctl::kernel::endpoint::{Endpoint, EndpointError};
use flannelctl::kernel::sweep;
use flannelctl::kernel::witness::Witness;
use witness_support::{Pair, ip, path, sh, spec};

const SUBNET: &str = "10.5.1.0/24";

fn from(endpoint: &Endpoint, to: &str) -> Path {
    Path {
        origin: Origin::Endpoint,
        target: Target::Container,
        from: endpoint.address(),
        to: ip(to),
        ..path()
    }
}

fn sending(endpoint: &Endpoint) -> Sending {
    Sending {
        namespaces: BTreeMap::from([(endpoint.address(), endpoint.namespace().clone())]),
        ..Sending::default()
    }
}

/// Names of instances in tracefs, read through a private mount.
fn instances() -> String {
    sh("unshare -m sh -c \"mount -t tracefs none /sys && ls /sys/instances\"")
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_endpoint_pings_and_goes_without_a_trace() {
    let pair = Pair::new();
    // Somebody holds the two highest addresses: one that answers, one on the host itself.
    pair.on("ca", "ip addr add 10.5.1.254/24 dev eth0");
    pair.on("a", "ip addr add 10.5.1.253/32 dev lo");
    let create = || Endpoint::create("docker0", SUBNET.parse().unwrap(), &[]);
    let begun = Instant::now();
    let endpoint = pair.a.run(create).unwrap().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(endpoint.address(), ip("10.5.1.252"));
    assert!(endpoint.veth().starts_with("fctdp") && endpoint.veth().len() <= 15);
    let second = pair.a.run(create).unwrap().unwrap();
    assert_eq!(second.address(), ip("10.5.1.251"));
    drop(second);

    let paths = [
        from(&endpoint, "10.5.2.2"),
        Path {
            index: 4,
            icmp_id: 7,
            ttl: 2,
            ..from(&endpoint, "10.5.2.2")
        },
        Path {
            index: 5,
            icmp_id: 8,
            origin: Origin::Host,
            from: ip("0.0.0.0"),
            ..from(&endpoint, "10.5.2.2")
        },
        Path {
            index: 6,
            icmp_id: 9,
            df: true,
            payload: 1601,
            count: 1,
            ..from(&endpoint, "10.5.2.2")
        },
        Path {
            index: 7,
            icmp_id: 10,
            from: ip("10.5.1.77"),
            ..from(&endpoint, "10.5.2.2")
        },
    ];
    let results = pair
        .a
        .run(|| echo::send(&paths, &sending(&endpoint)))
        .unwrap();
    assert!(results[0].whole(), "{:?}", results[0]);
    assert!(results[0].mean_rtt_ms().unwrap() < 500.0);
    // TTL 2 dies on the other host, which says so.
    assert_eq!(results[1].received(), 0);
    let exceeded = &results[1].errors[0];
    assert_eq!((exceeded.kind, exceeded.code), (11, 0), "{exceeded:?}");
    assert!(results[2].whole(), "{:?}", results[2]);
    let too_long = results[3].refused.clone().unwrap_or_default();
    assert!(too_long.contains("too long"), "{:?}", results[3]);
    assert!(results[4].refused.is_some() && results[4].sent == 0);

    drop(endpoint);
    let links = pair.on("a", "ip -br link");
    assert!(!links.contains("fctdp"), "{links}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn there_is_an_error_for_everything_that_is_not_there() {
    let pair = Pair::new();
    let none = pair
        .a
        .run(|| Endpoint::create("br-x", SUBNET.parse().unwrap(), &[]));
    assert!(matches!(none, Ok(Err(EndpointError::NoBridge { .. }))));
    // .1 is the bridge's, .2 the container's, .0 and .3 are never taken.
    let full = pair
        .a
        .run(|| Endpoint::create("docker0", "10.5.1.0/30".parse().unwrap(), &[]));
    assert!(
        matches!(full, Ok(Err(EndpointError::NoFreeAddress { .. }))),
        "{full:?}"
    );
    let links = pair.on("a", "ip -br link");
    assert!(!links.contains("fctdp"), "{links}");
}

/// Run by the test below, in a process of its own that is killed.
#[test]
#[ignore = "run by another test"]
fn hold_everything_until_killed() {
    if std::env::var_os("WITNESS_TO_KILL").is_none() {
        return;
    }
    let _endpoint = Endpoint::create("docker0", SUBNET.parse().unwrap(), &[]).unwrap();
    let _witness = Witness::arm(&spec(1));
    let mut err = std::io::stderr();
    std::io::Write::write_all(&mut err, b"armed\n").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_next_run_removes_what_a_killed_one_left() {
    let pair = Pair::new();
    let own = std::env::current_exe().unwrap();
    let run = move || {
        Command::new(own)
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "hold_everything_until_killed",
            ])
            .env("WITNESS_TO_KILL", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut child = pair.a.run(run).unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "armed"));
    let name = format!("flannelctl-diag-{}-", child.id());
    assert!(pair.on("a", "nft list tables").contains(&name));
    assert!(instances().contains(&name));
    assert!(pair.on("a", "ip -br link").contains("fctdp"));
    child.kill().unwrap();
    child.wait().unwrap();

    let removed = pair.a.run(sweep::leftovers).unwrap();
    assert!(
        removed.iter().any(|r| r.contains("nftables table")),
        "{removed:?}"
    );
    assert!(
        removed.iter().any(|r| r.contains("tracefs instance")),
        "{removed:?}"
    );
    assert!(!pair.on("a", "nft list tables").contains(&name));
    assert!(!instances().contains(&name));
    assert!(!pair.on("a", "ip -br link").contains("fctdp"));
    // A running one is left alone.
    let witness = pair.a.run(|| Witness::arm(&spec(1))).unwrap();
    assert!(pair.a.run(sweep::leftovers).unwrap().is_empty());
    let own = format!("flannelctl-diag-{}-", std::process::id());
    assert!(pair.on("a", "nft list tables").contains(&own));
    drop(witness);
    assert!(!pair.on("a", "nft list tables").contains(&own));
    assert!(!instances().contains(&own));
}
