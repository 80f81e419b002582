//! The rows of the measured table of faults, with evidence of both nodes: id, node, direction, confidence and
//! place of loss.
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use diagnose_world::{A, B, LEN, N, World, expect, ip, net, policy};
use flannelctl::diagnose::evidence::Point::{Bridge, Container, Overlay, Underlay};
use flannelctl::diagnose::evidence::RouteFact;
use flannelctl::diagnose::probe::Target;
use flannelctl::diagnose::{Confidence, Direction, Status};

#[test]
fn healthy_worlds_have_no_findings() {
    for backend in ["vxlan", "udp", "host-gw"] {
        let it = World::new(backend).judge();
        assert_eq!(
            (it.status, it.findings.len()),
            (Status::Healthy, 0),
            "{backend}: {it:#?}"
        );
        assert!(
            it.paths.iter().all(|path| path.lost_at.is_none()),
            "{it:#?}"
        );
        assert!(it.paths[0].observations.len() >= 12);
    }
}

#[test]
fn forwarding_is_off() {
    let mut world = World::new("vxlan");
    world
        .cut_containers((B, Overlay, false))
        .sysctl(B, "net.ipv4.ip_forward", "0")
        .counter(B, "snmp.Ip.InAddrErrors", 10);
    expect(&world, "FL701", B, Direction::Request, (B, "flannel.1"));

    let mut world = World::new("vxlan");
    world
        .cut_containers((B, Overlay, false))
        .sysctl(B, "net.ipv4.conf.flannel.1.forwarding", "0")
        // Another namespace's filter drops at the same time; here it is off.
        .sysctl(B, "net.ipv4.conf.flannel.1.rp_filter", "0")
        .reason(B, "IP_RPFILTER", "ip_rcv_finish_core", 20);
    expect(&world, "FL702", B, Direction::Request, (B, "flannel.1"));

    let mut world = World::new("vxlan");
    world
        .cut_containers((A, Bridge, false))
        .sysctl(A, "net.ipv4.ip_forward", "0");
    expect(&world, "FL701", A, Direction::Request, (A, "docker0"));
}

fn otherhost(world: &mut World) {
    for one in &mut world.b().seen {
        one.otherhost |= one.point == Overlay && !one.outgoing;
    }
    world
        .counter(B, "link.flannel.1.rx_otherhost", 20)
        .reason(B, "OTHERHOST", "ip_rcv_core", 20);
}

#[test]
fn macs_differ() {
    let mut world = World::new("vxlan");
    world.cut_overlay((B, Overlay, false));
    otherhost(&mut world);
    world.a().neighbours[0].mac = "0a:00:00:00:00:99".to_owned();
    expect(&world, "FL513", A, Direction::Request, (B, "flannel.1"));

    let mut world = World::new("vxlan");
    world.cut_overlay((B, Overlay, false));
    otherhost(&mut world);
    world.link(B, "flannel.1").mac = "0a:00:00:00:00:99".to_owned();
    expect(&world, "FL502", B, Direction::Request, (B, "flannel.1"));
}

#[test]
fn entries_are_missing_or_stale() {
    let mut world = World::new("vxlan");
    world
        .cut_overlay((A, Overlay, false))
        .counter(A, "link.flannel.1.tx_dropped", 20);
    world.a().fdb.clear();
    expect(&world, "FL512", A, Direction::Request, (A, "flannel.1"));

    let mut world = World::new("vxlan");
    world.cut_overlay((A, Bridge, false));
    world.cut((A, Container, false), |path| path.target == Target::Bridge);
    world.a().neighbours.clear();
    let it = world.judge();
    assert_eq!(
        (it.findings[0].id.as_str(), it.findings[0].node),
        ("FL511", Some(A)),
        "{it:#?}"
    );
    assert_eq!(it.findings[0].confidence, Confidence::Proven);

    let mut world = World::new("vxlan");
    world.cut_overlay((A, Underlay, false));
    world.a().fdb[0].remote = Some(ip("192.0.2.99"));
    expect(&world, "FL513", A, Direction::Request, (A, "eth0"));
}

