//! The network config against every row of flannel-compat 1.4 and the decoding rules of 1.1.

#![allow(clippy::unwrap_used, missing_docs)]

use flannelctl::subnet::NetworkConfig;
use flannelctl::subnet::network::ConfigError;
use flannelctl::subnet::pool::Pool4;

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

/// `len min - max`.
fn range4(config: &NetworkConfig) -> String {
    let Some(Pool4 {
        subnet_len: len,
        min,
        max,
        ..
    }) = &config.ipv4
    else {
        return "off".to_owned();
    };
    format!("{len} {min} - {max}")
}

/// A short name of the reason.
fn reason(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::Syntax { .. } => "syntax",
        ConfigError::NotAnObject => "no object",
        ConfigError::NotABool { .. } => "bool",
        ConfigError::NotANumber { .. } => "number",
        ConfigError::NotAnAddress { .. } => "address",
        ConfigError::NotANetwork { .. } => "network",
        ConfigError::NetworkMissing { .. } => "missing",
        ConfigError::NetworkTooSmall { .. } => "too small",
        ConfigError::SubnetTooSmall { .. } => "too long",
        ConfigError::TooFewSubnets { .. } => "fewer than four",
        ConfigError::OutOfRange { .. } => "range",
        ConfigError::Unaligned { .. } => "alignment",
        ConfigError::BackendNotAnObject { .. } => "backend",
        ConfigError::BackendTypeNotAString { .. } => "type",
        ConfigError::BackendTypeMissing => "no type",
        ConfigError::BackendUnsupported { .. } => "unsupported",
        ConfigError::BackendUnknown { .. } => "unknown",
        ConfigError::OptionNotABool { .. } => "option bool",
        ConfigError::OptionOutOfRange { .. } => "option range",
        ConfigError::VniTooLong { .. } => "vni too long",
    }
}

/// The range or the reason.
fn outcome(config: Result<NetworkConfig, ConfigError>) -> String {
    match config {
        Ok(config) => range4(&config),
        Err(error) => reason(&error).to_owned(),
    }
}

