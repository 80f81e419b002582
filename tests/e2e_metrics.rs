//! `/metrics` of an agent with the udp backend: what was forwarded and dropped, and with which offloads.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use lab::{Host, Lab, Overlay, http_get, until};

const SOON: Duration = Duration::from_secs(8);
const PORT: u16 = 8471;

/// The value on the line that begins with `name`.
fn number(host: &Host, name: &str) -> Option<u64> {
    let address = SocketAddr::from((host.address, PORT));
    let (status, body) = http_get(host, address, "/metrics").ok()?;
    assert_eq!(status, 200, "{body}");
    let mut lines = body.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
#[ignore = "needs root: network namespaces, etcd, a TUN device"]
fn the_udp_data_path_is_told_in_numbers() {
    let port = PORT.to_string();
    let overlay = Overlay::with(
        Lab::new(3),
        &["--backend", "udp"],
        &["--healthz-port", &port],
    );
    let [a, b, _] = overlay.lab.nodes() else {
        panic!("three hosts")
    };
    assert_eq!(number(a, "flannelctl_ready"), Some(1));
    for offload in ["tso", "udp_segment", "udp_gro"] {
        let line = format!("flannelctl_udp_offload{{offload=\"{offload}\"}}");
        assert_eq!(number(a, &line), Some(1), "{offload}");
    }
    let sent = "flannelctl_udp_packets_total{direction=\"sent\"}";
    let before = number(a, sent).unwrap();
    let gateway = b.env("FLANNEL_SUBNET").unwrap();
    let gateway = gateway.split('/').next().unwrap();
    until("an answer", SOON, || {
        let args = ["-n", "-c", "1", "-W", "1", gateway];
        a.try_run("ping", &args).status.success().then_some(())
    });
    until("the count", SOON, || {
        (number(a, sent)? > before).then_some(())
    });

    // Not from a peer's address: the lab's switch.
    let dropped =
        "flannelctl_udp_dropped_packets_total{direction=\"received\",reason=\"unknown_sender\"}";
    assert_eq!(number(a, dropped), Some(0));
    let stranger = overlay.lab.switch.within(|| UdpSocket::bind("0.0.0.0:0"));
    let stranger = stranger.unwrap();
    for _ in 0..5000 {
        // A full queue on the way is no failure of the flood.
        drop(stranger.send_to(&[0x45; 200], (a.address, 8285)));
    }
    until("the drops", SOON, || {
        (number(a, dropped)? > 0).then_some(())
    });
    until("an answer after the flood", SOON, || {
        let args = ["-n", "-c", "1", "-W", "1", gateway];
        a.try_run("ping", &args).status.success().then_some(())
    });
}
