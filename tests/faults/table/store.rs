//! FL4xx: etcd and the leases; FL203, FL204, FL233, FL304.

use super::{ALIVE, Agent, Fault, Fix, HANGS};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "there is no config",
        id: "FL401",
        seen: &[(1, 0)],
        script: "etcdctl del -- $PREFIX/config",
        directions: ["none", "none"],
        nowhere: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the config is below another prefix",
        id: "FL402",
        seen: &[(1, 0)],
        // It goes by itself; the row without any config stands before this one.
        script: "etcdctl put --lease=$(etcdctl lease grant 60 | cut -d' ' -f2) -- /kube-centos/network/config \"$(etcdctl get --print-value-only $PREFIX/config)\"; \
                 etcdctl del -- $PREFIX/config",
        directions: ["none", "none"],
        nowhere: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the config is not valid",
        id: "FL404",
        seen: &[(1, 0)],
        script: "etcdctl put -- $PREFIX/config '{\"Network\":\"10.1.0.0/16\",\"SubnetLen\":8}'",
        directions: ["none", "none"],
        nowhere: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "a record is no JSON (the documented reservation command)",
        id: "FL425",
        seen: &[(1, 0)],
        script: "etcdctl put -- $PREFIX/subnets/$FREE.0-24 /coreos.com/network/subnets/$FREE.0-24",
        directions: ["none", "none"],
        nowhere: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "a lease will end soon",
        id: "FL421",
        backends: super::VXLAN,
        script: r#"lease=$(etcdctl lease grant 600 | cut -d' ' -f2)
            etcdctl put --lease=$lease -- $PREFIX/subnets/$FREE.0-24 "$(etcdctl get --print-value-only $PREFIX/subnets/$KEY |
                sed s/$SELF/192.0.2.77/ | sed s/$MAC/02:00:00:00:00:55/)""#,
        directions: ["none", "none"],
        nowhere: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the leases of two nodes overlap",
        also: &["FL510", "FL513"],
        id: "FL203",
        seen: &[(1, 0)],
        script: r#"lease=$(etcdctl lease grant 86400 | cut -d' ' -f2)
            etcdctl put --lease=$lease -- $PREFIX/subnets/${SUBNET%.*}.0-25 "$(etcdctl get --print-value-only $PREFIX/subnets/$KEY |
                sed s/$SELF/192.0.2.77/)""#,
        directions: ["", ""],
        nowhere: true,
        fix: Fix::Words,
        ..ALIVE
    },
    Fault {
        name: "the lease ended while its agent was dead",
        id: "FL420",
        agent: Agent::Dead,
        script: "etcdctl del -- $PREFIX/subnets/$KEY",
        directions: ["", ""],
        also: &["FL722", "FL520"],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the lease was revoked while its agent hangs",
        id: "FL422",
        script: "etcdctl del -- $PREFIX/subnets/$KEY",
        directions: ["", ""],
        also: &["FL722", "FL412"],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the lease is of another backend",
        id: "FL233",
        backends: &["vxlan", "host-gw"],
        seen: &[(1, 0), (0, 0)],
        script: r#"value=$(etcdctl get --print-value-only $PREFIX/subnets/$KEY | sed 's/"BackendType":"[a-z-]*"/"BackendType":"udp"/')
            etcdctl put --lease=$(etcdctl lease grant 86400 | cut -d' ' -f2) -- $PREFIX/subnets/$KEY "$value""#,
        directions: ["", ""],
        confidence: "likely",
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "subnet.env is gone",
        id: "FL304",
        script: "rm $ENV",
        directions: ["none", "none"],
        also: &["FL412", "FL722"],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "subnet.env and the lease differ",
        id: "FL423",
        script: "sed -i 's/^FLANNEL_SUBNET=.*/FLANNEL_SUBNET='$FREE'.1\\/24/' $ENV",
        directions: ["none", "none"],
        also: &["FL412", "FL722"],
        fix: Fix::Words,
        ..HANGS
    },
    Fault {
        name: "the host's address changed after the lease",
        confidence: "likely",
        id: "FL204",
        backends: &["vxlan", "host-gw"],
        script: "ip address add 192.0.2.88/24 dev eth0; ip address del $SELF/24 dev eth0; \
                 ip address add 192.0.2.88/24 dev eth0 2>/dev/null || true; ip route replace default via 192.0.2.1",
        directions: ["", ""],
        fix: Fix::Words,
        also: &["FL412", "FL510"],
        ..HANGS
    },
];
