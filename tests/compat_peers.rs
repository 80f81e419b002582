//! The peers that follow from any records: apart from each other, from the own subnet and from the host,
//! and found quickly.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::Ipv4Addr;

use flannelctl::subnet::standing::{HostNets, Judged, Standing, judge, peers};
use flannelctl::subnet::{NetworkConfig, Origin, Record, Snapshot};
use proptest::prelude::*;

const OWN_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn config() -> NetworkConfig {
    NetworkConfig::parse(br#"{"Network":"10.5.0.0/16"}"#).unwrap()
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

#[test]
fn many_records_are_judged_quickly() {
    let mut records = Vec::new();
    for n in 0..10_000u32 {
        let (a, b) = (n / 40 % 250, n % 40);
        // Every kind of overlap at once: other spellings of one subnet, wider and narrower ones.
        records.push((
            format!("x{n}-10.5.{a}.0-{}", 16 + b % 14),
            udp((n % 250) as u8),
        ));
    }
    let borrowed: Vec<_> = records
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let snapshot = snapshot(&borrowed);
    let nets: Vec<String> = (0..1000)
        .map(|n| format!("172.16.{}.{}/32", n / 250, n % 250))
        .collect();
    let nets: Vec<&str> = nets.iter().map(String::as_str).collect();
    let start = std::time::Instant::now();
    let judged = judge(&snapshot, &config(), &host(&nets), None);
    assert_eq!(judged.len(), 10_000);
    assert!(start.elapsed().as_millis() < 1500, "{:?}", start.elapsed());
    let lost = |judged: &&Judged| matches!(judged.state(), Standing::Overlap(_));
    assert!(judged.iter().filter(lost).count() > 9_000);
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u8..6, 20u8..=27, prop_oneof![Just(""), Just("&fc00::-64"), Just("&fc00:0:0:1::-64")])
            .prop_map(|(low, len, six)| format!("10.5.{low}.0-{len}{six}")),
        1 => "\\PC{0,12}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => (1u8..8).prop_map(udp),
        1 => Just("{}".to_owned()),
        1 => Just(r#"{"PublicIP":"192.0.2.3","BackendType":"vxlan"}"#.to_owned()),
        1 => "\\PC{0,12}",
    ]
}

proptest! {
    /// Peers never overlap each other, the own subnet or the host; every usable record that overlaps
    /// nothing is among them.
    #[test]
    fn peers_are_apart(
        records in proptest::collection::vec((name(), value()), 0..30), own: proptest::sample::Index,
        connected in proptest::collection::vec((0u8..6, 22u8..=32), 0..2),
    ) {
        let borrowed: Vec<_> = records.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let snapshot = snapshot(&borrowed);
        let own = (!records.is_empty()).then(|| records[own.index(records.len())].0.as_str());
        let host = HostNets {
            connected: connected
                .iter()
                .map(|(low, len)| ipnet::Ipv4Net::new(Ipv4Addr::new(10, 5, *low, 0), *len).unwrap())
                .collect(),
        };
        let judged = judge(&snapshot, &config(), &host, own);
        prop_assert_eq!(judged.len(), snapshot.records.len());
        let programmed = peers(&snapshot, &judged, own, OWN_IP);
        let mut nets: Vec<_> = programmed.iter().map(|lease| lease.key.subnet4().unwrap()).collect();
        nets.extend(own.and_then(|own| snapshot.records[own].key()?.subnet4()));
        for (at, net) in nets.iter().enumerate() {
            for other in &nets[at + 1..] {
                prop_assert!(!net.contains(other) && !other.contains(net), "{} {}", net, other);
            }
        }
        for lease in &programmed {
            let subnet = lease.key.subnet4().unwrap();
            prop_assert!(host.connected.iter().all(|net| !net.contains(&subnet) && !subnet.contains(net)));
            prop_assert!(own != Some(lease.name.as_str()) && lease.attrs.public_ip != OWN_IP);
        }
        // Nobody is left out but for a reason that names what is in its place.
        for judged in &judged {
            for standing in &judged.standings {
                if let Standing::Overlap(other) = standing {
                    let key = |name: &str| snapshot.records[name].key().unwrap().subnet4().unwrap();
                    let (this, other) = (key(&judged.name), key(other));
                    prop_assert!(this.contains(&other) || other.contains(&this));
                }
            }
        }
    }
}
