//! The rows of the truth table for a node without agent, dresses of healthy networks, and what the checks say without
//! traffic.
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use std::net::Ipv4Addr;

use diagnose_world::{A, B, World, ip, net};
use flannelctl::diagnose::case::StoreTrouble;
use flannelctl::diagnose::evidence::Point::{Bridge, Overlay, Underlay};
use flannelctl::diagnose::evidence::{DockerFact, LinkFact};
use flannelctl::diagnose::probe::{IcmpError, Origin, Target};
use flannelctl::diagnose::{Confidence, Diagnosis, Selection, Status, verdict};

fn ids(it: &Diagnosis) -> Vec<&str> {
    it.findings.iter().map(|one| one.id.as_str()).collect()
}

fn error(from: Ipv4Addr, kind: u8, code: u8, outer: bool) -> IcmpError {
    IcmpError {
        from,
        kind,
        code,
        mtu: 0,
        outer,
        count: 5,
    }
}

fn refuse(world: &mut World, from: Ipv4Addr) {
    for path in &mut world.case.paths {
        if path.path.target == Target::Container {
            path.errors.push(error(from, 3, 1, false));
        }
    }
}

#[test]
fn one_side_tells_what_the_table_says() {
    let lost = || {
        let mut world = World::new("vxlan");
        world.cut_containers((A, Underlay, false));
        world
    };
    let mut forward = lost();
    forward.silence_b();
    assert_eq!(ids(&forward.judge()), ["FL101"]);

    let mut raw = lost();
    raw.no_ttl_answer().silence_b();
    assert_eq!(ids(&raw.judge()), ["FL102", "FL701"]);
    assert!(
        raw.judge()
            .findings
            .iter()
            .all(|one| one.confidence == Confidence::Possible)
    );

    let mut down = lost();
    refuse(&mut down, ip("10.5.2.0"));
    down.silence_b();
    assert_eq!(ids(&down.judge()), ["FL310"]);

    let mut wrong = lost();
    wrong.cut((A, Underlay, false), |path| path.target == Target::Bridge);
    refuse(&mut wrong, ip("10.5.2.0"));
    wrong.silence_b();
    assert_eq!(ids(&wrong.judge()), ["FL301"]);

    for (code, id) in [(13, "FL110"), (10, "FL110"), (3, "FL520")] {
        let mut quoted = World::new("vxlan");
        quoted.cut_overlay((A, Underlay, false)).silence_b();
        quoted.a().icmp_errors.push(error(B, 3, code, true));
        assert_eq!(ids(&quoted.judge()), [id]);
        assert_eq!(quoted.judge().findings[0].node, Some(B));
    }

    let mut dark = World::new("vxlan");
    dark.cut_overlay((A, Underlay, false)).silence_b();
    let it = dark.judge();
    assert_eq!(
        (it.status, ids(&it).len()),
        (Status::Inconclusive, 0),
        "{it:#?}"
    );
    assert!(
        it.not_observed.iter().any(|line| line.contains("FL502")),
        "{it:#?}"
    );
    assert_eq!(it.paths[0].lost_at.as_ref().unwrap().after, "eth0");
}

#[test]
fn this_side_is_found_although_the_other_is_silent() {
    let mut world = World::new("vxlan");
    world
        .cut((A, Bridge, false), |path| path.origin == Origin::Container)
        .sysctl(A, "net.ipv4.ip_forward", "0")
        .silence_b();
    let it = world.judge();
    assert_eq!(
        (ids(&it), it.findings[0].confidence),
        (vec!["FL701"], Confidence::Proven),
        "{it:#?}"
    );

    let mut world = World::new("vxlan");
    world.cut_overlay((A, Bridge, false)).silence_b();
    world.a().neighbours.clear();
    assert_eq!(ids(&world.judge()), ["FL511"]);
}

