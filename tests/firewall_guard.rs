//! The firewall's rules on the real thing: iptables-nft, iptables-legacy and nft in own namespaces,
//! written, healed, moved and removed.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "firewall_support/mod.rs"]
mod firewall;
mod lab;

use std::time::Duration;

use firewall::{Bin, RULES, VARIANTS, goal, guarding, ipt, on, round, rules, saved};
use flannelctl::agent::guard::{Keeper, uninstall};
use flannelctl::kernel::firewall::search_path;
use flannelctl::plan::firewall::{FirewallGoal, Implementation};
use lab::{Host, Lab, until};

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn rules_are_flannelds_and_an_idle_check_runs_one_program() {
    for (variant, implementation) in VARIANTS {
        let lab = Lab::new(1);
        let host = lab.node(0);
        let bin = Bin::all(host, variant);
        let mut keeper = bin.keeper(false);
        let first = round(host, &mut keeper, &goal());
        assert_eq!(first.choice.unwrap().implementation, implementation);
        assert_eq!(rules(host, variant), RULES);
        bin.runs();
        for _ in 0..3 {
            let idle = round(host, &mut keeper, &goal());
            assert!(idle.written.is_empty(), "{:?}", idle.written);
            let runs = bin.runs();
            let most = if variant == "nft" { 1 } else { 2 };
            assert!(runs.len() <= most, "{variant}: {runs:?}");
        }
        let other = if variant == "nft" { "legacy" } else { "nft" };
        assert!(rules(host, other).is_empty());
        // Bound to Docker's variant, the other one is not read any more.
        for chain in ["DOCKER", "DOCKER-USER"] {
            ipt(host, variant, &format!("-N {chain}"));
        }
        round(host, &mut keeper, &goal());
        bin.runs();
        round(host, &mut keeper, &goal());
        assert_eq!(bin.runs(), [format!("iptables-{variant}-save")]);
    }
}

