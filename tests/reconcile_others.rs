//! host-gw and udp: routes on shared ground (flannel-compat 5.2, 5.5, 6.4), a foreign hand answered and
//! told, others' routes left alone.
#![allow(clippy::unwrap_used, missing_docs)]

mod reconcile_support;

use std::sync::Arc;

use flannelctl::agent::reconcile::Reconciler;
use flannelctl::plan::Former;
use flannelctl::subnet::network::Backend;
use reconcile_support::*;

fn routes_in_network() -> Vec<String> {
    let routes = ip("-d route show root 10.5.0.0/16");
    routes.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn host_gw_routes_have_flannels_form_and_replace_foreign_ones() {
    in_namespace(|| {
        ip("route add 10.5.1.0/24 via 192.0.2.77"); // in a peer's place
        ip("route add 10.5.2.0/24 via 192.0.2.77 metric 50"); // behind ours
        ip("route add 10.5.3.0/24 nexthop via 192.0.2.77 nexthop via 192.0.2.78");
        ip("route add 10.5.9.0/24 via 192.0.2.9"); // flanneld's, of a peer that is gone
        ip("route add 10.5.10.0/24 via 192.0.2.9 proto static"); // an admin's
        let mut reconciler = Reconciler::open().unwrap();
        reach(&mut reconciler, &goal(Backend::HostGw, 3));
        assert_eq!(
            routes_in_network(),
            [
                "unicast 10.5.1.0/24 via 192.0.2.101 dev eth0 proto boot scope global",
                "unicast 10.5.2.0/24 via 192.0.2.102 dev eth0 proto boot scope global",
                "unicast 10.5.2.0/24 via 192.0.2.77 dev eth0 proto boot scope global metric 50",
                "unicast 10.5.3.0/24 via 192.0.2.103 dev eth0 proto boot scope global",
                "unicast 10.5.10.0/24 via 192.0.2.9 dev eth0 proto static scope global",
            ]
        );
    });
}

/// The longer prefix wins in the kernel: the peer's route is there and a part of its subnet goes elsewhere.
#[test]
#[ignore = "needs root: makes a network namespace"]
fn a_route_into_a_peers_subnet_stays_and_is_told() {
    in_namespace(|| {
        ip("route add 10.5.1.128/25 via 192.0.2.77 proto static"); // an admin's
        ip("route add 10.5.2.7/32 via 192.0.2.77"); // by hand, without a protocol
        ip("route add 10.5.9.128/25 via 192.0.2.77 proto static"); // nobody's subnet
        let mut reconciler = Reconciler::open().unwrap();
        let status = reconciler.once(&Arc::new(goal(Backend::HostGw, 3)));
        let told: Vec<String> = status.failures.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "peer 10.5.1.0/24: this host has a route of its own to 10.5.1.128/25 via 192.0.2.77, which takes a \
                 part of it out of the overlay; `ip route del 10.5.1.128/25` gives it back",
                "peer 10.5.2.0/24: this host has a route of its own to 10.5.2.7/32 via 192.0.2.77, which takes a \
                 part of it out of the overlay; `ip route del 10.5.2.7/32` gives it back",
            ]
        );
        assert_eq!(routes_in_network().len(), 6, "{:?}", routes_in_network());
    });
}

