//! The plan against a small model of the kernel: from whatever state, few passes lead to the goal, and
//! what belongs to others stays as it was.
#![allow(clippy::unwrap_used, missing_docs)]

mod plan_model;

use std::net::Ipv4Addr;

use flannelctl::plan::change::Reason;
use flannelctl::plan::state::{
    Alien, FdbEntry, Link, LinkKind, Neighbour, Protocol, Route, RouteKind, Vxlan,
};
use flannelctl::plan::{BLACKHOLE_METRIC, Change, Mac, Observed, desired, diff, mtu};
use flannelctl::subnet::network::{Backend, VxlanOptions};
use plan_model::*;
use proptest::prelude::*;

#[test]
fn mtu_by_backend() {
    let vxlan = |mtu| Backend::Vxlan(VxlanOptions { mtu, ..options() });
    for (backend, ext, expected) in [
        (Backend::Udp { port: 8285 }, 1500, 1472),
        (Backend::HostGw, 1500, 1500),
        (vxlan(None), 1500, 1450),
        (vxlan(Some(1400)), 1500, 1350),
        (vxlan(Some(9000)), 1500, 1450),
        (vxlan(None), 9000, 8950),
        (vxlan(None), 60, 68),
    ] {
        assert_eq!(mtu(&backend, ext), expected, "{backend:?} on {ext}");
    }
}

#[test]
fn what_keeps_a_device_from_being_reused() {
    let wanted = goal(Backend::Vxlan(options()), &[]);
    let other = Ipv4Addr::new(192, 0, 2, 9);
    let cases = [
        (vxlan(), None),
        (Vxlan { vni: 2, ..vxlan() }, Some(Reason::Vni)),
        (
            Vxlan {
                underlay: Some(9),
                ..vxlan()
            },
            Some(Reason::Underlay),
        ),
        (
            Vxlan {
                underlay: None,
                ..vxlan()
            },
            None,
        ),
        (
            Vxlan {
                local: Some(other),
                ..vxlan()
            },
            Some(Reason::Local(other)),
        ),
        (
            Vxlan {
                local: None,
                ..vxlan()
            },
            None,
        ),
        (
            Vxlan {
                port: 4789,
                ..vxlan()
            },
            Some(Reason::Port(4789)),
        ),
        (
            Vxlan {
                gbp: true,
                ..vxlan()
            },
            Some(Reason::Gbp),
        ),
        (
            Vxlan {
                learning: true,
                ..vxlan()
            },
            None,
        ),
        (
            Vxlan {
                alien: Some(Alien::Group),
                ..vxlan()
            },
            Some(Reason::Alien(Alien::Group)),
        ),
    ];
    for (there, expected) in cases {
        let mut kernel = host();
        kernel
            .links
            .push(link(DEVICE, "flannel.1", LinkKind::Vxlan(there.clone())));
        let changes = diff(&kernel, &desired(&wanted, &kernel));
        let reason = changes.iter().find_map(|change| match change {
            Change::DeleteLink { reason, .. } => Some(*reason),
            _ => None,
        });
        assert_eq!(reason, expected, "{there:?}");
    }
}

#[test]
fn neighbour_and_forwarding_entry_come_before_the_route_and_removals_last() {
    let mut kernel = host();
    converge(&mut kernel, &goal(Backend::Vxlan(options()), &[1, 2]));
    let changes = diff(
        &kernel,
        &desired(&goal(Backend::Vxlan(options()), &[2, 3]), &kernel),
    );
    let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "set neighbour 10.5.3.0 02:00:00:00:00:03",
            "set forwarding entry 02:00:00:00:00:03 to 192.0.2.103",
            "set route 10.5.3.0/24 via 10.5.3.0",
            "delete route 10.5.1.0/24 via 10.5.1.0",
            "delete neighbour 10.5.1.0",
            "delete forwarding entry 02:00:00:00:00:01",
        ]
    );
}

#[test]
fn before_the_lease_nothing_but_the_device_is_touched() {
    let mut kernel = host();
    converge(&mut kernel, &goal(Backend::Vxlan(options()), &[1, 2]));
    let mut next = goal(Backend::Vxlan(options()), &[]);
    next.own = None;
    assert_eq!(diff(&kernel, &desired(&next, &kernel)), []);
}

