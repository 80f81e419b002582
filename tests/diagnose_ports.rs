//! The encapsulation's port against another: what the comparison proves, from both sides and from one.
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use diagnose_world::{A, B, OTHER_PORT, World, ip};
use flannelctl::diagnose::evidence::Point::{Overlay, Underlay};
use flannelctl::diagnose::probe::Target;
use flannelctl::diagnose::{Confidence, Diagnosis, Status};

const ROUTER: &str = "192.0.2.1";

fn world() -> World {
    let mut world = World::new("vxlan");
    world.with_ports();
    world
}

fn port(number: u16) -> Target {
    Target::Port(number)
}

/// Pings between the nodes' own addresses do not pass either, as in most clouds.
fn no_pings(world: &mut World) {
    world.cut((A, Underlay, false), |path| path.target == Target::Node);
}

#[track_caller]
fn only(it: &Diagnosis, id: &str, confidence: Confidence, words: &str) {
    assert_eq!(it.findings.len(), 1, "{it:#?}");
    let one = &it.findings[0];
    assert_eq!(
        (one.id.as_str(), one.confidence),
        (id, confidence),
        "{it:#?}"
    );
    assert!(one.summary.contains(words), "{it:#?}");
    assert!(
        one.evidence
            .iter()
            .any(|line| line.contains("port 8472: 5 sent")),
        "{it:#?}"
    );
}

#[test]
fn datagrams_to_ports_are_no_losses() {
    let it = world().judge();
    assert_eq!((it.status, it.findings.len()), (Status::Healthy, 0));
    // They are no paths of the report either: nobody answers them.
    assert_eq!(it.paths.len(), World::new("vxlan").judge().paths.len());
    // A strict firewall that drops what it does not know changes nothing.
    let mut strict = world();
    strict.port_error(OTHER_PORT, B, 13);
    assert_eq!(strict.judge().status, Status::Healthy);
    // Datagrams to ports alone are no diagnosis.
    let mut barred = world();
    barred
        .case
        .paths
        .retain(|result| result.path.target.is_underlay());
    for result in &mut barred.case.paths {
        if result.port().is_none() {
            (result.sent, result.refused) = (0, Some("Operation not permitted".to_owned()));
            result.replies.clear();
        }
    }
    assert_eq!(barred.judge().status, Status::Inconclusive);
}

#[test]
fn a_security_group_is_told_from_a_cut_cable() {
    let mut group = world();
    group.cut_overlay((A, Underlay, false));
    group.cut((A, Underlay, false), |path| path.target == port(8472));
    no_pings(&mut group);
    only(
        &group.judge(),
        "FL230",
        Confidence::Proven,
        "another UDP port",
    );

    let mut all_udp = world();
    all_udp.cut((A, Underlay, false), |path| path.target != Target::Node);
    only(
        &all_udp.judge(),
        "FL230",
        Confidence::Proven,
        "whatever port",
    );

    let mut inspected = world();
    inspected.cut_overlay((A, Underlay, false));
    no_pings(&mut inspected);
    only(
        &inspected.judge(),
        "FL230",
        Confidence::Proven,
        "looks into it",
    );

    let mut cable = world();
    cable.cut((A, Underlay, false), |_| true);
    only(
        &cable.judge(),
        "FL240",
        Confidence::Proven,
        "neither pings nor UDP",
    );
}

#[test]
fn a_router_that_refuses_is_named() {
    let mut one = world();
    one.cut_overlay((A, Underlay, false))
        .port_error(8472, ip(ROUTER), 13);
    one.silence_b();
    only(
        &one.judge(),
        "FL230",
        Confidence::Proven,
        "192.0.2.1 on the way refuses UDP to port 8472",
    );

    let mut all = world();
    all.cut_overlay((A, Underlay, false))
        .port_error(8472, ip(ROUTER), 13)
        .port_error(OTHER_PORT, ip(ROUTER), 13);
    all.silence_b();
    only(
        &all.judge(),
        "FL230",
        Confidence::Proven,
        "to whatever port",
    );

    let mut down = world();
    down.cut((A, Underlay, false), |_| true)
        .port_error(8472, ip(ROUTER), 1)
        .port_error(OTHER_PORT, ip(ROUTER), 1);
    down.silence_b();
    only(
        &down.judge(),
        "FL240",
        Confidence::Proven,
        "cannot reach 192.0.2.12",
    );
}

#[test]
fn the_node_itself_says_what_its_port_does() {
    // No capture saw an error: the socket's own error queue is enough.
    for (code, id, confidence) in [
        (13, "FL110", Confidence::Proven),
        (3, "FL520", Confidence::Likely),
    ] {
        let mut refused = world();
        refused
            .cut_overlay((A, Underlay, false))
            .port_error(8472, B, code);
        refused.silence_b();
        only(&refused.judge(), id, confidence, "192.0.2.12");
    }
}

#[test]
fn what_stays_open_is_said() {
    let line = |world: &World| {
        let it = world.judge();
        assert_eq!(
            (it.status, it.findings.len()),
            (Status::Inconclusive, 0),
            "{it:#?}"
        );
        it.not_observed.join("\n")
    };
    let mut dark = world();
    dark.cut_overlay((A, Underlay, false)).silence_b();
    assert!(line(&dark).contains("the node is up and UDP gets to it"));
    let mut darker = world();
    darker.cut_overlay((A, Underlay, false)).silence_b();
    darker
        .case
        .paths
        .iter_mut()
        .filter(|it| it.port().is_some())
        .for_each(|it| it.errors.clear());
    assert!(line(&darker).contains("no UDP is answered"));
    // The peer's own fault is not the underlay's.
    let mut inner = world();
    inner
        .cut_containers((B, Overlay, false))
        .sysctl(B, "net.ipv4.ip_forward", "0");
    let it = inner.judge();
    assert_eq!(it.findings[0].id, "FL701", "{it:#?}");
}
