//! Packets through the firewall's rules: what Docker drops passes, what leaves the overlay is
//! translated and nothing else is, and dockerd's restart loses no packet.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "firewall_support/mod.rs"]
mod firewall;
mod lab;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use firewall::{Bin, VARIANTS, goal, guarding, ipt, on, round, rules};
use flannelctl::agent::guard::{Keeper, uninstall};
use flannelctl::kernel::firewall::search_path;
use flannelctl::plan::firewall::{FirewallGoal, Implementation};
use lab::{Lab, until};

/// A container of the node under test, which is the switch: it routes between the two networks.
const OURS: Ipv4Addr = Ipv4Addr::new(10, 1, 5, 2);
/// A container of another node.
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 1, 9, 2);

/// n0 (192.0.2.10) has `OURS`, n1 (198.51.100.10) has `REMOTE`.
fn overlay() -> Lab {
    let lab = Lab::with_far(1, 1);
    lab.switch.ip("address add 10.1.5.1/24 dev br0");
    lab.switch.ip("address add 10.1.9.1/24 dev br1");
    lab.node(0).ip("address add 10.1.5.2/24 dev eth0");
    lab.node(0)
        .ip("route add 10.1.0.0/16 via 10.1.5.1 src 10.1.5.2");
    lab.node(1).ip("address add 10.1.9.2/24 dev eth0");
    lab.node(1)
        .ip("route add 10.1.0.0/16 via 10.1.9.1 src 10.1.9.2");
    lab
}

