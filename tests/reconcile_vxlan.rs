//! vxlan: the device and the peers' entries stand in the kernel exactly as flannel puts them there
//! (flannel-compat 5.3, 5.4), and come back whatever happens to them.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod reconcile_support;

use std::time::Instant;

use flannelctl::agent::reconcile::Reconciler;
use flannelctl::subnet::network::Backend;
use reconcile_support::*;

#[test]
#[ignore = "needs root: makes a network namespace"]
fn device_and_entries_have_flannels_form() {
    in_namespace(|| {
        let mut reconciler = Reconciler::open().unwrap();
        // Before the lease: the device alone.
        let mut goal = vxlan_goal(2);
        let own = goal.own.take();
        let status = reach(&mut reconciler, &goal);
        let mac = status.mac.unwrap();
        assert_eq!(mac[0] & 3, 2, "locally administered, not multicast");
        assert!(!ip("address show dev flannel.1").contains("inet "));
        goal.own = own;
        goal.host.mac = Some(mac);
        reach(&mut reconciler, &goal);

        let link = ip("-d link show flannel.1");
        assert!(
            link.contains(
                "vxlan id 1 local 192.0.2.1 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 \
                 udpcsum noudp6zerocsumtx noudp6zerocsumrx"
            ),
            "{link}"
        );
        assert!(link.contains("mtu 1450 qdisc noqueue"), "{link}");
        assert!(link.contains("UP,LOWER_UP"), "{link}");
        assert!(!link.contains("gbp") && !link.contains("qlen"), "{link}");
        let address = ip("address show dev flannel.1");
        assert!(
            address.contains("inet 10.5.0.0/32 scope global flannel.1"),
            "{address}"
        );
        assert_eq!(
            ip("-d route show dev flannel.1")
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>(),
            [
                "unicast 10.5.1.0/24 via 10.5.1.0 proto boot scope global onlink",
                "unicast 10.5.2.0/24 via 10.5.2.0 proto boot scope global onlink",
            ]
        );
        let neighbours = ip("neigh show dev flannel.1");
        assert!(
            neighbours.contains("10.5.1.0 lladdr 02:aa:00:00:00:01 PERMANENT"),
            "{neighbours}"
        );
        let fdb = run("bridge fdb show dev flannel.1");
        assert!(
            fdb.contains("02:aa:00:00:00:01 dst 192.0.2.101 self permanent"),
            "{fdb}"
        );
        let ra = std::fs::read_to_string("/proc/sys/net/ipv6/conf/flannel.1/accept_ra");
        assert!(ra.is_err() || ra.unwrap().trim() == "0");
        assert!(complete(2));
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn every_option_reaches_the_device() {
    in_namespace(|| {
        let mut options = vxlan_options();
        options.vni = 70_000;
        options.port = Some(4789);
        options.mtu = Some(1400);
        options.gbp = true;
        options.learning = true;
        let mut reconciler = Reconciler::open().unwrap();
        reach(&mut reconciler, &goal(Backend::Vxlan(options), 1));
        let link = ip("-d link show flannel.70000");
        assert!(
            link.contains("id 70000 ") && link.contains("dstport 4789 ttl auto"),
            "{link}"
        );
        assert!(link.contains("mtu 1350") && link.contains("gbp"), "{link}");
        assert!(!link.contains("nolearning"), "{link}");
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn takes_over_flannelds_device_and_clears_its_leftovers() {
    in_namespace(|| {
        // As flanneld leaves it: two peers, of which one is gone meanwhile, and one that has a new host.
        ip(
            "link add flannel.1 address 4e:11:22:33:44:55 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 \
            nolearning",
        );
        ip("link set flannel.1 mtu 1450");
        ip("address add 10.5.0.0/32 dev flannel.1");
        ip("address add 10.5.44.0/32 dev flannel.1");
        ip("link set flannel.1 up");
        for (n, mac) in [(1, "02:aa:00:00:00:01"), (99, "02:aa:00:00:00:99")] {
            ip(&format!(
                "neigh add 10.5.{n}.0 lladdr {mac} dev flannel.1 nud permanent"
            ));
            run(&format!(
                "bridge fdb add {mac} dev flannel.1 dst 192.0.2.9 self permanent"
            ));
            ip(&format!(
                "route add 10.5.{n}.0/24 via 10.5.{n}.0 dev flannel.1 onlink"
            ));
        }
        // Not flannel's: outside the network, more specific, static, the container bridge.
        ip("link add docker0 type bridge");
        ip("address add 10.5.0.1/24 dev docker0");
        ip("link set docker0 up");
        ip("route add 10.99.0.0/24 via 192.0.2.9");
        ip("route add 10.5.203.128/25 via 192.0.2.9");
        ip("route add 10.5.200.0/24 via 192.0.2.9 proto static");
        ip("route add 10.5.201.0/24 via 192.0.2.9"); // a stale direct route
        let (mac, index) = (mac_of("flannel.1"), index_of("flannel.1"));

        let mut reconciler = Reconciler::open().unwrap();
        let status = reach(&mut reconciler, &vxlan_goal(3));
        assert_eq!((mac_of("flannel.1"), index_of("flannel.1")), (mac, index));
        assert!(complete(3));
        let routes = ip("route");
        for kept in [
            "10.99.0.0/24 via 192.0.2.9",
            "10.5.203.128/25 via 192.0.2.9",
            "10.5.200.0/24 via 192.0.2.9 dev eth0 proto static",
            "10.5.0.0/24 dev docker0 proto kernel",
        ] {
            assert!(routes.contains(kept), "{kept} is gone:\n{routes}");
        }
        assert!(
            !routes.contains("10.5.99.0") && !routes.contains("10.5.201.0"),
            "{routes}"
        );
        assert!(!ip("neigh show dev flannel.1").contains("10.5.99.0"));
        let fdb = run("bridge fdb show dev flannel.1");
        assert!(
            !fdb.contains("00:99") && fdb.contains("00:01 dst 192.0.2.101"),
            "{fdb}"
        );
        assert!(!ip("address show dev flannel.1").contains("10.5.44.0"));
        let nets = status.host_nets.connected;
        assert!(nets.contains(&"192.0.2.0/24".parse().unwrap()), "{nets:?}");
        assert!(
            nets.iter().all(|net| !net.to_string().starts_with("10.5.")),
            "{nets:?}"
        );
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn an_unfit_device_is_made_anew_with_its_mac_and_a_fit_one_corrected() {
    in_namespace(|| {
        let mut reconciler = Reconciler::open().unwrap();
        for unfit in [
            "type vxlan id 1 local 192.0.2.1 dev eth0 dstport 4789 nolearning",
            "type vxlan id 1 local 192.0.2.99 dev eth0 dstport 8472 nolearning",
            "type vxlan id 2 local 192.0.2.1 dev eth0 dstport 8472 nolearning",
            "type vxlan id 1 local 192.0.2.1 dev wire dstport 8472 nolearning",
            "type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning gbp",
            "type vxlan id 1 remote 192.0.2.7 local 192.0.2.1 dev eth0 dstport 8472",
        ] {
            ip(&format!(
                "link add flannel.1 address 4e:11:22:33:44:55 {unfit}"
            ));
            let index = index_of("flannel.1");
            let mut fresh = Reconciler::open().unwrap();
            reach(&mut fresh, &vxlan_goal(1));
            assert_ne!(index_of("flannel.1"), index, "{unfit}");
            assert_eq!(mac_of("flannel.1"), "4e:11:22:33:44:55", "{unfit}");
            ip("link del flannel.1");
        }
        ip("link add flannel.1 type veth peer name flannel.p");
        reach(&mut reconciler, &vxlan_goal(1));
        assert!(ip("-d link show flannel.1").contains("vxlan id 1 "));

        let index = index_of("flannel.1");
        ip("link set flannel.1 mtu 1400");
        ip("link set flannel.1 type vxlan learning");
        let mut goal = vxlan_goal(1);
        goal.host.mac = Some([0x02, 1, 2, 3, 4, 5]);
        reach(&mut reconciler, &goal);
        assert_eq!(index_of("flannel.1"), index);
        assert_eq!(mac_of("flannel.1"), "02:01:02:03:04:05");
        let link = ip("-d link show flannel.1");
        assert!(
            link.contains("mtu 1450") && link.contains("nolearning"),
            "{link}"
        );
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn peers_that_move_or_are_bad_harm_no_other() {
    in_namespace(|| {
        let mut reconciler = Reconciler::open().unwrap();
        reach(&mut reconciler, &vxlan_goal(5));
        let mut goal = vxlan_goal(5);
        goal.peers[0].public_ip = "192.0.2.222".parse().unwrap();
        goal.peers[1].vtep_mac = Some([2, 0, 0, 0, 0, 9]);
        goal.peers[2].vtep_mac = Some([0; 6]);
        goal.peers[3].vtep_mac = goal.peers[4].vtep_mac;
        let status = reconciler.once(&std::sync::Arc::new(goal));
        let said: Vec<String> = status.failures.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "peer 10.5.3.0/24: its VtepMAC 00:00:00:00:00:00 cannot be used",
                "peer 10.5.5.0/24: its VtepMAC 02:aa:00:00:00:05 is also that of peer 10.5.4.0/24",
            ]
        );
        assert!(status.last_ok.is_some());
        let fdb = run("bridge fdb show dev flannel.1");
        assert!(fdb.contains("02:aa:00:00:00:01 dst 192.0.2.222"), "{fdb}");
        assert!(
            !fdb.contains("02:aa:00:00:00:02") && fdb.contains("02:00:00:00:00:09"),
            "{fdb}"
        );
        assert!(fdb.contains("02:aa:00:00:00:05 dst 192.0.2.104"), "{fdb}");
        assert_eq!(fdb.matches("dst").count(), 3, "{fdb}");
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn direct_routing_where_the_peer_is_on_link() {
    in_namespace(|| {
        ip("route add default via 192.0.2.254");
        let mut options = vxlan_options();
        options.direct_routing = true;
        let mut goal = goal(Backend::Vxlan(options), 3);
        goal.peers[2].public_ip = "198.51.100.7".parse().unwrap();
        let mut reconciler = Reconciler::open().unwrap();
        // Switched on where all went through the tunnel before.
        reach(&mut reconciler, &vxlan_goal(3));
        reach(&mut reconciler, &goal);
        let routes = ip("-d route");
        assert!(
            routes.contains("10.5.1.0/24 via 192.0.2.101 dev eth0 proto boot scope global \n"),
            "{routes}"
        );
        assert!(
            routes.contains("10.5.3.0/24 via 10.5.3.0 dev flannel.1"),
            "{routes}"
        );
        let fdb = run("bridge fdb show dev flannel.1");
        assert_eq!(fdb.matches("dst").count(), 1, "{fdb}");
        // And off again.
        reach(&mut reconciler, &vxlan_goal(3));
        assert!(complete(3));
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn a_thousand_peers_in_well_under_a_second() {
    in_namespace(|| {
        let mut goal = vxlan_goal(1000);
        goal.network = "10.0.0.0/8".parse().unwrap();
        let mut reconciler = Reconciler::open().unwrap();
        let begun = Instant::now();
        reach(&mut reconciler, &goal);
        let programmed = begun.elapsed();
        let begun = Instant::now();
        reach(&mut reconciler, &goal);
        let looked = begun.elapsed();
        assert!(complete(1000));
        ip("link del flannel.1");
        let begun = Instant::now();
        reach(&mut reconciler, &goal);
        println!(
            "1000 vxlan peers: programmed in {programmed:?}, looked at in {looked:?}, device lost and healed in \
             {:?}",
            begun.elapsed()
        );
        assert!(complete(1000));
        assert!(programmed.as_millis() < 1000, "{programmed:?}");
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn cleanup_removes_everything_and_nothing_else() {
    in_namespace(|| {
        let mut reconciler = Reconciler::open().unwrap();
        ip("route add 10.5.200.0/24 via 192.0.2.9 proto static");
        let before = ip("route");
        let mut goal = vxlan_goal(3);
        goal.blackhole = true;
        reach(&mut reconciler, &goal);
        ip("route add 10.5.201.0/24 via 192.0.2.9");
        assert_eq!(reconciler.cleanup(&goal), []);
        assert_eq!(ip("route"), before);
        assert!(!ip("link").contains("flannel"));
        assert_eq!(reconciler.cleanup(&goal), []);
    });
}
