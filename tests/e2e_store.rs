//! What happens in etcd and what agents make of it: junk, reservations, compaction, partitions, races,
//! an etcd that is away (conformance 7 to 10, 18; W1 to W14). Agents take one of the first hundred free
//! subnets: made-up peers are above.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{HEAL, Host, Lab, NETWORK, Overlay, init_network, until};

const SOON: Duration = Duration::from_secs(5);
/// A broken connection may first have to be noticed.
const RECONNECT: Duration = Duration::from_secs(30);

fn vxlan_record(public_ip: &str, mac: &str) -> String {
    format!(
        r#"{{"PublicIP":"{public_ip}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"{mac}"}}}}"#
    )
}

/// The host sends packets for `subnet` to this underlay address.
#[track_caller]
fn sends_to(host: &Host, subnet: &str, public_ip: &str, deadline: Duration) {
    host.routes(subnet, "dev flannel.1", deadline);
    until(
        &format!("{subnet} to be behind {public_ip}"),
        deadline,
        || {
            let fdb = host.bridge("fdb show dev flannel.1");
            fdb.contains(&format!("dst {public_ip} ")).then_some(())
        },
    );
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn junk_keys_and_values_harm_nobody() {
    let overlay = Overlay::new(2, "vxlan");
    overlay.connected(SOON);
    let before: Vec<_> = overlay.lab.nodes().iter().map(Host::kernel).collect();
    let ping = overlay.node(0).ping(overlay.inside(1));
    for (key, value) in [
        ("subnets/foo", "bar"),
        ("subnets/10.1.170.0-24", "not json"),
        ("subnets/10.1.171.0-24", ""),
        ("subnets/10.1.172.0-32", r#"{"PublicIP":"192.0.2.72"}"#),
        ("subnets/10.1.173.0-24", r#"{"PublicIP":null}"#),
        (
            "subnets/10.1.174.0-24",
            r#"{"PublicIP":"192.0.2.74","BackendType":"vxlan"}"#,
        ),
        (
            "subnets/10.1.175.0-24",
            r#"{"PublicIP":"192.0.2.75","BackendType":"host-gw"}"#,
        ),
        (
            "subnets/10.1.176.0-24",
            &vxlan_record("192.0.2.76", r"\u001b[31mno mac"),
        ),
        (
            "subnets/10.99.0.0-24",
            &vxlan_record("192.0.2.99", "02:00:00:00:00:99"),
        ),
        (
            "subnets/192.0.2.0-24",
            &vxlan_record("192.0.2.98", "02:00:00:00:00:98"),
        ),
        (
            "subnets-old/10.1.177.0-24",
            &vxlan_record("192.0.2.77", "02:00:00:00:00:77"),
        ),
    ] {
        overlay.etcd.put(key, value);
    }
    for key in [
        "subnets/foo",
        "subnets/10.1.170.0-24",
        "subnets/10.1.173.0-24",
    ] {
        overlay.etcd.delete(key);
    }
    // Events still arrive after all that.
    let record = vxlan_record("192.0.2.80", "02:00:00:00:00:80");
    overlay.etcd.put_leased("subnets/10.1.180.0-24", &record);
    for host in overlay.lab.nodes() {
        sends_to(host, "10.1.180.0/24", "192.0.2.80", SOON);
    }
    overlay.etcd.delete("subnets/10.1.180.0-24");
    for (host, before) in overlay.lab.nodes().iter().zip(&before) {
        host.routes("10.1.180.0/24", "", SOON);
        until("the kernel to be as before", HEAL, || {
            (host.kernel() == *before).then_some(())
        });
    }
    ping.answered(5, SOON);
    let report = ping.stop();
    assert!(report.lost.is_empty(), "{report:?}");
    for agent in &overlay.agents {
        assert!(
            !agent.log().contains('\u{1b}'),
            "control characters from etcd in the log"
        );
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_reservation_is_honoured_and_stays_one() {
    let lab = Lab::new(2);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "vxlan"]);
    etcd.put("subnets/10.1.33.0-24", r#"{"PublicIP":"192.0.2.10"}"#);
    let mut agents: Vec<_> = lab
        .nodes()
        .iter()
        .map(|host| host.agent(&etcd, &[]))
        .collect();
    for agent in &mut agents {
        agent.ready();
    }
    assert_eq!(lab.node(0).subnet(), "10.1.33.0/24");
    assert_eq!(
        etcd.lease_of("subnets/10.1.33.0-24"),
        0,
        "still without a lease"
    );
    sends_to(lab.node(1), "10.1.33.0/24", "192.0.2.10", SOON);
    let url = etcd.url();
    let listed = lab
        .switch
        .flannelctl(&["--etcd-endpoints", &url, "leases", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&listed.expect(0).stdout).unwrap();
    let leases = json["leases"].as_array().unwrap();
    let reserved = leases
        .iter()
        .find(|lease| lease["subnet"] == "10.1.33.0/24")
        .unwrap();
    assert_eq!(reserved["type"], "reservation");
    // A lease becomes a reservation while its agent runs: it stays one.
    let key = format!("subnets/{}", lab.node(1).subnet_name());
    etcd.put(&key, &etcd.get(&key).unwrap());
    agents[1].process.kill9();
    let mut again = lab.node(1).agent(&etcd, &[]);
    again.ready();
    assert_eq!(etcd.lease_of(&key), 0, "still without a lease");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn changes_behind_a_compaction_are_followed() {
    let mut overlay = Overlay::new(2, "vxlan");
    for (subnet, last) in [("10.1.200.0", 200), ("10.1.201.0", 201)] {
        let record = vxlan_record(
            &format!("192.0.2.{last}"),
            &format!("02:00:00:00:02:{last:x}"),
        );
        overlay
            .etcd
            .put_leased(&format!("subnets/{subnet}-24"), &record);
    }
    let host = overlay.node(0).clone();
    sends_to(&host, "10.1.200.0/24", "192.0.2.200", SOON);
    sends_to(&host, "10.1.201.0/24", "192.0.2.201", SOON);
    let before = host.kernel();
    overlay.lab.cut(0, true);
    overlay.etcd.kill9();
    overlay.etcd.resume();
    let moved = vxlan_record("192.0.2.210", "02:00:00:00:02:d2");
    overlay.etcd.put_leased("subnets/10.1.200.0-24", &moved);
    overlay.etcd.delete("subnets/10.1.201.0-24");
    let new = vxlan_record("192.0.2.202", "02:00:00:00:02:ca");
    overlay.etcd.put_leased("subnets/10.1.202.0-24", &new);
    overlay.etcd.compact();
    assert_eq!(host.kernel(), before, "nothing changes while etcd is away");
    overlay.lab.cut(0, false);
    host.routes("10.1.202.0/24", "dev flannel.1", RECONNECT);
    sends_to(&host, "10.1.200.0/24", "192.0.2.210", HEAL);
    host.routes("10.1.201.0/24", "", HEAL);
    let fdb = host.bridge("fdb show dev flannel.1");
    assert!(
        !fdb.contains("192.0.2.200"),
        "the old place is forgotten:\n{fdb}"
    );
    assert!(
        host.route_to(&host.subnet()).contains("docker0"),
        "the own subnet stays"
    );
    overlay.connected(SOON);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_node_that_returns_never_takes_its_subnet_from_a_new_owner() {
    let mut overlay = Overlay::new(2, "vxlan");
    let name = overlay.node(0).subnet_name();
    let key = format!("subnets/{name}");
    overlay.lab.cut(0, true);
    overlay.etcd.delete(&key);
    let stranger = vxlan_record("192.0.2.99", "02:00:00:00:00:99");
    overlay.etcd.put_leased(&key, &stranger);
    overlay.lab.cut(0, false);
    // It takes another subnet, or gives up and says so; a supervisor then starts it anew.
    until("the node to notice", RECONNECT, || {
        if let Some(status) = overlay.agents[0].process.ended() {
            assert_ne!(status.code(), Some(0), "a lost lease is no success");
            return Some(());
        }
        overlay.etcd.subnet_of(overlay.node(0).address).map(drop)
    });
    assert_eq!(overlay.etcd.get(&key).as_deref(), Some(stranger.as_str()));
    if overlay.agents[0].process.ended().is_some() {
        overlay.restart(0);
    }
    assert_eq!(overlay.etcd.get(&key).as_deref(), Some(stranger.as_str()));
    let own = overlay.etcd.subnet_of(overlay.node(0).address).unwrap();
    assert_ne!(own, name);
    sends_to(overlay.node(1), &own.replace('-', "/"), "192.0.2.10", SOON);
    sends_to(overlay.node(1), &name.replace('-', "/"), "192.0.2.99", SOON);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_deleted_lease_is_taken_again() {
    let overlay = Overlay::new(2, "vxlan");
    let name = overlay.node(0).subnet_name();
    let key = format!("subnets/{name}");
    let record = overlay.etcd.get(&key).unwrap();
    let ping = overlay.node(0).ping(overlay.inside(1));
    overlay.etcd.delete(&key);
    until("the lease to be taken again", SOON, || {
        overlay.etcd.get(&key)
    });
    assert_eq!(overlay.etcd.get(&key), Some(record));
    assert_ne!(overlay.etcd.lease_of(&key), 0);
    overlay.connected(SOON);
    drop(ping);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn agents_that_start_at_once_share_a_small_network_and_the_last_is_told() {
    let lab = Lab::new(4);
    let etcd = lab.etcd();
    let url = etcd.url();
    let init = ["--etcd-endpoints", &url, "init", "--network", "10.5.0.0/28"];
    let args = [&init[..], &["--backend", "vxlan", "--yes"]].concat();
    lab.switch.flannelctl(&args).expect(0);
    let mut agents: Vec<_> = lab.nodes()[..3]
        .iter()
        .map(|host| host.agent(&etcd, &[]))
        .collect();
    for agent in &mut agents {
        agent.ready();
    }
    let mut subnets: Vec<_> = lab.nodes()[..3].iter().map(Host::subnet).collect();
    subnets.sort();
    assert_eq!(subnets, ["10.5.0.12/30", "10.5.0.4/30", "10.5.0.8/30"]);
    let mut last = lab.node(3).agent(&etcd, &[]);
    last.finish(SOON).expect(3).says("out of subnets");
    assert_eq!(etcd.subnets().len(), 3);
    assert!(!lab.node(3).subnet_file().exists());
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_dual_stack_lease_serves_a_node_without_ipv6() {
    let overlay = Overlay::new(2, "vxlan");
    let record = r#"{"PublicIP":"192.0.2.60","PublicIPv6":"2001:db8::60","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:60"},"BackendV6Data":{"VNI":1,"VtepMAC":"02:00:00:00:06:60"}}"#;
    let key = "subnets/10.1.160.0-24&fd00:1:2:3::-64";
    overlay.etcd.put_leased(key, record);
    for host in overlay.lab.nodes() {
        sends_to(host, "10.1.160.0/24", "192.0.2.60", SOON);
    }
    overlay.etcd.delete(key);
    for host in overlay.lab.nodes() {
        host.routes("10.1.160.0/24", "", SOON);
    }
    overlay.connected(SOON);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_lost_etcd_changes_nothing_and_a_returned_one_is_followed() {
    for backend in ["vxlan", "host-gw"] {
        let mut overlay = Overlay::new(2, backend);
        overlay.connected(SOON);
        let before: Vec<_> = overlay.lab.nodes().iter().map(Host::kernel).collect();
        let ping = overlay.node(0).ping(overlay.inside(1));
        overlay.etcd.kill9();
        ping.answered(150, Duration::from_secs(30));
        let after: Vec<_> = overlay.lab.nodes().iter().map(Host::kernel).collect();
        assert_eq!(before, after);
        overlay.etcd.resume();
        let record = if backend == "vxlan" {
            vxlan_record("192.0.2.80", "02:00:00:00:00:80")
        } else {
            r#"{"PublicIP":"192.0.2.80","PublicIPv6":null,"BackendType":"host-gw"}"#.to_owned()
        };
        overlay.etcd.put_leased("subnets/10.1.180.0-24", &record);
        for host in overlay.lab.nodes() {
            host.routes("10.1.180.0/24", "dev", RECONNECT);
        }
        let report = ping.stop();
        assert!(report.lost.is_empty(), "{report:?}");
        for agent in &mut overlay.agents {
            assert!(agent.process.ended().is_none());
        }
        assert_eq!(
            overlay.node(0).env("FLANNEL_NETWORK").as_deref(),
            Some(NETWORK)
        );
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_peer_that_leaves_or_moves_is_followed_at_once() {
    let overlay = Overlay::new(1, "vxlan");
    let host = overlay.node(0);
    let key = "subnets/10.1.144.0-24";
    overlay
        .etcd
        .put_leased(key, &vxlan_record("192.0.2.44", "02:00:00:00:00:44"));
    sends_to(host, "10.1.144.0/24", "192.0.2.44", HEAL);
    overlay
        .etcd
        .put_leased(key, &vxlan_record("192.0.2.45", "02:00:00:00:00:45"));
    sends_to(host, "10.1.144.0/24", "192.0.2.45", HEAL);
    until("the old entries to go", HEAL, || {
        let old = host.bridge("fdb show dev flannel.1") + &host.ip("neigh show dev flannel.1");
        (!old.contains("02:00:00:00:00:44") && !old.contains("192.0.2.44")).then_some(())
    });
    overlay.etcd.delete(key);
    host.routes("10.1.144.0/24", "", HEAL);
    until("all its entries to go", HEAL, || {
        let old = host.bridge("fdb show dev flannel.1") + &host.ip("neigh show dev flannel.1");
        (!old.contains("02:00:00:00:00:45") && !old.contains("10.1.144.0")).then_some(())
    });
}
