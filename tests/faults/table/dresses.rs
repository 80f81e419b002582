//! Healthy networks that look odd: nothing may be said of them.

/// A network in a dress.
pub struct Dress {
    pub name: &'static str,
    /// Runs on both hosts; a process that it leaves is noted in `manager.pid`.
    pub script: &'static str,
}

/// Begins a process that goes on until the host is mended.
macro_rules! going_on {
    ($command:literal) => {
        concat!(
            "setsid ",
            $command,
            " </dev/null >/dev/null 2>&1 & echo $! >${ENV%/*}/manager.pid"
        )
    };
}

pub const DRESSES: &[Dress] = &[
    Dress {
        name: "as it is",
        script: "true",
    },
    Dress {
        name: "busy with other pings",
        script: going_on!("$IN ping -q -i 0.002 -s 700 $PEERCTR"),
    },
    Dress {
        name: "pings to the hosts' own addresses are filtered",
        script: "iptables-nft -A INPUT -s 192.0.2.0/24 -p icmp --icmp-type echo-request -j DROP",
    },
    Dress {
        name: "the base address is shadowed by a broadcast route",
        // Older kernels have such a route for each address; it wins where the bridge is older than flannel's device.
        script: "ip route prepend broadcast ${GW%.1}.0 dev docker0 table local; \
                 ip route get ${GW%.1}.0 | grep broadcast",
    },
    Dress {
        name: "a firewall drops other things, all the time",
        script: concat!(
            "iptables-nft -A FORWARD -d 203.0.113.0/24 -j DROP; iptables-nft -A INPUT -p tcp --dport 9999 -j DROP; ",
            "iptables-legacy -A FORWARD -d 198.51.100.0/24 -j DROP; ",
            going_on!("$IN ping -q -i 0.02 203.0.113.9")
        ),
    },
    Dress {
        name: "Docker's own rules, and DOCKER-USER lets the network through",
        script: "iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER; iptables-nft -N DOCKER-USER; \
                 iptables-nft -N DOCKER-ISOLATION-STAGE-1; iptables-nft -N DOCKER-ISOLATION-STAGE-2; \
                 iptables-nft -A DOCKER-USER -s $NET -j ACCEPT; iptables-nft -A DOCKER-USER -d $NET -j ACCEPT; \
                 iptables-nft -A FORWARD -j DOCKER-USER; iptables-nft -A FORWARD -j DOCKER-ISOLATION-STAGE-1; \
                 iptables-nft -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; \
                 iptables-nft -A FORWARD -o docker0 -j DOCKER; iptables-nft -A FORWARD -i docker0 ! -o docker0 -j ACCEPT; \
                 iptables-nft -A FORWARD -i docker0 -o docker0 -j ACCEPT; \
                 iptables-nft -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2; \
                 iptables-nft -A DOCKER-ISOLATION-STAGE-2 -o br-other -j DROP; \
                 iptables-nft -t nat -N DOCKER; iptables-nft -t nat -A DOCKER -i docker0 -j RETURN; \
                 iptables-nft -t nat -A POSTROUTING -s $NET -d $NET -j ACCEPT; \
                 iptables-nft -t nat -A POSTROUTING -s $SUBNET ! -o docker0 -j MASQUERADE",
    },
    Dress {
        name: "Docker 28's raw rules of other containers and of other bridges",
        script: "for last in 3 4 5; do iptables-nft -t raw -A PREROUTING -d ${GW%.1}.$last ! -i docker0 -j DROP; done; \
                 iptables-nft -t raw -A PREROUTING -d 172.18.0.2 ! -i br-other -j DROP; \
                 iptables-nft -N DOCKER-CT; iptables-nft -A FORWARD -j DOCKER-CT; \
                 iptables-nft -A DOCKER-CT -o br-other -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; \
                 iptables-nft -A FORWARD -i br-other ! -o br-other -j ACCEPT; \
                 iptables-nft -A FORWARD ! -i br-other -o br-other -j DROP",
    },
    Dress {
        name: "a strict input firewall that admits what flannel needs, as firewalld's",
        script: "nft add table inet firewalld; \
                 nft 'add chain inet firewalld filter_INPUT { type filter hook input priority 10; policy accept; }'; \
                 nft add rule inet firewalld filter_INPUT ct state established,related accept; \
                 nft add rule inet firewalld filter_INPUT iifname lo accept; \
                 nft add rule inet firewalld filter_INPUT meta l4proto icmp accept; \
                 nft add rule inet firewalld filter_INPUT udp dport '{ 8285, 8472 }' accept; \
                 nft add rule inet firewalld filter_INPUT tcp dport '{ 22, 2379 }' accept; \
                 nft add rule inet firewalld filter_INPUT ct state invalid drop; \
                 nft add rule inet firewalld filter_INPUT reject with icmpx admin-prohibited",
    },
    Dress {
        name: "IPv6 noise on the bridge",
        script: going_on!("ping -6 -q -i 0.02 ff02::1%docker0"),
    },
    Dress {
        name: "policy rules and routes of others",
        script: "ip rule add pref 99 fwmark 0x51820 lookup 100; ip rule add pref 100 from 198.51.100.0/24 lookup 100; \
                 ip route add default via 192.0.2.1 table 100; ip route add 10.0.0.0/8 via 192.0.2.1 proto static; \
                 ip route add 172.16.0.0/12 via 192.0.2.1 proto static",
    },
    Dress {
        name: "another VXLAN device, with a port and VNI of its own",
        script: "ip link add other0 type vxlan id 77 dstport 4789 dev eth0; \
                 ip address add 172.31.0.1/24 dev other0; ip link set other0 up",
    },
    Dress {
        name: "loose reverse path filters",
        script: "for name in all eth0 docker0 $DEV; do echo 2 >/proc/sys/net/ipv4/conf/$name/rp_filter; done",
    },
    Dress {
        name: "strict reverse path filters where every way back is the same",
        script: "for name in all eth0 docker0 $DEV; do echo 1 >/proc/sys/net/ipv4/conf/$name/rp_filter; done",
    },
    Dress {
        name: "a container with a smaller MTU",
        script: "$IN ip link set eth0 mtu 1300",
    },
];
