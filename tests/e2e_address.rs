//! The underlay's address changes while etcd is away: the agent notices by itself, and its lease has the new address as
//! soon as etcd answers again.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Overlay, until};

const SOON: Duration = Duration::from_secs(8);
const LATER: Duration = Duration::from_secs(30);

/// How etcd is away.
#[derive(Debug, Clone, Copy)]
enum Away {
    /// Nobody listens.
    Dead,
    /// It takes connections and says nothing.
    Frozen,
}

fn address_changes(backend: &str, away: Away) {
    let mut overlay = Overlay::new(2, backend);
    overlay.connected(SOON);
    let subnet = overlay.node(0).subnet_name();
    let mac = |overlay: &Overlay| (backend == "vxlan").then(|| overlay.node(0).mac("flannel.1"));
    let before = mac(&overlay);
    match away {
        Away::Dead => overlay.etcd.kill9(),
        Away::Frozen => overlay.etcd.freeze(true),
    }
    let host = overlay.node(0);
    host.ip("address add 192.0.2.88/24 dev eth0");
    host.ip("address del 192.0.2.10/24 dev eth0");
    host.ip("address replace 192.0.2.88/24 dev eth0");
    host.ip("route replace default via 192.0.2.1");
    until("the agent to notice", SOON, || {
        overlay.agents[0]
            .log()
            .contains("the underlay interface changed")
            .then_some(())
    });
    until("the agent to tell that it waits for etcd", LATER, || {
        overlay.agents[0]
            .log()
            .contains("no lease yet, trying on")
            .then_some(())
    });
    match away {
        Away::Dead => overlay.etcd.resume(),
        Away::Frozen => overlay.etcd.freeze(false),
    }
    until("the lease to have the new address", LATER, || {
        let record = overlay.etcd.get(&format!("subnets/{subnet}"))?;
        record.contains(r#""PublicIP":"192.0.2.88""#).then_some(())
    });
    overlay.connected(LATER);
    assert!(overlay.agents[0].process.ended().is_none());
    // The device may be another one, and is the same to the peers.
    assert_eq!(mac(&overlay), before);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn an_address_that_changes_while_etcd_is_away_is_taken_up() {
    for backend in ["vxlan", "host-gw", "udp"] {
        address_changes(backend, Away::Dead);
    }
    address_changes("vxlan", Away::Frozen);
}
