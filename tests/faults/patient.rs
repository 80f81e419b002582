//! Two hosts with agents, a container on each, one network in between; broken by scripts and put right by one.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::told::{Diagnosed, run_diagnose};
use crate::lab::{Host, Lab, NETWORK, Overlay, until};

const REACH: Duration = Duration::from_secs(15);

/// What puts a host right again, whatever a row of the table did to it. Each line is a no-op on a healthy host, or
/// fails on one: that all is well is seen by its packets.
const MEND_HOST: &str = r#"
[ ! -e ${ENV%/*}/manager.pid ] || { kill $(cat ${ENV%/*}/manager.pid) || true; rm ${ENV%/*}/manager.pid; }
nft flush ruleset
if [ -n "$LEGACY" ]; then
    iptables-legacy-restore <<END
*raw
COMMIT
*mangle
COMMIT
*nat
COMMIT
*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
COMMIT
END
fi
for name in all default lo eth0 docker0 $DEV; do
    echo 0 >/proc/sys/net/ipv4/conf/$name/rp_filter || true
done 2>/dev/null
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/ip_forward
ip -force -batch - >/dev/null 2>&1 <<END || true
rule del pref 99
rule del pref 99
rule del pref 100
route flush table 100
route flush proto static
route del broadcast ${GW%.1}.0 dev docker0 table local
link del other0
link set eth0 mtu 1500 up
address replace $SELF/24 dev eth0
route replace default via 192.0.2.1
address flush dev docker0
address add $GW/24 dev docker0
link set docker0 mtu $MTU up
link set vethc mtu $MTU master docker0 up
END
ethtool -K eth0 tx on tx-udp-segmentation on >/dev/null
$IN ip -force -batch - >/dev/null 2>&1 <<END || true
link set eth0 mtu $MTU up
address replace $CTR/24 dev eth0
route replace default via $GW
neigh flush dev eth0
neigh del $GW dev eth0
END
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
        let enter = format!("--net=/run/netns/{netns}");
        let args = [enter.as_str(), "ping", "-c1", "-W1", &target];
        self.node(from).try_run("nsenter", &args).status.success()
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
        let inside = |i: usize| format!("nsenter --net=/run/netns/{}", self.containers[i].netns);
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
            ("FREE", self.free()),
            ("PEER", peer.address.to_string()),
            ("PEERNET", peer.subnet_of_record(&self.records)),
            ("PEERBASE", base(self.containers[1 - b].address)),
            ("PEERCTR", self.containers[1 - b].address.to_string()),
            ("PEERMAC", mac(peer)),
            (
                "SW",
                format!(
                    "nsenter --net=/run/netns/{}",
                    self.overlay.lab.switch.name()
                ),
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

    /// The first three numbers of a subnet that nobody has.
    fn free(&self) -> String {
        let mut all = (100..200).map(|n| format!("10.1.{n}"));
        let taken = |start: &String| {
            self.records
                .iter()
                .any(|it| it.0.starts_with(&format!("{start}.")))
        };
        all.find(|start| !taken(start)).expect("two hosts take two")
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
        run_diagnose(self.node(viewer), &self.overlay.etcd.url(), &args)
    }

    /// From host 0.
    #[track_caller]
    pub fn diagnose(&self, more: &[&str]) -> Diagnosed {
        self.diagnose_from(0, more)
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
        for container in &self.containers {
            let delete = ["netns", "delete", &container.netns];
            self.overlay.lab.switch.try_run("ip", &delete);
        }
    }
}
