//! Full tables of a node (FL710, FL711, FL712), which no namespace can fill for itself alone, and a config below
//! another prefix (FL402).
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use diagnose_world::{B, World, expect};
use flannelctl::diagnose::case::StoreTrouble;
use flannelctl::diagnose::evidence::Point::{Bridge, Overlay};
use flannelctl::diagnose::{Direction, Severity, Status};

const MAX: &str = "net.netfilter.nf_conntrack_max";
const COUNT: &str = "net.netfilter.nf_conntrack_count";

#[test]
fn a_full_table_of_connections_drops() {
    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Overlay, false))
        .sysctl(B, MAX, "4096")
        .sysctl(B, COUNT, "4096")
        .counter(B, "conntrack.drop", 20);
    expect(&world, "FL710", B, Direction::Request, (B, "flannel.1"));
}

#[test]
fn a_full_table_without_losses_is_a_warning_and_a_roomy_one_nothing() {
    let mut world = World::new("vxlan");
    world.sysctl(B, MAX, "4096").sysctl(B, COUNT, "4096");
    let it = world.judge();
    assert_eq!(it.findings.len(), 1, "{it:#?}");
    assert_eq!(it.findings[0].severity, Severity::Warning);
    world
        .sysctl(B, COUNT, "200")
        .counter(B, "conntrack.drop", 20)
        .counter(B, "conntrack.insert_failed", 20)
        .counter(B, "arp.table_fulls", 20);
    assert_eq!(world.judge().status, Status::Healthy);
}

#[test]
fn what_no_table_had_room_for_is_told_when_nothing_else_explains_it() {
    for (counter, id) in [
        ("conntrack.insert_failed", "FL711"),
        ("arp.table_fulls", "FL712"),
    ] {
        let mut world = World::new("vxlan");
        world
            .cut_overlay((B, Overlay, false))
            .counter(B, counter, 20);
        let it = world.judge();
        let ids: Vec<_> = it.findings.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, [id], "{it:#?}");
        // With a cause that is proven these counters are somebody else's.
        world.sysctl(B, "net.ipv4.ip_forward", "0").sysctl(
            B,
            "net.ipv4.conf.flannel.1.forwarding",
            "0",
        );
        let it = world.judge();
        assert_eq!(it.findings.len(), 1, "{it:#?}");
        assert_eq!(it.findings[0].id, "FL701");
    }
    // Lost at the container: none of the host's tables.
    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Bridge, false))
        .counter(B, "arp.table_fulls", 20);
    let it = world.judge();
    assert!(it.findings.iter().all(|one| one.id != "FL712"), "{it:#?}");
}

#[test]
fn a_config_below_another_prefix_is_named() {
    let mut world = World::new("vxlan");
    let detail = "there is no network config at /a/config, but one at /b/config".to_owned();
    world.case.store_troubles = vec![StoreTrouble::ConfigElsewhere(detail.clone())];
    let it = world.judge();
    assert_eq!(it.findings[0].id, "FL402", "{it:#?}");
    assert_eq!(it.findings[0].summary, detail);
}
