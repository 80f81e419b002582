//! Two hosts with an overlay made by `ip`, a container behind each, all in namespaces that end with the test.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flannelctl::diagnose::evidence::{Point, Sighting};
use flannelctl::diagnose::probe::{Origin, Target};
use flannelctl::diagnose::{NodeEvidence, Path, PathResult};
use flannelctl::kernel::containers;
use flannelctl::kernel::echo::{self, Sending};
use flannelctl::kernel::netns::Netns;
use flannelctl::kernel::witness::{Witness, WitnessSpec};

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Pair {
    tag: String,
    pub a: Netns,
    pub b: Netns,
    /// The kernel's drops are told for the whole machine: one pair at a time.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// Runs a script; panics with its output when it fails.
pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{text}{err}");
    text
}

/// Removes the namespaces of killed runs: their names hold the process id.
fn remove_leftovers() {
    let Ok(folder) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for name in folder
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
    {
        let pid = name
            .strip_prefix("fct-w")
            .and_then(|rest| rest.split_once('-'));
        let pid = pid.and_then(|(pid, _)| u32::from_str_radix(pid, 16).ok());
        if pid.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            sh(&format!("ip netns del {name}"));
        }
    }
}

impl Pair {
    pub fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        remove_leftovers();
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tag = format!("fct-w{:x}-{n}", std::process::id());
        let mut script = format!(
            "for n in a b ca cb; do ip netns add {tag}$n; ip -n {tag}$n link set lo up; done
             ip -n {tag}a link add eth0 type veth peer name eth0 netns {tag}b\n"
        );
        for (me, own, other) in [("a", 1, 2), ("b", 2, 1)] {
            script.push_str(&format!(
                "i='ip -n {tag}{me}'
                 ip netns exec {tag}{me} sysctl -qw net.ipv4.ip_forward=1
                 $i addr add 192.0.2.1{own}/24 dev eth0; $i link set eth0 up
                 $i link add flannel.1 address 02:00:00:00:00:0{own} type vxlan id 1 dev eth0 local 192.0.2.1{own} dstport 8472 nolearning
                 $i addr add 10.5.{own}.0/32 dev flannel.1; $i link set flannel.1 up
                 $i neigh add 10.5.{other}.0 lladdr 02:00:00:00:00:0{other} dev flannel.1 nud permanent
                 ip netns exec {tag}{me} bridge fdb add 02:00:00:00:00:0{other} dev flannel.1 dst 192.0.2.1{other} self permanent
                 $i route add 10.5.{other}.0/24 via 10.5.{other}.0 dev flannel.1 onlink
                 $i link add docker0 type bridge; $i addr add 10.5.{own}.1/24 dev docker0; $i link set docker0 up
                 $i link add vethc type veth peer name eth0 netns {tag}c{me}
                 $i link set vethc master docker0 up
                 c='ip -n {tag}c{me}'
                 $c addr add 10.5.{own}.2/24 dev eth0; $c link set eth0 up; $c route add default via 10.5.{own}.1\n"
            ));
        }
        sh(&script);
        let open = |name: &str| {
            Netns::open(std::path::Path::new(&format!("/run/netns/{tag}{name}"))).unwrap()
        };
        let (a, b) = (open("a"), open("b"));
        Self {
            tag,
            a,
            b,
            _alone: alone,
        }
    }

    /// Runs a script in a namespace: `a`, `b`, `ca`, `cb`.
    pub fn on(&self, place: &str, script: &str) -> String {
        sh(&format!(
            "ip netns exec {}{place} sh -ec '{script}'",
            self.tag
        ))
    }

    /// Pings from A's container to B's with both hosts watched; what A and B saw.
    pub fn ping(&self, patience_ms: u64) -> (PathResult, NodeEvidence, NodeEvidence) {
        let path = path();
        let arm = |n: u8| move || Witness::arm(&spec(n));
        let a = self.a.run(arm(1)).unwrap();
        let b = self.b.run(arm(2)).unwrap();
        let mut missing = Vec::new();
        let found = self
            .a
            .run(|| containers::behind("docker0", &mut missing))
            .unwrap();
        assert!(missing.is_empty(), "{missing:?}");
        let namespaces: BTreeMap<_, _> = found
            .containers
            .into_iter()
            .filter_map(|c| Some((c.fact.address, c.namespace?)))
            .collect();
        let how = Sending {
            namespaces,
            patience: std::time::Duration::from_millis(patience_ms),
            ..Sending::default()
        };
        let results = self.a.run(|| echo::send(&[path], &how)).unwrap();
        let a = self.a.run(|| a.collect()).unwrap();
        let b = self.b.run(|| b.collect()).unwrap();
        (results.into_iter().next().unwrap(), a, b)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let tag = &self.tag;
        sh(&format!(
            "for n in a b ca cb; do ip netns del {tag}$n; done"
        ));
    }
}

pub fn path() -> Path {
    Path {
        index: 3,
        source_node: ip("192.0.2.11"),
        target_node: ip("192.0.2.12"),
        origin: Origin::Container,
        target: Target::Container,
        from: ip("10.5.1.2"),
        to: ip("10.5.2.2"),
        icmp_id: 12091,
        count: 5,
        interval_ms: 20,
        payload: 183,
        ttl: 64,
        df: false,
    }
}

pub fn spec(n: u8) -> WitnessSpec {
    WitnessSpec {
        node: Ipv4Addr::new(192, 0, 2, 10 + n),
        subnet_file: "/nonexistent/subnet.env".into(),
        backend: "vxlan".into(),
        port: 8472,
        vni: 1,
        subnet: format!("10.5.{n}.0/24").parse().ok(),
        network: "10.5.0.0/16".parse().unwrap(),
        external: None,
        device: None,
        bridge: None,
        peers: vec![Ipv4Addr::new(192, 0, 2, 13 - n)],
        paths: vec![path()],
        packets: false,
    }
}

/// How often a probe was seen at a point.
pub fn seen(evidence: &NodeEvidence, point: Point, reply: bool, outgoing: bool) -> Vec<&Sighting> {
    let wanted = |s: &&Sighting| s.point == point && s.reply == reply && s.outgoing == outgoing;
    evidence.seen.iter().filter(wanted).collect()
}

pub fn delta(evidence: &NodeEvidence, name: &str) -> u64 {
    let (before, after) = evidence.counters.get(name).copied().unwrap_or_default();
    after - before
}