#[test]
fn false_alarms_are_not_reported() {
    let mut shadowed = World::new("vxlan");
    shadowed.cut((B, Overlay, false), |path| path.target == Target::Device);
    shadowed.counter(A, "link.flannel.1.tx_dropped", 3);
    let it = shadowed.judge();
    assert_eq!((it.status, ids(&it).len()), (Status::Healthy, 0), "{it:#?}");

    let rules = |n: u64| {
        format!(
            "*filter\n:INPUT ACCEPT [0:0]\n[{n}:{}] -A INPUT -p icmp -j DROP\nCOMMIT\n",
            n * 211
        )
    };
    let mut filtered = World::new("vxlan");
    filtered
        .cut((B, Overlay, false), |path| {
            matches!(path.target, Target::Device | Target::Bridge)
        })
        .cut((B, Underlay, false), |path| path.target == Target::Node)
        .firewall(B, "iptables-nft", &rules(0), &rules(15))
        .reason(B, "NETFILTER_DROP", "nft_do_chain", 15);
    assert_eq!(filtered.judge().status, Status::Healthy);
    filtered.silence_b();
    let it = filtered.judge();
    assert_eq!((it.status, ids(&it).len()), (Status::Healthy, 0), "{it:#?}");
}

#[test]
fn busy_but_healthy_hosts_have_no_findings() {
    let filter = |n: u64| {
        format!(
            "*filter\n:INPUT DROP [{n}:{}]\n:FORWARD DROP [{n}:{}]\n:DOCKER-USER - [0:0]\n:FLANNEL-FWD - [0:0]\n\
         [9:900] -A FORWARD -j DOCKER-USER\n[8:800] -A FORWARD -m comment --comment \"flanneld forward\" -j FLANNEL-FWD\n\
         [{n}:{}] -A FORWARD -s 203.0.113.0/24 -j DROP\n[8:800] -A FLANNEL-FWD -s 10.5.0.0/16 -j ACCEPT\n\
         [1:84] -A FLANNEL-FWD -d 10.5.0.0/16 -j ACCEPT\nCOMMIT\n",
            n * 500,
            n * 500,
            n * 500
        )
    };
    for backend in ["vxlan", "udp", "host-gw"] {
        let mut world = World::new(backend);
        for node in [A, B] {
            world
                .firewall(node, "iptables-nft", &filter(10), &filter(700))
                .reason(node, "NETFILTER_DROP", "nft_do_chain", 500)
                .reason(node, "NO_SOCKET", "ping_rcv", 5)
                .counter(node, "netstat.TcpExt.IPReversePathFilter", 40)
                .counter(node, "snmp.Udp.InCsumErrors", 40)
                .counter(node, "snmp.Ip.InAddrErrors", 40);
            world
                .at(node)
                .rules
                .push("30000: from all fwmark 0x1 lookup 77".to_owned());
        }
        let it = world.judge();
        assert_eq!(
            (it.status, ids(&it).len()),
            (Status::Healthy, 0),
            "{backend}: {it:#?}"
        );
    }
}

