//! One agent follows another on a running host: after SIGTERM, after flanneld (whose state is made here
//! exactly as flannel-compat 5 and 6 describe it), with no packet lost (conformance 22, 23; 17).
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{HEAL, Host, Lab, Overlay, init_network, until};

const SOON: Duration = Duration::from_secs(5);

fn survives_sigterm(backend: &str) {
    let mut overlay = Overlay::new(2, backend);
    overlay.connected(SOON);
    let before = overlay.node(0).kernel();
    let key = format!("subnets/{}", overlay.node(0).subnet_name());
    let (record, lease) = (overlay.etcd.get(&key), overlay.etcd.lease_of(&key));
    let file = std::fs::read(overlay.node(0).subnet_file()).unwrap();
    let ping = overlay.node(0).ping(overlay.inside(1));
    ping.answered(5, SOON);

    let agent = &mut overlay.agents[0];
    assert_eq!(agent.process.terminate().code(), Some(0), "{}", agent.log());
    agent.notified("STOPPING=1", SOON);
    assert_eq!(overlay.node(0).kernel(), before);
    assert_eq!(overlay.etcd.get(&key), record);
    assert_eq!(overlay.etcd.lease_of(&key), lease);
    assert_eq!(std::fs::read(overlay.node(0).subnet_file()).unwrap(), file);

    overlay.restart(0);
    ping.answered(10, SOON);
    assert_eq!(overlay.node(0).kernel(), before);
    assert_eq!(overlay.etcd.get(&key), record);
    let report = ping.stop();
    assert!(report.lost.is_empty(), "{report:?}");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn sigterm_leaves_a_vxlan_host_connected() {
    survives_sigterm("vxlan");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn sigterm_leaves_a_host_gw_host_connected() {
    survives_sigterm("host-gw");
}

/// The iptables rules of flanneld with `--ip-masq`, in its order.
fn flanneld_rules(host: &Host, subnet: &str) {
    let rules = format!(
        "*nat\n:FLANNEL-POSTRTG - [0:0]\n\
         -A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG\n\
         -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment \"flanneld masq\" -j RETURN\n\
         -A FLANNEL-POSTRTG -s {subnet} -d 10.1.0.0/16 -m comment --comment \"flanneld masq\" -j RETURN\n\
         -A FLANNEL-POSTRTG -s 10.1.0.0/16 -d {subnet} -m comment --comment \"flanneld masq\" -j RETURN\n\
         -A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d {subnet} -m comment --comment \"flanneld masq\" -j RETURN\n\
         -A FLANNEL-POSTRTG -s 10.1.0.0/16 ! -d 224.0.0.0/4 -m comment --comment \"flanneld masq\" -j MASQUERADE --random-fully\n\
         -A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.0.0/16 -m comment --comment \"flanneld masq\" -j MASQUERADE --random-fully\n\
         COMMIT\n*filter\n:FLANNEL-FWD - [0:0]\n\
         -A FORWARD -m comment --comment \"flanneld forward\" -j FLANNEL-FWD\n\
         -A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT\n\
         -A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT\nCOMMIT\n"
    );
    let file = host.dir().join("flanneld.rules");
    std::fs::write(&file, rules).unwrap();
    host.run("iptables-restore", &["--noflush", file.to_str().unwrap()]);
}

/// What flanneld has written for 10.1.33.0/24 on a host with the default subnet file.
fn flanneld_file(host: &Host, mtu: u32) {
    let file = host.subnet_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = format!(
        "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.33.1/24\nFLANNEL_MTU={mtu}\nFLANNEL_IPMASQ=true\n"
    );
    std::fs::write(&file, text).unwrap();
}

fn device_index(host: &Host) -> String {
    let text = host.ip("-o link show flannel.1");
    text.split(':').next().unwrap().to_owned()
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_vxlan_host_of_flanneld_is_taken_over_without_loss() {
    const MAC: &str = "2a:60:a9:ec:c1:fe";
    let lab = Lab::new(2);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "vxlan"]);
    let record = format!(
        r#"{{"PublicIP":"192.0.2.10","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"{MAC}"}}}}"#
    );
    etcd.put_leased("subnets/10.1.33.0-24", &record);
    let (old, peer) = (lab.node(0), lab.node(1));
    let mut other = peer.agent(&etcd, &[]);
    other.ready();
    peer.stand_in_for_docker();

    flanneld_file(old, 1450);
    for command in [
        &format!(
            "link add flannel.1 address {MAC} mtu 1450 txqueuelen 0 type vxlan id 1 local 192.0.2.10 dev eth0 dstport 8472 nolearning"
        ),
        "address add 10.1.33.0/32 dev flannel.1",
        "link set flannel.1 up",
        &format!(
            "neigh replace {} lladdr {} dev flannel.1 nud permanent",
            peer.base(),
            peer.mac("flannel.1")
        ),
        &format!(
            "route replace {} via {} dev flannel.1 proto boot onlink",
            peer.subnet(),
            peer.base()
        ),
    ] {
        old.ip(command);
    }
    let mac = peer.mac("flannel.1");
    old.bridge(&format!(
        "fdb replace {mac} dev flannel.1 dst {} self permanent",
        peer.address
    ));
    flanneld_rules(old, "10.1.33.0/24");
    old.stand_in_for_docker();
    let index = device_index(old);
    let ping = old.ping(peer.inside());
    ping.answered(5, SOON);

    let mut agent = old.agent(&etcd, &["--ip-masq"]);
    agent.ready();
    ping.answered(10, SOON);
    assert_eq!(old.subnet(), "10.1.33.0/24");
    assert_eq!(old.mac("flannel.1"), MAC);
    assert_eq!(device_index(old), index, "the same device");
    assert_eq!(etcd.get("subnets/10.1.33.0-24"), Some(record));
    let report = ping.stop();
    assert!(report.lost.is_empty(), "{report:?}");
    no_rule_twice(old);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_host_gw_host_of_flanneld_is_taken_over_without_loss() {
    let lab = Lab::new(2);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "host-gw"]);
    let record = r#"{"PublicIP":"192.0.2.10","PublicIPv6":null,"BackendType":"host-gw"}"#;
    etcd.put_leased("subnets/10.1.33.0-24", record);
    let (old, peer) = (lab.node(0), lab.node(1));
    let mut other = peer.agent(&etcd, &[]);
    other.ready();
    peer.stand_in_for_docker();

    flanneld_file(old, 1500);
    old.ip(&format!(
        "route add {} via {} dev eth0 proto boot",
        peer.subnet(),
        peer.address
    ));
    // Its peer left while it was down, and it never cleans up.
    old.ip("route add 10.1.134.0/24 via 192.0.2.34 dev eth0 proto boot");
    flanneld_rules(old, "10.1.33.0/24");
    old.stand_in_for_docker();
    let ping = old.ping(peer.inside());
    ping.answered(5, SOON);

    let mut agent = old.agent(&etcd, &["--ip-masq"]);
    agent.ready();
    ping.answered(10, SOON);
    assert_eq!(old.subnet(), "10.1.33.0/24");
    assert_eq!(etcd.get("subnets/10.1.33.0-24").as_deref(), Some(record));
    let report = ping.stop();
    assert!(report.lost.is_empty(), "{report:?}");
    old.routes("10.1.134.0/24", "", HEAL);
    no_rule_twice(old);
}

