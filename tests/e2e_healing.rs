//! What a foreign hand breaks in a host's kernel is healed within two seconds, on the host and for its
//! peers (conformance 12, 14; W10, W15 to W19).
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{HEAL, Host, Lab, Overlay, until};

/// Pings take up to a second each to fail: what must work after the healing is asked for this long.
const REACH: Duration = Duration::from_secs(4);

/// The state that vxlan needs on `host` for `peer`.
fn programmed_vxlan(host: &Host, peer: &Host, mac: &str) {
    let base = peer.base();
    host.routes(
        &peer.subnet(),
        &format!("via {base} dev flannel.1 onlink"),
        HEAL,
    );
    until("the neighbour entry", HEAL, || {
        let text = host.ip("neigh show dev flannel.1");
        let mut lines = text.lines();
        lines
            .any(|line| line.starts_with(&format!("{base} lladdr {mac} PERMANENT")))
            .then_some(())
    });
    until("the FDB entry", HEAL, || {
        let text = host.bridge("fdb show dev flannel.1");
        let wanted = format!("{mac} dst {} self permanent", peer.address);
        text.contains(&wanted).then_some(())
    });
}

fn all_programmed(overlay: &Overlay) {
    let nodes = overlay.lab.nodes();
    for host in nodes {
        for peer in nodes.iter().filter(|peer| peer.address != host.address) {
            programmed_vxlan(host, peer, &peer.mac("flannel.1"));
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_deleted_vxlan_device_comes_back_as_it_was() {
    let overlay = Overlay::new(3, "vxlan");
    overlay.connected(REACH);
    let mac = overlay.node(0).mac("flannel.1");
    let record = overlay
        .etcd
        .get(&format!("subnets/{}", overlay.node(0).subnet_name()));
    overlay.node(0).ip("link delete flannel.1");
    until("flannel.1 to come back", HEAL, || {
        let shown = overlay
            .node(0)
            .try_run("ip", &["link", "show", "up", "dev", "flannel.1"]);
        (shown.status.success() && !shown.stdout.is_empty()).then_some(())
    });
    assert_eq!(
        overlay.node(0).mac("flannel.1"),
        mac,
        "the published MAC stays true"
    );
    all_programmed(&overlay);
    overlay.connected(REACH);
    let after = overlay
        .etcd
        .get(&format!("subnets/{}", overlay.node(0).subnet_name()));
    assert_eq!(after, record);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_flap_of_the_vxlan_device_or_of_the_underlay_is_healed() {
    let overlay = Overlay::new(2, "vxlan");
    overlay.connected(REACH);
    for device in ["flannel.1", "eth0"] {
        overlay.node(0).ip(&format!("link set {device} down"));
        overlay.node(0).ip(&format!("link set {device} up"));
        all_programmed(&overlay);
        if device == "eth0" {
            // The kernel took the default route with it; that one is the administrator's.
            overlay.node(0).ip("route replace default via 192.0.2.1");
        }
        overlay.connected(REACH);
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn flushed_routes_neighbours_and_fdb_come_back() {
    let overlay = Overlay::new(2, "vxlan");
    let host = overlay.node(0);
    for command in [
        "route flush dev flannel.1",
        "neigh flush dev flannel.1 nud permanent",
        "address flush dev flannel.1",
        "link set flannel.1 down",
    ] {
        host.ip(command);
        all_programmed(&overlay);
        overlay.connected(REACH);
    }
    let mac = overlay.node(1).mac("flannel.1");
    host.bridge(&format!(
        "fdb del {mac} dev flannel.1 dst {}",
        overlay.node(1).address
    ));
    all_programmed(&overlay);
    overlay.connected(REACH);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn entries_of_vanished_peers_are_removed_and_nothing_else() {
    let mut overlay = Overlay::new(2, "vxlan");
    let host = overlay.node(0).clone();
    host.ip("link add br9 type bridge");
    host.ip("address add 10.99.0.1/24 dev br9");
    host.ip("link set br9 up");
    host.ip("route add 10.98.0.0/24 via 192.0.2.11 dev eth0");
    overlay.agents[0].process.kill9();
    // As a predecessor would have left them for a peer that is gone.
    host.ip("route add 10.1.250.0/24 via 10.1.250.0 dev flannel.1 onlink");
    host.ip("neigh add 10.1.250.0 lladdr 02:00:00:00:00:fa dev flannel.1 nud permanent");
    host.bridge("fdb append 02:00:00:00:00:fa dev flannel.1 dst 192.0.2.250 self permanent");
    overlay.restart(0);
    host.routes("10.1.250.0/24", "", HEAL);
    until("the stranger's entries to go", HEAL, || {
        let neighbours = host.ip("neigh show dev flannel.1");
        let fdb = host.bridge("fdb show dev flannel.1");
        (!neighbours.contains("02:00:00:00:00:fa") && !fdb.contains("192.0.2.250")).then_some(())
    });
    assert!(host.route_to("10.98.0.0/24").contains("via 192.0.2.11"));
    assert!(host.ip("address show br9").contains("10.99.0.1/24"));
    overlay.connected(REACH);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn host_gw_routes_come_back_and_displace_a_foreign_one() {
    let overlay = Overlay::new(3, "host-gw");
    overlay.connected(REACH);
    let (host, peer) = (overlay.node(0), overlay.node(1));
    let right = format!("via {} dev eth0", peer.address);
    host.routes(&peer.subnet(), &right, HEAL);
    host.ip(&format!("route delete {}", peer.subnet()));
    host.routes(&peer.subnet(), &right, HEAL);
    host.ip(&format!("route replace {} via 192.0.2.1", peer.subnet()));
    host.routes(&peer.subnet(), &right, HEAL);
    host.ip("link set eth0 down");
    host.ip("link set eth0 up");
    for peer in &overlay.lab.nodes()[1..] {
        host.routes(
            &peer.subnet(),
            &format!("via {} dev eth0", peer.address),
            HEAL,
        );
    }
    overlay.connected(REACH);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn the_udp_device_and_its_route_come_back() {
    let overlay = Overlay::new(2, "udp");
    overlay.connected(REACH);
    let host = overlay.node(0);
    for command in [
        "route flush dev flannel0",
        "address flush dev flannel0",
        "link set flannel0 down",
        "link delete flannel0",
    ] {
        host.ip(command);
        overlay.connected(REACH);
    }
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn direct_routing_takes_the_short_way_where_there_is_one() {
    let lab = Lab::with_far(2, 1);
    let overlay = Overlay::with_config(lab, r#"{"Type":"vxlan","DirectRouting":true}"#);
    let (host, near, far) = (overlay.node(0), overlay.node(1), overlay.node(2));
    host.routes(
        &near.subnet(),
        &format!("via {} dev eth0", near.address),
        HEAL,
    );
    host.routes(
        &far.subnet(),
        &format!("via {} dev flannel.1 onlink", far.base()),
        HEAL,
    );
    overlay.connected(REACH);
}
