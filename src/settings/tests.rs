//! Sources of settings in their order, bad values, defaults, secrets.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::exit::Code;

fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[test]
fn sources_come_in_their_order() {
    let all = [
        ("ETCDCTL_ENDPOINTS", "http://c:1"),
        ("FLANNELD_ETCD_ENDPOINTS", "http://b:1"),
        ("FLANNELCTL_ETCD_ENDPOINTS", "http://a:1"),
    ];
    let of = |args: &EtcdArgs, pairs: &[(&str, &str)]| etcd(args, &env(pairs)).unwrap().endpoints;
    let none = EtcdArgs::default();
    let flag = EtcdArgs {
        etcd_endpoints: Some(" http://f:1 , http://g:1,".into()),
        ..EtcdArgs::default()
    };
    assert_eq!(of(&flag, &all), ["http://f:1", "http://g:1"]);
    assert_eq!(of(&none, &all), ["http://a:1"]);
    assert_eq!(of(&none, &all[..2]), ["http://b:1"]);
    assert_eq!(of(&none, &all[..1]), ["http://c:1"]);
    assert_eq!(
        of(&none, &[("FLANNELCTL_ETCD_ENDPOINTS", "")]).len(),
        2,
        "empty counts as unset"
    );
}

#[test]
fn a_bad_value_names_its_source_and_flannelds_is_ignored_as_flanneld_does() {
    let bad = |pairs: &[(&str, &str)]| agent(&AgentArgs::default(), &env(pairs));
    let error = bad(&[("FLANNELCTL_SUBNET_LEASE_RENEW_MARGIN", "1440")]).unwrap_err();
    assert_eq!(error.code, Code::Usage);
    assert!(
        error
            .to_string()
            .contains("FLANNELCTL_SUBNET_LEASE_RENEW_MARGIN: \"1440\""),
        "{error}"
    );
    let settings = bad(&[("FLANNELD_HEALTHZ_PORT", "x"), ("FLANNELD_IP_MASQ", "t")]).unwrap();
    assert_eq!((settings.healthz, settings.ip_masq), (None, true));
    let kube = AgentArgs {
        kube_subnet_mgr: Some("true".into()),
        ..AgentArgs::default()
    };
    assert!(
        agent(&kube, &env(&[]))
            .unwrap_err()
            .to_string()
            .contains("not with the Kubernetes API")
    );
}

#[test]
fn flannelds_defaults() {
    let settings = agent(&AgentArgs::default(), &env(&[])).unwrap();
    assert_eq!(
        settings.subnet_file,
        PathBuf::from("/run/flannel/subnet.env")
    );
    assert_eq!(settings.renew_margin, Duration::from_secs(3600));
    assert_eq!(settings.firewall_resync, Some(Duration::from_secs(5)));
    assert!(
        settings.forward_rules && settings.random_fully && !settings.ip_masq && !settings.blackhole
    );
}

#[test]
fn etcdctls_user_brings_its_password_and_no_secret_is_shown() {
    let options = etcd(
        &EtcdArgs::default(),
        &env(&[("ETCDCTL_USER", "root:hunter2")]),
    )
    .unwrap();
    assert_eq!(options.username.as_deref(), Some("root"));
    assert!(options.password.is_some());
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[test]
fn the_udp_path_is_chosen() {
    let of = |pairs: &[(&str, &str)]| {
        agent(&AgentArgs::default(), &env(pairs)).map(|settings| settings.udp)
    };
    assert_eq!(of(&[]).unwrap(), UdpOptions::default());
    let chosen = of(&[
        ("FLANNELCTL_UDP_OFFLOAD", "off"),
        ("FLANNELCTL_UDP_ACCEPT", "any"),
    ])
    .unwrap();
    assert!(!chosen.offload);
    assert_eq!(chosen.accept, crate::forward::Accept::Any);
    let queues = |text| of(&[("FLANNELCTL_UDP_QUEUES", text)]).map(|udp| udp.queues.map(u8::from));
    assert_eq!(queues("3").unwrap(), Some(3));
    assert_eq!(queues("0").unwrap(), None);
    assert!(queues("17").is_err());
    let poll = |text| of(&[("FLANNELCTL_UDP_BUSY_POLL", text)]).map(|udp| udp.busy_poll);
    assert_eq!(poll("300us").unwrap(), Duration::from_micros(300));
    assert_eq!(poll("0").unwrap(), Duration::ZERO);
    assert_eq!(poll("10ms").unwrap(), Duration::from_millis(10));
    for (text, remedy) in [("11ms", "at most 10ms"), ("200", "200us")] {
        let error = poll(text).unwrap_err().to_string();
        assert!(
            error.contains("UDP_BUSY_POLL") && error.contains(remedy),
            "{error}"
        );
    }
    let text = of(&[("FLANNELCTL_UDP_OFFLOAD", "on")])
        .unwrap_err()
        .to_string();
    assert!(text.contains("auto or off"), "{text}");
    let text = of(&[("FLANNELCTL_UDP_ACCEPT", "all")])
        .unwrap_err()
        .to_string();
    assert!(text.contains("peers or any"), "{text}");
}

#[test]
fn a_timeout_is_neither_nothing_nor_for_ever() {
    let of = |text: &str| {
        etcd(
            &EtcdArgs::default(),
            &env(&[("FLANNELCTL_ETCD_TIMEOUT", text)]),
        )
    };
    assert_eq!(of("1h").unwrap().timeout, Duration::from_secs(3600));
    for text in ["0s", "61m", "500000000000y"] {
        assert_eq!(of(text).unwrap_err().code, Code::Usage, "{text}");
    }
}

#[test]
fn a_public_address_is_one_that_others_can_send_to() {
    let of = |text: &str| {
        let args = AgentArgs {
            public_ip: Some(text.into()),
            ..AgentArgs::default()
        };
        agent(&args, &env(&[])).map(|settings| settings.interface.public_ip)
    };
    assert_eq!(of("192.0.2.1").unwrap(), Some(Ipv4Addr::new(192, 0, 2, 1)));
    for text in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "host",
        "fd00::1",
    ] {
        assert_eq!(of(text).unwrap_err().code, Code::Usage, "{text}");
    }
}