#[test]
fn state_alone_tells() {
    let bare = || {
        let mut world = World::new("vxlan");
        world.case.paths.clear();
        for node in &mut world.case.nodes {
            node.seen.clear();
        }
        world
    };
    assert_eq!(bare().judge().status, Status::Healthy);
    // The second lease of one public IP lacks a route as well.
    let mut twice = bare();
    let mut twin = twice.case.leases[0].clone();
    twin.subnet = net("10.5.3.0/24");
    twice.case.leases.push(twin);
    assert!(ids(&twice.judge()).contains(&"FL201"));
    let check = |change: &dyn Fn(&mut World), id: &str| {
        let mut world = bare();
        change(&mut world);
        let it = world.judge();
        assert_eq!(ids(&it), [id], "{it:#?}");
        assert_eq!(it.status, Status::Problem);
    };
    check(
        &|w| w.link(A, "docker0").addresses = vec![net("172.17.0.1/16")],
        "FL301",
    );
    check(&|w| w.link(A, "docker0").up = false, "FL305");
    check(&|w| w.a().containers[0].mtu = Some(1500), "FL302");
    check(
        &|w| {
            w.a().docker = Some(DockerFact {
                mtu: Some(1500),
                ..DockerFact::default()
            })
        },
        "FL302",
    );
    check(&|w| w.link(A, "eth0").mtu = 1400, "FL601");
    check(
        &|w| w.link(A, "flannel.1").mac = "0a:00:00:00:00:77".to_owned(),
        "FL502",
    );
    check(&|w| w.a().fdb.clear(), "FL512");
    check(&|w| w.a().neighbours.clear(), "FL511");
    check(
        &|w| {
            w.a()
                .routes
                .retain(|it| it.device.as_deref() != Some("flannel.1"))
        },
        "FL510",
    );
    check(&|w| w.case.leases[0].ttl = Some(60), "FL421");
    check(&|w| w.case.leases[0].backend = "udp".to_owned(), "FL233");
    check(
        &|w| w.a().subnet_env.as_mut().unwrap().trouble = Some("not found".to_owned()),
        "FL304",
    );
    check(
        &|w| w.a().subnet_env.as_mut().unwrap().subnet = Some(net("10.5.9.1/24")),
        "FL423",
    );
    check(
        &|w| {
            w.sysctl(A, "net.ipv4.ip_forward", "0");
        },
        "FL701",
    );
    check(
        &|w| {
            w.firewall(
                B,
                "iptables-legacy",
                "",
                "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n",
            );
        },
        "FL101",
    );
    check(
        &|w| {
            w.a().subnet_env.as_mut().unwrap().ip_masq = Some(true);
            w.a().docker = Some(DockerFact {
                ip_masq: Some(true),
                ..DockerFact::default()
            });
        },
        "FL121",
    );
    check(
        &|w| {
            let link = LinkFact {
                name: "wg0".to_owned(),
                addresses: vec![net("10.5.77.1/20")],
                ..LinkFact::default()
            };
            w.a().links.push(link);
        },
        "FL220",
    );
    check(
        &|w| {
            let mut twin = w.link(A, "flannel.1").clone();
            twin.name = "cilium_vxlan".to_owned();
            twin.addresses.clear();
            w.a().links.push(twin);
        },
        "FL231",
    );
    check(
        &|w| {
            let mut stale = w
                .a()
                .routes
                .iter()
                .find(|it| it.destination == net("10.5.2.0/24"))
                .unwrap()
                .clone();
            stale.destination = net("10.5.66.0/24");
            w.a().routes.push(stale);
        },
        "FL513",
    );
    for (trouble, id) in [
        (StoreTrouble::Unreachable(String::new()), "FL410"),
        (StoreTrouble::Denied(String::new()), "FL411"),
        (StoreTrouble::NoConfig(String::new()), "FL401"),
        (StoreTrouble::BadConfig(String::new()), "FL404"),
        (StoreTrouble::UnreadableRecord(String::new()), "FL425"),
    ] {
        check(&|w| w.case.store_troubles = vec![trouble.clone()], id);
    }
}

#[test]
fn docker_28_rules_of_real_containers_show_without_a_probe_to_them() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING -d 10.5.2.9/32 ! -i docker0 -j DROP\nCOMMIT\n";
    let mut world = World::new("vxlan");
    world.firewall(B, "iptables-nft", raw, raw);
    let mut other = world.b().containers[0].clone();
    other.address = ip("10.5.2.9");
    world.b().containers.push(other);
    let it = world.judge();
    assert_eq!(
        (ids(&it), it.findings[0].node),
        (vec!["FL102"], Some(B)),
        "{it:#?}"
    );
}

#[test]
fn the_users_choice_of_checks_counts() {
    let mut world = World::new("vxlan");
    world.a().fdb.clear();
    let skip = Selection::new(&[], &["fdb-missing"]).unwrap();
    assert!(verdict(&world.case, &skip).findings.is_empty());
    let only = Selection::new(&["fl512", "FL3"], &[]).unwrap();
    assert_eq!(ids(&verdict(&world.case, &only)), ["FL512"]);
    assert!(Selection::new(&["FL999"], &[]).is_err());
}
