//! Rows and their forms, from snapshots made by hand.

use std::time::{Duration, UNIX_EPOCH};

use ipnet::Ipv4Net;

use super::row::duration;
use super::*;
use crate::subnet::standing::Standing;
use crate::subnet::{Lease, LeaseAttrs, Origin, Record, RecordError, SubnetKey, Unreadable};
use serde_json::{Value, json};

fn record(subnet: &str, ip: &str, backend: &str, lease_id: i64) -> Record {
    let v4: Ipv4Net = subnet.parse().unwrap();
    Record::Lease(Lease {
        name: subnet.replace('/', "-"),
        key: SubnetKey::v4(v4),
        attrs: LeaseAttrs {
            public_ip: ip.parse().unwrap(),
            public_ipv6: None,
            backend_type: backend.to_owned(),
            backend_data: None,
            backend_v6_data: None,
        },
        origin: Origin {
            lease_id,
            create_revision: 3,
            mod_revision: 4,
        },
    })
}

fn list() -> LeaseList {
    let mut snapshot = Snapshot {
        revision: 42,
        ..Snapshot::default()
    };
    let junk = Record::Unreadable(Unreadable {
        name: "junk\x1b[2J".to_owned(),
        key: None,
        reason: RecordError::Key(crate::subnet::key::KeyError::Form),
        origin: Origin::default(),
    });
    for record in [
        record("10.5.100.0/24", "192.0.2.1", "host-gw", 7),
        record("10.5.20.0/24", "192.0.2.2", "", 0),
        record("10.5.30.0/24", "192.0.2.2", "evil\u{202e}", 8),
        record("10.5.40.0/24", "192.0.2.4", "udp", 9),
        junk,
    ] {
        snapshot.records.insert(record.name().to_owned(), record);
    }
    let judged = [Judged {
        name: "10.5.30.0-24".to_owned(),
        standings: vec![Standing::DuplicatePublicIp("10.5.20.0-24".to_owned())],
    }];
    let ttls = BTreeMap::from([(7, Some(86_399)), (8, Some(61)), (9, None)]);
    LeaseList::new(
        &snapshot,
        &Facts {
            ttls: &ttls,
            judged: &judged,
            addresses: &["192.0.2.1".parse().unwrap()],
            now: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        },
    )
}

#[test]
fn table_for_people() {
    let expected = "\
SUBNET           PUBLIC-IP  BACKEND       TYPE         TTL     STATE
10.5.20.0/24     192.0.2.2  udp           reservation  -       ok
10.5.30.0/24     192.0.2.2  evil\\u{202e}  lease        1m01s   duplicate-public-ip (10.5.20.0-24), expiring (its holder does not renew it)
10.5.40.0/24     192.0.2.4  udp           lease        -       expired (its etcd lease is gone)
10.5.100.0/24 *  192.0.2.1  host-gw       lease        23h59m  ok
junk\\u{1b}[2J    -          -             reservation  -       unreadable (the key is not of the form 10.5.52.0-24 or 10.5.52.0-24&fc00::-64)
";
    assert_eq!(list().table(false, false), expected);
    assert!(list().table(true, false).contains("0000000000000007  4"));
    assert_eq!(
        list().names(),
        "10.5.20.0-24\n10.5.30.0-24\n10.5.40.0-24\n10.5.100.0-24\njunk\\u{1b}[2J\n"
    );
    assert_eq!((list().problems(), list().reservations()), (3, 2));
}

#[test]
fn json_contract() {
    let text = crate::report::json::pretty(&list()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&value["apiVersion"], &value["kind"], &value["revision"]),
        (&json!("flannelctl/v1"), &json!("LeaseList"), &json!(42))
    );
    let row = &value["leases"][3];
    for (field, expected) in [
        ("subnet", json!("10.5.100.0/24")),
        ("publicIP", json!("192.0.2.1")),
        ("backend", json!("host-gw")),
        ("type", json!("lease")),
        ("ttlSeconds", json!(86_399)),
        ("state", json!("ok")),
        ("states", json!([])),
        ("expiresAt", json!("2023-11-15T22:13:19Z")),
        ("thisNode", json!(true)),
        ("key", json!("10.5.100.0-24")),
        ("leaseId", json!("0000000000000007")),
        ("modRevision", json!(4)),
        ("vtepMAC", Value::Null),
        ("publicIPv6", Value::Null),
        ("ipv6Subnet", Value::Null),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    assert_eq!(value["leases"][0]["type"], json!("reservation"));
    assert_eq!(value["leases"][4]["key"], json!("junk\u{1b}[2J"));
    assert_eq!(value["leases"][4]["state"], json!("unreadable"));
}

#[test]
fn lookup() {
    let table = [
        ("10.5.100.23", vec!["10.5.100.0-24"]),
        ("192.0.2.2", vec!["10.5.20.0-24", "10.5.30.0-24"]),
        ("10.5.40.0/24", vec!["10.5.40.0-24"]),
        ("10.5.40.0-24", vec!["10.5.40.0-24"]),
        ("10.5.40.128/25", vec!["10.5.40.0-24"]),
        ("10.5.32.0/19", vec!["10.5.40.0-24"]),
        ("10.5.41.1", vec![]),
        ("fc00::1", vec![]),
    ];
    let list = list();
    for (text, expected) in table {
        let question = Question::parse(text).unwrap();
        let rows = list.leases.iter().filter(|row| row.answers(&question));
        let found: Vec<_> = rows.map(|row| row.key.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    }
    assert_eq!(Question::parse("host1"), None);
}

#[test]
fn durations() {
    let table = [
        (0, "0s"),
        (59, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86_399, "23h59m"),
        (86_400, "24h00m"),
        (90_000, "1d01h"),
    ];
    for (seconds, expected) in table {
        assert_eq!(duration(seconds), expected);
    }
}
