//! Lease values against flannel-compat 2.3: written byte for byte, read by flanneld's rules.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{Ipv4Addr, Ipv6Addr};

use flannelctl::subnet::lease::AttrsError;
use flannelctl::subnet::{LeaseAttrs, Origin, Record, Vtep, envfile};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decode(text: &str) -> Result<LeaseAttrs, AttrsError> {
    LeaseAttrs::decode(text.as_bytes())
}

fn empty() -> LeaseAttrs {
    LeaseAttrs {
        public_ip: Ipv4Addr::UNSPECIFIED,
        public_ipv6: None,
        backend_type: String::new(),
        backend_data: None,
        backend_v6_data: None,
    }
}

const MAC: [u8; 6] = [0x2a, 0x60, 0xa9, 0xec, 0xc1, 0xfe];

#[test]
fn real_values_both_ways() {
    let plain = LeaseAttrs {
        public_ip: Ipv4Addr::new(10, 88, 0, 1),
        ..empty()
    };
    let vtep = |vni, mac| Some(Vtep { vni, mac }.to_json());
    for (text, attrs) in [
        (
            r#"{"PublicIP":"10.88.0.1","PublicIPv6":null}"#,
            plain.clone(),
        ),
        (
            r#"{"PublicIP":"10.88.0.1","PublicIPv6":null,"BackendType":"host-gw"}"#,
            LeaseAttrs {
                backend_type: "host-gw".to_owned(),
                ..plain.clone()
            },
        ),
        (
            r#"{"PublicIP":"10.88.0.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"2a:60:a9:ec:c1:fe"}}"#,
            LeaseAttrs {
                backend_type: "vxlan".to_owned(),
                backend_data: vtep(1, MAC),
                ..plain.clone()
            },
        ),
        (
            r#"{"PublicIP":"10.88.0.1","PublicIPv6":"fd88::1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"9a:62:86:27:0f:fb"},"BackendV6Data":{"VNI":1,"VtepMAC":"1a:92:26:65:30:bd"}}"#,
            LeaseAttrs {
                public_ipv6: "fd88::1".parse().ok(),
                backend_type: "vxlan".to_owned(),
                backend_data: vtep(1, [0x9a, 0x62, 0x86, 0x27, 0x0f, 0xfb]),
                backend_v6_data: vtep(1, [0x1a, 0x92, 0x26, 0x65, 0x30, 0xbd]),
                ..plain.clone()
            },
        ),
        (
            r#"{"PublicIP":"10.88.0.1","PublicIPv6":null,"BackendType":"extension","BackendData":"hello world"}"#,
            LeaseAttrs {
                backend_type: "extension".to_owned(),
                backend_data: Some(json!("hello world")),
                ..plain.clone()
            },
        ),
        (
            r#"{"PublicIP":"0.0.0.0","PublicIPv6":"fd88::1"}"#,
            LeaseAttrs {
                public_ipv6: "fd88::1".parse().ok(),
                ..empty()
            },
        ),
    ] {
        assert_eq!(attrs.encode(), text);
        assert_eq!(decode(text), Ok(attrs), "{text}");
    }
}

#[test]
fn strings_are_escaped_as_in_go() {
    let attrs = LeaseAttrs {
        backend_type: "a<b".to_owned(),
        backend_data: Some(json!({"z": "<>&\u{2028}\u{2029}", "a": [1, null, "é\"\\\n"]})),
        public_ipv6: "::ffff:1.2.3.4".parse().ok(),
        ..empty()
    };
    assert_eq!(
        attrs.encode(),
        concat!(
            r#"{"PublicIP":"0.0.0.0","PublicIPv6":"1.2.3.4","BackendType":"a\u003cb","#,
            r#""BackendData":{"z":"\u003c\u003e\u0026\u2028\u2029","a":[1,null,"é\"\\\n"]}}"#
        )
    );
    assert_eq!(decode(&attrs.encode()), Ok(attrs));
}