#[test]
fn routes_are_missing() {
    for backend in ["vxlan", "udp", "host-gw"] {
        let mut world = World::new(backend);
        world.cut_containers((A, Bridge, false));
        let device = world.a().device.clone();
        world.a().routes.retain(|it| {
            it.destination != net("10.5.2.0/24") && (device.is_none() || it.device != device)
        });
        world.case.paths.retain(|it| it.path.index == 0);
        expect(&world, "FL510", A, Direction::Request, (A, "docker0"));

        let mut world = World::new(backend);
        world.cut_containers((B, Bridge, true));
        world.b().routes.retain(|it| {
            it.destination != net("10.5.1.0/24") && (device.is_none() || it.device != device)
        });
        expect(&world, "FL510", B, Direction::Reply, (B, "docker0"));
    }
}

#[test]
fn the_underlay_route_is_missing_or_circular() {
    let mut world = World::new("vxlan");
    world
        .cut_overlay((A, Overlay, false))
        .counter(A, "link.flannel.1.tx_carrier_errors", 20);
    world
        .a()
        .routes
        .retain(|it| it.destination != net("192.0.2.0/24"));
    expect(&world, "FL243", A, Direction::Request, (A, "flannel.1"));

    let mut world = World::new("vxlan");
    world
        .cut_overlay((A, Overlay, false))
        .counter(A, "link.flannel.1.tx_collisions", 20);
    world.a().routes.push(RouteFact {
        destination: net("192.0.2.12/32"),
        gateway: None,
        device: Some("flannel.1".to_owned()),
        onlink: false,
        metric: 0,
        kind: "unicast".to_owned(),
        protocol: "boot".to_owned(),
    });
    expect(&world, "FL244", A, Direction::Request, (A, "flannel.1"));
}

#[test]
fn the_other_node_is_unplugged() {
    let mut world = World::new("vxlan");
    world.cut_overlay((A, Overlay, false));
    world.cut((A, Underlay, false), |path| path.target == Target::Node);
    world
        .a()
        .neighbours
        .push(flannelctl::diagnose::evidence::NeighbourFact {
            device: "eth0".to_owned(),
            address: B,
            mac: String::new(),
            state: "failed".to_owned(),
        });
    expect(&world, "FL240", B, Direction::Request, (A, "flannel.1"));
    world.silence_b();
    expect(&world, "FL240", B, Direction::Request, (A, "flannel.1"));
}

#[test]
fn the_underlay_eats() {
    let mut world = World::new("vxlan");
    world.cut_overlay((A, Underlay, false));
    expect(&world, "FL230", B, Direction::Request, (A, "eth0"));

    let mut world = World::new("host-gw");
    world.cut_overlay((A, Underlay, false));
    expect(&world, "FL211", B, Direction::Request, (A, "eth0"));

    let mut world = World::new("vxlan");
    world.cut((A, Underlay, false), |_| true);
    expect(&world, "FL240", B, Direction::Request, (A, "eth0"));

    let mut world = World::new("vxlan");
    world.lose((A, Underlay, false), 1, |path| path.index == 0);
    expect(&world, "FL241", B, Direction::Request, (A, "eth0"));

    let mut world = World::new("udp");
    world
        .lose((A, Overlay, false), 1, |path| path.index == 0)
        .reason(A, "QDISC_DROP", "netem_enqueue", 1);
    expect(&world, "FL241", A, Direction::Request, (A, "flannel0"));

    let mut world = World::new("vxlan");
    world.lose((B, Underlay, true), 2, |path| path.index == 0);
    expect(&world, "FL241", A, Direction::Reply, (B, "eth0"));
}

#[test]
fn numbers_of_the_encapsulation_differ() {
    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Underlay, false))
        .reason(B, "VXLAN_VNI_NOT_FOUND", "vxlan_rcv", 20);
    world.link(B, "flannel.1").vxlan.as_mut().unwrap().vni = 7;
    expect(&world, "FL232", B, Direction::Request, (B, "eth0"));

    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Underlay, false))
        .counter(B, "snmp.Udp.NoPorts", 20);
    world.link(B, "flannel.1").vxlan.as_mut().unwrap().port = 4789;
    world.b().encap_port = Some(4789);
    expect(&world, "FL234", B, Direction::Request, (B, "eth0"));
}