/// The source that `to` on host `receiver` sees of a datagram from `from` on host `sender`.
fn seen(
    lab: &Lab,
    (sender, from): (usize, Ipv4Addr),
    (receiver, to): (usize, Ipv4Addr),
) -> Ipv4Addr {
    let receiver = lab
        .node(receiver)
        .within(|| UdpSocket::bind((to, 0)))
        .unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let port = receiver.local_addr().unwrap().port();
    let sender = lab
        .node(sender)
        .within(|| UdpSocket::bind((from, 0)))
        .unwrap();
    sender.send_to(b"x", (to, port)).unwrap();
    let (_, source) = receiver.recv_from(&mut [0; 8]).unwrap();
    let std::net::IpAddr::V4(source) = source.ip() else {
        panic!("{source}");
    };
    source
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn a_forward_policy_of_drop_lets_the_overlay_pass() {
    for (variant, _) in VARIANTS {
        let lab = overlay();
        assert!(lab.node(0).reaches(REMOTE));
        ipt(&lab.switch, variant, "-P FORWARD DROP");
        assert!(!lab.node(0).reaches(REMOTE));
        let mut keeper = Keeper::new(search_path(), false);
        let forward = FirewallGoal {
            ip_masq: false,
            ..goal()
        };
        round(&lab.switch, &mut keeper, &forward);
        assert!(lab.node(0).reaches(REMOTE));
        assert!(lab.node(1).reaches(OURS));
        // What is not the overlay's business stays dropped.
        let outside = lab.node(1).address.to_string();
        let ping = [
            "-I",
            "192.0.2.10",
            "-c",
            "2",
            "-i",
            "0.1",
            "-W",
            "1",
            &outside,
        ];
        assert!(!lab.node(0).try_run("ping", &ping).status.success());
        on(&lab.switch, uninstall).unwrap();
        assert!(!lab.node(0).reaches(REMOTE));
    }
}

#[test]
#[ignore = "needs root: network namespaces, iptables, nft"]
fn masquerade_translates_what_leaves_the_overlay_and_nothing_within_it() {
    for variant in ["nft", "legacy", "own table"] {
        let lab = overlay();
        let bin = match variant {
            "own table" => Bin::new(&lab.switch, &["nft"], "nft"),
            variant => Bin::all(&lab.switch, variant),
        };
        round(&lab.switch, &mut bin.keeper(false), &goal());
        let ours = (0, OURS);
        let remote = (1, REMOTE);
        let near = (0, lab.node(0).address);
        let far = (1, lab.node(1).address);
        let node_far = Ipv4Addr::new(198, 51, 100, 1);
        let node_overlay = Ipv4Addr::new(10, 1, 9, 1);
        // Within the overlay, both ways.
        assert_eq!(seen(&lab, ours, remote), OURS, "{variant}");
        assert_eq!(seen(&lab, remote, ours), REMOTE, "{variant}");
        // Out of it.
        assert_eq!(seen(&lab, ours, far), node_far, "{variant}");
        // From outside to our own containers: the client's address is kept (rule 4).
        assert_eq!(seen(&lab, far, ours), far.1, "{variant}");
        // From outside through us to another node's container: the answer must come back this way.
        assert_eq!(seen(&lab, near, remote), node_overlay, "{variant}");
        // None of it is the overlay's.
        assert_eq!(seen(&lab, near, far), near.1, "{variant}");
    }
}

/// The rules of Docker 28 for a bridge, as it writes them (users-and-peers FL102, FL103).
fn docker28(lab: &Lab, variant: &str, bridge: &str) {
    let rules = format!(
        "-P FORWARD DROP
-N DOCKER
-N DOCKER-BRIDGE
-N DOCKER-CT
-N DOCKER-FORWARD
-N DOCKER-USER
-A DOCKER ! -i {bridge} -o {bridge} -j DROP
-A DOCKER-BRIDGE -o {bridge} -j DOCKER
-A DOCKER-CT -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i {bridge} -j ACCEPT
-I FORWARD -j DOCKER-FORWARD
-I FORWARD -j DOCKER-USER"
    );
    for rule in rules.lines() {
        ipt(&lab.switch, variant, rule);
    }
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn docker_28_drops_of_unpublished_ports_are_overcome_and_raw_drops_reported() {
    for (variant, implementation) in VARIANTS {
        let lab = overlay();
        let node = &lab.switch;
        // br0 is Docker's bridge: n0 is a container with no published port.
        docker28(&lab, variant, "br0");
        // As HEAD does it: appended, behind Docker's.
        for rule in [
            "-N FLANNEL-FWD",
            "-A FLANNEL-FWD -s 10.1.0.0/16 -j ACCEPT",
            "-A FLANNEL-FWD -d 10.1.0.0/16 -j ACCEPT",
            "-A FORWARD -j FLANNEL-FWD",
        ] {
            ipt(node, variant, rule);
        }
        assert!(!lab.node(1).reaches(OURS));
        let mut keeper = Keeper::new(search_path(), false);
        let first = round(node, &mut keeper, &goal());
        assert_eq!(first.choice.unwrap().implementation, implementation);
        assert!(lab.node(1).reaches(OURS));
        assert!(lab.node(0).reaches(REMOTE));

        // Docker starts again: its jumps come first, ours in DOCKER-USER holds on its own.
        for rule in [
            "-D FORWARD -j DOCKER-FORWARD",
            "-D FORWARD -j DOCKER-USER",
            "-I FORWARD -j DOCKER-FORWARD",
            "-I FORWARD -j DOCKER-USER",
        ] {
            ipt(node, variant, rule);
        }
        assert!(lab.node(1).reaches(OURS));
        assert_eq!(round(node, &mut keeper, &goal()).written.len(), 1);
        assert!(round(node, &mut keeper, &goal()).written.is_empty());

        // The administrator's block is obeyed.
        ipt(node, variant, "-I DOCKER-USER -s 10.1.9.2 -j DROP");
        round(node, &mut keeper, &goal());
        assert!(!lab.node(1).reaches(OURS));
        ipt(node, variant, "-D DOCKER-USER -s 10.1.9.2 -j DROP");

        // The raw drop is out of any filter rule's reach.
        ipt(
            node,
            variant,
            "-t raw -A PREROUTING -d 10.1.5.2 ! -i br0 -j DROP",
        );
        let findings = round(node, &mut keeper, &goal()).findings;
        assert!(!lab.node(1).reaches(OURS));
        assert!(
            findings[0].to_string().contains("allow-direct-routing"),
            "{findings:?}"
        );
        assert!(
            rules(node, variant)
                .iter()
                .any(|r| r.contains("-d 10.1.5.2/32 ! -i br0 -j DROP"))
        );
    }
}

/// Well before the guard's timer, which is a minute away.
const BY_EVENT: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs root: network namespaces, dockerd"]
fn dockerds_start_and_restart_cost_no_overlay_traffic() {
    let lab = overlay();
    let node = &lab.switch;
    node.sysctl("net/ipv4/ip_forward", "0");
    // Docker sets DROP only when it is the one who turns forwarding on.
    let guarding = guarding(node, Duration::from_secs(60), false);
    let dockerd = node.dockerd_with(&["--ip-masq=false", "--bip=10.1.5.129/25"]);
    let policy = node.run("iptables", &["-S", "FORWARD"]);
    assert!(policy.starts_with("-P FORWARD DROP"), "{policy}");
    let in_place = || {
        let held = rules(node, "nft");
        let at = |text: &str| held.iter().position(|r| r.contains(text));
        let in_user = at("-A DOCKER-USER -m comment --comment \"flanneld forward\"")?;
        let ret = at("-A DOCKER-USER -j RETURN")?;
        let user = at("-A FORWARD -j DOCKER-USER")?;
        let ours = at("-A FORWARD -m comment --comment \"flanneld forward\"")?;
        let docker = at("-A FORWARD -j DOCKER-ISOLATION-STAGE-1")?;
        (in_user < ret && user < ours && ours < docker).then_some(())
    };
    until("our place among Docker's rules", BY_EVENT, in_place);
    // Our place may stand while dockerd still writes; the last of its rules brings the last look.
    let reason = "it holds Docker's rules";
    until("a look at Docker's rules", BY_EVENT, || {
        (guarding.status.borrow().reason == reason).then_some(())
    });
    let status = guarding.status.borrow().clone();
    assert_eq!(status.implementation, Some(Implementation::IptablesNft));
    assert_eq!(status.problems, [""; 0]);

    let ping = lab.node(1).ping(OURS);
    ping.answered(20, Duration::from_secs(10));
    drop(dockerd);
    let dockerd = node.dockerd_with(&["--ip-masq=false", "--bip=10.1.5.129/25"]);
    until("our place after the restart", BY_EVENT, in_place);
    dockerd.docker(&["network", "create", "other"]);
    until("our place after a new network", BY_EVENT, in_place);
    ping.answered(20, Duration::from_secs(10));
    let report = ping.report();
    assert!(report.lost.is_empty(), "lost {:?}", report.lost);
    assert_eq!(guarding.status.borrow().problems, [""; 0]);
}