/// The config's Network was changed between two runs of the agent.
#[test]
#[ignore = "needs root: makes a network namespace"]
fn what_served_the_network_before_goes_with_it() {
    in_namespace(|| {
        let mut reconciler = Reconciler::open().unwrap();
        for route in [
            "10.6.1.0/24 via 192.0.2.101", // the agent's, of the run before
            "10.6.3.0/24 via 192.0.2.9 proto static", // an admin's
            "10.6.4.0/25 via 192.0.2.9",   // no node's subnet there
            "blackhole 10.6.2.0/24 metric 4294967295", // the agent's
            "10.7.1.0/24 via 192.0.2.101", // of no network of ours
        ] {
            let blackhole = route.strip_prefix("blackhole ");
            ip(&match blackhole {
                Some(rest) => format!("route add blackhole {rest}"),
                None => format!("route add {route}"),
            });
        }
        let mut goal = goal(Backend::HostGw, 1);
        goal.former = Some(Former {
            network: "10.6.0.0/16".parse().unwrap(),
            own: "10.6.2.0/24".parse().unwrap(),
        });
        reach(&mut reconciler, &goal);
        let left = ip("-d route show root 10.6.0.0/15");
        let left: Vec<&str> = left.lines().map(str::trim).collect();
        assert_eq!(
            left,
            [
                "unicast 10.6.3.0/24 via 192.0.2.9 dev eth0 proto static scope global",
                "unicast 10.6.4.0/25 via 192.0.2.9 dev eth0 proto boot scope global",
                "unicast 10.7.1.0/24 via 192.0.2.101 dev eth0 proto boot scope global",
            ]
        );
        assert_eq!(routes_in_network().len(), 1);
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn host_gw_reports_a_peer_behind_a_router_and_serves_the_others() {
    in_namespace(|| {
        ip("route add default via 192.0.2.254");
        let mut goal = goal(Backend::HostGw, 3);
        goal.peers[1].public_ip = "198.51.100.2".parse().unwrap();
        let mut reconciler = Reconciler::open().unwrap();
        let status = reconciler.once(&Arc::new(goal));
        assert_eq!(status.failures.len(), 1);
        assert_eq!(
            status.failures[0].to_string(),
            "peer 10.5.2.0/24: its address 198.51.100.2 is not on the same link as eth0; host-gw needs a shared \
             link"
        );
        assert_eq!(routes_in_network().len(), 2);
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn host_gw_heals_when_the_interface_returns() {
    in_namespace(|| {
        let running = Running::start(&goal(Backend::HostGw, 10));
        assert_eq!(routes_in_network().len(), 10);
        ip("link set eth0 down");
        let status = running.until(|status| !status.failures.is_empty());
        assert_eq!(status.failures[0].to_string(), "interface eth0 is down");
        assert_eq!(status.failures.len(), 1, "not one line a peer");
        ip("link set eth0 up");
        heals("eth0 down and up", || routes_in_network().len() == 10);
        ip("route flush root 10.5.0.0/16");
        heals("flush", || routes_in_network().len() == 10);
        ip("route replace 10.5.4.0/24 via 192.0.2.9");
        heals("foreign route", || !ip("route").contains("192.0.2.9 "));
        running.until(|status| status.failures.is_empty());
        // The newest goal wins, at once.
        running
            .goals
            .send_replace(Arc::new(goal(Backend::HostGw, 4)));
        heals("six peers left", || routes_in_network().len() == 4);
        running.stop();
        assert_eq!(
            routes_in_network().len(),
            4,
            "routes outlive the reconciler"
        );
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn switching_backends_leaves_nothing_of_the_one_before() {
    in_namespace(|| {
        ip("link add flannel.7 type vxlan id 7 dev eth0 dstport 8472"); // another network's
        ip("address add 10.77.0.0/32 dev flannel.7");
        let mut reconciler = Reconciler::open().unwrap();
        reach(&mut reconciler, &vxlan_goal(3));
        reach(&mut reconciler, &goal(Backend::HostGw, 3));
        let links = ip("link");
        assert!(
            !links.contains("flannel.1:") && links.contains("flannel.7:"),
            "{links}"
        );
        assert_eq!(routes_in_network().len(), 3);
        let mut options = vxlan_options();
        options.vni = 2;
        reach(&mut reconciler, &goal(Backend::Vxlan(options), 2));
        assert!(
            routes_in_network()
                .iter()
                .all(|route| route.contains("dev flannel.2"))
        );
        assert_eq!(routes_in_network().len(), 2);
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn udp_configures_the_tun_device() {
    in_namespace(|| {
        let mut goal = goal(Backend::Udp { port: 8285 }, 3);
        let mut reconciler = Reconciler::open().unwrap();
        reach(&mut reconciler, &goal); // not open yet: nothing to do
        ip("tuntap add flannel0 mode tun");
        goal.host.tun = Some("flannel0".into());
        ip("address add 10.5.0.0/16 dev flannel0"); // as flannel 0.7 did
        reach(&mut reconciler, &goal);
        let shown = ip("address show dev flannel0");
        assert!(
            shown.contains("inet 10.5.0.0/32") && shown.contains("mtu 1472"),
            "{shown}"
        );
        assert!(
            !shown.contains("10.5.0.0/16") && shown.contains("UP"),
            "{shown}"
        );
        assert_eq!(
            routes_in_network()
                .iter()
                .map(|r| r.replace(" linkdown", ""))
                .collect::<Vec<_>>(),
            ["unicast 10.5.0.0/16 dev flannel0 proto boot scope global"]
        );
        ip("link add br0 type bridge");
        ip("address add 10.5.7.1/16 dev br0");
        ip("link set br0 up");
        let status = reconciler.once(&Arc::new(goal.clone()));
        assert_eq!(
            status.failures[0].to_string(),
            "no route to the flannel network 10.5.0.0/16: an interface of this host is itself in it"
        );
        assert!(!status.failures[0].concerns_peer());
        ip("link del flannel0");
        let status = reconciler.once(&Arc::new(goal));
        assert_eq!(
            status.failures[0].to_string(),
            "the TUN device flannel0 does not exist"
        );
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn the_blackhole_stands_behind_the_container_bridge() {
    in_namespace(|| {
        ip("route add blackhole 10.5.0.0/24"); // flanneld's
        let mut goal = vxlan_goal(1);
        goal.blackhole = true;
        let mut reconciler = Reconciler::open().unwrap();
        reach(&mut reconciler, &goal);
        assert!(ip("route").contains("blackhole 10.5.0.0/24 metric 4294967295"));
        // The bridge comes after it, and wins.
        ip("link add docker0 type bridge");
        ip("address add 10.5.0.1/24 dev docker0");
        ip("link set docker0 up");
        assert!(ip("route get 10.5.0.9").contains("dev docker0"));
        reach(&mut reconciler, &goal);
        goal.blackhole = false;
        reach(&mut reconciler, &goal);
        assert!(!ip("route").contains("blackhole"));
        assert!(ip("route").contains("10.5.0.0/24 dev docker0 proto kernel"));
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn a_network_of_this_host_is_never_taken_from_it() {
    in_namespace(|| {
        ip("link add br0 type bridge");
        ip("address add 10.5.2.1/24 dev br0");
        ip("link set br0 up");
        for backend in [Backend::HostGw, Backend::Vxlan(vxlan_options())] {
            let mut reconciler = Reconciler::open().unwrap();
            let status = reconciler.once(&Arc::new(goal(backend, 3)));
            assert_eq!(
                status.failures[0].to_string(),
                "no route to 10.5.2.0/24: an interface of this host is itself in that network"
            );
            assert!(ip("route").contains("10.5.2.0/24 dev br0 proto kernel"));
            assert_eq!(routes_in_network().len(), 3);
            assert!(
                status
                    .host_nets
                    .connected
                    .contains(&"10.5.2.0/24".parse().unwrap())
            );
        }
    });
}