/// Foreign rules with what is hard to keep: quotes, negations, user chains, a comment like ours.
fn foreign(host: &Host, variant: &str) {
    let text = r#"*filter
:MINE - [0:0]
-A INPUT -s 203.0.113.7/32 -m comment --comment "it's \"mine\" \\ FLANNEL-FWD" -j DROP
-A FORWARD -s 203.0.113.8/32 ! -i lo -j MINE
-A FORWARD ! -s 203.0.113.0/24 -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset
-A FORWARD -m comment --comment "flanneld forward too" -j ACCEPT
-A MINE -m limit --limit 3/hour -j LOG --log-prefix "a b "
-A MINE -j DROP
COMMIT
*nat
-A PREROUTING -d 198.51.100.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.0.2.7:8080
-A POSTROUTING -s 192.0.2.0/24 -d 198.51.100.0/24 -j SNAT --to-source 198.51.100.1
COMMIT
*raw
-A PREROUTING -s 203.0.113.9/32 -j DROP
COMMIT
"#;
    let file = host.dir().join("foreign");
    std::fs::write(&file, text).unwrap();
    host.run(
        &format!("iptables-{variant}-restore"),
        &[file.to_str().unwrap()],
    );
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn foreign_rules_stay_byte_for_byte_and_uninstall_leaves_the_host_as_it_was() {
    for (variant, implementation) in VARIANTS {
        let lab = Lab::new(1);
        let host = lab.node(0);
        foreign(host, variant);
        let before = saved(host, variant);
        let without_ours = || {
            let mut lines = saved(host, variant);
            lines.retain(|l| !RULES.contains(&l.as_str()) && !l.starts_with(":FLANNEL-"));
            lines
        };
        let mut keeper = Keeper::new(search_path(), false);
        let first = round(host, &mut keeper, &goal());
        assert_eq!(first.choice.unwrap().implementation, implementation);
        assert_eq!(without_ours(), before);
        // In front of the REJECT, behind what cannot touch overlay traffic.
        let held = rules(host, variant);
        let jump = held.iter().position(|r| r == RULES[0]).unwrap();
        let reject = held.iter().position(|r| r.contains("tcp-reset")).unwrap();
        assert!(jump < reject, "{held:#?}");

        ipt(host, variant, "-F FLANNEL-FWD");
        ipt(host, variant, "-t nat -D POSTROUTING 1");
        let repair = round(host, &mut keeper, &goal());
        assert_eq!(repair.written.len(), 2, "{:?}", repair.written);
        assert_eq!(without_ours(), before);
        assert_eq!(rules(host, variant), held);

        // Another subnet, then nothing wanted, then all again and uninstalled.
        let other = FirewallGoal {
            subnet: "10.1.9.0/24".parse().unwrap(),
            random_fully: false,
            ..goal()
        };
        round(host, &mut keeper, &other);
        assert!(
            !rules(host, variant)
                .iter()
                .any(|r| r.contains("10.1.5.0/24"))
        );
        assert!(!rules(host, variant).iter().any(|r| r.contains("random")));
        let off = FirewallGoal {
            ip_masq: false,
            forward: false,
            ..goal()
        };
        round(host, &mut keeper, &off);
        assert_eq!(saved(host, variant), before);
        round(host, &mut keeper, &goal());
        let removed = on(host, uninstall).unwrap();
        assert_eq!(removed.len(), 4, "{removed:?}");
        assert_eq!(saved(host, variant), before);
        assert!(on(host, uninstall).unwrap().is_empty());
    }
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn a_flush_heals() {
    for (variant, implementation) in VARIANTS {
        let lab = Lab::new(1);
        let host = lab.node(0);
        // A rule of the host's own, so that this variant is chosen, and stays so.
        ipt(
            host,
            variant,
            "-t nat -A POSTROUTING -s 192.0.2.0/24 -j ACCEPT",
        );
        // nft by its event, long before the timer; legacy by the timer.
        let resync = Duration::from_secs(if variant == "nft" { 60 } else { 1 });
        let most = Duration::from_secs(10);
        let guarding = guarding(host, resync, false);
        assert_eq!(
            guarding.status.borrow().implementation,
            Some(implementation)
        );
        let ours = rules(host, variant);
        assert_eq!(ours.len(), RULES.len() + 1);
        for flush in [
            "-F",
            "-F FLANNEL-FWD",
            "-D FORWARD 1",
            "-t nat -D POSTROUTING 1",
        ] {
            let repairs = guarding.status.borrow().repairs;
            ipt(host, variant, flush);
            until("the rules to come back", most, || {
                (rules(host, variant) == ours).then_some(())
            });
            until("the repair to be counted", most, || {
                (guarding.status.borrow().repairs == repairs + 1).then_some(())
            });
        }
        // Turned off and on by the goal, at once.
        guarding.goal.send_replace(Some(FirewallGoal {
            ip_masq: false,
            ..goal()
        }));
        until("masquerade to go", most, || {
            (rules(host, variant).len() == 4).then_some(())
        });
        guarding.goal.send_replace(Some(goal()));
        until("masquerade to come", most, || {
            (rules(host, variant).len() == ours.len()).then_some(())
        });
        assert_eq!(guarding.status.borrow().problems, [""; 0]);
        if variant == "nft" {
            // Settled: our own writes do not wake us for ever.
            let mut last = None;
            until("peace", Duration::from_secs(10), || {
                let before = last;
                last = guarding.status.borrow().last_ok;
                std::thread::sleep(Duration::from_millis(1500));
                (before == last).then_some(())
            });
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn with_resync_off_nothing_is_looked_at_in_between() {
    let lab = Lab::new(1);
    let host = lab.node(0);
    let guarding = guarding(host, Duration::ZERO, false);
    let checked = guarding.status.borrow().last_ok;
    ipt(host, "nft", "-F");
    assert!(
        lab::within_time(Duration::from_millis(1500), || {
            (guarding.status.borrow().last_ok != checked).then_some(())
        })
        .is_none()
    );
    guarding.goal.send_replace(Some(FirewallGoal {
        random_fully: false,
        ..goal()
    }));
    until("the new goal", Duration::from_secs(2), || {
        (rules(host, "nft").len() == 10).then_some(())
    });
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn rules_move_to_the_iptables_that_docker_uses() {
    let lab = Lab::new(1);
    let host = lab.node(0);
    let mut keeper = Keeper::new(search_path(), false);
    round(host, &mut keeper, &goal());
    assert_eq!(rules(host, "nft"), RULES);
    ipt(host, "legacy", "-N DOCKER");
    ipt(host, "legacy", "-P FORWARD DROP");
    let moved = round(host, &mut keeper, &goal());
    assert_eq!(
        moved.choice.unwrap().implementation,
        Implementation::IptablesLegacy
    );
    assert_eq!(rules(host, "legacy"), RULES);
    assert!(rules(host, "nft").is_empty());
    // Now the other one drops, too: said, not touched.
    ipt(host, "nft", "-P FORWARD DROP");
    let mut fresh = Keeper::new(search_path(), false);
    let findings = round(host, &mut fresh, &goal()).findings;
    assert!(
        findings[0].to_string().contains("iptables-nft drops"),
        "{findings:?}"
    );
}