/// Each rule once, and only one jump to each chain of flannel's.
#[track_caller]
fn no_rule_twice(host: &Host) {
    until("each rule to be there once", SOON, || {
        let text = host.run::<&str>("iptables-save", &[]);
        let mut rules: Vec<_> = text.lines().filter(|line| line.starts_with("-A")).collect();
        let all = rules.len();
        rules.sort_unstable();
        rules.dedup();
        (rules.len() == all).then_some(())
    });
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn cleanup_removes_all_that_the_agent_made_and_nothing_else() {
    for backend in ["vxlan", "host-gw"] {
        let lab = Lab::new(2);
        let before = lab.node(0).kernel();
        let mut overlay = Overlay::with(lab, &["--backend", backend], &["--ip-masq"]);
        overlay.node(0).ip("link delete docker0");
        assert_ne!(overlay.node(0).kernel(), before);
        overlay.agents[0].process.terminate();
        let (host, url) = (overlay.node(0), overlay.etcd.url());
        let file = host.subnet_file();
        let args = [
            "--etcd-endpoints",
            &url,
            "agent",
            "--cleanup",
            "--subnet-file",
            file.to_str().unwrap(),
        ];
        host.flannelctl(&args).expect(0);
        assert_eq!(host.kernel(), before);
        let links = host.ip("-o link show");
        assert!(!links.contains("flannel"), "{links}");
    }
}
