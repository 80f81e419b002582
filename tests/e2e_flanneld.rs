//! Networks mixed with the real flanneld, in both directions, with restarts of either side and the
//! replacement of one by the other. Needs `FLANNELD=/path/to/flanneld` (0.20 or later).
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Agent, Etcd, Host, Lab, init_network, until};

const SOON: Duration = Duration::from_secs(8);

fn flanneld(host: &Host, etcd: &Etcd) -> Agent {
    let program = std::env::var("FLANNELD").expect("FLANNELD=/path/to/flanneld");
    host.flanneld(&program, etcd, &["--ip-masq"])
}

#[track_caller]
fn connected(lab: &Lab) {
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (lab.node(from), lab.node(to).inside());
        let what = format!("{} to reach {to}", from.name());
        until(&what, SOON, || from.reaches(to).then_some(()));
    }
}

fn mixed(backend: &str, survives: bool) {
    let lab = Lab::new(2);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", backend]);
    let (ours, theirs) = (lab.node(0), lab.node(1));
    let mut agent = ours.agent(&etcd, &["--ip-masq"]);
    let mut daemon = flanneld(theirs, &etcd);
    agent.ready();
    daemon.ready();
    ours.stand_in_for_docker();
    theirs.stand_in_for_docker();
    connected(&lab);
    let subnets = [ours.subnet(), theirs.subnet()];

    let ping = ours.ping(theirs.inside());
    ping.answered(5, SOON);
    agent.process.kill9();
    agent = ours.agent(&etcd, &["--ip-masq"]);
    agent.ready();
    ping.answered(5, SOON);
    daemon.process.kill9();
    daemon = flanneld(theirs, &etcd);
    daemon.ready();
    ping.answered(5, SOON);
    connected(&lab);

    // One takes the other's place on a running host, and back.
    daemon.process.kill9();
    daemon = theirs.agent(&etcd, &["--ip-masq"]);
    daemon.ready();
    connected(&lab);
    agent.process.kill9();
    agent = flanneld(ours, &etcd);
    agent.ready();
    connected(&lab);
    assert_eq!(
        [ours.subnet(), theirs.subnet()],
        subnets,
        "everybody keeps its subnet"
    );
    let report = ping.stop();
    if survives {
        assert!(report.lost.is_empty(), "{report:?}");
    }
    drop((agent, daemon));
}

#[test]
#[ignore = "needs root and FLANNELD=/path/to/flanneld"]
fn with_flanneld_on_vxlan() {
    mixed("vxlan", true);
}

#[test]
#[ignore = "needs root and FLANNELD=/path/to/flanneld"]
fn with_flanneld_on_host_gw() {
    mixed("host-gw", true);
}

#[test]
#[ignore = "needs root and FLANNELD=/path/to/flanneld"]
fn with_flanneld_on_udp() {
    mixed("udp", false);
}
