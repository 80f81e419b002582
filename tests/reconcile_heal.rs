//! The running reconciler: whatever is undone comes back long before the timer, and at rest it rests.
#![allow(clippy::unwrap_used, missing_docs)]

mod reconcile_support;

use reconcile_support::*;

/// What the harms below leave behind, beside what they take away.
fn sound() -> bool {
    let all = ip("route") + &ip("neigh") + &run("bridge fdb");
    ![
        "192.0.2.200",
        "unreachable",
        "10.5.77.0",
        "02:aa:00:00:00:99",
        "dst 192.0.2.9 ",
    ]
    .iter()
    .any(|trace| all.contains(trace))
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn whatever_is_undone_is_healed() {
    in_namespace(|| {
        let running = Running::start(&vxlan_goal(20));
        assert!(complete(20));
        let mac = mac_of("flannel.1");
        for harm in [
            "ip link del flannel.1",
            "ip route flush dev flannel.1",
            "ip neigh flush dev flannel.1 nud permanent",
            "bridge fdb del 02:aa:00:00:00:07 dev flannel.1 dst 192.0.2.107",
            "bridge fdb replace 02:aa:00:00:00:07 dev flannel.1 dst 192.0.2.9 self permanent",
            "ip neigh replace 10.5.3.0 lladdr 02:aa:00:00:00:99 dev flannel.1 nud permanent",
            "ip route replace 10.5.4.0/24 via 192.0.2.200",
            "ip route add 10.5.77.0/24 dev flannel.1",
            "ip route replace unreachable 10.5.4.0/24",
            "ip address flush dev flannel.1",
            "ip link set flannel.1 down",
        ] {
            run(harm);
            // Not before the harm was seen: a change may leave all there that is counted.
            heals(harm, || complete(20) && sound());
            assert_eq!(mac_of("flannel.1"), mac);
        }
        // A flap as a whole, and a link that comes back by itself.
        ip("link set flannel.1 down");
        ip("link set flannel.1 up");
        heals("flap", || complete(20));
        ip("link set flannel.1 mtu 1300");
        heals("MTU", || ip("link show flannel.1").contains("mtu 1450"));
        ip("link set flannel.1 address 02:00:00:00:00:42");
        heals("MAC", || mac_of("flannel.1") == mac);
        ip("address add 10.5.9.9/32 dev flannel.1");
        heals("stranger's address", || {
            !ip("address show dev flannel.1").contains("10.5.9.9")
        });
        running.stop();
        assert!(complete(20), "the data path outlives the reconciler");
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn it_rests_when_nothing_happens() {
    in_namespace(|| {
        let running = Running::start(&vxlan_goal(50));
        ip("route flush dev flannel.1");
        heals("flush", || complete(50));
        // Others' noise: links, neighbours and routes that are none of flannel's.
        let before = running.until(|status| status.failures.is_empty()).rounds;
        for _ in 0..5 {
            ip("link add noise type veth peer name noise2");
            ip("link set noise up");
            ip("link del noise");
            ip("neigh replace 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0");
            ip("route add 203.0.113.0/24 via 192.0.2.77");
            ip("route del 203.0.113.0/24");
        }
        std::thread::sleep(std::time::Duration::from_millis(700));
        let rounds = running.status.borrow().rounds - before;
        assert!(rounds <= 2, "{rounds} rounds at rest");
        running.stop();
    });
}

#[test]
#[ignore = "needs root: makes a network namespace"]
fn the_underlay_may_vanish_and_return() {
    in_namespace(|| {
        let running = Running::start(&vxlan_goal(3));
        ip("link del eth0");
        let status = running.until(|status| status.external.is_none());
        assert_eq!(
            status.failures[0].to_string(),
            "interface eth0 does not exist"
        );
        ip("link add eth0 type veth peer name wire");
        ip("address add 192.0.2.1/24 dev eth0");
        ip("link set eth0 up");
        heals("underlay made anew", || complete(3));
        let status = running.until(|status| status.failures.is_empty());
        assert!(!status.external.unwrap().is(&vxlan_goal_ext_before()));
        running.stop();
    });
}

/// The interface as it was selected, with an index that no longer is.
fn vxlan_goal_ext_before() -> flannelctl::plan::External {
    let mut ext = vxlan_goal(0).host.ext;
    ext.index += 1000;
    ext
}