fn route() -> impl Strategy<Value = Route> {
    let destination = prop::sample::select(vec![
        "10.5.0.0/24",
        "10.5.1.0/24",
        "10.5.2.0/24",
        "10.5.3.0/24",
        "10.5.9.0/24",
        "10.5.2.128/25",
        "10.5.0.0/16",
        "10.6.1.0/24",
        "0.0.0.0/0",
    ]);
    let protocol = prop::sample::select(vec![Protocol::Kernel, Protocol::Boot, Protocol::Other(4)]);
    let kind = prop::sample::select(vec![
        RouteKind::Unicast,
        RouteKind::Unicast,
        RouteKind::Blackhole,
        RouteKind::Other(7),
    ]);
    let gateway = prop::option::of((2u8..250).prop_map(|n| Ipv4Addr::new(192, 0, 2, n)));
    let oif = prop::sample::select(vec![EXT, BRIDGE, DEVICE]);
    let metric = prop::sample::select(vec![0, 0, 50, BLACKHOLE_METRIC]);
    (
        destination,
        protocol,
        kind,
        gateway,
        oif,
        metric,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(to, protocol, kind, gateway, oif, metric, onlink, complex)| Route {
                gateway,
                oif: Some(oif).filter(|_| kind == RouteKind::Unicast && !complex),
                metric,
                protocol,
                kind,
                onlink,
                complex,
                ..Route::flannel(net(to), None, None)
            },
        )
}

fn kernel() -> impl Strategy<Value = Observed> {
    let device = prop::option::of((1u32..3, any::<bool>(), any::<bool>(), 1300u32..1500));
    let neighbours = prop::collection::vec((0u8..12, any::<bool>(), any::<bool>()), 0..8);
    let fdb = prop::collection::vec((0u8..12, 99u8..112, any::<bool>(), any::<bool>()), 0..8);
    (
        device,
        prop::collection::vec(route(), 0..12),
        neighbours,
        fdb,
    )
        .prop_map(|(device, mut routes, neighbours, fdb)| {
            let mut kernel = host();
            if let Some((vni, learning, up, mtu)) = device {
                kernel.links.push(Link {
                    up,
                    mtu,
                    ..link(
                        DEVICE,
                        "flannel.1",
                        LinkKind::Vxlan(Vxlan {
                            vni,
                            learning,
                            ..vxlan()
                        }),
                    )
                });
                for (n, permanent, ephemeral) in neighbours {
                    let address = Ipv4Addr::new(10, 5, n, 0);
                    kernel.neighbours.retain(|there| there.address != address);
                    kernel.neighbours.push(Neighbour {
                        address,
                        mac: Some(Mac([2, 0, 0, 0, 0, n])),
                        permanent,
                        ephemeral: ephemeral && !permanent,
                    });
                }
                for (n, remote, permanent, special) in fdb {
                    kernel.fdb.push(FdbEntry {
                        mac: Mac([2, 0, 0, 0, 0, n]),
                        remote: Some(Ipv4Addr::new(192, 0, 2, remote)),
                        permanent,
                        special,
                    });
                }
            } else {
                routes.retain(|route| route.oif != Some(DEVICE));
            }
            kernel.routes.extend(routes);
            kernel
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_state_leads_to_the_goal_and_others_keep_theirs(
        mut kernel in kernel(),
        backend in 0..3,
        peers in prop::sample::subsequence(vec![1u8, 2, 3, 4], 0..=4),
        blackhole: bool,
    ) {
        let before = kernel.clone();
        let backend = match backend {
            0 => Backend::HostGw,
            1 => Backend::Vxlan(options()),
            _ => Backend::Vxlan(VxlanOptions { direct_routing: true, ..options() }),
        };
        let mut goal = goal(backend, &peers);
        goal.blackhole = blackhole;
        converge(&mut kernel, &goal);
        for route in &before.routes {
            let to = route.destination;
            let flannels = goal.network.contains(&to)
                && (route.oif == Some(DEVICE)
                    || goal.peers.iter().any(|peer| peer.subnet == to) && route.metric == 0
                    || route.protocol == Protocol::Boot && route.gateway.is_some()
                    || route.kind == RouteKind::Blackhole && (route.metric == BLACKHOLE_METRIC || to == net("10.5.0.0/24")));
            // What stands on a device goes with it.
            let gone = route.oif == Some(DEVICE);
            let kept = kernel.routes.contains(route);
            if route.protocol == Protocol::Kernel && route.kind == RouteKind::Unicast || !flannels {
                prop_assert!(kept || gone, "{route:?} is gone");
            }
        }
    }
}
