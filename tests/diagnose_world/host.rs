//! One healthy node.

use std::net::Ipv4Addr;

use flannelctl::diagnose::evidence::*;

use super::{container, ip, mac, net, number};

fn link(index: u32, name: &str, mtu: u32, addresses: &[String]) -> LinkFact {
    LinkFact {
        index,
        name: name.to_owned(),
        up: true,
        carrier: true,
        mtu,
        addresses: addresses.iter().map(|it| net(it)).collect(),
        ..LinkFact::default()
    }
}

fn route(destination: &str, gateway: Option<Ipv4Addr>, device: &str) -> RouteFact {
    RouteFact {
        destination: net(destination),
        gateway,
        device: Some(device.to_owned()),
        onlink: gateway.is_some(),
        metric: 0,
        kind: "unicast".to_owned(),
        protocol: "boot".to_owned(),
    }
}

/// A healthy node's evidence, before any packet.
pub fn node(backend: &str, own: Ipv4Addr, peer: Ipv4Addr) -> NodeEvidence {
    let (n, p) = (number(own), number(peer));
    let device = match backend {
        "vxlan" => Some("flannel.1".to_owned()),
        "udp" => Some("flannel0".to_owned()),
        _ => None,
    };
    let (mtu, port) = match backend {
        "vxlan" => (1450, Some(8472)),
        "udp" => (1472, Some(8285)),
        _ => (1500, None),
    };
    let mut links = vec![
        link(1, "lo", 65536, &["127.0.0.1/8".to_owned()]),
        link(2, "eth0", 1500, &[format!("{own}/24")]),
        link(4, "docker0", mtu, &[format!("10.5.{n}.1/24")]),
    ];
    let base = ip(&format!("10.5.{p}.0"));
    let mut routes = vec![
        route("192.0.2.0/24", None, "eth0"),
        route(&format!("10.5.{n}.0/24"), None, "docker0"),
    ];
    let (mut neighbours, mut fdb) = (Vec::new(), Vec::new());
    match &device {
        Some(name) => {
            let mut it = link(3, name, mtu, &[format!("10.5.{n}.0/32")]);
            if backend == "vxlan" {
                it.mac = mac(own);
                it.vxlan = Some(VxlanFact {
                    vni: 1,
                    port: 8472,
                    local: Some(own),
                    underlay: Some(2),
                    learning: false,
                    external: false,
                });
                routes.push(route(&format!("10.5.{p}.0/24"), Some(base), name));
                neighbours.push(NeighbourFact {
                    device: name.clone(),
                    address: base,
                    mac: mac(peer),
                    state: "permanent".to_owned(),
                });
                fdb.push(FdbFact {
                    mac: mac(peer),
                    remote: Some(peer),
                    permanent: true,
                });
            } else {
                routes.push(route("10.5.0.0/16", None, name));
            }
            links.push(it);
        }
        None => routes.push(route(&format!("10.5.{p}.0/24"), Some(peer), "eth0")),
    }
    let points = [
        (Point::Container, Some("veth0".to_owned())),
        (Point::Bridge, Some("docker0".to_owned())),
        (Point::Overlay, device.clone()),
        (Point::Underlay, Some("eth0".to_owned())),
    ];
    NodeEvidence {
        node: Some(own),
        hostname: format!("host{n}"),
        agent: true,
        links,
        routes,
        neighbours,
        fdb,
        sysctls: [
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv4.conf.all.rp_filter", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        subnet_env: Some(EnvFact {
            path: "/run/flannel/subnet.env".to_owned(),
            network: Some(net("10.5.0.0/16")),
            subnet: Some(net(&format!("10.5.{n}.1/24"))),
            mtu: Some(mtu),
            ip_masq: Some(false),
            trouble: None,
        }),
        points: points
            .into_iter()
            .filter_map(|(point, interface)| {
                Some(PointFact {
                    point,
                    interface: interface?,
                    live: true,
                    lost: 0,
                })
            })
            .collect(),
        containers: vec![ContainerFact {
            name: "web".to_owned(),
            veth: Some("veth0".to_owned()),
            mtu: Some(mtu),
            gateway: Some(ip(&format!("10.5.{n}.1"))),
            routes_known: true,
            ..ContainerFact::at(container(own))
        }],
        external: Some("eth0".to_owned()),
        device,
        bridge: Some("docker0".to_owned()),
        encap_port: port,
        ..NodeEvidence::default()
    }
}