#[test]
fn the_device_is_down_or_gone() {
    for gone in [false, true] {
        let mut world = World::new("vxlan");
        world
            .cut_overlay((B, Underlay, false))
            .counter(B, "snmp.Udp.NoPorts", 20);
        if gone {
            world.b().links.retain(|link| link.name != "flannel.1");
            world.b().device = None;
        } else {
            world.link(B, "flannel.1").up = false;
        }
        world
            .b()
            .routes
            .retain(|it| it.device.as_deref() != Some("flannel.1"));
        world.b().neighbours.clear();
        world.b().fdb.clear();
        expect(&world, "FL520", B, Direction::Request, (B, "eth0"));
    }
    let mut world = World::new("udp");
    world.cut_overlay((B, Underlay, false));
    world.b().encap_port = None;
    expect(&world, "FL722", B, Direction::Request, (B, "eth0"));
}

#[test]
fn outer_checksums_are_wrong() {
    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Underlay, false))
        .counter(B, "snmp.Udp.InCsumErrors", 20)
        .reason(B, "UDP_CSUM", "udp_queue_rcv_one_skb", 20);
    expect(&world, "FL501", A, Direction::Request, (B, "eth0"));
}

#[test]
fn reverse_path_filter_meets_a_foreign_route() {
    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Overlay, false))
        .sysctl(B, "net.ipv4.conf.all.rp_filter", "1")
        .counter(B, "netstat.TcpExt.IPReversePathFilter", 20);
    world.b().routes.push(RouteFact {
        destination: net("10.5.1.0/25"),
        gateway: Some(ip("192.0.2.1")),
        device: Some("eth0".to_owned()),
        onlink: false,
        metric: 0,
        kind: "unicast".to_owned(),
        protocol: "static".to_owned(),
    });
    expect(&world, "FL704", B, Direction::Request, (B, "flannel.1"));
}

#[test]
fn a_policy_rule_leads_away() {
    let mut world = World::new("vxlan");
    world.cut_containers((A, Bridge, false));
    world
        .a()
        .rules
        .push("100: from all to 10.5.2.0/24 lookup 200".to_owned());
    world.case.paths.retain(|it| it.path.index == 0);
    expect(&world, "FL705", A, Direction::Request, (A, "docker0"));
}

#[test]
fn the_bridge_has_another_subnet() {
    let mut world = World::new("vxlan");
    world.cut_containers((B, Overlay, false));
    world.cut((B, Overlay, false), |path| path.target == Target::Bridge);
    world.link(B, "docker0").addresses = vec![net("172.17.0.1/16")];
    expect(&world, "FL301", B, Direction::Request, (B, "flannel.1"));
}

#[test]
fn containers_are_absent_or_mute() {
    let mut world = World::new("vxlan");
    world
        .cut_containers((B, Overlay, false))
        .reason(B, "NEIGH_FAILED", "neigh_invalidate", 10);
    expect(&world, "FL310", B, Direction::Request, (B, "flannel.1"));

    let mut world = World::new("vxlan");
    world.cut_containers((B, Container, false));
    world.b().containers[0].gateway = None;
    expect(&world, "FL311", B, Direction::Reply, (B, "veth0"));

    let mut world = World::new("vxlan");
    world.cut_containers((B, Container, false));
    expect(&world, "FL312", B, Direction::Reply, (B, "veth0"));
}

#[test]
fn a_hidden_source_is_a_warning() {
    let mut world = World::new("vxlan");
    for one in world.case.nodes.iter_mut().flat_map(|node| &mut node.seen) {
        let inside = matches!(one.point, Container | Bridge) && one.interface != "x";
        if one.path == 0 && !one.reply && !(inside && one.to == ip("10.5.2.2") && !one.outgoing) {
            one.from = ip("10.5.1.0");
        }
    }
    let it = world.judge();
    assert_eq!(it.findings.len(), 1, "{it:#?}");
    assert_eq!(
        (it.findings[0].id.as_str(), it.findings[0].node),
        ("FL120", Some(A))
    );
}

#[test]
fn two_faults_are_both_named() {
    let mut world = World::new("vxlan");
    world.cut_containers((B, Overlay, false)).firewall(
        B,
        "iptables-nft",
        &policy(0, 0),
        &policy(N, N * LEN),
    );
    world
        .b()
        .routes
        .retain(|it| it.destination != net("10.5.1.0/24"));
    let it = world.judge();
    let ids: Vec<_> = it.findings.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["FL101", "FL510"], "{it:#?}");
}
