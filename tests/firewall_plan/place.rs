//! Where our rules stand on an empty host, on one with rules of flanneld, and beside Docker.

use flannelctl::plan::firewall::FirewallGoal;

use crate::support::{
    DOCKER20, DOCKER28, FORWARD_JUMP, GOAL, HEAD, change, docker_and_us, forward_only, goal,
    unchanged,
};

#[test]
fn an_empty_host_gets_both_tables_in_one_transaction_each() {
    assert_eq!(
        change("", &GOAL, "filter"),
        r#"*filter
:FLANNEL-FWD - [0:0]
-A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-I FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
COMMIT
"#
    );
    assert_eq!(
        change("", &GOAL, "nat"),
        r#"*nat
:FLANNEL-POSTRTG - [0:0]
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.1.5.0/24 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.1.0.0/16 -d 10.1.5.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.5.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.1.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-I POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
COMMIT
"#
    );
}

#[test]
fn heads_rules_on_a_host_of_their_own_are_taken_over_as_they_are() {
    unchanged(HEAD, &GOAL);
    // With counters, as iptables-save -c prints them.
    unchanged(&HEAD.replace("\n-A", "\n[7:588] -A"), &GOAL);
}

#[test]
fn a_goal_with_host_bits_is_the_same_goal() {
    unchanged(HEAD, &goal("10.1.9.9/16", "10.1.5.1/24"));
}

#[test]
fn random_fully_follows_the_goal() {
    let plain = FirewallGoal {
        random_fully: false,
        ..GOAL
    };
    assert!(!change(HEAD, &plain, "nat").contains("--random-fully"));
    unchanged(&HEAD.replace(" --random-fully", ""), &plain);
}

#[test]
fn docker_gets_us_between_the_administrators_chain_and_its_own_and_in_the_former() {
    for (docker, in_user) in [
        (DOCKER20, format!("-I DOCKER-USER {FORWARD_JUMP}\n")),
        (DOCKER28, format!("-A DOCKER-USER {FORWARD_JUMP}\n")),
    ] {
        let text = change(docker, &GOAL, "filter");
        assert!(
            text.contains(&format!("-I FORWARD 2 {FORWARD_JUMP}\n")),
            "{text}"
        );
        assert!(text.contains(&in_user), "{text}");
        assert!(!text.contains("-D "), "{text}");
    }
}

#[test]
fn beside_docker_and_in_place_nothing_is_done() {
    unchanged(&docker_and_us(), &forward_only());
}

#[test]
fn dockers_restart_pushes_our_jump_down_and_it_comes_up_again() {
    let jump = format!("-A FORWARD {FORWARD_JUMP}\n");
    let pushed = docker_and_us().replace(&jump, "").replace(
        "-A FORWARD -o docker0 -m conntrack",
        &format!("{jump}-A FORWARD -o docker0 -m conntrack"),
    );
    let text = change(&pushed, &forward_only(), "filter");
    assert!(text.contains(&format!("-D FORWARD {FORWARD_JUMP}\n")));
    assert!(text.contains(&format!("-I FORWARD 2 {FORWARD_JUMP}\n")));
}

#[test]
fn what_cannot_drop_overlay_traffic_may_stand_in_front() {
    for harmless in [
        "-A FORWARD -s 203.0.113.9/32 -j DROP\n",
        "-A FORWARD ! -s 10.0.0.0/8 -i eth0 -j REJECT --reject-with icmp-port-unreachable\n",
        "-A FORWARD -d 203.0.113.0/24 -j BANNED\n",
        "-A FORWARD -j LOG --log-prefix \"-j DROP \"\n",
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
        "-A FORWARD -s 203.0.113.9/32\n",
        "-A FORWARD -j EMPTY\n",
    ] {
        let listing = docker_and_us()
            .replacen("-A FORWARD", &format!("{harmless}-A FORWARD"), 1)
            .replace(":DOCKER - ", ":EMPTY - [0:0]\n:BANNED - [0:0]\n:DOCKER - ");
        unchanged(&listing, &forward_only());
    }
}

#[test]
fn what_can_drop_it_may_not() {
    for harmful in [
        "-A FORWARD -j DROP\n",
        "-A FORWARD -i eth0 -j DROP\n",
        "-A FORWARD -s 10.1.5.7/32 -j REJECT --reject-with icmp-port-unreachable\n",
        "-A FORWARD -s 10.0.0.0/8 ! -d 192.0.2.0/24 -j DROP\n",
        "-A FORWARD -s 10.1.0.0/255.255.0.255 -j DROP\n",
        "-A FORWARD -j OUTER\n",
        "-A FORWARD -g OUTER\n",
        "-A FORWARD -j RETURN\n",
        "-A FORWARD -j SOMETHING-NEW --with options\n",
    ] {
        let listing = docker_and_us()
            .replacen("-A FORWARD", &format!("{harmful}-A FORWARD"), 1)
            .replace(":DOCKER - ", ":OUTER - [0:0]\n:INNER - [0:0]\n:DOCKER - ")
            .replace(
                "-A DOCKER-USER -j RETURN\n",
                "-A OUTER -p udp -j INNER\n-A INNER -j DROP\n-A DOCKER-USER -j RETURN\n",
            );
        let text = change(&listing, &forward_only(), "filter");
        assert!(
            text.contains(&format!("-I FORWARD {FORWARD_JUMP}\n")),
            "{harmful}{text}"
        );
    }
}

#[test]
fn the_administrators_rules_in_docker_user_stay_in_front_of_ours() {
    let rule = "-A DOCKER-USER -i eth0 ! -s 192.0.2.0/24 -j DROP\n";
    let ours = format!("-A DOCKER-USER {FORWARD_JUMP}\n");
    // Inserted by him at the top: right.
    unchanged(
        &docker_and_us().replace(&ours, &format!("{rule}{ours}")),
        &forward_only(),
    );
    // Appended by him, without Docker's RETURN (Docker 28): ours moves behind.
    let appended = docker_and_us().replace("-A DOCKER-USER -j RETURN\n", rule);
    let text = change(&appended, &forward_only(), "filter");
    assert!(
        text.contains(&format!("-D DOCKER-USER {FORWARD_JUMP}\n")),
        "{text}"
    );
    assert!(
        text.contains(&format!("-A DOCKER-USER {FORWARD_JUMP}\n")),
        "{text}"
    );
    // v0.20 inserts its jump in front of DOCKER-USER: it moves behind.
    let jump = format!("-A FORWARD {FORWARD_JUMP}\n");
    let first = docker_and_us().replace(
        &format!("-A FORWARD -j DOCKER-USER\n{jump}"),
        &format!("{jump}-A FORWARD -j DOCKER-USER\n"),
    );
    let text = change(&first, &forward_only(), "filter");
    assert!(
        text.contains(&format!("-I FORWARD 2 {FORWARD_JUMP}\n")),
        "{text}"
    );
}
