//! Key names against every row of flannel-compat 2.1, and both ways for any key.

#![allow(clippy::unwrap_used, missing_docs)]

use flannelctl::subnet::SubnetKey;
use flannelctl::subnet::key::KeyError;
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;

#[test]
fn table_2_1_accepted() {
    for (name, v4, v6) in [
        ("10.5.52.0-24", "10.5.52.0/24", None),
        ("10.5.52.0-31", "10.5.52.0/31", None),
        ("10.5.52.0-0", "10.5.52.0/0", None),
        ("10.5.52.0-024", "10.5.52.0/24", None),
        ("10.5.52.7-24", "10.5.52.7/24", None),
        ("10.5.52.0-24&fc00::-64", "10.5.52.0/24", Some("fc00::/64")),
        (
            "10.5.52.0-24&fc00::-0127",
            "10.5.52.0/24",
            Some("fc00::/127"),
        ),
        (
            "10.5.52.0-24&fc00:0:0::-64",
            "10.5.52.0/24",
            Some("fc00::/64"),
        ),
        (
            "0.0.0.0-0&2001:cafe:42:48::-64",
            "0.0.0.0/0",
            Some("2001:cafe:42:48::/64"),
        ),
        (
            "/coreos.com/network/subnets/junk10.5.52.0-24",
            "10.5.52.0/24",
            None,
        ),
        ("junk\n10.5.52.0-24", "10.5.52.0/24", None),
        ("9.10.5.52.0-24", "10.5.52.0/24", None),
        ("ключ10.5.52.0-24", "10.5.52.0/24", None),
        (
            "x-1&y10.5.52.0-24&fc00::-64",
            "10.5.52.0/24",
            Some("fc00::/64"),
        ),
        ("10.5.52.0-24-10.5.53.0-24", "10.5.53.0/24", None),
    ] {
        let key = SubnetKey::parse(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(key.v4, v4.parse::<Ipv4Net>().unwrap(), "{name}");
        assert_eq!(
            key.v6,
            v6.map(|net| net.parse::<Ipv6Net>().unwrap()),
            "{name}"
        );
    }
}

#[test]
fn table_2_1_refused() {
    for (name, error) in [
        ("10.5.52.0-32", KeyError::Length),
        ("10.5.52.0-99", KeyError::Length),
        ("10.5.52.0-99999999999999999999", KeyError::Length),
        ("10.5.52.0-24&FC00::-64", KeyError::Form),
        ("10.5.52.0-24&fc00::-128", KeyError::Length),
        ("10.5.52.0-32&fc00::-64", KeyError::Length),
        ("10.5.52.0-24&", KeyError::Form),
        ("10.5.52.0-24&-64", KeyError::Form),
        ("10.5.52.0-24&fc00:::-64", KeyError::Address6),
        ("10.5.52.0-24&5-64", KeyError::Address6),
        ("10.5.52.0&fc00::-64", KeyError::Form),
        ("10.5.52.0-24.bak", KeyError::Form),
        ("10.5.52.0-24/", KeyError::Form),
        ("10.5.52.0-24\n", KeyError::Form),
        ("310.5.52.0-24", KeyError::Address4),
        ("10.5.52.00-24", KeyError::Address4),
        ("10.5x52x0-24", KeyError::Form),
        ("10..52.0-24", KeyError::Form),
        ("10.5.52-24", KeyError::Form),
        ("10.5.52.0-", KeyError::Form),
        ("10.5.52.0-٢٤", KeyError::Form),
        ("10.5.52.0/24", KeyError::Form),
        ("foo", KeyError::Form),
        ("", KeyError::Form),
        ("-", KeyError::Form),
        ("&-0", KeyError::Form),
    ] {
        assert_eq!(SubnetKey::parse(name), Err(error), "{name:?}");
    }
}

#[test]
fn names_are_canonical() {
    for (v4, v6, name) in [
        ("10.5.52.0/24", None, "10.5.52.0-24"),
        (
            "10.5.52.0/24",
            Some("2001:CAFE:0042:39:0:0:0:0/64"),
            "10.5.52.0-24&2001:cafe:42:39::-64",
        ),
        (
            "0.0.0.0/0",
            Some("fc00:0:0:1::/64"),
            "0.0.0.0-0&fc00:0:0:1::-64",
        ),
        (
            "10.5.52.0/24",
            Some("::ffff:10.0.0.0/120"),
            "10.5.52.0-24&::ffff:a00:0-120",
        ),
    ] {
        let key = SubnetKey {
            v4: v4.parse().unwrap(),
            v6: v6.map(|net| net.parse().unwrap()),
        };
        assert_eq!(key.to_string(), name);
    }
}

#[test]
fn ipv6_only_keys_have_no_ipv4_subnet() {
    let subnet4 = |name: &str| SubnetKey::parse(name).unwrap().subnet4();
    assert_eq!(subnet4("0.0.0.0-0&fc00::-64"), None);
    assert_eq!(subnet4("10.5.52.7-24"), "10.5.52.0/24".parse().ok());
}

proptest! {
    #[test]
    fn every_key_survives_its_name(
        bits: u32, len in 0u8..=31, six in proptest::option::of((any::<u128>(), 0u8..=127)),
    ) {
        let key = SubnetKey {
            v4: Ipv4Net::new(bits.into(), len).unwrap(),
            v6: six.map(|(bits, len)| Ipv6Net::new(bits.into(), len).unwrap()),
        };
        prop_assert_eq!(SubnetKey::parse(&key.to_string()), Ok(key));
    }

    #[test]
    fn never_panics(name in "\\PC{0,40}", alike in "[0-9a-f.:&/é-]{0,60}") {
        let _outcome = (SubnetKey::parse(&name), SubnetKey::parse(&alike));
    }

    /// flannel's own pattern, as it stands in its source, decides what is a key.
    #[test]
    fn agrees_with_flannels_pattern(
        name in "x?[0-9]{0,3}[.]?(0|1|10|255|300)[.x](0|5)[.x]?(0|52)[.&](0|7)-[0-9]{1,2}(&[a-f0-9:]{0,6}(-[0-9]{1,3})?)?"
    ) {
        prop_assert_eq!(SubnetKey::parse(&name).ok(), by_pattern(&name), "{}", name);
    }
}

fn by_pattern(name: &str) -> Option<SubnetKey> {
    let pattern = r"([0-9]+\.[0-9]+.[0-9]+.[0-9]+)-([0-9]+)(?:&([a-f0-9:]+)-([0-9]+))?$";
    let parts = regex::Regex::new(pattern).unwrap().captures(name)?;
    let length = |part: &str, most: u64| part.parse::<u64>().ok().filter(|len| *len <= most);
    let v4 = Ipv4Net::new(parts[1].parse().ok()?, length(&parts[2], 31)? as u8).ok()?;
    let v6 = match parts.get(3) {
        None => None,
        Some(address) => {
            let len = length(&parts[4], 127)? as u8;
            Some(Ipv6Net::new(address.as_str().parse().ok()?, len).ok()?)
        }
    };
    Some(SubnetKey { v4, v6 })
}
