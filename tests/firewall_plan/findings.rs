//! What is reported, which program is chosen, our own nft table, and any text.

use flannelctl::plan::firewall::findings::{self, Finding};
use flannelctl::plan::firewall::{FirewallGoal, Implementation, Listing, Seen, choose, nft, plan};
use proptest::prelude::*;

use crate::support::{
    DOCKER20, DOCKER28, GOAL, HEAD, change, docker_and_us, forward_only, unchanged,
};

#[test]
fn masquerade_of_another_docker_network_may_stand_in_front() {
    let ours = HEAD.replace(
        "-A POSTROUTING -m comment",
        "-A POSTROUTING -s 172.18.0.0/16 ! -o br-0a1b2c3d4e5f -j MASQUERADE\n-A POSTROUTING -m comment",
    );
    unchanged(&ours, &GOAL);
    let theirs = ours.replace("172.18.0.0/16", "10.1.5.0/24");
    let text = change(&theirs, &GOAL, "nat");
    assert!(text.contains("-I POSTROUTING -m comment"), "{text}");
    assert!(matches!(
        findings::findings(&Listing::parse(&theirs), &GOAL).as_slice(),
        [Finding::DoubleMasquerade { .. }]
    ));
}

#[test]
fn dockers_raw_drops_are_reported_with_the_remedy() {
    let found = findings::findings(&Listing::parse(DOCKER28), &GOAL);
    let [
        finding @ Finding::RawDrop {
            containers: 2,
            rule,
        },
    ] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!(rule, "-d 10.1.5.2/32 ! -i docker0 -j DROP");
    let text = finding.to_string();
    assert!(text.contains("\"allow-direct-routing\": true"), "{text}");
    assert!(text.contains("DOCKER_INSECURE_NO_IPTABLES_RAW=1"), "{text}");
    // trusted_host_interfaces: accepted in front of the drop.
    let trusted = DOCKER28.replace(
        "-A PREROUTING -d 10.1.5.2/32 !",
        "-A PREROUTING -d 10.1.5.2/32 -i flannel.1 -j ACCEPT\n-A PREROUTING -d 10.1.5.2/32 !",
    );
    assert!(matches!(
        findings::findings(&Listing::parse(&trusted), &GOAL).as_slice(),
        [Finding::RawDrop { containers: 1, .. }]
    ));
    assert!(findings::findings(&Listing::parse(DOCKER20), &GOAL).is_empty());
}

#[test]
fn an_administrators_drop_of_everything_is_reported() {
    let found = |rules: &str| {
        let listing =
            docker_and_us().replacen("-A DOCKER-USER", &format!("{rules}-A DOCKER-USER"), 1);
        findings::findings(&Listing::parse(&listing), &forward_only())
    };
    assert!(matches!(
        found("-A DOCKER-USER -j DROP\n").as_slice(),
        [Finding::UserChainDrops { .. }]
    ));
    assert!(found("-A DOCKER-USER -i eth0 -j DROP\n").is_empty());
    assert!(found("-A DOCKER-USER -s 10.0.0.0/8 -j ACCEPT\n-A DOCKER-USER -j DROP\n").is_empty());
}

#[test]
fn the_other_iptables_with_a_drop_is_reported() {
    let drop = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
    let other =
        |text: &str| findings::other(&Listing::parse(text), Implementation::IptablesLegacy, &GOAL);
    assert!(
        other(drop)
            .unwrap()
            .to_string()
            .contains("FORWARD policy DROP")
    );
    assert!(other("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j REJECT\nCOMMIT\n").is_some());
    assert!(other("*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n").is_none());
    assert!(other(HEAD).is_none());
    assert!(other("").is_none());
}

