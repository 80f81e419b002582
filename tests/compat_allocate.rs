//! Allocation (flannel-compat 3.2, 3.3): which record is ours, which subnet is taken, and a comparison
//! with a naive walk over every base.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{Ipv4Addr, Ipv6Addr};

use flannelctl::subnet::allocate::{Acquisition, AllocateError, decide, fits};
use flannelctl::subnet::envfile::PreviousSubnets;
use flannelctl::subnet::{NetworkConfig, Origin, Record, Snapshot, SubnetKey};
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn config(members: &str) -> NetworkConfig {
    NetworkConfig::parse(format!("{{{members}}}").as_bytes()).unwrap()
}

fn origin(lease_id: i64, mod_revision: i64) -> Origin {
    Origin {
        lease_id,
        create_revision: mod_revision,
        mod_revision,
    }
}

/// Name, last octet of the public IP, etcd lease.
fn snapshot(records: &[(&str, u8, i64)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (revision, (name, host, lease_id)) in (1..).zip(records) {
        let value = format!(r#"{{"PublicIP":"192.0.2.{host}","PublicIPv6":null}}"#);
        let record = Record::read(name, value.as_bytes(), origin(*lease_id, revision));
        snapshot.records.insert((*name).to_owned(), record);
    }
    snapshot
}

fn previous(v4: &str, v6: &str) -> PreviousSubnets {
    PreviousSubnets {
        v4: v4.parse().ok(),
        v6: v6.parse().ok(),
    }
}

fn ask(
    config: &NetworkConfig,
    snapshot: &Snapshot,
    previous: &PreviousSubnets,
) -> Result<Acquisition, AllocateError> {
    decide(
        config,
        snapshot,
        OURS,
        previous,
        &mut SmallRng::seed_from_u64(7),
    )
}

/// `create`, `reuse` or `discard` with the name.
fn said(outcome: Result<Acquisition, AllocateError>) -> String {
    match outcome {
        Ok(Acquisition::Create { key }) => format!("create {key}"),
        Ok(Acquisition::Reuse { name, origin, .. }) => format!("reuse {name} {}", origin.lease_id),
        Ok(Acquisition::Discard { name, origin }) => {
            format!("discard {name} at {}", origin.mod_revision)
        }
        Err(AllocateError::OutOfSubnets { family, total, .. }) => {
            format!("out of {total} {family}")
        }
        Err(AllocateError::EmptyRange { family, .. }) => format!("empty {family}"),
        Err(AllocateError::NoFamily) => "no family".to_owned(),
    }
}

const ONE: &str = r#""Network":"10.5.0.0/16","SubnetMin":"10.5.7.0","SubnetMax":"10.5.7.0""#;
const FEW: &str = r#""Network":"10.5.0.0/22""#;
const DUAL: &str = r#""Network":"10.5.0.0/22","EnableIPv6":true,"IPv6Network":"fc00::/62""#;

#[test]
fn our_record_of_an_earlier_run() {
    for (members, records, expected) in [
        (FEW, &[("10.5.1.0-24", 1, 5)][..], "reuse 10.5.1.0-24 5"),
        // Known by the public IP alone, a reservation too.
        (
            FEW,
            &[("10.5.1.0-24", 9, 5), ("10.5.2.0-24", 1, 0)],
            "reuse 10.5.2.0-24 0",
        ),
        // Several of ours: the first that fits, not the first.
        (
            FEW,
            &[
                ("10.5.0.0-24", 1, 5),
                ("10.5.2.0-24", 1, 6),
                ("10.5.3.0-24", 1, 7),
            ],
            "reuse 10.5.2.0-24 6",
        ),
        (
            FEW,
            &[("10.5.0.0-24", 1, 5), ("10.9.0.0-24", 1, 6)],
            "discard 10.5.0.0-24 at 1",
        ),
        (FEW, &[("10.5.1.0-25", 1, 5)], "discard 10.5.1.0-25 at 1"),
        (
            FEW,
            &[("10.5.1.0-24&fc00::-64", 1, 5)],
            "discard 10.5.1.0-24&fc00::-64 at 1",
        ),
        (DUAL, &[("10.5.1.0-24", 1, 5)], "discard 10.5.1.0-24 at 1"),
        (
            DUAL,
            &[("10.5.1.0-24&fc00:0:0:1::-64", 1, 5)],
            "reuse 10.5.1.0-24&fc00:0:0:1::-64 5",
        ),
        // A name that flanneld reads but never writes is rewritten where it stands.
        (FEW, &[("x10.5.1.0-024", 1, 5)], "reuse x10.5.1.0-024 5"),
        // A reservation outside of the range is the administrator's: it stays.
        (ONE, &[("10.5.1.0-24", 1, 0)], "create 10.5.7.0-24"),
        (
            ONE,
            &[("10.5.1.0-24", 1, 0), ("10.5.2.0-24", 1, 5)],
            "discard 10.5.2.0-24 at 2",
        ),
    ] {
        let outcome = ask(
            &config(members),
            &snapshot(records),
            &PreviousSubnets::default(),
        );
        assert_eq!(said(outcome), expected, "{members} {records:?}");
    }
}

#[test]
fn without_an_ipv4_address_nobody_is_recognised() {
    let snapshot = {
        let mut snapshot = Snapshot::default();
        let name = "0.0.0.0-0&fc00:0:0:1::-64".to_owned();
        let value = br#"{"PublicIP":"0.0.0.0","PublicIPv6":"fd00::1"}"#;
        let record = Record::read(&name, value, origin(5, 1));
        snapshot.records.insert(name, record);
        snapshot
    };
    let six = r#""EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fc00::/62","IPv6SubnetMax":"fc00:0:0:2::""#;
    let outcome = decide(
        &config(six),
        &snapshot,
        Ipv4Addr::UNSPECIFIED,
        &PreviousSubnets::default(),
        &mut rand::rng(),
    );
    assert_eq!(said(outcome), "create 0.0.0.0-0&fc00:0:0:2::-64");
}

#[test]
fn the_previous_subnet_where_it_is_free_and_fits() {
    let previous4 = previous("10.5.200.0/24", "");
    let wide = config(r#""Network":"10.5.0.0/16""#);
    let free = snapshot(&[("10.5.1.0-24", 9, 5)]);
    assert_eq!(said(ask(&wide, &free, &previous4)), "create 10.5.200.0-24");
    // Overlap counts, not equality alone; an unreadable record with a readable key holds its subnet.
    for (name, host) in [
        ("10.5.200.0-24", 9),
        ("10.5.200.128-25", 9),
        ("10.5.128.0-17", 9),
    ] {
        let taken = snapshot(&[(name, host, 5)]);
        assert_ne!(
            said(ask(&wide, &taken, &previous4)),
            "create 10.5.200.0-24",
            "{name}"
        );
    }
    let mut unreadable = Snapshot::default();
    let record = Record::read("10.5.7.0-24", b"junk", origin(0, 1));
    unreadable.records.insert("10.5.7.0-24".to_owned(), record);
    assert_eq!(
        said(ask(&config(ONE), &unreadable, &previous("10.5.7.0/24", ""))),
        "out of 1 IPv4"
    );
    // Outside of the config it is forgotten.
    for net in ["10.6.1.0/24", "10.5.200.0/25", "10.5.0.0/24"] {
        let outcome = said(ask(&config(ONE), &Snapshot::default(), &previous(net, "")));
        assert_eq!(outcome, "create 10.5.7.0-24", "{net}");
    }
}

#[test]
fn the_halves_are_kept_apart() {
    let dual = config(DUAL);
    let both = previous("10.5.3.0/24", "fc00:0:0:3::/64");
    let none = Snapshot::default();
    assert_eq!(
        said(ask(&dual, &none, &both)),
        "create 10.5.3.0-24&fc00:0:0:3::-64"
    );
    // IPv6 was turned on or off meanwhile: the IPv4 half stays.
    assert!(
        said(ask(&dual, &none, &previous("10.5.3.0/24", "")))
            .starts_with("create 10.5.3.0-24&fc00")
    );
    assert_eq!(said(ask(&config(FEW), &none, &both)), "create 10.5.3.0-24");
    // The IPv6 half of another node's key is in use, and so is the IPv4 half of a third's.
    let taken = snapshot(&[
        ("10.5.1.0-24&fc00:0:0:3::-64", 8, 5),
        ("10.5.2.0-24&fc00:0:0:1::-64", 9, 6),
    ]);
    assert_eq!(
        said(ask(&dual, &taken, &both)),
        "create 10.5.3.0-24&fc00:0:0:2::-64"
    );
}

#[test]
fn a_full_network_says_so() {
    let full = snapshot(&[
        ("10.5.1.0-24", 7, 5),
        ("10.5.2.0-24", 8, 6),
        ("10.5.3.0-24", 9, 7),
    ]);
    let error = ask(&config(FEW), &full, &PreviousSubnets::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "out of subnets: all 3 IPv4 subnets between 10.5.1.0 and 10.5.3.0 are taken"
    );
    let wide = snapshot(&[("10.0.0.0-8", 7, 5)]);
    assert_eq!(
        said(ask(&config(FEW), &wide, &PreviousSubnets::default())),
        "out of 3 IPv4"
    );
    // A /0 names no subnet: one junk key cannot stop everybody.
    let junk = snapshot(&[("10.5.1.0-0", 7, 5), ("foo", 8, 6)]);
    assert!(said(ask(&config(FEW), &junk, &PreviousSubnets::default())).starts_with("create"));
    let inverted =
        config(r#""Network":"10.5.0.0/16","SubnetMin":"10.5.20.0","SubnetMax":"10.5.10.0""#);
    let none = Snapshot::default();
    assert_eq!(
        said(ask(&inverted, &none, &PreviousSubnets::default())),
        "empty IPv4"
    );
    let off = config(r#""EnableIPv4":false"#);
    assert_eq!(
        said(ask(&off, &none, &PreviousSubnets::default())),
        "no family"
    );
}

#[test]
fn ends_of_the_address_space() {
    for (members, expected) in [
        (
            r#""Network":"255.255.255.0/24","SubnetMin":"255.255.255.192""#,
            "create 255.255.255.192-26",
        ),
        (
            r#""EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"ffff:ffff:ffff:ffff::/64","IPv6SubnetMin":"ffff:ffff:ffff:ffff:c000::""#,
            "create 0.0.0.0-0&ffff:ffff:ffff:ffff:c000::-66",
        ),
    ] {
        let none = Snapshot::default();
        assert_eq!(
            said(ask(&config(members), &none, &PreviousSubnets::default())),
            expected
        );
    }
}

#[test]
fn a_wide_network_with_many_leases_is_quick() {
    let mut snapshot = Snapshot::default();
    for n in 0..30_000u32 {
        let subnet = Ipv4Net::new(Ipv4Addr::from_bits((10 << 24) + ((n + 1) << 8)), 24).unwrap();
        let name = SubnetKey::v4(subnet).to_string();
        let value = br#"{"PublicIP":"198.51.100.1"}"#;
        snapshot
            .records
            .insert(name.clone(), Record::read(&name, value, origin(1, 1)));
    }
    let start = std::time::Instant::now();
    let wide = config(r#""Network":"10.0.0.0/8""#);
    let Ok(Acquisition::Create { key }) = ask(&wide, &snapshot, &PreviousSubnets::default()) else {
        panic!("no subnet");
    };
    assert!(key.v4.addr() > Ipv4Addr::new(10, 117, 48, 0), "{key}");
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
}

/// Every free base by the letter of flannel-compat 3.3, at most 100.
fn naive(config: &NetworkConfig, taken: &[Ipv4Net]) -> Vec<Ipv4Addr> {
    let pool = config.ipv4.as_ref().unwrap();
    let (min, max) = (u32::from(pool.min), u32::from(pool.max));
    let size = 1u64 << (32 - pool.subnet_len);
    let mut free = Vec::new();
    let mut base = u64::from(min);
    while base <= u64::from(max) && free.len() < 100 {
        let subnet = Ipv4Net::new(Ipv4Addr::from(base as u32), pool.subnet_len).unwrap();
        if !taken
            .iter()
            .any(|net| net.contains(&subnet) || subnet.contains(net))
        {
            free.push(subnet.addr());
        }
        base += size;
    }
    free
}

proptest! {
    #[test]
    fn agrees_with_the_naive_walk(
        nets in proptest::collection::vec((any::<u16>(), 15u8..=31), 0..120),
        len in 18u64..=26, min in 0u32..4, max in 0u32..4, seed: u64,
    ) {
        let base = 10 << 24 | 5 << 16;
        let size = 1 << (32 - len);
        let members = format!(
            r#""Network":"10.5.0.0/16","SubnetLen":{len},"SubnetMin":"{}","SubnetMax":"{}""#,
            Ipv4Addr::from(base + min * size), Ipv4Addr::from(base + 0x1_0000 - (1 + max.min(3)) * size.min(0x4000)),
        );
        let Ok(config) = NetworkConfig::parse(format!("{{{members}}}").as_bytes()) else {
            return Ok(());
        };
        let taken: Vec<Ipv4Net> = nets
            .iter()
            .map(|(low, len)| Ipv4Net::new((base + u32::from(*low)).into(), *len).unwrap().trunc())
            .collect();
        let names: Vec<String> = taken.iter().map(|net| SubnetKey::v4(*net).to_string()).collect();
        let records: Vec<_> = names.iter().map(|name| (name.as_str(), 9, 5)).collect();
        let outcome = decide(
            &config, &snapshot(&records), OURS, &PreviousSubnets::default(), &mut SmallRng::seed_from_u64(seed),
        );
        let free = naive(&config, &taken);
        match outcome {
            Ok(Acquisition::Create { key }) => {
                prop_assert!(free.contains(&key.v4.addr()), "{} of {:?}", key, free);
                prop_assert!(fits(&config, &key));
                prop_assert!(taken.iter().all(|net| !net.contains(&key.v4) && !key.v4.contains(net)));
            }
            Err(AllocateError::OutOfSubnets { .. }) => prop_assert!(free.is_empty()),
            Err(AllocateError::EmptyRange { .. }) => {
                let pool = config.ipv4.unwrap();
                prop_assert!(pool.min > pool.max);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Each of many nodes that come one after the other gets its own, until all are gone.
    #[test]
    fn a_network_fills_to_the_last_subnet(seed: u64) {
        let config = config(r#""Network":"10.5.0.0/24","EnableIPv6":true,"IPv6Network":"fc00::/60""#);
        let mut snapshot = Snapshot::default();
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut seen: Vec<(Ipv4Net, Ipv6Net)> = Vec::new();
        for host in 1..=3u8 {
            let ip = Ipv4Addr::new(192, 0, 2, host);
            let outcome = decide(&config, &snapshot, ip, &PreviousSubnets::default(), &mut rng);
            let Ok(Acquisition::Create { key }) = outcome else {
                panic!("{outcome:?}");
            };
            let halves = (key.v4, key.v6.unwrap());
            prop_assert!(fits(&config, &key));
            prop_assert!(seen.iter().all(|(v4, v6)| *v4 != halves.0 && *v6 != halves.1));
            seen.push(halves);
            let name = key.to_string();
            let value = format!(r#"{{"PublicIP":"{ip}"}}"#);
            let record = Record::read(&name, value.as_bytes(), origin(1, i64::from(host)));
            snapshot.records.insert(name, record);
        }
        let outcome = decide(&config, &snapshot, OURS.max(Ipv4Addr::new(192, 0, 2, 9)), &PreviousSubnets::default(), &mut rng);
        prop_assert_eq!(said(outcome), "out of 3 IPv4");
    }

    /// All first hundred are possible, and none after them.
    #[test]
    fn one_of_the_first_hundred(seed: u64) {
        let config = config(r#""Network":"10.0.0.0/8","EnableIPv6":true,"IPv6Network":"fc00::/8""#);
        let mut rng = SmallRng::seed_from_u64(seed);
        let outcome = decide(&config, &Snapshot::default(), OURS, &PreviousSubnets::default(), &mut rng);
        let Ok(Acquisition::Create { key }) = outcome else {
            panic!("{outcome:?}");
        };
        prop_assert!(key.v4.addr() >= Ipv4Addr::new(10, 0, 1, 0) && key.v4.addr() <= Ipv4Addr::new(10, 0, 100, 0));
        let six = key.v6.unwrap().addr();
        let (first, last) = (Ipv6Addr::from(0xfc00_0000_0000_0001 << 64), Ipv6Addr::from(0xfc00_0000_0000_0064 << 64));
        prop_assert!(first <= six && six <= last, "{}", six);
    }
}
