//! An agent over several lives: the underlay changes below it, it is stopped at any point of its start, what
//! stands in etcd cannot keep it from starting.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lab::{Lab, Overlay, http_get, init_network, until};

const SOON: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn another_mtu_and_another_address_keep_the_subnet() {
    let lab = Lab::new(2);
    let overlay = Overlay::with(
        lab,
        &["--backend", "vxlan"],
        &["--healthz-port", "8471", "--healthz-ip", "127.0.0.1"],
    );
    overlay.node(0).ip("link set lo up");
    overlay.connected(SOON);
    let (host, peer) = (overlay.node(0), overlay.node(1));
    let subnet = host.subnet();
    let name = format!("subnets/{}", host.subnet_name());
    // A config that is changed takes effect at a restart, not when a cable is pulled.
    overlay.etcd.put(
        "config",
        r#"{"Network":"10.99.0.0/16","Backend":{"Type":"vxlan"}}"#,
    );

    host.ip("link set eth0 mtu 1400");
    until("the new MTU", SOON, || {
        (host.env("FLANNEL_MTU").as_deref() == Some("1350")).then_some(())
    });
    assert_eq!(host.subnet(), subnet);

    host.ip("address add 192.0.2.60/24 dev eth0");
    host.ip("address delete 192.0.2.10/24 dev eth0");
    // The kernel may have taken the second address with the first.
    let _there = host.try_run("ip", &["address", "add", "192.0.2.60/24", "dev", "eth0"]);
    until("the new address in the lease", SOON, || {
        let value = overlay.etcd.get(&name)?;
        value.contains(r#""PublicIP":"192.0.2.60""#).then_some(())
    });
    until("the peer to send there", SOON, || {
        let fdb = peer.bridge("fdb show dev flannel.1");
        fdb.contains("dst 192.0.2.60").then_some(())
    });
    let health = SocketAddr::from(([127, 0, 0, 1], 8471));
    until("readiness", SOON, || {
        http_get(host, health, "/readyz")
            .is_ok_and(|(status, _)| status == 200)
            .then_some(())
    });
    assert_eq!(host.subnet(), subnet);
    assert_eq!(overlay.etcd.subnets().len(), 2);
    until("traffic", SOON, || {
        host.reaches(peer.inside()).then_some(())
    });
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn stopped_before_it_held_a_lease() {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    let host = lab.node(0);
    host.ip("link set lo up");
    let mut agent = host.agent(
        &etcd,
        &["--healthz-port", "8471", "--healthz-ip", "127.0.0.1"],
    );
    agent.process.says("there is no network config", SOON);
    // A client that never ends its request.
    let health = SocketAddr::from(([127, 0, 0, 1], 8471));
    let mut stuck = host.within(|| TcpStream::connect(health)).unwrap();
    stuck.write_all(b"GET /healthz HTTP/1.1\r\nHost:").unwrap();
    until("the server to have it", SOON, || {
        http_get(host, health, "/healthz").ok()
    });
    let begin = Instant::now();
    assert_eq!(agent.process.terminate().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(4));
    let log = agent.log();
    assert!(log.contains("stopped before it held a lease"), "{log}");
    assert!(!log.contains("the lease stays"), "{log}");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_published_mac_that_no_device_can_have_is_not_taken() {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "vxlan"]);
    etcd.put_leased(
        "subnets/10.1.7.0-24",
        r#"{"PublicIP":"192.0.2.10","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ff:ff:ff:ff:ff:ff"}}"#,
    );
    let host = lab.node(0);
    let mut agent = host.agent(&etcd, &[]);
    agent.ready();
    assert_eq!(host.subnet(), "10.1.7.0/24");
    let value = etcd.get("subnets/10.1.7.0-24").unwrap();
    assert!(value.contains(&host.mac("flannel.1")), "{value}");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_lost_etcd_is_said_once() {
    let mut overlay = Overlay::bare(Lab::new(1), &["--backend", "host-gw"], &[]);
    overlay.etcd.kill9();
    overlay.agents[0].process.says("no contact with etcd", SOON);
    overlay.etcd.resume();
    overlay.agents[0]
        .process
        .says("in contact with etcd again", Duration::from_secs(20));
    let log = overlay.agents[0].log();
    assert_eq!(log.matches("no contact with etcd").count(), 1, "{log}");
}