#[test]
fn the_program_is_dockers_then_the_busy_one_then_the_default() {
    use Implementation::{IptablesLegacy as Legacy, IptablesNft as Nft, NftTable};
    let empty = Listing::default();
    let docker = Listing::parse(DOCKER20);
    let ours = Listing::parse(HEAD);
    let policy = Listing::parse("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
    let pick = |nft, legacy, default, nft_program, prefer_nft| {
        choose(&Seen {
            nft,
            legacy,
            default,
            nft_program,
            prefer_nft,
        })
        .map(|c| c.implementation)
    };
    let (e, d, o, p) = (Some(&empty), Some(&docker), Some(&ours), Some(&policy));
    assert_eq!(pick(e, d, Some(Nft), true, false), Some(Legacy));
    assert_eq!(pick(d, p, Some(Legacy), true, false), Some(Nft));
    assert_eq!(pick(e, p, Some(Nft), true, false), Some(Legacy));
    // Our own rules bind us to nothing.
    assert_eq!(pick(o, e, Some(Legacy), true, false), Some(Legacy));
    assert_eq!(pick(d, d, Some(Legacy), true, false), Some(Legacy));
    assert_eq!(pick(e, e, Some(Nft), true, false), Some(Nft));
    assert_eq!(pick(None, e, Some(Legacy), true, false), Some(Legacy));
    assert_eq!(pick(None, None, None, true, false), Some(NftTable));
    assert_eq!(pick(None, None, None, false, false), None);
    assert_eq!(pick(None, None, None, false, true), None);
    // EnableNFTables: only where no iptables rules decide.
    assert_eq!(pick(o, e, Some(Nft), true, true), Some(NftTable));
    assert_eq!(pick(e, d, Some(Nft), true, true), Some(Legacy));
    assert_eq!(pick(p, e, Some(Nft), true, true), Some(Nft));
    assert_eq!(pick(e, e, Some(Nft), false, true), Some(Nft));
}

#[test]
fn the_nft_table_masks_the_mark_and_masquerades_for_other_nodes() {
    let script = nft::script(&GOAL);
    assert!(
        script.starts_with("add table ip flannel-ipv4\ndelete table ip flannel-ipv4\nadd table")
    );
    assert!(script.contains("postrtg meta mark & 0x4000 == 0x4000 return"));
    assert!(script.contains("postrtg ip saddr != 10.1.0.0/16 ip daddr 10.1.5.0/24 return"));
    assert!(
        script.contains(
            "postrtg ip saddr != 10.1.0.0/16 ip daddr 10.1.0.0/16 masquerade fully-random"
        )
    );
    assert_eq!(
        nft::script(&FirewallGoal {
            ip_masq: false,
            forward: false,
            ..GOAL
        }),
        nft::removal()
    );
    assert_eq!(
        nft::complaints(None, &GOAL),
        ["table ip flannel-ipv4 is missing"]
    );
    assert!(!nft::complaints(Some("not json"), &GOAL).is_empty());
}

#[test]
fn foreign_base_chains_that_drop_are_found() {
    let listing = r#"{"nftables": [{"metainfo": {}},
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
        {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
        {"chain": {"family": "inet", "table": "firewalld", "name": "filter_FORWARD", "hook": "forward", "policy": "accept"}},
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}}]}"#;
    assert_eq!(nft::dropping_chains(listing), ["ip filter FORWARD"]);
    assert!(nft::dropping_chains("").is_empty());
}

proptest! {
    /// Whatever a listing holds: no panic, and no line is written that touches a foreign rule.
    #[test]
    fn any_text_is_survived(text in any::<String>(), lines in proptest::collection::vec(
        prop_oneof![
            "[*:]?(filter|nat|raw|FORWARD|DOCKER-USER|FLANNEL-FWD|POSTROUTING)( (-|ACCEPT|DROP))?",
            "-A (FORWARD|DOCKER-USER|FLANNEL-FWD|POSTROUTING|X)( (-[sdjgm]|!|\"|\\\\|10\\.1\\.0\\.0/16|DROP|RETURN|X|FLANNEL-FWD|comment|--comment|\"flanneld forward\")){0,9}",
        ], 0..40)) {
        let mixed = format!("*filter\n{}\n{text}", lines.join("\n"));
        for listing in [&text, &mixed] {
            let listing = Listing::parse(listing);
            for goal in [Some(&GOAL), None] {
                for change in plan(&listing, goal) {
                    for line in change.text.lines() {
                        prop_assert!(
                            !line.starts_with("-D") || line.contains("flanneld") || line.contains("FLANNEL-"),
                            "{}", line
                        );
                    }
                }
            }
            let _ = findings::findings(&listing, &GOAL);
        }
        let _ = nft::complaints(Some(&text), &GOAL);
    }
}
