//! The underlay's own interface: down, narrower than the others', and nodes that do not even answer ARP.
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use diagnose_world::{A, B, World};
use flannelctl::diagnose::evidence::Point::Underlay;
use flannelctl::diagnose::{Confidence, Diagnosis};

#[track_caller]
fn first(it: &Diagnosis, id: &str) {
    let one = &it.findings[0];
    assert_eq!(
        (one.id.as_str(), one.node, one.confidence),
        (id, Some(B), Confidence::Proven),
        "{it:#?}"
    );
    assert_eq!(it.findings.len(), 1, "{it:#?}");
}

#[test]
fn a_node_that_answers_no_arp_is_down_whatever_its_firewall() {
    let mut world = World::new("vxlan");
    world.cut((A, Underlay, false), |_| true).silence_b();
    assert!(world.judge().findings.is_empty(), "nothing was asked yet");
    world.a().no_arp.push(B);
    first(&world.judge(), "FL240");
}

#[test]
fn an_interface_that_is_down_or_without_a_carrier_is_named() {
    for (up, fixes) in [(false, "ip link set eth0 up"), (true, "cable")] {
        let mut world = World::new("vxlan");
        world.cut((A, Underlay, false), |_| true);
        world.b().seen.clear();
        let link = world.link(B, "eth0");
        (link.up, link.carrier) = (up, false);
        let it = world.judge();
        first(&it, "FL242");
        assert!(it.findings[0].fix[0].contains(fixes), "{it:#?}");
    }
}

#[test]
fn the_narrower_interface_is_where_large_packets_end() {
    let mut world = World::new("vxlan");
    let mut large = world.case.paths[0].clone();
    (large.path.index, large.path.icmp_id) = (99, 99);
    (large.path.df, large.path.payload) = (true, 1422);
    large.replies.clear();
    world.case.paths.push(large);
    assert_eq!(world.judge().findings[0].node, Some(A));
    world.link(B, "eth0").mtu = 1300;
    world.link(B, "flannel.1").mtu = 1250;
    world.b().subnet_env.as_mut().unwrap().mtu = Some(1250);
    let it = world.judge();
    let one = it.findings.iter().find(|one| one.id == "FL602").unwrap();
    assert_eq!(one.node, Some(B), "{it:#?}");
    assert!(one.fix[0].ends_with("ip link set eth0 mtu 1500"), "{it:#?}");
}
