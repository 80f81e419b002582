//! A network with a container on each host, to break and to diagnose.
#![allow(dead_code)]

pub mod table;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Host, Lab, Overlay, until};

const REACH: Duration = Duration::from_secs(5);
/// What one diagnosis may take (issue: under 10 s).
const BUDGET: Duration = Duration::from_secs(10);

/// A stand-in for a container: a namespace behind the host's bridge.
pub struct Inside {
    pub netns: String,
    pub address: Ipv4Addr,
}

pub struct Patient {
    pub overlay: Overlay,
    pub containers: Vec<Inside>,
}

impl Patient {
    pub fn new(backend: &str, agent: &[&str]) -> Self {
        let overlay = Overlay::with(Lab::new(2), &["--backend", backend], agent);
        for host in overlay.lab.nodes() {
            host.sysctl("net/ipv4/ip_forward", "1");
        }
        let containers = overlay.lab.nodes().iter().map(container).collect();
        let patient = Self {
            overlay,
            containers,
        };
        patient.well();
        patient
    }

    pub fn node(&self, i: usize) -> &Host {
        self.overlay.node(i)
    }

    /// Waits until the containers reach each other.
    #[track_caller]
    pub fn well(&self) {
        for (from, to) in [(0, 1), (1, 0)] {
            until("the containers to reach each other", REACH, || {
                self.pings(from, to).then_some(())
            });
        }
    }

    pub fn pings(&self, from: usize, to: usize) -> bool {
        let target = self.containers[to].address.to_string();
        let args = [
            "netns",
            "exec",
            &self.containers[from].netns,
            "ping",
            "-c1",
            "-W1",
            &target,
        ];
        self.node(from).try_run("ip", &args).status.success()
    }

    /// `ip` within the container of host `i`.
    pub fn inside(&self, i: usize, args: &str) {
        let line = format!("-n {} {args}", self.containers[i].netns);
        self.node(i).ip(&line);
    }

    /// `diagnose` on host 0 of the container on host 1.
    #[track_caller]
    pub fn diagnose(&self, more: &[&str]) -> Diagnosed {
        let url = self.overlay.etcd.url();
        let file = self.node(0).subnet_file().display().to_string();
        let target = self.containers[1].address.to_string();
        let mut args = vec![
            "--etcd-endpoints",
            &url,
            "diagnose",
            "--subnet-file",
            &file,
            &target,
            "-o",
            "json",
        ];
        args.extend(more);
        let begin = Instant::now();
        let finished = self.node(0).flannelctl(&args);
        let took = begin.elapsed();
        let json: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {finished:?}"));
        assert!(took < BUDGET, "the diagnosis took {took:?}");
        Diagnosed {
            code: finished.code.unwrap_or(-1),
            json,
            took,
            stderr: finished.stderr,
        }
    }
}

pub struct Diagnosed {
    pub code: i32,
    pub json: Value,
    pub took: Duration,
    pub stderr: String,
}

impl Diagnosed {
    /// `id node direction confidence` of each finding that is more than information.
    pub fn findings(&self) -> Vec<String> {
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("-").to_owned();
        let list = self.json["findings"].as_array().expect("findings");
        list.iter()
            .filter(|finding| finding["severity"] != "info")
            .map(|f| {
                let words = ["id", "node", "direction", "confidence"].map(|key| text(f, key));
                words.join(" ")
            })
            .collect()
    }

    pub fn status(&self) -> &str {
        self.json["status"].as_str().expect("a status")
    }
}

fn container(host: &Host) -> Inside {
    let netns = format!("{}-c", host.name());
    let address = Ipv4Addr::from(u32::from(host.base()) + 2);
    let mtu = host.env("FLANNEL_MTU").expect("an MTU");
    host.run("ip", &["netns", "add", &netns]);
    host.ip(&format!(
        "link add vethc type veth peer name eth0 netns {netns}"
    ));
    host.ip(&format!("link set vethc mtu {mtu} master docker0 up"));
    for command in [
        "link set lo up".to_owned(),
        format!("link set eth0 mtu {mtu} up"),
        format!("address add {address}/24 dev eth0"),
        format!("route add default via {}", host.inside()),
    ] {
        host.ip(&format!("-n {netns} {command}"));
    }
    Inside { netns, address }
}

/// The namespaces' processes and devices end with the lab; its names begin with the lab's tag.
impl Drop for Patient {
    fn drop(&mut self) {
        for (i, container) in self.containers.iter().enumerate() {
            self.node(i)
                .try_run("ip", &["netns", "delete", &container.netns]);
        }
    }
}
