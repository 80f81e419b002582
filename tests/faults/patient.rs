//! Two hosts with agents, a container on each, one network in between; broken by scripts and put right by one.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::lab::{Finished, Host, Lab, NETWORK, Overlay, until};

const REACH: Duration = Duration::from_secs(15);
/// What one diagnosis may take (issue: under 10 s).
const BUDGET: Duration = Duration::from_secs(10);

/// What puts a host right again, whatever a row of the table did to it. Each line is a no-op on a healthy host.
const MEND_HOST: &str = r#"
[ ! -e ${ENV%/*}/manager.pid ] || { kill $(cat ${ENV%/*}/manager.pid) || true; rm ${ENV%/*}/manager.pid; }
nft flush ruleset
if [ -n "$LEGACY" ]; then
    for table in raw mangle nat filter; do iptables-legacy -t $table -F; iptables-legacy -t $table -X; done
    for chain in INPUT FORWARD OUTPUT; do iptables-legacy -P $chain ACCEPT; done
fi
for name in all default lo eth0 docker0 $DEV; do
    echo 0 >/proc/sys/net/ipv4/conf/$name/rp_filter || true
done 2>/dev/null
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/ip_forward
for pref in 99 100; do while ip rule del pref $pref; do :; done; done 2>/dev/null
ip route flush table 100 2>/dev/null || true
ip route flush proto static 2>/dev/null || true
ip link del other0 2>/dev/null || true
ip link set eth0 mtu 1500 up
ethtool -K eth0 tx on >/dev/null
ip address replace $SELF/24 dev eth0
ip route replace default via 192.0.2.1
ip address flush dev docker0
ip address add $GW/24 dev docker0
ip link set docker0 mtu $MTU up
ip link set vethc mtu $MTU master docker0 up
$IN ip link set eth0 mtu $MTU up
$IN ip address replace $CTR/24 dev eth0
$IN ip route replace default via $GW
$IN ip neigh flush dev eth0
$IN ip neigh del $GW dev eth0 2>/dev/null || true
$IN sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_all'
"#;

/// A stand-in for a container: a namespace behind the host's bridge.
pub struct Inside {
    pub netns: String,
    pub address: Ipv4Addr,
}

/// What the diagnosis may find of the broken host's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// It works, and heals what it can.
    Alive,
    /// It hangs (SIGSTOP).
    Hangs,
    /// It is dead (SIGKILL).
    Dead,
}

pub struct Patient {
    pub overlay: Overlay,
    pub containers: Vec<Inside>,
    pub backend: &'static str,
    agent: Vec<String>,
    config: String,
    records: Vec<(String, String)>,
    env_files: Vec<String>,
    legacy: bool,
}

impl Patient {
    pub fn new(backend: &'static str, agent: &[&str]) -> Self {
        Self::on(Lab::new(2), backend, agent)
    }

    pub fn on(lab: Lab, backend: &'static str, agent: &[&str]) -> Self {
        let overlay = Overlay::with(lab, &["--backend", backend], agent);
        for host in overlay.lab.nodes() {
            host.sysctl("net/ipv4/ip_forward", "1");
        }
        let containers = overlay.lab.nodes().iter().map(container).collect();
        let config = overlay.etcd.get("config").expect("a config");
        let records = overlay.etcd.subnets();
        let read =
            |host: &Host| std::fs::read_to_string(host.subnet_file()).expect("a subnet file");
        let env_files = overlay.lab.nodes().iter().map(read).collect();
        let patient = Self {
            overlay,
            containers,
            backend,
            agent: agent.iter().map(|&word| word.to_owned()).collect(),
            config,
            records,
            env_files,
            legacy: false,
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
        let netns = &self.containers[from].netns;
        let args = ["netns", "exec", netns, "ping", "-c1", "-W1", &target];
        self.node(from).try_run("ip", &args).status.success()
    }

    /// The words that scripts of host `b` know.
    fn words(&self, b: usize) -> BTreeMap<&'static str, String> {
        let (own, peer) = (self.node(b), self.node(1 - b));
        let (device, port) = match self.backend {
            "vxlan" => ("flannel.1", "8472"),
            "udp" => ("flannel0", "8285"),
            _ => ("eth0", "0"),
        };
        let mac = |host: &Host| {
            let record = self.records.iter().find(|(_, value)| {
                value.contains(&format!("\"{}\"", host.address)) && value.contains("VtepMAC")
            });
            let json = record.map(|(_, value)| serde_json::from_str::<Value>(value).unwrap());
            json.and_then(|it| Some(it["BackendData"]["VtepMAC"].as_str()?.to_owned()))
                .unwrap_or_default()
        };
        let inside = |i: usize| format!("ip netns exec {}", self.containers[i].netns);
        [
            ("NET", NETWORK.to_owned()),
            ("DEV", device.to_owned()),
            ("PORT", port.to_owned()),
            ("MTU", own.env("FLANNEL_MTU").unwrap_or("1450".to_owned())),
            ("SELF", own.address.to_string()),
            ("SUBNET", own.subnet_of_record(&self.records)),
            ("KEY", own.subnet_of_record(&self.records).replace('/', "-")),
            ("GW", gateway(self.containers[b].address)),
            ("CTR", self.containers[b].address.to_string()),
            ("MAC", mac(own)),
            ("ENV", own.subnet_file().display().to_string()),
            ("IN", inside(b)),
            ("PEER", peer.address.to_string()),
            ("PEERNET", peer.subnet_of_record(&self.records)),
            ("PEERBASE", base(self.containers[1 - b].address)),
            ("PEERCTR", self.containers[1 - b].address.to_string()),
            ("PEERMAC", mac(peer)),
            (
                "SW",
                format!("ip netns exec {}", self.overlay.lab.switch.name()),
            ),
            ("ETCD", self.overlay.etcd.url()),
            (
                "ETCDPORT",
                self.overlay
                    .etcd
                    .url()
                    .rsplit(':')
                    .next()
                    .unwrap()
                    .to_owned(),
            ),
            ("PREFIX", crate::lab::PREFIX.to_owned()),
            ("LEGACY", if self.legacy { "1" } else { "" }.to_owned()),
        ]
        .into()
    }

    /// Runs a shell script on host `b`; its words are those of [`Patient::words`].
    pub fn try_sh(&self, b: usize, script: &str) -> Output {
        let mut command = self.node(b).short_command("sh");
        command.arg("-euc").arg(script);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .env("ETCDCTL_API", "3")
            .env("ETCDCTL_ENDPOINTS", self.overlay.etcd.url());
        command.envs(self.words(b)).process_group(0);
        command.output().expect("sh runs")
    }

    /// As [`Patient::try_sh`], and it must succeed.
    #[track_caller]
    pub fn sh(&mut self, b: usize, script: &str) {
        self.legacy |= script.contains("iptables-legacy");
        let output = self.try_sh(b, script);
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// Makes a fault on host `b`.
    pub fn break_host(&mut self, b: usize, agent: Agent, script: &str) -> Result<(), String> {
        match agent {
            Agent::Alive => {}
            Agent::Hangs => self.overlay.agents[b].process.signal(Signal::SIGSTOP),
            Agent::Dead => self.overlay.agents[b].process.kill9(),
        }
        self.legacy |= script.contains("iptables-legacy");
        let output = self.try_sh(b, script);
        let failed = || format!("{script}: {output:?}");
        output.status.success().then_some(()).ok_or_else(failed)
    }

    /// Puts everything right: the store, both hosts, the switch, the agents. Waits until packets pass.
    #[track_caller]
    pub fn mend(&mut self) {
        self.overlay.lab.switch.run("nft", &["flush", "ruleset"]);
        self.overlay.etcd.restore(&self.config, &self.records);
        for b in [0, 1] {
            std::fs::write(self.node(b).subnet_file(), &self.env_files[b]).expect("writable");
            if self.overlay.agents[b].process.ended().is_some() {
                let args: Vec<_> = self.agent.iter().map(String::as_str).collect();
                self.overlay.agents[b] = self.node(b).agent(&self.overlay.etcd, &args);
                self.overlay.agents[b].ready();
            } else {
                self.overlay.agents[b].process.signal(Signal::SIGCONT);
            }
            self.sh(b, MEND_HOST);
        }
        self.well();
    }

    /// `diagnose` on host `viewer` of the container on the other.
    #[track_caller]
    pub fn diagnose_from(&self, viewer: usize, more: &[&str]) -> Diagnosed {
        let target = self.containers[1 - viewer].address.to_string();
        let mut args = vec![target.as_str()];
        args.extend(more);
        diagnose(self.node(viewer), &self.overlay.etcd.url(), &args)
    }

    /// From host 0.
    #[track_caller]
    pub fn diagnose(&self, more: &[&str]) -> Diagnosed {
        self.diagnose_from(0, more)
    }
}

/// Runs `diagnose -o json` on a host.
#[track_caller]
pub fn diagnose(host: &Host, url: &str, more: &[&str]) -> Diagnosed {
    let file = host.subnet_file().display().to_string();
    let mut args = vec!["--etcd-endpoints", url, "diagnose", "-o", "json"];
    args.extend(["--subnet-file", &file]);
    args.extend(more);
    let begin = Instant::now();
    let finished = host.flannelctl(&args);
    let took = begin.elapsed();
    let json: Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("no JSON ({error}): {finished:?}"));
    assert!(took < BUDGET, "the diagnosis took {took:?}");
    Diagnosed {
        json,
        took,
        finished,
    }
}

pub struct Diagnosed {
    pub json: Value,
    pub took: Duration,
    pub finished: Finished,
}

/// A finding as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub id: String,
    pub node: String,
    pub severity: String,
    pub direction: String,
    pub confidence: String,
    pub place: String,
    pub fix: Vec<String>,
}

impl Diagnosed {
    pub fn told(&self) -> Vec<Told> {
        let list = self.json["findings"].as_array().expect("findings");
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or("-").to_owned();
        list.iter()
            .map(|it| Told {
                id: text(it, "id"),
                node: text(it, "node"),
                severity: text(it, "severity"),
                direction: text(it, "direction"),
                confidence: text(it, "confidence"),
                place: text(it, "where"),
                fix: it["fix"]
                    .as_array()
                    .expect("fix")
                    .iter()
                    .map(|line| line.as_str().expect("text").to_owned())
                    .collect(),
            })
            .collect()
    }

    /// `id node direction confidence` of each finding that is more than information.
    pub fn findings(&self) -> Vec<String> {
        let told = self.told().into_iter().filter(|it| it.severity != "info");
        told.map(|it| format!("{} {} {} {}", it.id, it.node, it.direction, it.confidence))
            .collect()
    }

    pub fn status(&self) -> &str {
        self.json["status"].as_str().expect("a status")
    }

    pub fn code(&self) -> i32 {
        self.finished.code.unwrap_or(-1)
    }
}

fn gateway(address: Ipv4Addr) -> String {
    Ipv4Addr::from(u32::from(address) - 1).to_string()
}

fn base(address: Ipv4Addr) -> String {
    Ipv4Addr::from(u32::from(address) - 2).to_string()
}

impl Host {
    /// This host's subnet by the records of a healthy time.
    fn subnet_of_record(&self, records: &[(String, String)]) -> String {
        let needle = format!("\"{}\"", self.address);
        let record = records.iter().find(|(_, value)| value.contains(&needle));
        record.expect("a record").0.replace('-', "/")
    }
}

fn container(host: &Host) -> Inside {
    let netns = format!("{}-c", host.name());
    let address = Ipv4Addr::from(u32::from(host.base()) + 2);
    let mtu = host.env("FLANNEL_MTU").expect("an MTU");
    host.run("ip", &["netns", "add", &netns]);
    host.ip(&format!("link set docker0 mtu {mtu}"));
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
