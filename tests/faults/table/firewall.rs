//! FL1xx: filters and address translation.

use super::{ALIVE, EVERY, Fault, HANGS, WRAPPED};

const REPLIES: [&str; 2] = ["request", "reply"];

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "FORWARD policy DROP (iptables-nft)",
        id: "FL101",
        script: "iptables-nft -P FORWARD DROP",
        ..ALIVE
    },
    Fault {
        name: "FORWARD policy DROP (iptables-legacy)",
        id: "FL101",
        script: "iptables-legacy -P FORWARD DROP",
        ..ALIVE
    },
    Fault {
        name: "forward policy drop of a native nft table",
        id: "FL101",
        script: "nft add table inet wall; nft 'add chain inet wall forward { type filter hook forward priority 10; policy drop; }'",
        ..ALIVE
    },
    Fault {
        name: "Docker's FORWARD DROP with its chains and DOCKER-USER",
        id: "FL101",
        script: "iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN; \
                 iptables-nft -N DOCKER; iptables-nft -A FORWARD -j DOCKER-USER; \
                 iptables-nft -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; \
                 iptables-nft -A FORWARD -o docker0 -j DOCKER; iptables-nft -A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
        seen: &[(1, 0)],
        ..ALIVE
    },
    Fault {
        name: "a FORWARD rule drops the network",
        id: "FL133",
        script: "iptables-nft -A FORWARD -d $NET -j DROP",
        ..ALIVE
    },
    Fault {
        name: "a rule of a native nft table drops the network",
        id: "FL133",
        script: "nft add table inet wall; nft 'add chain inet wall forward { type filter hook forward priority -5; }'; \
                 nft add rule inet wall forward ip daddr $NET drop",
        ..ALIVE
    },
    Fault {
        name: "a FORWARD rule rejects what is not for one port, as firewalld",
        id: "FL133",
        script: "nft add table inet firewalld; \
                 nft 'add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }'; \
                 nft add rule inet firewalld filter_FORWARD ct state established,related accept; \
                 nft add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited",
        ..ALIVE
    },
    Fault {
        name: "Docker 28's raw drop of a container",
        id: "FL102",
        script: "iptables-nft -t raw -A PREROUTING -d $CTR ! -i docker0 -j DROP",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "Docker 28's drop of unpublished ports",
        id: "FL103",
        script: "iptables-nft -N DOCKER; iptables-nft -A FORWARD -o docker0 -j DOCKER; \
                 iptables-nft -A DOCKER ! -i docker0 -o docker0 -j DROP",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "INPUT drops the encapsulation",
        id: "FL110",
        backends: WRAPPED,
        script: "iptables-nft -A INPUT -p udp --dport $PORT -j DROP",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "INPUT rejects the encapsulation",
        id: "FL110",
        backends: WRAPPED,
        script: "iptables-nft -A INPUT -p udp --dport $PORT -j REJECT --reject-with icmp-admin-prohibited",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "INPUT drops the encapsulation (iptables-legacy)",
        id: "FL110",
        backends: WRAPPED,
        script: "iptables-legacy -A INPUT -p udp --dport $PORT -j DROP",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "an INPUT policy DROP that admits SSH and etcd",
        id: "FL110",
        backends: WRAPPED,
        script: "iptables-nft -A INPUT -i lo -j ACCEPT; iptables-nft -A INPUT -p tcp -m multiport --ports 22,2379,$ETCDPORT -j ACCEPT; \
                 iptables-nft -A INPUT -p icmp -j ACCEPT; iptables-nft -P INPUT DROP",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "a native nft input chain that drops the encapsulation",
        id: "FL110",
        backends: WRAPPED,
        script: "nft add table inet wall; nft 'add chain inet wall input { type filter hook input priority 0; }'; \
                 nft add rule inet wall input udp dport $PORT counter drop",
        directions: REPLIES,
        ..ALIVE
    },
    Fault {
        name: "OUTPUT rejects the encapsulation",
        id: "FL110",
        backends: WRAPPED,
        script: "iptables-nft -A OUTPUT -p udp --dport $PORT -j REJECT",
        directions: ["reply", "request"],
        ..ALIVE
    },
    Fault {
        name: "overlay traffic is masqueraded",
        id: "FL120",
        backends: EVERY,
        script: "iptables-nft -t nat -A POSTROUTING -s $SUBNET ! -o docker0 -j MASQUERADE",
        ..ALIVE
    },
    Fault {
        name: "iptables-legacy drops what iptables-nft accepts",
        id: "FL130",
        script: "iptables-nft -A FORWARD -s $NET -j ACCEPT; iptables-nft -A FORWARD -d $NET -j ACCEPT; \
                 iptables-legacy -P FORWARD DROP",
        also: &["FL101"],
        ..ALIVE
    },
    Fault {
        name: "flannel's nft table accepts and iptables' policy drops",
        id: "FL131",
        script: "nft add table ip flannel-ipv4; \
                 nft 'add chain ip flannel-ipv4 forward { type filter hook forward priority 0; }'; \
                 nft add rule ip flannel-ipv4 forward ip saddr $NET accept; \
                 nft add rule ip flannel-ipv4 forward ip daddr $NET accept; iptables-nft -P FORWARD DROP",
        ..ALIVE
    },
    Fault {
        name: "a reload flushed FORWARD, flannel's jump with it",
        id: "FL132",
        // Our agent would remove what it is told not to keep.
        backends: &["vxlan", "host-gw"],
        script: "iptables-nft -N FLANNEL-FWD; iptables-nft -A FLANNEL-FWD -s $NET -j ACCEPT; \
                 iptables-nft -A FLANNEL-FWD -d $NET -j ACCEPT; iptables-nft -P FORWARD DROP",
        also: &["FL101", "FL412"],
        ..HANGS
    },
    Fault {
        name: "INPUT drops what comes from the network, answers to the host itself too",
        id: "FL134",
        script: "iptables-nft -A INPUT -s $NET -j DROP",
        seen: &[(0, 0)],
        directions: ["reply", "reply"],
        ..ALIVE
    },
];
