//! How records stand: each state alone, precedence among overlapping records, and that one junk record
//! never takes a good peer away. For any records see `compat_peers`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::Ipv4Addr;

use flannelctl::subnet::standing::{HostNets, Judged, Standing, judge, peers};
use flannelctl::subnet::{NetworkConfig, Origin, Record, Snapshot};

const OWN_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn config(kind: &str) -> NetworkConfig {
    let text = format!(r#"{{"Network":"10.5.0.0/16","Backend":{{"Type":"{kind}"}}}}"#);
    NetworkConfig::parse(text.as_bytes()).unwrap()
}

fn udp(host: u8) -> String {
    format!(r#"{{"PublicIP":"192.0.2.{host}","PublicIPv6":null}}"#)
}

/// Name and value; the revision counts up, the etcd lease is 1.
fn snapshot<S: AsRef<str>>(records: &[(&str, S)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (revision, (name, value)) in (1..).zip(records) {
        let origin = Origin {
            lease_id: 1,
            create_revision: revision,
            mod_revision: revision,
        };
        let record = Record::read(name, value.as_ref().as_bytes(), origin);
        snapshot.records.insert((*name).to_owned(), record);
    }
    snapshot
}

fn host(nets: &[&str]) -> HostNets {
    HostNets {
        connected: nets.iter().map(|net| net.parse().unwrap()).collect(),
    }
}

/// Names of the peers that an agent programs.
fn names(snapshot: &Snapshot, kind: &str, host: &HostNets, own: Option<&str>) -> Vec<String> {
    let judged = judge(snapshot, &config(kind), host, own);
    let peers = peers(snapshot, &judged, own, OWN_IP);
    peers.iter().map(|lease| lease.name.clone()).collect()
}

fn of<'a>(judged: &'a [Judged], name: &str) -> &'a Judged {
    judged.iter().find(|judged| judged.name == name).unwrap()
}

#[test]
fn each_state_alone() {
    let vxlan = r#"{"PublicIP":"192.0.2.9","BackendType":"vxlan","BackendData":{"VtepMAC":"2a:60:a9:ec:c1:fe"}}"#;
    let host_gw = r#"{"PublicIP":"192.0.2.9","BackendType":"host-gw"}"#;
    for (kind, name, value, state, usable) in [
        ("vxlan", "10.5.2.0-24", vxlan, "ok", true),
        ("vxlan", "10.5.2.0-24&fc00::-64", vxlan, "ok", true),
        ("host-gw", "10.5.2.0-24", host_gw, "ok", true),
        (
            "udp",
            "10.5.2.0-24",
            r#"{"PublicIP":"192.0.2.9"}"#,
            "ok",
            true,
        ),
        (
            "udp",
            "foo",
            "{}",
            "unreadable: the key is not of the form 10.5.52.0-24 or 10.5.52.0-24&fc00::-64",
            false,
        ),
        (
            "udp",
            "10.5.2.0-24",
            "[]",
            "unreadable: the value is not a JSON object",
            false,
        ),
        (
            "vxlan",
            "10.6.2.0-24",
            vxlan,
            "its subnet is outside of the network",
            false,
        ),
        (
            "vxlan",
            "10.0.0.0-8",
            vxlan,
            "its subnet is outside of the network",
            false,
        ),
        (
            "vxlan",
            "10.5.2.0-0",
            vxlan,
            "its subnet is outside of the network",
            false,
        ),
        (
            "vxlan",
            "0.0.0.0-0&fc00::-64",
            vxlan,
            "its subnet is outside of the network",
            false,
        ),
        (
            "vxlan",
            "10.5.2.0-25",
            vxlan,
            "its subnet does not fit the config: its node takes another at its next start",
            true,
        ),
        (
            "vxlan",
            "10.5.0.0-24",
            vxlan,
            "its subnet does not fit the config: its node takes another at its next start",
            true,
        ),
        (
            "vxlan",
            "10.5.2.0-24",
            host_gw,
            "it was written by the backend host-gw",
            false,
        ),
        (
            "udp",
            "10.5.2.0-24",
            vxlan,
            "it was written by the backend vxlan",
            false,
        ),
        (
            "vxlan",
            "10.5.2.0-24",
            r#"{"PublicIP":"192.0.2.9"}"#,
            "it was written by the udp backend",
            false,
        ),
        (
            "vxlan",
            "10.5.2.0-24",
            r#"{"PublicIP":"192.0.2.9","BackendType":"vxlan"}"#,
            "it has no readable VtepMAC",
            false,
        ),
        (
            "udp",
            "10.5.2.0-24",
            "{}",
            "it has no public IP that a peer can have",
            false,
        ),
        (
            "udp",
            "10.5.2.0-24",
            r#"{"PublicIP":"127.0.0.1"}"#,
            "it has no public IP that a peer can have",
            false,
        ),
        (
            "udp",
            "10.5.2.0-24",
            r#"{"PublicIP":"224.0.0.1"}"#,
            "it has no public IP that a peer can have",
            false,
        ),
        (
            "udp",
            "10.5.2.0-24",
            r#"{"PublicIP":"255.255.255.255"}"#,
            "it has no public IP that a peer can have",
            false,
        ),
    ] {
        let snapshot = snapshot(&[(name, value)]);
        let judged = judge(&snapshot, &config(kind), &HostNets::default(), None);
        assert_eq!(
            judged[0].state().to_string(),
            state,
            "{kind} {name} {value}"
        );
        assert_eq!(judged[0].usable(), usable, "{kind} {name} {value}");
        let programmed = names(&snapshot, kind, &HostNets::default(), None);
        assert_eq!(
            programmed.len(),
            usize::from(usable),
            "{kind} {name} {value}"
        );
    }
}

#[test]
fn a_reservation_that_nobody_has_taken() {
    let mut snapshot = snapshot(&[("10.5.2.0-24", udp(9))]);
    let Some(Record::Lease(lease)) = snapshot.records.get_mut("10.5.2.0-24") else {
        panic!("no lease");
    };
    lease.origin.lease_id = 0;
    let judged = judge(&snapshot, &config("vxlan"), &HostNets::default(), None);
    assert_eq!(judged[0].standings, [Standing::Unclaimed]);
    // A udp lease has no more than that: whoever is there can be reached.
    assert_eq!(names(&snapshot, "udp", &HostNets::default(), None).len(), 1);
}

#[test]
fn networks_of_the_host_in_either_direction() {
    let snapshot = snapshot(&[("10.5.2.0-24", udp(9))]);
    for (nets, clash) in [
        (&["10.5.2.128/25"][..], Some("10.5.2.128/25")),
        (&["10.5.2.0/24"], Some("10.5.2.0/24")),
        (&["10.5.0.0/16"], Some("10.5.0.0/16")),
        (&["10.5.2.255/32"], Some("10.5.2.255/32")),
        (&["0.0.0.0/0"], Some("0.0.0.0/0")),
        (&["10.5.1.0/24", "10.5.3.0/24", "192.0.2.0/24"], None),
        (
            &["10.5.2.7/32", "10.5.0.0/16", "10.5.1.0/24"],
            Some("10.5.2.7/32"),
        ),
    ] {
        let judged = judge(&snapshot, &config("udp"), &host(nets), None);
        let expected: Vec<_> = clash
            .iter()
            .map(|net| Standing::OverlapsHost(net.parse().unwrap()))
            .collect();
        assert_eq!(judged[0].standings, expected, "{nets:?}");
        let own = Some("10.5.2.0-24");
        assert_eq!(
            judge(&snapshot, &config("udp"), &host(nets), own)[0].standings,
            []
        );
    }
}

#[test]
fn of_overlapping_records_one_is_programmed() {
    let none = HostNets::default();
    for (why, records, winners) in [
        (
            "the newer of two for one subnet",
            vec![("10.5.2.0-24&fc00::-64", udp(8)), ("10.5.2.0-24", udp(9))],
            vec!["10.5.2.0-24"],
        ),
        (
            "the newer also with host bits",
            vec![("10.5.2.0-24", udp(8)), ("10.5.2.7-24", udp(9))],
            vec!["10.5.2.7-24"],
        ),
        (
            "the one that fits the config, though older and wider",
            vec![
                ("10.5.2.0-24", udp(8)),
                ("10.5.2.128-25", udp(9)),
                ("10.5.2.0-30", udp(7)),
            ],
            vec!["10.5.2.0-24"],
        ),
        (
            "the one that fits the config, though older and narrower",
            vec![
                ("10.5.2.0-24", udp(8)),
                ("10.5.2.0-23", udp(9)),
                ("10.5.0.0-17", udp(7)),
            ],
            vec!["10.5.2.0-24"],
        ),
        (
            "the more specific where none fits",
            vec![("10.5.2.0-26", udp(8)), ("10.5.2.0-25", udp(9))],
            vec!["10.5.2.0-26"],
        ),
        (
            "one that cannot be programmed takes nothing away",
            vec![
                ("10.5.2.0-24", udp(8)),
                (
                    "10.5.2.0-24&fc00::-64",
                    r#"{"PublicIP":"0.0.0.0"}"#.to_owned(),
                ),
                ("10.5.2.3-24", "junk".to_owned()),
                (
                    "10.5.2.4-24",
                    r#"{"PublicIP":"192.0.2.7","BackendType":"vxlan"}"#.to_owned(),
                ),
            ],
            vec!["10.5.2.0-24"],
        ),
    ] {
        let snapshot = snapshot(&records);
        assert_eq!(names(&snapshot, "udp", &none, None), winners, "{why}");
        let judged = judge(&snapshot, &config("udp"), &none, None);
        for (name, _) in &records {
            let told = of(&judged, name).standings.iter().any(
                |standing| matches!(standing, Standing::Overlap(other) if other == winners[0]),
            );
            let unreadable = matches!(snapshot.records[*name], Record::Unreadable(_));
            assert_eq!(told, *name != winners[0] && !unreadable, "{why}: {name}");
        }
    }
}

#[test]
fn the_own_subnet_is_never_given_to_a_peer() {
    let own = Some("10.5.2.0-24");
    let snapshot = snapshot(&[
        ("10.5.2.0-24", udp(1)),
        ("10.5.2.0-24&fc00::-64", udp(8)),
        ("10.5.2.128-25", udp(9)),
        ("10.5.2.0-23", udp(7)),
        ("10.5.4.0-24", udp(6)),
        // Left behind by an earlier run on this host.
        ("10.5.5.0-24", udp(1)),
    ]);
    let none = HostNets::default();
    assert_eq!(names(&snapshot, "udp", &none, own), ["10.5.4.0-24"]);
    let judged = judge(&snapshot, &config("udp"), &none, own);
    let left_behind = Standing::DuplicatePublicIp("10.5.5.0-24".to_owned());
    assert_eq!(of(&judged, "10.5.2.0-24").standings, [left_behind]);
    // Also where the own record was broken by somebody.
    let mut broken = snapshot.clone();
    let record = Record::read("10.5.2.0-24", b"junk", Origin::default());
    broken.records.insert("10.5.2.0-24".to_owned(), record);
    assert_eq!(names(&broken, "udp", &none, own), ["10.5.4.0-24"]);
}

#[test]
fn a_public_ip_twice_is_told_and_used() {
    let snapshot = snapshot(&[
        ("10.5.2.0-24", udp(9)),
        ("10.5.3.0-24", udp(9)),
        ("10.5.4.0-24", udp(9)),
        ("10.5.5.0-24", udp(8)),
    ]);
    let none = HostNets::default();
    let judged = judge(&snapshot, &config("udp"), &none, None);
    let duplicate = |name: &str| vec![Standing::DuplicatePublicIp(name.to_owned())];
    assert_eq!(
        of(&judged, "10.5.2.0-24").standings,
        duplicate("10.5.4.0-24")
    );
    assert_eq!(
        of(&judged, "10.5.4.0-24").standings,
        duplicate("10.5.3.0-24")
    );
    assert_eq!(of(&judged, "10.5.5.0-24").standings, []);
    assert_eq!(names(&snapshot, "udp", &none, None).len(), 4);
}