#[test]
fn reader_table_accepted() {
    let one = Ipv4Addr::new(192, 0, 2, 1);
    let with_ip = LeaseAttrs {
        public_ip: one,
        ..empty()
    };
    for (text, attrs) in [
        ("null", empty()),
        ("{}", empty()),
        (r#" {"PublicIPv6":null} "#, empty()),
        (
            r#"{"publicip":"192.0.2.1","Dataplane":"x","ttl":{}}"#,
            with_ip.clone(),
        ),
        (
            r#"{"PublicIP":"198.51.100.9","PUBLICIP":"192.0.2.1"}"#,
            with_ip.clone(),
        ),
        (r#"{"PublicIP":"::ffff:192.0.2.1"}"#, with_ip.clone()),
        (
            r#"{"PublicIP":"192.0.2.1","BackendType":null}"#,
            with_ip.clone(),
        ),
        (
            r#"{"PublicIPv6":"1.2.3.4"}"#,
            LeaseAttrs {
                public_ipv6: "::ffff:1.2.3.4".parse().ok(),
                ..empty()
            },
        ),
        (r#"{"PublicIPv6":"fd88::1","publicipv6":null}"#, empty()),
        (
            r#"{"BackendData":null}"#,
            LeaseAttrs {
                backend_data: Some(Value::Null),
                ..empty()
            },
        ),
        (
            r#"{"BackendType":"vxlan","backendtype":null}"#,
            LeaseAttrs {
                backend_type: "vxlan".to_owned(),
                ..empty()
            },
        ),
    ] {
        assert_eq!(decode(text), Ok(attrs), "{text}");
    }
}

#[test]
fn reader_table_refused() {
    for text in [
        "",
        " ",
        "[]",
        "5",
        "\"x\"",
        "junk",
        "{}x",
        "{} {}",
        r#"{"PublicIP":"192.0.2.1",}"#,
    ] {
        assert_eq!(decode(text), Err(AttrsError::NotAnObject), "{text}");
    }
    for (text, field) in [
        (r#"{"PublicIP":null}"#, "PublicIP"),
        (r#"{"PublicIP":""}"#, "PublicIP"),
        (r#"{"PublicIP":3232235777}"#, "PublicIP"),
        (r#"{"PublicIP":"fd88::1"}"#, "PublicIP"),
        (r#"{"PublicIP":"192.0.2.1 "}"#, "PublicIP"),
        (r#"{"PublicIP":"junk","PublicIP":"192.0.2.1"}"#, "PublicIP"),
        (r#"{"PublicIPv6":""}"#, "PublicIPv6"),
        (r#"{"PublicIPv6":"fe80::1%eth0"}"#, "PublicIPv6"),
        (r#"{"PublicIPv6":[]}"#, "PublicIPv6"),
        (r#"{"BackendType":5}"#, "BackendType"),
    ] {
        assert_eq!(decode(text), Err(AttrsError::Field(field)), "{text}");
    }
    let deep = format!(
        r#"{{"BackendData":{}{}}}"#,
        "[".repeat(9000),
        "]".repeat(9000)
    );
    assert_eq!(decode(&deep), Err(AttrsError::Field("BackendData")));
}

#[test]
fn vxlan_data() {
    let vtep = |data: &str| {
        let attrs = decode(&format!(
            r#"{{"BackendData":{data},"BackendV6Data":{data}}}"#
        ))
        .unwrap();
        assert_eq!(attrs.vtep(), attrs.vtep6());
        attrs.vtep()
    };
    for (data, vni) in [
        (r#"{"VNI":1,"VtepMAC":"2a:60:a9:ec:c1:fe"}"#, 1),
        (r#"{"VtepMAC":"2a:60:a9:ec:c1:fe"}"#, 0),
        (
            r#"{"vni":null,"vtepmac":"2A-60-A9-EC-C1-FE","Port":8472}"#,
            0,
        ),
        (r#"{"VNI":4294967295,"VtepMAC":"2a60.a9ec.c1fe"}"#, u32::MAX),
    ] {
        assert_eq!(vtep(data), Some(Vtep { vni, mac: MAC }), "{data}");
    }
    for data in [
        "null",
        "{}",
        "\"2a:60:a9:ec:c1:fe\"",
        r#"{"VNI":1}"#,
        r#"{"VtepMAC":""}"#,
        r#"{"VtepMAC":null}"#,
        r#"{"VtepMAC":5}"#,
        r#"{"VtepMAC":"2a:60:a9:ec:c1"}"#,
        r#"{"VtepMAC":"2a:60:a9:ec:c1:fe:00:01"}"#,
        r#"{"VtepMAC":"2a:60-a9:ec-c1:fe"}"#,
        r#"{"VtepMAC":"2a:60:a9:ec:c1:fg"}"#,
        r#"{"VtepMAC":"2a:60:a9:ec:c1:+e"}"#,
        r#"{"VtepMAC":"2a60:a9ec:c1fe"}"#,
        r#"{"VtepMAC":"2é:60:a9:ec:c1:f"}"#,
        r#"{"VNI":-1,"VtepMAC":"2a:60:a9:ec:c1:fe"}"#,
        r#"{"VNI":4294967296,"VtepMAC":"2a:60:a9:ec:c1:fe"}"#,
    ] {
        assert_eq!(vtep(data), None, "{data}");
    }
    assert_eq!(empty().vtep(), None);
}

#[test]
fn records() {
    let origin = Origin {
        lease_id: 7,
        create_revision: 8,
        mod_revision: 9,
    };
    let lease = Record::read("10.5.52.0-24", b"{}", origin);
    assert!(matches!(&lease, Record::Lease(lease) if lease.name == "10.5.52.0-24"));
    assert_eq!(lease.origin(), origin);
    let bad_value = Record::read("10.5.52.0-24", b"[]", origin);
    assert!(matches!(bad_value, Record::Unreadable(_)));
    assert_eq!(bad_value.key(), lease.key());
    let bad_key = Record::read("foo", b"{}", origin);
    assert_eq!((bad_key.name(), bad_key.key()), ("foo", None));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        "[<>&\u{2028}\u{2029}\"\\\\\u{0}-\u{1f}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("\\PC{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_survives(
        ip: u32, six: Option<u128>, kind in "\\PC{0,8}", data in proptest::option::of(json_value()),
    ) {
        let attrs = LeaseAttrs {
            public_ip: ip.into(),
            public_ipv6: six.map(Ipv6Addr::from),
            backend_type: kind,
            backend_data: data.clone(),
            backend_v6_data: data,
        };
        let text = attrs.encode();
        let raw = ['<', '>', '&', '\u{2028}', '\u{2029}', '\n'];
        prop_assert!(!text.contains(raw));
        prop_assert_eq!(decode(&text), Ok(attrs));
    }

    #[test]
    fn never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        field in "PublicIP|PublicIPv6|BackendType|BackendData", value in "\\PC{0,30}", mac in "[0-9a-fé:.-]{0,17}",
    ) {
        let _outcome = LeaseAttrs::decode(&bytes);
        let _outcome = decode(&format!("{{\"{field}\":{value}}}"));
        let text = format!(r#"{{"BackendData":{{"VtepMAC":"{mac}"}}}}"#);
        let _outcome = decode(&text).map(|attrs| attrs.vtep());
    }

    #[test]
    fn subnet_env_never_panics(text in "[A-Z_a-z0-9= \"'\\\\#\n,./:é]{0,100}", other in "\\PC{0,60}") {
        for text in [text, other] {
            let _outcome = (envfile::parse(&text), envfile::previous(&text));
        }
    }
}
