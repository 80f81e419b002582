//! FL7xx, FL2xx of one host: sysctls, policy rules, overlaps, sizes.

use super::{ALIVE, Fault, Fix, HANGS, WRAPPED};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "ip_forward is off",
        id: "FL701",
        script: "echo 0 >/proc/sys/net/ipv4/ip_forward",
        ..ALIVE
    },
    Fault {
        name: "forwarding is off on flannel's device",
        id: "FL702",
        script: "echo 0 >/proc/sys/net/ipv4/conf/$DEV/forwarding",
        directions: ["request", "reply"],
        ..ALIVE
    },
    Fault {
        name: "forwarding is off on the bridge",
        id: "FL702",
        script: "echo 0 >/proc/sys/net/ipv4/conf/docker0/forwarding",
        directions: ["reply", "request"],
        ..ALIVE
    },
    Fault {
        name: "strict reverse path filter, and the container's address is routed elsewhere",
        id: "FL704",
        backends: WRAPPED,
        seen: &[(1, 0)],
        script: "ip route add $PEERCTR/32 via 192.0.2.1 proto static; echo 1 >/proc/sys/net/ipv4/conf/$DEV/rp_filter",
        ..ALIVE
    },
    Fault {
        name: "a policy rule leads the network to another table",
        id: "FL705",
        script: "ip route add unreachable default table 100; ip rule add pref 100 to $NET lookup 100",
        ..ALIVE
    },
    Fault {
        name: "a policy rule by source leads to another table, as VPNs do",
        id: "FL705",
        script: "ip route add blackhole default table 100; ip rule add pref 100 from $NET lookup 100",
        directions: ["", ""],
        ..ALIVE
    },
    Fault {
        name: "another interface has an address of the network",
        id: "FL220",
        script: "ip link add other0 type bridge; ip address add $FREE.1/24 dev other0; ip link set other0 up",
        directions: ["none", "none"],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "a VPN's route leads into the network",
        id: "FL220",
        script: "ip route add 10.1.248.0/21 via 192.0.2.1 proto static",
        directions: ["none", "none"],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the NIC has a smaller MTU",
        id: "FL601",
        // Our agent would follow it.
        backends: super::VXLAN,
        script: "ip link set eth0 mtu 1400",
        directions: ["", ""],
        also: &["FL412", "FL602"],
        fix: Fix::Words,
        ..HANGS
    },
];
