//! The network config: its backends and their options, the messages, what flanneld forgets, and any text.

#![allow(clippy::unwrap_used, missing_docs)]

use flannelctl::subnet::network::{Backend, ConfigError, ConfigProblem, VxlanOptions};
use flannelctl::subnet::{NetworkConfig, allocate};
use proptest::prelude::*;

fn parse(text: &str) -> Result<NetworkConfig, ConfigError> {
    NetworkConfig::parse(text.as_bytes())
}

/// The config whose members these are.
fn of(members: &str) -> Result<NetworkConfig, ConfigError> {
    parse(&format!("{{{members}}}"))
}

/// Members that turn IPv4 on with a valid network, and more.
fn with(members: &str) -> Result<NetworkConfig, ConfigError> {
    of(&format!(r#""Network":"10.5.0.0/16",{members}"#))
}

/// A short name of the reason.
fn reason(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::NetworkMissing { .. } => "missing",
        ConfigError::NetworkTooSmall { .. } => "too small",
        ConfigError::SubnetTooSmall { .. } => "too long",
        ConfigError::TooFewSubnets { .. } => "fewer than four",
        ConfigError::BackendNotAnObject { .. } => "backend",
        ConfigError::BackendTypeNotAString { .. } => "type",
        ConfigError::BackendTypeMissing => "no type",
        ConfigError::BackendUnsupported { .. } => "unsupported",
        ConfigError::BackendUnknown { .. } => "unknown",
        ConfigError::OptionNotABool { .. } => "option bool",
        ConfigError::OptionOutOfRange { .. } => "option range",
        ConfigError::VniTooLong { .. } => "vni too long",
        _ => "other",
    }
}

#[test]
fn backend_type() {
    for (backend, expected) in [
        ("null", ""),
        ("{}", ""),
        (r#"{"VNI":2}"#, ""),
        (r#"{"Type":null}"#, ""),
        (r#"{"Type":"VXLAN"}"#, "vxlan"),
        (r#"{"type":"Host-GW"}"#, "host-gw"),
        (
            r#"{"Type":"udp","type":"vxlan","Type":"host-gw"}"#,
            "host-gw",
        ),
        (r#"{"Type":"host-gw","Type":"udp","type":"vxlan"}"#, "vxlan"),
        (r#"{"Type":"udp"},"backend":{"Port":1}"#, ""),
        (r#"{"Type":"udp"},"Backend":null"#, ""),
        (r#"5,"Backend":{"Type":"udp"}"#, "udp"),
    ] {
        let config = with(&format!(r#""Backend":{backend}"#)).unwrap();
        assert_eq!(config.backend_type, expected, "{backend}");
    }
    for (backend, expected) in [
        (r#""vxlan""#, "backend"),
        ("[]", "backend"),
        ("5", "backend"),
        (r#"{"Type":5}"#, "type"),
        (r#"{"Type":"udp","type":[]}"#, "type"),
    ] {
        let error = with(&format!(r#""Backend":{backend}"#)).unwrap_err();
        assert_eq!(reason(&error), expected, "{backend}");
    }
}

/// The backend of a config that is accepted, or the reason why there is none.
fn backend(options: &str) -> Result<Backend, &'static str> {
    let config = with(&format!(r#""Backend":{options}"#)).unwrap();
    config.backend().map_err(|error| reason(&error))
}

#[test]
fn backends_and_their_options() {
    assert_eq!(
        with(r#""x":1"#).unwrap().backend(),
        Ok(Backend::Udp { port: 8285 })
    );
    assert_eq!(
        backend(r#"{"Type":"host-gw","VNI":-5}"#),
        Ok(Backend::HostGw)
    );
    assert_eq!(backend("{}"), Err("no type"));
    assert_eq!(backend("null"), Err("no type"));
    assert_eq!(backend(r#"{"Type":"vlan"}"#), Err("unknown"));
    let flannelds = [
        "wireguard",
        "IPIP",
        "ipsec",
        "alloc",
        "extension",
        "tencent-vpc",
    ];
    for kind in flannelds {
        assert_eq!(
            backend(&format!(r#"{{"Type":"{kind}"}}"#)),
            Err("unsupported")
        );
    }
    let plain = VxlanOptions {
        vni: 1,
        port: None,
        mtu: None,
        gbp: false,
        learning: false,
        direct_routing: false,
    };
    let port = |port| VxlanOptions {
        port,
        ..plain.clone()
    };
    let mtu = |mtu| VxlanOptions {
        mtu,
        ..plain.clone()
    };
    let vni = |vni| VxlanOptions {
        vni,
        ..plain.clone()
    };
    for (options, expected) in [
        ("", Ok(plain.clone())),
        (r#","VNI":4096,"vni":null"#, Ok(vni(4096))),
        (r#","VNI":9999999"#, Ok(vni(9_999_999))),
        (r#","VNI":10000000"#, Err("vni too long")),
        (r#","VNI":16777215"#, Err("vni too long")),
        (r#","VNI":16777216"#, Err("option range")),
        (r#","VNI":0"#, Err("option range")),
        (r#","VNI":-1"#, Err("option range")),
        (r#","VNI":1.0"#, Err("option range")),
        (r#","VNI":"1""#, Err("option range")),
        (r#","VNI":1,"VNI":{}"#, Err("option range")),
        (r#","Port":0"#, Ok(port(None))),
        (r#","port":4789"#, Ok(port(Some(4789)))),
        (r#","Port":65536"#, Err("option range")),
        (r#","MTU":0"#, Ok(mtu(None))),
        (r#","MTU":1400"#, Ok(mtu(Some(1400)))),
        (r#","MTU":575"#, Err("option range")),
        (r#","MTU":65536"#, Err("option range")),
        (r#","GBP":1"#, Err("option bool")),
        (r#","Learning":"true""#, Err("option bool")),
        (r#","DirectRouting":null"#, Ok(plain.clone())),
        (
            r#","GBP":true,"Learning":true,"directrouting":true"#,
            Ok(VxlanOptions {
                gbp: true,
                learning: true,
                direct_routing: true,
                ..plain.clone()
            }),
        ),
    ] {
        let outcome = backend(&format!(r#"{{"Type":"vxlan"{options}}}"#));
        assert_eq!(outcome, expected.map(Backend::Vxlan), "{options}");
    }
    for (options, expected) in [
        (r#","Port":7890"#, Ok(Backend::Udp { port: 7890 })),
        (r#","Port":0"#, Err("option range")),
        (r#","Port":70000"#, Err("option range")),
    ] {
        let outcome = backend(&format!(r#"{{"Type":"udp"{options}}}"#));
        assert_eq!(outcome, expected, "{options}");
    }
}

#[test]
fn messages_name_field_value_and_remedy() {
    for (members, message) in [
        (
            r#""SubnetLen":17"#,
            "SubnetLen 17 leaves fewer than four subnets in 10.5.0.0/16: use at least 18",
        ),
        (
            r#""SubnetMin":"10.5.10.1""#,
            "SubnetMin 10.5.10.1 is not the base of a /24 subnet: use 10.5.10.0",
        ),
        (
            r#""SubnetMax":"10.4.0.0""#,
            "SubnetMax 10.4.0.0 is outside of the network 10.5.0.0/16: use an address in it",
        ),
        (
            r#""EnableIPv6":true"#,
            "IPv6Network is missing: give a network, or set EnableIPv6 to false",
        ),
    ] {
        assert_eq!(with(members).unwrap_err().to_string(), message);
    }
    let hostile = format!(r#""SubnetLen":"{}\u001b[31m""#, "é".repeat(500));
    let message = with(&hostile).unwrap_err().to_string();
    assert!(message.chars().count() < 200 && !message.contains(char::is_control));
}

#[test]
fn what_flanneld_forgets() {
    let problems = |members: &str| of(members).unwrap().strict_problems();
    assert_eq!(problems(r#""Network":"10.5.0.0/16""#), []);
    assert_eq!(problems(r#""EnableIPv4":false"#), [ConfigProblem::NoFamily]);
    let inverted =
        problems(r#""Network":"10.5.0.0/16","SubnetMin":"10.5.20.0","SubnetMax":"10.5.10.0""#);
    assert_eq!(
        inverted,
        [ConfigProblem::InvertedRange {
            min_field: "SubnetMin",
            min: "10.5.20.0".parse().unwrap(),
            max_field: "SubnetMax",
            max: "10.5.10.0".parse().unwrap(),
        }]
    );
    let networks = ["127.0.0.0/8", "127.5.0.0/16", "224.5.0.0/16", "0.0.0.0/1"];
    for network in networks {
        let found = problems(&format!(r#""Network":"{network}""#));
        assert!(
            matches!(
                found[..],
                [ConfigProblem::SpecialNetwork {
                    field: "Network",
                    ..
                }]
            ),
            "{network}"
        );
    }
    for network in ["fe80::/48", "ff05::/48", "::/48"] {
        let six = format!(r#""EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"{network}""#);
        assert_eq!(problems(&six).len(), 1, "{network}");
    }
}

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(config) = NetworkConfig::parse(&bytes) {
            let _outcome = (config.backend().is_ok(), config.strict_problems());
        }
    }

    #[test]
    fn never_panics_on_config_like_text(
        network in "[0-9./:a-f]{0,20}", six in "[0-9./:a-f]{0,20}", len: u64, min in "[0-9.]{0,15}",
        kind in "udp|vxlan|host-gw|\\PC{0,8}", option: i64,
    ) {
        let text = format!(
            r#"{{"Network":"{network}","EnableIPv6":true,"IPv6Network":"{six}","SubnetLen":{len},
            "SubnetMin":"{min}","Backend":{{"Type":"{kind}","VNI":{option},"Port":{option},"MTU":{option}}}}}"#
        );
        if let Ok(config) = parse(&text) {
            let _outcome = (config.backend().is_ok(), config.strict_problems());
        }
    }

    /// Whatever is accepted has bounds that its own rules admit, and at least four subnets.
    #[test]
    fn derived_ranges_hold_their_own_rules(bits: u32, prefix in 1u8..=32, len in 0u64..=32) {
        let network = ipnet::Ipv4Net::new(bits.into(), prefix).unwrap();
        let text = format!(r#""Network":"{network}","SubnetLen":{len}"#);
        match of(&text) {
            Err(error) => prop_assert!(
                matches!(reason(&error), "too small" | "fewer than four" | "too long" | "missing"),
                "{error}"
            ),
            Ok(config) => {
                let pool = config.ipv4.clone().unwrap();
                prop_assert_eq!(pool.network, network.trunc());
                for base in [pool.min, pool.max] {
                    let subnet = ipnet::Ipv4Net::new(base, pool.subnet_len).unwrap();
                    prop_assert_eq!(subnet.network(), base);
                    prop_assert!(pool.network.contains(&subnet) && pool.admits(subnet));
                    let key = flannelctl::subnet::SubnetKey::v4(subnet);
                    prop_assert!(allocate::fits(&config, &key));
                }
                prop_assert!(pool.min < pool.max && pool.subnet_len >= prefix + 2);
            }
        }
    }
}
