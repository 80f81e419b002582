//! What an agent keeps in the kernel: FL2xx of the device, FL502, FL51x, FL520, FL722. Made while it hangs or is dead.

use super::{Agent, Fault, Fix, HANGS, UDP, VXLAN};

const REPLIES: [&str; 2] = ["request", "reply"];

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "no route to the peer's subnet",
        id: "FL510",
        backends: &["vxlan", "host-gw"],
        script: "ip route del $PEERNET",
        ..HANGS
    },
    Fault {
        name: "no route to the peer's subnet, and no default route",
        id: "FL510",
        backends: &["vxlan", "host-gw"],
        script: "ip route del $PEERNET; ip route del default",
        ..HANGS
    },
    Fault {
        name: "the peer's subnet is routed to another gateway",
        id: "FL513",
        backends: &["vxlan", "host-gw"],
        script: "ip route del $PEERNET; ip route add $PEERNET via 192.0.2.1 dev eth0 proto static",
        also: &["FL412", "FL220"],
        ..HANGS
    },
    Fault {
        name: "no neighbour entry of the peer",
        id: "FL511",
        backends: VXLAN,
        script: "ip neigh del $PEERBASE dev $DEV",
        ..HANGS
    },
    Fault {
        name: "no forwarding entry of the peer",
        id: "FL512",
        backends: VXLAN,
        script: "bridge fdb del $PEERMAC dev $DEV dst $PEER",
        ..HANGS
    },
    Fault {
        name: "stale MAC of the peer",
        id: "FL513",
        backends: VXLAN,
        script: "ip neigh replace $PEERBASE lladdr 02:00:00:00:00:99 nud permanent dev $DEV; \
                 bridge fdb del $PEERMAC dev $DEV dst $PEER; \
                 bridge fdb replace 02:00:00:00:00:99 dev $DEV dst $PEER self permanent",
        ..HANGS
    },
    Fault {
        name: "the forwarding entry leads to another host",
        id: "FL513",
        backends: VXLAN,
        script: "bridge fdb replace $PEERMAC dev $DEV dst 192.0.2.77 self permanent",
        ..HANGS
    },
    Fault {
        name: "systemd gave the device another MAC",
        also: &["FL412", "FL511"],
        id: "FL502",
        backends: VXLAN,
        script: "ip link set $DEV address 02:00:00:00:00:77",
        directions: REPLIES,
        ..HANGS
    },
    Fault {
        name: "the device has another VNI",
        id: "FL232",
        backends: VXLAN,
        script: "ip link del $DEV; ip link add $DEV address $MAC type vxlan id 9 dstport $PORT local $SELF dev eth0 nolearning; \
                 ip address add ${GW%.1}.0/32 dev $DEV; ip link set $DEV mtu 1450 up; \
                 ip route add $PEERNET via $PEERBASE dev $DEV onlink; \
                 ip neigh replace $PEERBASE lladdr $PEERMAC nud permanent dev $DEV; \
                 bridge fdb replace $PEERMAC dev $DEV dst $PEER self permanent",
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the device has another UDP port",
        id: "FL234",
        backends: VXLAN,
        script: "ip link del $DEV; ip link add $DEV address $MAC type vxlan id 1 dstport 4789 local $SELF dev eth0 nolearning; \
                 ip address add ${GW%.1}.0/32 dev $DEV; ip link set $DEV mtu 1450 up; \
                 ip route add $PEERNET via $PEERBASE dev $DEV onlink; \
                 ip neigh replace $PEERBASE lladdr $PEERMAC nud permanent dev $DEV; \
                 bridge fdb replace $PEERMAC dev $DEV dst $PEER self permanent",
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the device is down",
        id: "FL520",
        backends: VXLAN,
        script: "ip link set $DEV down",
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the device is gone",
        id: "FL520",
        backends: VXLAN,
        script: "ip link del $DEV",
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "another program's VXLAN device took the port and VNI",
        id: "FL231",
        backends: VXLAN,
        script: "ip link del $DEV; ip link add other0 type vxlan id 1 dstport $PORT dev eth0; ip link set other0 up",
        also: &["FL412", "FL520"],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "another program's VXLAN device took the port (external, as Cilium's)",
        id: "FL231",
        backends: VXLAN,
        script: "ip link set $DEV down; ip link add other0 type vxlan external dstport $PORT; ip link set other0 up",
        also: &["FL412", "FL520"],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "NetworkManager removed the routes",
        id: "FL521",
        backends: &["vxlan", "host-gw"],
        script: "cp /bin/sleep ${ENV%/*}/NetworkManager; setsid ${ENV%/*}/NetworkManager 30 </dev/null >/dev/null 2>&1 & \
                 echo $! >${ENV%/*}/manager.pid; ip route del $PEERNET",
        // Who removed them cannot be proven afterwards.
        confidence: "likely",
        directions: ["none", "none"],
        also: &["FL412", "FL510"],
        ..HANGS
    },
    Fault {
        name: "the udp backend's process hangs",
        id: "FL722",
        backends: UDP,
        script: "true",
        directions: ["", ""],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the udp backend's process is dead",
        id: "FL722",
        backends: UDP,
        agent: Agent::Dead,
        script: "true",
        directions: ["", ""],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the agent hangs while the network changes",
        id: "FL412",
        backends: VXLAN,
        script: r#"lease=$(etcdctl lease grant 86400 | cut -d' ' -f2)
            etcdctl put --lease=$lease -- $PREFIX/subnets/$FREE.0-24 "$(etcdctl get --print-value-only $PREFIX/subnets/$KEY |
                sed s/$SELF/192.0.2.77/ | sed s/$MAC/02:00:00:00:00:55/)""#,
        directions: ["none", "none"],
        also: &["FL510", "FL511", "FL512"],
        fix: Fix::Words,
        ..HANGS
    },
];
