//! What is ours but wrong is replaced; what is not ours stays.

use flannelctl::plan::firewall::{FirewallGoal, Listing, holds_any, plan};

use crate::support::{
    DOCKER20, DOCKER28, FORWARD_JUMP, GOAL, HEAD, change, docker_and_us, forward_only, unchanged,
};

#[test]
fn heads_appended_jump_behind_docker_is_replaced() {
    let appended = docker_and_us()
        .replace(&format!("-A FORWARD {FORWARD_JUMP}\n"), "")
        .replace(&format!("-A DOCKER-USER {FORWARD_JUMP}\n"), "")
        .replace(
            "-A FORWARD -i docker0 -o docker0 -j ACCEPT\n",
            &format!("-A FORWARD -i docker0 -o docker0 -j ACCEPT\n-A FORWARD {FORWARD_JUMP}\n"),
        );
    let text = change(&appended, &forward_only(), "filter");
    assert_eq!(text.matches("-D ").count(), 1, "{text}");
    assert!(
        text.contains(&format!("-D FORWARD {FORWARD_JUMP}\n-A FLANNEL-FWD")),
        "{text}"
    );
    assert!(
        text.contains(&format!("-I FORWARD 2 {FORWARD_JUMP}\n")),
        "{text}"
    );
}

#[test]
fn duplicates_and_disorder_are_replaced() {
    let jump = "-A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG\n";
    let twice = HEAD.replace(jump, &jump.repeat(2));
    assert_eq!(
        change(&twice, &GOAL, "nat")
            .matches("-D POSTROUTING")
            .count(),
        2
    );

    let a = r#"-A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT"#;
    let b = r#"-A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT"#;
    let swapped = HEAD.replace(&format!("{a}\n{b}"), &format!("{b}\n{a}"));
    assert!(change(&swapped, &GOAL, "filter").contains(":FLANNEL-FWD - [0:0]\n"));

    let inside = HEAD.replace(a, &format!("-A FLANNEL-FWD -j DROP\n{a}"));
    assert!(change(&inside, &GOAL, "filter").contains(":FLANNEL-FWD - [0:0]\n"));

    // An uncommented jump of someone who tried by hand.
    let by_hand = HEAD.replace("*filter\n", "*filter\n-A FORWARD -j FLANNEL-FWD\n");
    assert!(change(&by_hand, &GOAL, "filter").contains("-D FORWARD -j FLANNEL-FWD\n"));
}

#[test]
fn an_old_pair_is_replaced() {
    let old = HEAD.replace("10.1.5.0/24", "10.1.77.0/24");
    let text = change(&old, &GOAL, "nat");
    assert!(
        text.contains("-s 10.1.5.0/24") && !text.contains("10.1.77"),
        "{text}"
    );
    let old = HEAD.replace("10.1.", "10.9.");
    assert!(change(&old, &GOAL, "filter").contains("-s 10.1.0.0/16"));
}

#[test]
fn bare_rules_of_old_flanneld_are_replaced() {
    // 0.10 to 0.19: straight in the chain, with the comment, here of an old pair.
    let commented = "*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.9.0.0/16 -d 10.9.0.0/16 -m comment --comment \"flanneld masq\" -j RETURN
-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
-A POSTROUTING -s 10.9.0.0/16 ! -d 224.0.0.0/4 -m comment --comment \"flanneld masq\" -j MASQUERADE --random-fully
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -s 10.9.0.0/16 -m comment --comment \"flanneld forward\" -j ACCEPT
COMMIT
";
    let text = change(commented, &GOAL, "nat");
    assert_eq!(
        text.matches("-D POSTROUTING -s 10.9.0.0/16").count(),
        2,
        "{text}"
    );
    assert!(!text.contains("192.0.2.0"), "{text}");
    assert!(change(commented, &GOAL, "filter").contains("-D FORWARD -s 10.9.0.0/16"));

    // 0.7: without a comment, so only the complete set for this network.
    let bare = "*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.1.0.0/16 -d 10.1.0.0/16 -j RETURN
-A POSTROUTING -s 10.1.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE
-A POSTROUTING ! -s 10.1.0.0/16 -d 10.1.0.0/16 -j MASQUERADE
COMMIT
";
    assert_eq!(
        change(bare, &GOAL, "nat").matches("-D POSTROUTING").count(),
        3
    );
    let off = FirewallGoal {
        ip_masq: false,
        ..GOAL
    };
    assert_eq!(
        change(bare, &off, "nat").matches("-D POSTROUTING").count(),
        3
    );
    let lines: Vec<&str> = bare.lines().filter(|l| !l.contains("RETURN")).collect();
    assert!(!change(&lines.join("\n"), &GOAL, "nat").contains("-D "));
    assert!(plan(&Listing::parse(bare), None).is_empty());
}

#[test]
fn turning_off_removes_what_is_ours_and_no_more() {
    let off = FirewallGoal {
        ip_masq: false,
        forward: false,
        ..GOAL
    };
    assert_eq!(
        change(HEAD, &off, "filter"),
        format!(
            "*filter\n:FLANNEL-FWD - [0:0]\n-D FORWARD {FORWARD_JUMP}\n-X FLANNEL-FWD\nCOMMIT\n"
        )
    );
    assert!(change(HEAD, &off, "nat").ends_with("-X FLANNEL-POSTRTG\nCOMMIT\n"));
    assert!(holds_any(&Listing::parse(HEAD)));
    for nothing in ["", DOCKER20, DOCKER28] {
        assert!(!holds_any(&Listing::parse(nothing)));
        unchanged(nothing, &off);
    }
    // Someone else's jump to our chain would keep it from being deleted.
    let other = HEAD.replace("*filter\n", "*filter\n-A INPUT -j FLANNEL-FWD\n");
    assert!(change(&other, &off, "filter").contains("-D INPUT -j FLANNEL-FWD\n"));
    unchanged(&other, &GOAL);
}

#[test]
fn a_foreign_rule_that_speaks_of_us_is_not_ours() {
    let foreign = HEAD.replace(
        "*filter\n",
        "*filter\n-A INPUT -m comment --comment \"see flanneld forward and FLANNEL-FWD\" -j ACCEPT\n",
    );
    unchanged(&foreign, &GOAL);
}
