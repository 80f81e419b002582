//! A large network: 1,000 leases are there at the start. Prints how long the agent takes to program them
//! and what memory it then has. Figures of a release build: `FLANNELCTL_TEST_BINARY=target/release/flannelctl`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod lab;

use std::time::{Duration, Instant};

use lab::{Lab, Overlay, until};

const PEERS: usize = 1000;
/// Generous: this is an unoptimised build. The goal for a release build is 20 MB.
const MEMORY_KIB: u64 = 64 * 1024;

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_thousand_leases_at_start() {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    etcd.put(
        "config",
        r#"{"Network":"10.32.0.0/12","Backend":{"Type":"vxlan"}}"#,
    );
    let peers: Vec<_> = (0..PEERS)
        .map(|i| {
            let (high, low) = (i / 250, i % 250 + 1);
            let key = format!("subnets/10.40.{}.0-24", i % 256);
            let key = key.replace("10.40", &format!("10.{}", 40 + i / 256));
            let value = format!(
                r#"{{"PublicIP":"198.18.{high}.{low}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"02:00:00:00:{high:02x}:{low:02x}"}}}}"#
            );
            (key, value)
        })
        .collect();
    etcd.put_many(&peers);
    let lease = format!("{:x}", etcd.lease_of("subnets/10.40.0.0-24"));

    let mut agents = vec![lab.node(0).agent(&etcd, &[])];
    let ready = agents[0].ready();
    let host = lab.node(0).clone();
    let routes = || host.ip("route show dev flannel.1").lines().count();
    assert_eq!(
        routes(),
        PEERS,
        "all are programmed when the agent says that it is ready"
    );
    assert_eq!(
        host.ip("neigh show dev flannel.1 nud permanent")
            .lines()
            .count(),
        PEERS
    );
    assert_eq!(
        host.bridge("fdb show dev flannel.1")
            .matches(" dst ")
            .count(),
        PEERS
    );
    let memory = agents[0].process.rss_kib();
    println!("measured: {PEERS} leases at start: ready after {ready:?}, VmRSS {memory} KiB");
    assert!(memory < MEMORY_KIB, "{memory} KiB");

    agents[0].process.kill9();
    agents[0] = host.agent(&etcd, &[]);
    let again = agents[0].ready();
    println!("measured: {PEERS} leases that are programmed already: ready after {again:?}");

    let overlay = Overlay { agents, etcd, lab };
    let start = Instant::now();
    overlay.etcd.ctl(&["lease", "revoke", &lease]);
    until("all peers to go", Duration::from_secs(20), || {
        (routes() == 0).then_some(())
    });
    println!(
        "measured: {PEERS} leases expire at once: gone after {:?}",
        start.elapsed()
    );
    let start = Instant::now();
    overlay.etcd.put_many(&peers);
    until("all peers to be back", Duration::from_secs(20), || {
        (routes() == PEERS).then_some(())
    });
    println!(
        "measured: {PEERS} leases come: programmed after {:?}",
        start.elapsed()
    );
    let memory = overlay.agents[0].process.rss_kib();
    assert!(memory < MEMORY_KIB, "{memory} KiB");
}
