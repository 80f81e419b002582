//! The firewall with other programs than usual: none, nft alone, both, an old iptables, one that refuses.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "firewall_support/mod.rs"]
mod firewall;
mod lab;

use std::time::Duration;

use firewall::{Bin, RULES, VARIANTS, goal, guarding, ipt, on, round, rules};
use flannelctl::agent::guard::{FirewallError, FirewallStatus, Keeper, install_with, uninstall};
use flannelctl::plan::firewall::{FirewallGoal, Implementation};
use lab::{Lab, until};

#[test]
#[ignore = "needs root: network namespaces, nft"]
fn without_iptables_a_table_of_our_own_is_kept() {
    let lab = Lab::new(1);
    let host = lab.node(0);
    let bin = Bin::new(host, &["nft"], "nft");
    let mut keeper = bin.keeper(false);
    let first = round(host, &mut keeper, &goal());
    assert_eq!(
        first.choice.unwrap().implementation,
        Implementation::NftTable
    );
    let list = || host.run("nft", &["list", "table", "ip", "flannel-ipv4"]);
    let held = list();
    for part in [
        "type nat hook postrouting priority srcnat; policy accept;",
        "type filter hook forward priority filter; policy accept;",
        "ip saddr != 10.1.0.0/16 ip daddr 10.1.5.0/24 return",
        "masquerade fully-random",
    ] {
        assert!(held.contains(part), "{held}");
    }
    bin.runs();
    assert!(round(host, &mut keeper, &goal()).written.is_empty());
    assert!(bin.runs().len() <= 2);
    for harm in [
        "flush table ip flannel-ipv4",
        "delete table ip flannel-ipv4",
        "add rule ip flannel-ipv4 forward drop",
        "insert rule ip flannel-ipv4 postrtg return",
        "add chain ip flannel-ipv4 other",
    ] {
        host.run("nft", &harm.split(' ').collect::<Vec<_>>());
        let repair = round(host, &mut keeper, &goal());
        assert!(!repair.written.is_empty(), "{harm}");
        assert_eq!(list(), held, "{harm}");
        assert!(round(host, &mut keeper, &goal()).written.is_empty());
    }
    // A base chain that drops cannot be overruled: said.
    host.run("nft", &["add", "table", "inet", "fw"]);
    let chain = "add chain inet fw last { type filter hook forward priority 10; policy drop; }";
    host.run("nft", &[chain]);
    let findings = round(host, &mut keeper, &goal()).findings;
    assert!(
        findings[0].to_string().contains("inet fw last"),
        "{findings:?}"
    );
    assert_eq!(on(host, uninstall).unwrap(), ["nft table ip flannel-ipv4"]);
    assert!(!host.run("nft", &["list", "tables"]).contains("flannel"));
}

#[test]
#[ignore = "needs root: network namespaces, nft, iptables"]
fn enable_nftables_holds_until_iptables_rules_decide() {
    let lab = Lab::new(1);
    let host = lab.node(0);
    let guarding = guarding(host, Duration::from_secs(60), true);
    let held = || guarding.status.borrow().implementation;
    assert_eq!(held(), Some(Implementation::NftTable));
    let soon = Duration::from_secs(10);
    host.run("nft", &["flush", "table", "ip", "flannel-ipv4"]);
    until("the table to be filled", soon, || {
        let table = host.run("nft", &["list", "table", "ip", "flannel-ipv4"]);
        table.contains("masquerade").then_some(())
    });
    // As dockerd does when it starts.
    ipt(host, "nft", "-P FORWARD DROP");
    until("the move to iptables", soon, || {
        (held() == Some(Implementation::IptablesNft)).then_some(())
    });
    assert_eq!(rules(host, "nft"), RULES);
    assert!(!host.run("nft", &["list", "tables"]).contains("flannel"));
    assert!(guarding.status.borrow().reason.contains("cannot override"));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn without_any_program_only_masquerade_is_an_error() {
    let lab = Lab::new(1);
    let host = lab.node(0);
    let bin = Bin::new(host, &[], "nft");
    let result = on(host, || install_with_owned(bin.keeper(false), goal()));
    assert!(
        matches!(result, Err(FirewallError::NoProgram)),
        "{result:?}"
    );
    let forward = FirewallGoal {
        ip_masq: false,
        ..goal()
    };
    let status = on(host, || install_with_owned(bin.keeper(false), forward)).unwrap();
    assert_eq!(status.implementation, None);
    assert_eq!(status.reason, "neither iptables nor nft is installed");
    assert_eq!(status.problems, [""; 0]);
}

async fn install_with_owned(
    mut keeper: Keeper,
    goal: FirewallGoal,
) -> Result<FirewallStatus, FirewallError> {
    install_with(&mut keeper, &goal).await
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn a_refused_write_is_tried_again_and_without_random_fully() {
    for (variant, _) in VARIANTS {
        let lab = Lab::new(1);
        let host = lab.node(0);
        let bin = Bin::all(host, variant);
        let restore = format!("iptables-{variant}-restore");
        let flag = bin.dir.join("refused").display().to_string();
        // Busy once.
        bin.put(
            &restore,
            &format!("[ -e {flag} ] || {{ : > {flag}; echo busy >&2; exit 4; }}; exec /usr/sbin/{restore} \"$@\""),
        );
        round(host, &mut bin.keeper(false), &goal());
        assert_eq!(rules(host, variant), RULES);
        on(host, uninstall).unwrap();
        // A kernel without random-fully.
        bin.put(
            &restore,
            &format!("t=$(cat); case $t in *random-fully*) echo no >&2; exit 2;; esac; echo \"$t\" | /usr/sbin/{restore} \"$@\""),
        );
        let mut keeper = bin.keeper(false);
        round(host, &mut keeper, &goal());
        let plain = RULES.map(|r| r.replace(" --random-fully", ""));
        assert_eq!(rules(host, variant), plain);
        assert!(round(host, &mut keeper, &goal()).written.is_empty());
        on(host, uninstall).unwrap();
        // One that refuses always: what it said is told.
        bin.put(&restore, "cat > /dev/null; echo 'no chance' >&2; exit 2");
        let error = on(host, || install_with_owned(bin.keeper(false), goal())).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&restore) && text.ends_with("no chance"),
            "{text}"
        );
        let forward = FirewallGoal {
            ip_masq: false,
            ..goal()
        };
        let status = on(host, || install_with_owned(bin.keeper(false), forward)).unwrap();
        assert_eq!(status.problems.len(), 1, "{:?}", status.problems);
    }
}

#[test]
#[ignore = "needs root: network namespaces, iptables"]
fn an_old_iptables_gets_neither_lock_flag_nor_random_fully() {
    let lab = Lab::new(1);
    let host = lab.node(0);
    let bin = Bin::new(host, &["iptables-save"], "legacy");
    bin.put("iptables", "echo 'iptables v1.4.21'");
    bin.put(
        "iptables-save",
        "exec /usr/sbin/iptables-legacy-save \"$@\"",
    );
    bin.put(
        "iptables-restore",
        "[ \"$*\" = --noflush ] || exit 2; exec /usr/sbin/iptables-legacy-restore \"$@\"",
    );
    let first = round(host, &mut bin.keeper(false), &goal());
    assert_eq!(
        first.choice.unwrap().implementation,
        Implementation::IptablesLegacy
    );
    assert_eq!(
        rules(host, "legacy"),
        RULES.map(|r| r.replace(" --random-fully", ""))
    );
}