#[test]
fn table_1_4_networks() {
    for (network, expected) in [
        ("10.0.0.0/8", "24 10.0.1.0 - 10.255.255.0"),
        ("10.5.0.0/16", "24 10.5.1.0 - 10.5.255.0"),
        ("10.5.3.7/16", "24 10.5.1.0 - 10.5.255.0"),
        ("10.5.0.0/21", "24 10.5.1.0 - 10.5.7.0"),
        ("10.5.0.0/22", "24 10.5.1.0 - 10.5.3.0"),
        ("10.5.0.0/23", "25 10.5.0.128 - 10.5.1.128"),
        ("10.5.0.0/24", "26 10.5.0.64 - 10.5.0.192"),
        ("10.5.0.0/27", "29 10.5.0.8 - 10.5.0.24"),
        ("10.5.0.0/28", "30 10.5.0.4 - 10.5.0.12"),
        ("10.5.0.0/29", "too small"),
        ("10.5.0.0/30", "too small"),
        ("10.5.0.0/32", "too small"),
        ("0.0.0.0/0", "missing"),
        ("0.0.0.0/1", "24 0.0.1.0 - 127.255.255.0"),
        ("255.255.0.0/16", "24 255.255.1.0 - 255.255.255.0"),
        ("", "network"),
        ("10.5.0.0", "network"),
        ("fd00::/48", "network"),
        ("10.5.0.0/33", "network"),
        ("10.5.0.0/", "network"),
        ("10.5.0.0/+16", "network"),
        ("010.5.0.0/16", "network"),
        ("10.5.0.0/016", "24 10.5.1.0 - 10.5.255.0"),
    ] {
        let config = of(&format!(r#""Network":"{network}""#));
        if let Ok(config) = &config {
            assert_eq!(config.backend_type, "udp", "{network}");
        }
        assert_eq!(outcome(config), expected, "{network}");
    }
    for (text, expected) in [
        ("{}", "missing"),
        ("null", "missing"),
        (r#"{"Network":null}"#, "network"),
        (r#"{"Network":5}"#, "network"),
        (r#"{"EnableIPv4":false}"#, "off"),
        (r#"{"EnableIPv4":false,"SubnetLen":99}"#, "off"),
        (r#"{"EnableIPv4":false,"SubnetLen":"99"}"#, "number"),
    ] {
        assert_eq!(outcome(parse(text)), expected, "{text}");
    }
}

#[test]
fn table_1_4_lengths_and_bounds() {
    for (net, members, expected) in [
        (
            "10.5.0.0/16",
            r#""SubnetLen":0"#,
            "24 10.5.1.0 - 10.5.255.0",
        ),
        ("10.5.0.0/16", r#""SubnetLen":16"#, "fewer than four"),
        ("10.5.0.0/16", r#""SubnetLen":17"#, "fewer than four"),
        (
            "10.5.0.0/16",
            r#""SubnetLen":18"#,
            "18 10.5.64.0 - 10.5.192.0",
        ),
        (
            "10.5.0.0/16",
            r#""SubnetLen":30"#,
            "30 10.5.0.4 - 10.5.255.252",
        ),
        ("10.5.0.0/16", r#""SubnetLen":31"#, "too long"),
        ("10.5.0.0/16", r#""SubnetLen":99999"#, "too long"),
        ("10.5.0.0/28", r#""SubnetLen":29"#, "fewer than four"),
        (
            "10.5.0.0/28",
            r#""SubnetLen":30"#,
            "30 10.5.0.4 - 10.5.0.12",
        ),
        ("10.5.0.0/29", r#""SubnetLen":30"#, "too small"),
        (
            "10.0.0.0/8",
            r#""SubnetLen":20,"SubnetMin":"10.10.0.0","SubnetMax":"10.99.0.0""#,
            "20 10.10.0.0 - 10.99.0.0",
        ),
        (
            "10.5.0.0/16",
            r#""SubnetMin":"10.5.0.0""#,
            "24 10.5.0.0 - 10.5.255.0",
        ),
        ("10.5.0.0/16", r#""SubnetMin":"10.5.10.1""#, "alignment"),
        (
            "10.5.0.0/16",
            r#""SubnetMin":"10.5.10.0","SubnetMax":"10.5.10.0""#,
            "24 10.5.10.0 - 10.5.10.0",
        ),
        (
            "10.5.0.0/16",
            r#""SubnetMin":"10.5.20.0","SubnetMax":"10.5.10.0""#,
            "24 10.5.20.0 - 10.5.10.0",
        ),
        ("10.5.0.0/16", r#""SubnetMax":"10.5.255.255""#, "alignment"),
        ("10.5.0.0/16", r#""SubnetMin":"10.6.0.0""#, "range"),
        ("10.5.0.0/16", r#""SubnetMax":"10.4.0.0""#, "range"),
        ("10.5.0.0/16", r#""SubnetMin":"""#, "address"),
        ("10.5.0.0/16", r#""SubnetMin":null"#, "address"),
        (
            "10.5.0.0/16",
            r#""SubnetMin":"0.0.0.0""#,
            "24 10.5.1.0 - 10.5.255.0",
        ),
        (
            "10.5.0.0/16",
            r#""SubnetLen":20,"SubnetMin":"10.5.8.0""#,
            "alignment",
        ),
        ("10.5.0.0/16", r#""SubnetMin":"01.2.3.4""#, "address"),
        (
            "10.5.0.0/16",
            r#""SubnetMin":"::ffff:10.5.8.0""#,
            "24 10.5.8.0 - 10.5.255.0",
        ),
        ("10.5.0.0/16", r#""SubnetMin":"fd00::""#, "address"),
    ] {
        let config = of(&format!(r#""Network":"{net}",{members}"#));
        assert_eq!(outcome(config), expected, "{net} {members}");
    }
}

#[test]
fn table_1_4_ipv6() {
    for (members, expected) in [
        ("", "missing"),
        (
            r#","IPv6Network":"fc00::/48""#,
            "64 fc00:0:0:1:: - fc00:0:0:ffff::",
        ),
        (
            r#","IPv6Network":"fc00::/56""#,
            "64 fc00:0:0:1:: - fc00:0:0:ff::",
        ),
        (
            r#","IPv6Network":"fc00::/62""#,
            "64 fc00:0:0:1:: - fc00:0:0:3::",
        ),
        (
            r#","IPv6Network":"fc00::/63""#,
            "65 fc00::8000:0:0:0 - fc00:0:0:1:8000::",
        ),
        (
            r#","IPv6Network":"fc00::/64""#,
            "66 fc00::4000:0:0:0 - fc00::c000:0:0:0",
        ),
        (
            r#","IPv6Network":"fc00::/112""#,
            "114 fc00::4000 - fc00::c000",
        ),
        (r#","IPv6Network":"fc00::/124""#, "126 fc00::4 - fc00::c"),
        (r#","IPv6Network":"fc00::/125""#, "too small"),
        (r#","IPv6Network":"::/0""#, "missing"),
        (
            r#","IPv6Network":"fff0::/12""#,
            "64 fff0:0:0:1:: - ffff:ffff:ffff:ffff::",
        ),
        (
            r#","IPv6Network":"8000::/1""#,
            "64 8000:0:0:1:: - ffff:ffff:ffff:ffff::",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetLen":49"#,
            "fewer than four",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetLen":127"#,
            "too long",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetLen":50"#,
            "50 fc00:0:0:4000:: - fc00:0:0:c000::",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetLen":126"#,
            "126 fc00::4 - fc00::ffff:ffff:ffff:ffff:fffc",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetMin":"fc00:0:0:1::1""#,
            "alignment",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetMin":"fc01::""#,
            "range",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetMax":"fc00:0:1::""#,
            "range",
        ),
        (r#","IPv6Network":"10.0.0.0/8""#, "network"),
        (r#","IPv6Network":null"#, "network"),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetMin":null,"IPv6SubnetMax":"::""#,
            "64 fc00:0:0:1:: - fc00:0:0:ffff::",
        ),
        (
            r#","IPv6Network":"fc00::/48","IPv6SubnetMin":"""#,
            "address",
        ),
    ] {
        let outcome = match with(&format!(r#""EnableIPv6":true{members}"#)) {
            Ok(config) => {
                let pool = config.ipv6.unwrap();
                format!("{} {} - {}", pool.subnet_len, pool.min, pool.max)
            }
            Err(error) => reason(&error).to_owned(),
        };
        assert_eq!(outcome, expected, "{members}");
    }
    assert_eq!(with(r#""IPv6Network":"fc00::/125""#).unwrap().ipv6, None);
}

#[test]
fn rules_of_gos_decoder() {
    let lower = r#""network":"10.5.0.0/16","subnetlen":25,"backend":{"type":"VXLAN"}"#;
    let config = of(lower).unwrap();
    assert_eq!(range4(&config), "25 10.5.0.128 - 10.5.255.128");
    assert_eq!(config.backend_type, "vxlan");
    for (members, expected) in [
        (
            r#""Networks":5,"IPv6Networks":[{}],"x":{"y":null}"#,
            "24 10.5.1.0 - 10.5.255.0",
        ),
        (
            r#""SubnetLen":20,"SubnetLen":25"#,
            "25 10.5.0.128 - 10.5.255.128",
        ),
        (
            r#""SubnetLen":20,"subnetLEN":25"#,
            "25 10.5.0.128 - 10.5.255.128",
        ),
        (
            r#""subnetlen":25,"SubnetLen":20"#,
            "20 10.5.16.0 - 10.5.240.0",
        ),
        (
            r#""SubnetLen":20,"subnetlen":null"#,
            "20 10.5.16.0 - 10.5.240.0",
        ),
        (r#""SubnetLen":"x","SubnetLen":20"#, "number"),
        (r#""network":"junk""#, "network"),
        (r#""EnableIPv4":null"#, "24 10.5.1.0 - 10.5.255.0"),
        (r#""EnableIPv4":false,"enableipv4":null"#, "off"),
        (r#""EnableIPv4":"true""#, "bool"),
        (r#""EnableIPv6":0"#, "bool"),
        (r#""EnableNFTables":"yes""#, "bool"),
        (r#""SubnetLen":24.0"#, "number"),
        (r#""SubnetLen":2.4e1"#, "number"),
        (r#""SubnetLen":-1"#, "number"),
        (r#""SubnetLen":"24""#, "number"),
        (r#""SubnetLen":null"#, "24 10.5.1.0 - 10.5.255.0"),
        (r#""SubnetLen":18446744073709551616"#, "number"),
        (r#""SubnetLen":24,"#, "syntax"),
        (r#""SubnetLen":24/**/"#, "syntax"),
    ] {
        assert_eq!(outcome(with(members)), expected, "{members}");
    }
    for text in ["", "{", "{}}", "{} x", "\u{feff}{}", "# c\n{}", "'x'"] {
        assert_eq!(outcome(parse(text)), "syntax", "{text}");
    }
    for text in ["[]", "\"x\"", "5", "true"] {
        assert_eq!(outcome(parse(text)), "no object", "{text}");
    }
    assert!(with(r#""EnableNFTables":true"#).unwrap().nftables);
}
