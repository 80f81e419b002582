//! The faults: how each is made, mended, and what the diagnosis must say of it.
#![allow(dead_code)]

use super::Patient;

/// A fault on one host (`b`; the other is 1 - b). Mending it is left to `mend`, so that one network serves many.
pub struct Fault {
    pub name: &'static str,
    pub make: fn(&Patient, usize),
    pub mend: fn(&Patient, usize),
    /// Checks that may be named; the first is the expected one.
    pub id: &'static str,
    /// Direction when the broken host is the target, and when it is the source.
    pub directions: [&'static str; 2],
    /// Traffic still passes.
    pub works: bool,
    /// The verdict is proven.
    pub proven: bool,
}

const FAULT: Fault = Fault {
    name: "",
    make: |_, _| {},
    mend: |_, _| {},
    id: "",
    directions: ["request", "request"],
    works: false,
    proven: true,
};

fn peer(p: &Patient, b: usize) -> (String, String, String, String) {
    let other = p.node(1 - b);
    let mac = other.mac("flannel.1");
    (
        other.subnet(),
        other.base().to_string(),
        mac,
        other.address.to_string(),
    )
}

/// Faults that no agent heals: they are made while both agents run (without forward rules of theirs).
pub const LASTING: &[Fault] = &[
    Fault {
        name: "FORWARD policy DROP (iptables-nft)",
        make: |p, b| drop(p.node(b).run("iptables-nft", &["-P", "FORWARD", "DROP"])),
        mend: |p, b| drop(p.node(b).run("iptables-nft", &["-P", "FORWARD", "ACCEPT"])),
        id: "FL101",
        ..FAULT
    },
    Fault {
        name: "FORWARD policy DROP (iptables-legacy)",
        make: |p, b| drop(p.node(b).run("iptables-legacy", &["-P", "FORWARD", "DROP"])),
        mend: |p, b| {
            drop(
                p.node(b)
                    .run("iptables-legacy", &["-P", "FORWARD", "ACCEPT"]),
            )
        },
        id: "FL101",
        ..FAULT
    },
    Fault {
        name: "Docker 28's raw drop of a container",
        make: |p, b| raw(p, b, "-I"),
        mend: |p, b| raw(p, b, "-D"),
        id: "FL102",
        directions: ["request", "reply"],
        ..FAULT
    },
    Fault {
        name: "INPUT drops the encapsulation",
        make: |p, b| input(p, b, "-I", "DROP"),
        mend: |p, b| input(p, b, "-D", "DROP"),
        id: "FL110",
        directions: ["request", "reply"],
        ..FAULT
    },
    Fault {
        name: "INPUT rejects the encapsulation",
        make: |p, b| input(p, b, "-I", "REJECT"),
        mend: |p, b| input(p, b, "-D", "REJECT"),
        id: "FL110",
        directions: ["request", "reply"],
        ..FAULT
    },
    Fault {
        name: "ip_forward is off",
        make: |p, b| p.node(b).sysctl("net/ipv4/ip_forward", "0"),
        mend: |p, b| p.node(b).sysctl("net/ipv4/ip_forward", "1"),
        id: "FL701",
        ..FAULT
    },
    Fault {
        name: "the bridge has another subnet",
        make: |p, b| bridge(p, b, "192.168.99.1/24", true),
        mend: |p, b| bridge(p, b, "192.168.99.1/24", false),
        id: "FL301",
        directions: ["request", ""],
        ..FAULT
    },
    Fault {
        name: "the container has no default route",
        make: |p, b| p.inside(b, "route del default"),
        mend: |p, b| p.inside(b, &format!("route add default via {}", p.node(b).inside())),
        id: "FL311",
        directions: ["reply", "reply"],
        ..FAULT
    },
    Fault {
        name: "overlay traffic is masqueraded",
        make: |p, b| masquerade(p, b, "-I"),
        mend: |p, b| masquerade(p, b, "-D"),
        id: "FL120",
        works: true,
        ..FAULT
    },
];

/// Faults that an agent heals: made after the broken host's agent was killed, mended by starting it again.
pub const HEALED: &[Fault] = &[
    Fault {
        name: "stale VtepMAC",
        make: |p, b| {
            let (_, base, mac, ip) = peer(p, b);
            let host = p.node(b);
            host.ip(&format!(
                "neigh replace {base} lladdr 02:00:00:00:00:99 nud permanent dev flannel.1"
            ));
            host.bridge(&format!("fdb del {mac} dev flannel.1 dst {ip}"));
            host.bridge(&format!(
                "fdb replace 02:00:00:00:00:99 dev flannel.1 dst {ip} self permanent"
            ));
        },
        id: "FL513",
        directions: ["reply", "request"],
        ..FAULT
    },
    Fault {
        name: "no route to the peer's subnet",
        make: |p, b| drop(p.node(b).ip(&format!("route del {}", peer(p, b).0))),
        id: "FL510",
        directions: ["reply", "request"],
        ..FAULT
    },
    Fault {
        name: "no neighbour entry of the peer",
        make: |p, b| {
            let (_, base, ..) = peer(p, b);
            p.node(b).ip(&format!("neigh del {base} dev flannel.1"));
        },
        id: "FL511",
        directions: ["reply", "request"],
        ..FAULT
    },
    Fault {
        name: "no forwarding entry of the peer",
        make: |p, b| {
            let (_, _, mac, ip) = peer(p, b);
            p.node(b)
                .bridge(&format!("fdb del {mac} dev flannel.1 dst {ip}"));
        },
        id: "FL512",
        directions: ["reply", "request"],
        ..FAULT
    },
    Fault {
        name: "the flannel device is down",
        make: |p, b| drop(p.node(b).ip("link set flannel.1 down")),
        id: "FL520",
        ..FAULT
    },
    Fault {
        name: "the flannel device is gone",
        make: |p, b| drop(p.node(b).ip("link del flannel.1")),
        id: "FL520",
        ..FAULT
    },
];

fn raw(p: &Patient, b: usize, action: &str) {
    let address = p.containers[b].address.to_string();
    let args = [
        "-t",
        "raw",
        action,
        "PREROUTING",
        "-d",
        &address,
        "!",
        "-i",
        "docker0",
        "-j",
        "DROP",
    ];
    p.node(b).run("iptables", &args);
}

fn input(p: &Patient, b: usize, action: &str, target: &str) {
    p.node(b).run(
        "iptables",
        &[
            action, "INPUT", "-p", "udp", "--dport", "8472", "-j", target,
        ],
    );
}

fn masquerade(p: &Patient, b: usize, action: &str) {
    let args = [
        "-t",
        "nat",
        action,
        "POSTROUTING",
        "-s",
        "10.1.0.0/16",
        "-o",
        "flannel.1",
        "-j",
        "MASQUERADE",
    ];
    p.node(b).run("iptables", &args);
}

fn bridge(p: &Patient, b: usize, wrong: &str, break_it: bool) {
    let right = p.node(b).env("FLANNEL_SUBNET").expect("a FLANNEL_SUBNET");
    let (old, new) = if break_it {
        (right.as_str(), wrong)
    } else {
        (wrong, right.as_str())
    };
    p.node(b).ip(&format!("address del {old} dev docker0"));
    p.node(b).ip(&format!("address add {new} dev docker0"));
}
