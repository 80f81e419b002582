//! The lab: hosts in network namespaces on one switch, with real etcd, real agents and real Docker.
//!
//! A test holds a [`Lab`] and the handles it made from it; dropping the last of them ends every process
//! and removes every namespace, mount and file. A test that panics first prints the hosts' state. Each
//! process also dies with the test process, and what a killed run leaves (namespaces, files) is recorded
//! below `/run/flannelctl-tests` for `tests/run` to remove.
//!
//! It knows the command line and the formats that users see, and nothing of the crate's inside.
#![allow(dead_code, reason = "each test binary uses its part of the lab")]
#![allow(unused_imports, reason = "each test binary uses its part of the lab")]
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod agent;
mod child;
mod docker;
mod dump;
mod etcd;
mod host;
mod overlay;
mod probe;
mod record;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use agent::{Agent, Finished, flannelctl};
pub use child::Proc;
pub use docker::{Container, Dockerd};
pub use etcd::{Etcd, PREFIX};
pub use host::{Host, Net};
pub use overlay::{HEAL, NETWORK, Overlay, init_network};
pub use probe::{Capture, Ping, PingReport, http_get, until, within_time};

/// Hosts on one switch. The switch (192.0.2.1) is where etcd runs and is everybody's default gateway.
pub struct Lab {
    /// The namespace with the bridges; holds etcd.
    pub switch: Host,
    nodes: Vec<Host>,
    shared: Arc<Shared>,
}

/// What all handles of a lab have in common; its end is the lab's end.
pub struct Shared {
    /// `fct-PID-N`: begins the name of everything that the lab makes.
    pub tag: String,
    /// Where its files are.
    pub dir: PathBuf,
    hosts: std::sync::Mutex<Vec<(String, PathBuf)>>,
    counter: AtomicUsize,
    dumped: AtomicBool,
    _record: record::Record,
}

impl Lab {
    /// `nodes` hosts 192.0.2.10, .11, … with one interface `eth0` and a default route.
    pub fn new(nodes: usize) -> Self {
        Self::with_far(nodes, 0)
    }

    /// As [`Lab::new`], with `far` more hosts 198.51.100.(10+i) in a second network behind the switch,
    /// which routes between the two.
    pub fn with_far(near: usize, far: usize) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the lab needs root: it makes network namespaces (run tests/run as root)"
        );
        let shared = Arc::new(Shared::new());
        let switch = Host::new(&shared, "sw", Ipv4Addr::new(192, 0, 2, 1));
        for (bridge, address) in [("br0", "192.0.2.1/24"), ("br1", "198.51.100.1/24")] {
            switch.ip(&format!(
                "link add {bridge} type bridge stp_state 0 mcast_snooping 0"
            ));
            switch.ip(&format!("address add {address} dev {bridge}"));
            switch.ip(&format!("link set {bridge} up"));
        }
        switch.sysctl("net/ipv4/ip_forward", "1");
        let nodes = (0..near + far)
            .map(|i| {
                let (bridge, gateway, address) = if i < near {
                    ("br0", "192.0.2.1", Ipv4Addr::new(192, 0, 2, 10 + i as u8))
                } else {
                    let last = 10 + (i - near) as u8;
                    ("br1", "198.51.100.1", Ipv4Addr::new(198, 51, 100, last))
                };
                let host = Host::new(&shared, &format!("n{i}"), address);
                switch.ip(&format!(
                    "link add p{i} type veth peer name eth0 netns {}",
                    host.name()
                ));
                switch.ip(&format!("link set p{i} master {bridge} up"));
                host.ip(&format!("address add {address}/24 dev eth0"));
                host.ip("link set eth0 up");
                host.ip(&format!("route add default via {gateway}"));
                host
            })
            .collect();
        Self {
            switch,
            nodes,
            shared,
        }
    }

    /// The i-th host, from 0.
    pub fn node(&self, i: usize) -> &Host {
        &self.nodes[i]
    }

    /// All hosts.
    pub fn nodes(&self) -> &[Host] {
        &self.nodes
    }

    /// Starts etcd on the switch, at `http://192.0.2.1:2379`.
    pub fn etcd(&self) -> Etcd {
        Etcd::start(&self.switch)
    }

    /// Unplugs host `i` from the switch (its own link keeps its carrier's absence) or plugs it in again.
    pub fn plug(&self, i: usize, connected: bool) {
        let state = if connected { "up" } else { "down" };
        self.switch.ip(&format!("link set p{i} {state}"));
    }

    /// Cuts host `i` off without a change of carrier, as a broken path does, or mends it.
    pub fn cut(&self, i: usize, cut: bool) {
        let change = if cut { "nomaster" } else { "master br0" };
        self.switch.ip(&format!("link set p{i} {change}"));
    }
}

impl Shared {
    fn new() -> Self {
        let record = record::Record::take();
        let tag = format!("fct-{}-{}", std::process::id(), record.number);
        let dir = std::env::temp_dir().join(&tag);
        std::fs::create_dir_all(&dir).unwrap();
        Self {
            tag,
            dir,
            hosts: std::sync::Mutex::default(),
            counter: AtomicUsize::new(0),
            dumped: AtomicBool::new(false),
            _record: record,
        }
    }

    /// A number that no other file of this lab has.
    pub fn next(&self) -> usize {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    fn register(&self, netns: &str, dir: &Path) {
        let mut hosts = self.hosts.lock().unwrap();
        hosts.push((netns.to_owned(), dir.to_owned()));
    }

    /// Prints the state of all hosts, once a lab and only when the test is failing.
    pub fn dump_if_panicking(&self) {
        if std::thread::panicking() && !self.dumped.swap(true, Ordering::Relaxed) {
            for (netns, dir) in self.hosts.lock().unwrap().iter() {
                dump::host(netns, dir);
            }
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shared.dump_if_panicking();
    }
}

impl Drop for Shared {
    /// Nothing here may panic: it also runs while a failing test unwinds.
    fn drop(&mut self) {
        let hosts = std::mem::take(&mut *match self.hosts.lock() {
            Ok(hosts) => hosts,
            Err(poisoned) => poisoned.into_inner(),
        });
        for (netns, _) in &hosts {
            child::kill_namespace(netns);
        }
        for (netns, _) in &hosts {
            let deleted = Command::new("ip").args(["netns", "delete", netns]).status();
            if !deleted.is_ok_and(|status| status.success()) {
                eprintln!("lab: cannot delete namespace {netns}");
            }
        }
        docker::remove_cgroups(&self.tag);
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("lab: cannot remove {}: {error}", self.dir.display());
        }
    }
}
