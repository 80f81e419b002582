//! What a witness sees of probes between two hosts with a VXLAN overlay, and what it leaves behind: nothing.
#![allow(clippy::unwrap_used, missing_docs)]

mod witness_support;

use flannelctl::diagnose::NodeEvidence;
use flannelctl::diagnose::evidence::{Checksum, Point};
use witness_support::{Pair, delta, ip, seen};

fn drops(evidence: &NodeEvidence, reason: &str) -> u32 {
    let of_reason = evidence.drops.iter().filter(|drop| drop.reason == reason);
    of_reason.map(|drop| drop.count).sum()
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_healthy_pair_is_seen_at_every_point_both_ways() {
    let pair = Pair::new();
    let (result, a, b) = pair.ping(1000);
    assert_eq!((result.sent, result.received()), (5, 5), "{result:?}");
    assert!(result.refused.is_none() && result.errors.is_empty());
    // The way of the request, then of the reply: host, point, outgoing.
    for (node, point, outgoing, reply) in [
        (&a, Point::Container, false, false),
        (&a, Point::Bridge, false, false),
        (&a, Point::Overlay, true, false),
        (&a, Point::Underlay, true, false),
        (&b, Point::Underlay, false, false),
        (&b, Point::Overlay, false, false),
        (&b, Point::Bridge, true, false),
        (&b, Point::Container, true, false),
        (&b, Point::Container, false, true),
        (&b, Point::Bridge, false, true),
        (&b, Point::Overlay, true, true),
        (&b, Point::Underlay, true, true),
        (&a, Point::Underlay, false, true),
        (&a, Point::Overlay, false, true),
        (&a, Point::Bridge, true, true),
        (&a, Point::Container, true, true),
    ] {
        let there = seen(node, point, reply, outgoing);
        assert_eq!(
            there.len(),
            5,
            "{:?} {point:?} reply {reply}: {:#?}",
            node.node,
            node.seen
        );
        for sighting in there {
            assert_eq!(sighting.path, 3);
            assert_eq!(sighting.length, 183 + 28);
            assert!(!sighting.otherhost);
            let (from, to) = if reply {
                ("10.5.2.2", "10.5.1.2")
            } else {
                ("10.5.1.2", "10.5.2.2")
            };
            assert_eq!((sighting.from, sighting.to), (ip(from), ip(to)));
            assert_eq!(sighting.outer.is_some(), point == Point::Underlay);
        }
    }
    assert_eq!(a.seen.len(), 40);
    let first = &seen(&a, Point::Container, false, false)[0];
    assert_eq!(
        first.line,
        "IP 10.5.1.2 > 10.5.2.2: ICMP echo request, id 12091, seq 1, length 191"
    );
    let outer = seen(&b, Point::Underlay, false, false)[0];
    let facts = outer.outer.as_ref().unwrap();
    assert_eq!((facts.from, facts.to), (ip("192.0.2.11"), ip("192.0.2.12")));
    assert_eq!((facts.port, facts.vni), (8472, Some(1)));
    assert_eq!(facts.inner_mac.as_deref(), Some("02:00:00:00:00:02"));
    assert!(matches!(
        facts.checksum,
        Checksum::Absent | Checksum::Good | Checksum::Unfinished
    ));
    assert!(outer.line.contains(
        ".8472: VXLAN, flags [I] (0x08), vni 1: IP 10.5.1.2 > 10.5.2.2: ICMP echo request"
    ));

    for node in [&a, &b] {
        assert_eq!(node.points.len(), 4, "{:?}", node.points);
        assert!(
            node.points
                .iter()
                .all(|point| point.live && point.lost == 0)
        );
        assert!(node.missing.is_empty(), "{:?}", node.missing);
        assert_eq!(drops(node, "NETFILTER_DROP"), 0);
        assert_eq!(node.external.as_deref(), Some("eth0"));
        assert_eq!(node.device.as_deref(), Some("flannel.1"));
        assert_eq!(node.bridge.as_deref(), Some("docker0"));
        assert_eq!(node.encap_port, Some(8472));
        assert_eq!(node.fdb.len(), 1, "{:?}", node.fdb);
        assert_eq!(node.sysctls["net.ipv4.ip_forward"], "1");
        assert_eq!(node.sysctls["net.ipv4.conf.flannel.1.forwarding"], "1");
        let container = &node.containers[0];
        assert_eq!(container.veth.as_deref(), Some("vethc"));
        assert!(container.routes_known && container.gateway.is_some());
        assert_eq!(container.mtu, Some(1500));
    }
    assert_eq!(delta(&b, "snmp.Ip.ForwDatagrams"), 10);
    assert_eq!(delta(&b, "link.flannel.1.rx_packets"), 5);
    assert_eq!(delta(&b, "link.flannel.1.rx_otherhost"), 0);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_forward_drop_is_named_by_policy_reason_and_counter() {
    let pair = Pair::new();
    pair.on("b", "iptables-nft -P FORWARD DROP");
    let (result, _, b) = pair.ping(300);
    assert_eq!((result.sent, result.received()), (5, 0));
    assert_eq!(seen(&b, Point::Overlay, false, false).len(), 5);
    assert_eq!(seen(&b, Point::Bridge, false, true).len(), 0);
    assert!(drops(&b, "NETFILTER_DROP") >= 5, "{:?}", b.drops);
    assert!(b.drops.iter().any(|drop| drop.location == "nft_do_chain"));
    let policy = b.nft_trace.iter().find(|t| t.verdict == "drop");
    let policy = policy.unwrap_or_else(|| panic!("{:?} {:?}", b.nft_trace, b.missing));
    assert_eq!(
        (policy.family.as_str(), policy.table.as_str()),
        ("ip", "filter")
    );
    assert_eq!(
        (policy.chain.as_str(), policy.rule.as_str()),
        ("FORWARD", "")
    );
    assert_eq!(
        (policy.count, policy.outer),
        (5, false),
        "{:?}",
        b.nft_trace
    );
    let listing = b
        .firewall
        .iter()
        .find(|f| f.program == "iptables-nft")
        .unwrap();
    assert!(
        listing.before.contains(":FORWARD DROP [0:0]"),
        "{}",
        listing.before
    );
    assert!(
        listing.after.contains(":FORWARD DROP [5:1055]"),
        "{}",
        listing.after
    );
    let own = b.firewall.iter().find(|f| f.program == "nft").unwrap();
    assert!(
        !own.after.contains("flannelctl-diag-"),
        "our own table is in the listing"
    );
    let tables = pair.on("b", "nft list tables");
    assert_eq!(tables.trim(), "table ip filter", "{tables}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_rejected_outer_packet_is_traced_and_its_error_heard() {
    let pair = Pair::new();
    pair.on(
        "b",
        "nft add table inet fw; nft add chain inet fw in \"{ type filter hook input priority 0; }\"; \
         nft add rule inet fw in udp dport 8472 counter reject with icmp type admin-prohibited",
    );
    let (result, a, b) = pair.ping(300);
    assert_eq!(result.received(), 0);
    assert!(
        result.errors.is_empty(),
        "the container hears nothing of it"
    );
    assert_eq!(seen(&b, Point::Underlay, false, false).len(), 5);
    assert!(seen(&b, Point::Overlay, false, false).is_empty());
    let verdict = b.nft_trace.iter().find(|t| t.verdict == "reject").unwrap();
    assert!(verdict.outer && verdict.count == 5, "{verdict:?}");
    assert_eq!(
        (verdict.table.as_str(), verdict.chain.as_str()),
        ("fw", "in")
    );
    assert!(verdict.rule.contains("udp dport 8472"), "{verdict:?}");
    // Rate limits may hold some of the errors back.
    let error = a
        .icmp_errors
        .iter()
        .find(|e| e.from == ip("192.0.2.12"))
        .unwrap();
    assert_eq!((error.kind, error.code, error.outer), (3, 13, true));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn each_fault_leaves_its_counter_and_reason() {
    let fault = |place: &str, script: &str| {
        let pair = Pair::new();
        pair.on(place, script);
        pair.ping(300)
    };
    let (_, a, b) = fault(
        "a",
        "ip neigh replace 10.5.2.0 lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent; \
                                bridge fdb add 02:00:00:00:00:99 dev flannel.1 dst 192.0.2.12 self permanent",
    );
    let there = seen(&b, Point::Overlay, false, false);
    assert!(
        there.len() == 5 && there.iter().all(|s| s.otherhost),
        "stale MAC: {there:#?}"
    );
    assert_eq!(
        delta(&b, "link.flannel.1.rx_otherhost"),
        5,
        "{:?}",
        b.counters
    );
    assert!(drops(&b, "OTHERHOST") >= 5, "{:?}", b.drops);
    assert!(!seen(&a, Point::Underlay, false, true).is_empty());

    let (_, _, b) = fault("b", "sysctl -qw net.ipv4.ip_forward=0");
    assert_eq!(delta(&b, "snmp.Ip.InAddrErrors"), 5);
    assert!(drops(&b, "IP_INADDRERRORS") >= 5, "{:?}", b.drops);

    let (_, a, _) = fault(
        "a",
        "bridge fdb del 02:00:00:00:00:02 dev flannel.1 dst 192.0.2.12 self",
    );
    assert!(drops(&a, "NO_TX_TARGET") >= 5, "{:?}", a.drops);
    assert!(delta(&a, "link.flannel.1.tx_dropped") >= 5);
    assert!(seen(&a, Point::Underlay, true, false).is_empty());

    let (_, a, b) = fault("b", "ip link del flannel.1");
    assert!(delta(&b, "snmp.Udp.NoPorts") >= 5);
    let error = a.icmp_errors.iter().find(|e| e.code == 3).unwrap();
    assert!(error.outer, "{error:?}");

    let (result, ..) = fault("cb", "ip addr flush dev eth0");
    let _ = result;
    let (_, a, _) = fault("a", "ip route del 10.5.2.0/24");
    assert_eq!(delta(&a, "netstat.IpExt.InNoRoutes"), 5);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_hidden_source_shows_where_it_is_hidden() {
    let pair = Pair::new();
    // The inner source is hidden, as double masquerading does it.
    pair.on(
        "a",
        "iptables-nft -t nat -A POSTROUTING -o flannel.1 -j MASQUERADE",
    );
    let (result, a, b) = pair.ping(1000);
    assert!(result.whole(), "{result:?}");
    let arrived = seen(&b, Point::Overlay, false, false);
    assert_eq!(arrived.len(), 5);
    assert!(
        arrived.iter().all(|s| s.from == ip("10.5.1.0")),
        "{arrived:#?}"
    );
    assert!(
        seen(&a, Point::Container, false, false)
            .iter()
            .all(|s| s.from == ip("10.5.1.2"))
    );
}
