//! Firewalls of every kind that drop probes: the rule or policy is named, with the node and the direction.
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use diagnose_world::{A, B, LEN, N, World, expect, policy};
use flannelctl::diagnose::Direction;
use flannelctl::diagnose::evidence::Point::{Bridge, Overlay, Underlay};
use flannelctl::diagnose::probe::Target;

#[test]
fn forward_policy_drop_in_either_engine() {
    for (program, location) in [
        ("iptables-nft", "nft_do_chain"),
        ("iptables-legacy", "nf_hook_slow"),
    ] {
        for backend in ["vxlan", "udp"] {
            let mut world = World::new(backend);
            world
                .cut_containers((B, Overlay, false))
                .firewall(B, program, &policy(3, 300), &policy(3 + N, 300 + N * LEN))
                .reason(B, "NETFILTER_DROP", location, 10);
            let device = if backend == "vxlan" {
                "flannel.1"
            } else {
                "flannel0"
            };
            expect(&world, "FL101", B, Direction::Request, (B, device));
        }
    }
    let mut world = World::new("host-gw");
    world.cut_containers((B, Underlay, false)).firewall(
        B,
        "iptables-nft",
        &policy(0, 0),
        &policy(N, N * LEN),
    );
    expect(&world, "FL101", B, Direction::Request, (B, "eth0"));
}

#[test]
fn forward_policy_drop_at_home() {
    let mut world = World::new("vxlan");
    world
        .cut((A, Bridge, false), |path| path.target == Target::Container)
        .firewall(A, "iptables-nft", &policy(0, 0), &policy(5, 5 * LEN));
    expect(&world, "FL101", A, Direction::Request, (A, "docker0"));
}

#[test]
fn the_reply_can_be_dropped_too() {
    let mut world = World::new("vxlan");
    let rules = |n: u64| {
        format!(
            "*filter\n:FORWARD ACCEPT [0:0]\n[{n}:{}] -A FORWARD -s 10.5.2.0/24 -d 10.5.1.0/24 -j DROP\nCOMMIT\n",
            n * LEN
        )
    };
    world
        .cut_containers((B, Bridge, true))
        .firewall(B, "iptables-nft", &rules(0), &rules(N));
    expect(&world, "FL133", B, Direction::Reply, (B, "docker0"));
}

#[test]
fn docker_28_rules() {
    let raw = |n: u64| {
        format!(
            "*raw\n:PREROUTING ACCEPT [99:9900]\n[{n}:{}] -A PREROUTING -d 10.5.2.2/32 ! -i docker0 -j DROP\nCOMMIT\n",
            n * LEN
        )
    };
    let mut world = World::new("vxlan");
    world
        .cut_containers((B, Overlay, false))
        .no_ttl_answer()
        .firewall(B, "iptables-nft", &raw(0), &raw(N + 5));
    expect(&world, "FL102", B, Direction::Request, (B, "flannel.1"));

    let docker = |n: u64| {
        format!(
            "*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER - [0:0]\n[{n}:1] -A FORWARD -o docker0 -j DOCKER\n\
         [{n}:{}] -A DOCKER ! -i docker0 -o docker0 -j DROP\nCOMMIT\n",
            n * LEN
        )
    };
    let mut world = World::new("vxlan");
    world
        .cut_containers((B, Overlay, false))
        .firewall(B, "iptables-nft", &docker(0), &docker(N));
    expect(&world, "FL103", B, Direction::Request, (B, "flannel.1"));
}

#[test]
fn an_accept_in_native_nft_is_not_final() {
    let native = r#"{"nftables":[{"table":{"family":"ip","name":"flannel-ipv4","handle":1}},
      {"chain":{"family":"ip","table":"flannel-ipv4","name":"forward","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"accept"}},
      {"rule":{"family":"ip","table":"flannel-ipv4","chain":"forward","handle":2,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"prefix":{"addr":"10.5.0.0","len":16}}}},{"accept":null}]}},
      {"chain":{"family":"ip","table":"filter","name":"FORWARD","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"drop"}}]}"#;
    let mut world = World::new("vxlan");
    world
        .cut_containers((B, Overlay, false))
        .firewall(B, "iptables-nft", &policy(0, 0), &policy(N, N * LEN))
        .firewall(B, "nft", native, native);
    expect(&world, "FL131", B, Direction::Request, (B, "flannel.1"));
}

#[test]
fn native_nft_drop_with_and_without_counter() {
    let rules = |counter: String| {
        format!(
            r#"{{"nftables":[
      {{"chain":{{"family":"inet","table":"fw","name":"input","handle":1,"type":"filter","hook":"input","prio":0,"policy":"accept"}}}},
      {{"rule":{{"family":"inet","table":"fw","chain":"input","handle":2,"expr":[{{"match":{{"op":"==","left":{{"payload":{{"protocol":"udp","field":"dport"}}}},"right":8472}}}},{counter}{{"drop":null}}]}}}}]}}"#
        )
    };
    let count = |n: u64| {
        format!(
            r#"{{"counter":{{"packets":{n},"bytes":{}}}}},"#,
            n * (LEN + 50)
        )
    };
    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Underlay, false))
        .firewall(B, "nft", &rules(count(0)), &rules(count(30)));
    expect(&world, "FL110", B, Direction::Request, (B, "eth0"));

    let mut world = World::new("vxlan");
    world
        .cut_overlay((B, Underlay, false))
        .firewall(B, "nft", &rules(String::new()), &rules(String::new()))
        .reason(B, "NETFILTER_DROP", "nft_do_chain", 30);
    expect(&world, "FL110", B, Direction::Request, (B, "eth0"));
}

#[test]
fn the_encapsulation_is_blocked() {
    let rules = |chain: &str, verb: &str, n: u64, bytes: u64| {
        format!(
            "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n[{n}:{bytes}] -A {chain} -p udp -m udp --dport 8472 -j {verb}\nCOMMIT\n"
        )
    };
    let outer = 30 * (LEN + 50);
    for verb in ["DROP", "REJECT --reject-with icmp-admin-prohibited"] {
        let mut world = World::new("vxlan");
        world.cut_overlay((B, Underlay, false)).firewall(
            B,
            "iptables-nft",
            &rules("INPUT", verb, 0, 0),
            &rules("INPUT", verb, 30, outer),
        );
        expect(&world, "FL110", B, Direction::Request, (B, "eth0"));
    }
    let mut world = World::new("vxlan");
    world
        .cut_overlay((A, Overlay, false))
        .firewall(
            A,
            "iptables-nft",
            &rules("OUTPUT", "REJECT", 0, 0),
            &rules("OUTPUT", "REJECT", 30, outer),
        )
        .counter(A, "link.flannel.1.tx_dropped", 30);
    expect(&world, "FL110", A, Direction::Request, (A, "flannel.1"));
}
