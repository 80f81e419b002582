//! The lab proves itself with networks configured by `ip`: what the end-to-end tests stand on works
//! without flannelctl.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::Lab;

#[test]
#[ignore = "needs root: network namespaces"]
fn hosts_reach_each_other_and_a_cut_shows() {
    let lab = Lab::with_far(2, 1);
    let (near, far) = (lab.node(1).address, lab.node(2).address);
    let ping = lab.node(0).ping(near);
    ping.answered(5, Duration::from_secs(5));
    assert!(
        lab.node(0).reaches(far),
        "the switch routes to the second network"
    );
    lab.cut(1, true);
    assert!(!lab.node(0).reaches(near));
    lab.cut(1, false);
    ping.answered(5, Duration::from_secs(10));
    let report = ping.stop();
    assert!(!report.lost.is_empty(), "{report:?}");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn etcd_keeps_its_data_over_a_crash() {
    let lab = Lab::new(1);
    let mut etcd = lab.etcd();
    etcd.put("config", r#"{"Network":"10.5.0.0/16"}"#);
    let many: Vec<_> = (0..300)
        .map(|i| {
            let value = format!(r#"{{"PublicIP":"192.0.2.200","BackendType":"x{i}"}}"#);
            (format!("subnets/10.6.{}.{}-30", i / 64, i % 64 * 4), value)
        })
        .collect();
    etcd.put_many(&many);
    etcd.kill9();
    etcd.resume();
    assert_eq!(etcd.get("config").unwrap(), r#"{"Network":"10.5.0.0/16"}"#);
    assert_eq!(etcd.subnets().len(), 300);
    assert_ne!(etcd.lease_of("subnets/10.6.0.0-30"), 0);
    assert_eq!(etcd.lease_of("config"), 0);
    let value = r#"{"PublicIP":"192.0.2.200","BackendType":"x70"}"#;
    assert_eq!(etcd.get("subnets/10.6.1.24-30").as_deref(), Some(value));
    etcd.compact();
}

#[test]
#[ignore = "needs root: network namespaces, dockerd"]
fn containers_of_two_dockerds_reach_each_other() {
    let lab = Lab::new(2);
    let bips = ["10.7.1.1/24", "10.7.2.1/24"];
    let mut docks = Vec::new();
    for (host, bip) in lab.nodes().iter().zip(bips) {
        docks.push(host.dockerd_with(&["--bip", bip, "--mtu", "1400", "--ip-masq=false"]));
        // Docker drops what it does not know.
        host.run(
            "iptables",
            &["-I", "FORWARD", "-s", "10.7.0.0/16", "-j", "ACCEPT"],
        );
    }
    lab.node(0).ip("route add 10.7.2.0/24 via 192.0.2.11");
    lab.node(1).ip("route add 10.7.1.0/24 via 192.0.2.10");
    let (a, b) = (docks[0].container("ca"), docks[1].container("cb"));
    assert_eq!(a.exec(&["cat", "/sys/class/net/eth0/mtu"]).trim(), "1400");
    let capture = b.net.capture("eth0", "icmp");
    assert!(a.net.reaches(b.address));
    capture.sees(
        &format!("{} > {}", a.address, b.address),
        Duration::from_secs(5),
    );
    let output = a.exec(&["ping", "-c", "1", "-W", "2", &b.address.to_string()]);
    assert!(output.contains("1 packets received"), "{output}");
}
