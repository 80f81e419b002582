//! The way between two NICs: FL205, FL211, FL230, FL240, FL241, FL501, FL602; and the routes to it: FL243, FL244.

use super::{ALIVE, EVERY, Fault, Fix, HOST_GW, VXLAN, WRAPPED};

const REPLIES: [&str; 2] = ["request", "reply"];
/// A filter on the switch.
macro_rules! fabric {
    ($rule:literal) => {
        concat!(
            "$SW nft add table bridge fabric; ",
            "$SW nft 'add chain bridge fabric f { type filter hook forward priority 0; }'; ",
            "$SW nft add rule bridge fabric f ",
            $rule
        )
    };
}

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "the fabric eats the encapsulation to this host",
        id: "FL230",
        backends: WRAPPED,
        script: fabric!("ip daddr $SELF udp dport $PORT drop"),
        directions: REPLIES,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "a security group lets neither pings nor the encapsulation to this host",
        id: "FL230",
        backends: WRAPPED,
        script: fabric!(
            "ip daddr $SELF udp dport $PORT drop; $SW nft add rule bridge fabric f ip daddr $SELF icmp type echo-request drop"
        ),
        directions: REPLIES,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the fabric eats all UDP to this host",
        id: "FL230",
        backends: WRAPPED,
        script: fabric!("ip daddr $SELF meta l4proto udp drop"),
        directions: REPLIES,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the fabric looks into datagrams to this host and eats the encapsulation",
        id: "FL230",
        backends: WRAPPED,
        script: fabric!(
            "ip daddr $SELF udp dport $PORT udp length gt 60 drop; $SW nft add rule bridge fabric f ip daddr $SELF icmp type echo-request drop"
        ),
        directions: REPLIES,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "a router between the hosts refuses the encapsulation from this host",
        id: "FL230",
        backends: WRAPPED,
        script: "$SW sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0; \
                 ip route add $PEER via 192.0.2.1 dev eth0 proto static; \
                 $SW nft add table inet router; \
                 $SW nft 'add chain inet router f { type filter hook forward priority 0; }'; \
                 $SW nft add rule inet router f udp dport $PORT reject with icmpx admin-prohibited",
        directions: ["reply", "request"],
        on_peer: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the fabric eats containers' packets to this host (source/destination check)",
        id: "FL211",
        backends: HOST_GW,
        script: fabric!("ip daddr $SUBNET drop"),
        directions: REPLIES,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "nothing passes between the two hosts",
        id: "FL240",
        backends: EVERY,
        seen: &[(1, 0)],
        script: "$SW nft add table bridge fabric; \
                 $SW nft 'add chain bridge fabric f { type filter hook forward priority 0; }'; \
                 $SW nft add rule bridge fabric f iifname p0 oifname p1 drop; \
                 $SW nft add rule bridge fabric f iifname p1 oifname p0 drop",
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the cable is pulled where the other host does not see it, after traffic",
        id: "FL240",
        backends: EVERY,
        seen: &[(1, 0)],
        // No carrier tells, as with two switches between; etcd hears nothing of the host either.
        script: "$SW nft add table bridge fabric; \
                 $SW nft 'add chain bridge fabric f { type filter hook prerouting priority -300; }'; \
                 $SW nft add rule bridge fabric f iifname p1 drop",
        also: &["FL412", "FL722"],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the fabric loses half of the encapsulation to this host",
        id: "FL241",
        backends: WRAPPED,
        script: fabric!("ip daddr $SELF udp dport $PORT numgen inc mod 2 == 0 drop"),
        directions: ["request", "reply"],
        fix: Fix::Words,
        args: &["--count", "20"],
        ..ALIVE
    },
    Fault {
        name: "the fabric loses half of containers' packets to this host",
        id: "FL241",
        backends: HOST_GW,
        script: fabric!("ip daddr $SUBNET numgen inc mod 2 == 0 drop"),
        directions: ["request", "reply"],
        fix: Fix::Words,
        args: &["--count", "20"],
        ..ALIVE
    },
    Fault {
        name: "outer source addresses are translated on the way",
        confidence: "likely",
        id: "FL205",
        backends: WRAPPED,
        script: fabric!("ip saddr $SELF udp dport $PORT ip saddr set 192.0.2.77"),
        directions: ["", ""],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "this host's outer UDP checksums are wrong",
        id: "FL501",
        backends: VXLAN,
        // Where the NIC computes them it would be put right again.
        script: concat!(
            "ethtool -K eth0 tx off >/dev/null; ",
            fabric!("ip saddr $SELF udp dport $PORT udp checksum set 0xdead")
        ),
        directions: ["reply", "request"],
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the fabric eats large packets",
        id: "FL602",
        backends: EVERY,
        // A batch that the udp backend sends at once must cross as the datagrams that a wire would see.
        script: concat!(
            "ethtool -K eth0 tx-udp-segmentation off >/dev/null; ",
            fabric!("meta length 1450-1500 drop")
        ),
        directions: ["", ""],
        nowhere: true,
        confidence: "likely",
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "no route to the peer's public IP",
        id: "FL243",
        backends: WRAPPED,
        script: "ip route add unreachable $PEER proto static",
        directions: ["reply", "request"],
        ..ALIVE
    },
    Fault {
        name: "the route to the peer's public IP leads into the overlay",
        id: "FL244",
        backends: VXLAN,
        script: "ip route add $PEER/32 dev $DEV proto static",
        directions: ["reply", "request"],
        ..ALIVE
    },
];
