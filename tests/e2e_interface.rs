//! Which interface and which public address an agent takes (conformance 20; flannel-compat 7.2, with the
//! case of a public address that the host does not have put right).
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Lab, flannelctl, init_network};

const SOON: Duration = Duration::from_secs(8);

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn interface_and_public_address() {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "vxlan"]);
    let (host, url) = (lab.node(0), etcd.url());
    host.ip("link add eth1 type bridge");
    host.ip("address add 203.0.113.5/24 dev eth1");
    host.ip("address add 203.0.113.6/24 dev eth1");
    host.ip("link set eth1 up");
    for (args, public_ip, local, device) in [
        (&[][..], "192.0.2.10", "192.0.2.10", "eth0"),
        (&["--iface", "eth1"], "203.0.113.5", "203.0.113.5", "eth1"),
        (
            &["--iface", "203.0.113.6"],
            "203.0.113.6",
            "203.0.113.6",
            "eth1",
        ),
        (
            &["--iface", "eth9", "--iface", "eth1"],
            "203.0.113.5",
            "203.0.113.5",
            "eth1",
        ),
        (
            &["--iface-regex", r"203\.0\..*"],
            "203.0.113.5",
            "203.0.113.5",
            "eth1",
        ),
        (
            &["--iface-regex", "eth[1-9]"],
            "203.0.113.5",
            "203.0.113.5",
            "eth1",
        ),
        (
            &["--iface-can-reach", "203.0.113.77"],
            "203.0.113.5",
            "203.0.113.5",
            "eth1",
        ),
        (
            &["--public-ip", "203.0.113.6"],
            "203.0.113.6",
            "203.0.113.6",
            "eth1",
        ),
        // Behind NAT: nobody here has that address, packets leave with the local one.
        (
            &["--public-ip", "198.51.100.7"],
            "198.51.100.7",
            "192.0.2.10",
            "eth0",
        ),
        (
            &["--public-ip", "198.51.100.8", "--iface", "eth1"],
            "198.51.100.8",
            "203.0.113.5",
            "eth1",
        ),
    ] {
        let all = [&["--etcd-endpoints", &url, "agent"], args].concat();
        let mut agent = host.start_agent(flannelctl(), &all);
        agent.ready();
        let record = etcd
            .get(&format!("subnets/{}", host.subnet_name()))
            .unwrap();
        let wanted = format!(r#"{{"PublicIP":"{public_ip}","#);
        assert!(record.starts_with(&wanted), "{args:?}: {record}");
        let link = host.ip("-d -o link show flannel.1");
        let wanted = format!("vxlan id 1 local {local} dev {device} ");
        assert!(link.contains(&wanted), "{args:?}: {link}");
        agent.process.terminate();
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn host_gw_refuses_a_public_address_that_is_not_its_own() {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "host-gw"]);
    let mut agent = lab.node(0).agent(&etcd, &["--public-ip", "198.51.100.7"]);
    agent
        .finish(SOON)
        .expect(3)
        .says("198.51.100.7")
        .says("host-gw");
    assert!(etcd.subnets().is_empty());
}
