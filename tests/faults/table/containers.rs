//! FL3xx: bridge and containers.

use super::{ALIVE, Fault, Fix};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "the bridge has another subnet",
        id: "FL301",
        script: "ip address del $GW/24 dev docker0; ip address add 192.168.99.1/24 dev docker0",
        directions: ["request", ""],
        ..ALIVE
    },
    Fault {
        name: "the bridge is down",
        id: "FL305",
        script: "ip link set docker0 down",
        directions: ["request", ""],
        ..ALIVE
    },
    Fault {
        name: "the container's address is gone",
        id: "FL310",
        seen: &[(1, 0)],
        script: "$IN ip address flush dev eth0",
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the container has no default route",
        id: "FL311",
        script: "$IN ip route del default",
        directions: ["reply", "reply"],
        ..ALIVE
    },
    Fault {
        name: "the container's default route leads to a stranger",
        id: "FL311",
        script: "$IN ip route replace default via ${GW%.1}.77",
        directions: ["reply", "reply"],
        ..ALIVE
    },
    Fault {
        name: "the container ignores pings",
        id: "FL312",
        script: "$IN sh -c 'echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all'",
        directions: ["reply", "reply"],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the container's interface is no port of the bridge",
        id: "FL313",
        seen: &[(1, 0)],
        script: "ip link set vethc nomaster",
        ..ALIVE
    },
    Fault {
        name: "the container's port of the bridge is down",
        id: "FL313",
        script: "ip link set vethc down",
        ..ALIVE
    },
    Fault {
        name: "the container's own interface is down",
        id: "FL313",
        script: "$IN ip link set eth0 down",
        // What it has for a default route goes with the interface.
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the container has a larger MTU than the overlay",
        id: "FL302",
        backends: super::WRAPPED,
        script: "ip link set vethc mtu 1500; $IN ip link set eth0 mtu 1500",
        directions: ["none", "none"],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the container has an old MAC of the bridge",
        id: "FL903",
        script: "$IN ip neigh replace $GW lladdr 02:00:00:00:00:99 nud permanent dev eth0",
        directions: ["reply", "request"],
        ..ALIVE
    },
];
