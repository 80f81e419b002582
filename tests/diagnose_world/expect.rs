//! What a verdict is held against.

use std::net::Ipv4Addr;

use flannelctl::diagnose::{Confidence, Direction, Status};

use super::World;

/// The only finding is this one, proven, and the first path was lost after that interface of that node.
pub fn expect(
    world: &World,
    id: &str,
    node: Ipv4Addr,
    direction: Direction,
    after: (Ipv4Addr, &str),
) {
    let it = world.judge();
    let ids: Vec<_> = it.findings.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, [id], "{it:#?}");
    let one = &it.findings[0];
    assert_eq!(
        (one.node, one.direction, one.confidence),
        (Some(node), direction, Confidence::Proven),
        "{it:#?}"
    );
    assert!(
        !one.fix.is_empty() && !one.evidence.is_empty() && !one.name.is_empty(),
        "{one:#?}"
    );
    assert_eq!(it.status, Status::Problem);
    let lost = it
        .paths
        .iter()
        .find_map(|path| path.lost_at.clone())
        .unwrap();
    assert_eq!(
        (lost.node, lost.after.as_str()),
        (Some(after.0), after.1),
        "{it:#?}"
    );
}

/// Totals of both container paths: ten packets.
pub const N: u64 = 10;

/// An iptables listing whose FORWARD policy counted so much.
pub fn policy(packets: u64, bytes: u64) -> String {
    format!(
        "*filter\n:INPUT ACCEPT [9:900]\n:FORWARD DROP [{packets}:{bytes}]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    )
}
