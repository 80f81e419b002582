//! From leases to what the kernel is to hold, without a kernel.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::Ipv4Addr;

use flannelctl::agent::peers::Peering;
use flannelctl::plan::goal::{External, Goal, Host};
use flannelctl::plan::state::{Address, Link, LinkKind, Mac, Observed};
use flannelctl::plan::{self};
use flannelctl::subnet::standing::HostNets;
use flannelctl::subnet::{NetworkConfig, Origin, Record, Snapshot};

const CONFIG: &[u8] = br#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;

fn goal() -> Goal {
    let config = NetworkConfig::parse(CONFIG).unwrap();
    Goal {
        host: Host {
            ext: External {
                index: 2,
                name: "eth0".to_owned(),
                mtu: 1500,
                address: Ipv4Addr::new(192, 0, 2, 1),
            },
            public_ip: Ipv4Addr::new(192, 0, 2, 1),
            mac: Some([2, 0, 0, 0, 0, 1]),
            tun: None,
        },
        backend: config.backend().unwrap(),
        own: "10.5.1.0/24".parse().ok(),
        network: "10.5.0.0/16".parse().unwrap(),
        peers: Vec::new(),
        blackhole: false,
        former: None,
    }
}

fn observed() -> Observed {
    Observed {
        links: vec![Link {
            index: 2,
            name: "eth0".to_owned(),
            up: true,
            loopback: false,
            mtu: 1500,
            mac: None,
            kind: LinkKind::Other,
        }],
        addresses: vec![Address {
            index: 2,
            net: "192.0.2.1/24".parse().unwrap(),
            peer: None,
        }],
        ..Observed::default()
    }
}

#[test]
fn a_node_that_moved_is_where_its_newer_lease_says() {
    for (old, new) in [
        ("10.5.3.0-24", "10.5.9.0-24"),
        ("10.5.9.0-24", "10.5.3.0-24"),
    ] {
        let record = |name: &str, ip: &str, mod_revision| {
            let value = format!(
                r#"{{"PublicIP":"{ip}","BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"02:00:00:00:00:07"}}}}"#
            );
            let origin = Origin {
                lease_id: 1,
                create_revision: mod_revision,
                mod_revision,
            };
            (
                name.to_owned(),
                Record::read(name, value.as_bytes(), origin),
            )
        };
        let snapshot = Snapshot {
            revision: 20,
            records: [record(old, "192.0.2.7", 5), record(new, "192.0.2.70", 9)].into(),
        };
        let mut peering = Peering::new(
            NetworkConfig::parse(CONFIG).unwrap(),
            CONFIG.to_vec(),
            "10.5.1.0-24".to_owned(),
            goal(),
            None,
        );
        let goal = peering.goal(&snapshot, &HostNets::default());
        let content = plan::desired(&goal, &observed()).content.unwrap();
        let there = (Mac([2, 0, 0, 0, 0, 7]), Ipv4Addr::new(192, 0, 2, 70));
        assert_eq!(content.fdb, [there], "{old} then {new}");
    }
}
