//! `diagnose` beside real Docker daemons: nothing is said of Docker's own doing, and what Docker does to flannel is
//! named, with a remedy that works.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::time::Duration;

use faults::{Diagnosed, Looks, judged};
use lab::{Container, Dockerd, Host, Lab, Overlay, flannelctl, until};

const REACH: Duration = Duration::from_secs(20);
/// The agents keep no forward rules: what Docker does shows.
const BARE: &[&str] = &["--iptables-forward-rules=false"];

/// A network whose hosts have dockers of their own.
struct Docks {
    docks: Vec<Dockerd>,
    looks: RefCell<Looks>,
    overlay: Overlay,
}

impl Docks {
    /// Docker as flannel wants it, with more options.
    fn new(backend: &str, agent: &[&str], more: &[&str]) -> Self {
        let overlay = Overlay::bare(Lab::new(2), &["--backend", backend], agent);
        let dock = |host: &Host| {
            let bip = format!("--bip={}", host.env("FLANNEL_SUBNET").unwrap());
            host.dockerd_with(&[&[bip.as_str()], more].concat())
        };
        let docks = overlay.lab.nodes().iter().map(dock).collect();
        Self {
            docks,
            looks: RefCell::default(),
            overlay,
        }
    }

    fn host(&self, i: usize) -> &Host {
        self.overlay.node(i)
    }

    /// `diagnose TARGET` on the first host, where `docker` finds the host's daemon.
    #[track_caller]
    fn diagnose(&self, target: Ipv4Addr) -> Diagnosed {
        let host = self.host(0);
        let mut command = host.short_command(flannelctl());
        let socket = format!("unix://{}", host.dir().join("docker.sock").display());
        let path = std::env::var("PATH").unwrap();
        command.env_clear().env("PATH", path);
        command.env("DOCKER_HOST", socket).env("HOME", host.dir());
        command.args(["--etcd-endpoints", &self.overlay.etcd.url(), "diagnose"]);
        command.args(["-o", "json", "--subnet-file"]);
        command.arg(host.subnet_file()).arg(target.to_string());
        judged(|| command.output().unwrap().into())
    }

    /// What is said of it, which is right.
    #[track_caller]
    fn look(&self, target: Ipv4Addr, wrong: impl Fn(&Diagnosed) -> Option<String>) -> Diagnosed {
        let diagnose = || self.diagnose(target);
        let mut looks = self.looks.borrow_mut();
        let (diagnosed, why) = looks.at(&target.to_string(), diagnose, wrong);
        looks.finish();
        assert!(why.is_none(), "{}", why.unwrap_or_default());
        diagnosed
    }

    #[track_caller]
    fn healthy(&self, target: Ipv4Addr) {
        self.look(target, Diagnosed::alarm);
    }

    /// Exactly this is said (`id node direction confidence`, by the host's number), beside information.
    #[track_caller]
    fn told(&self, target: Ipv4Addr, wanted: &[(&str, usize, &str)]) -> Diagnosed {
        let line = |(id, host, rest): &(&str, usize, &str)| {
            format!("{id} {} {rest}", self.host(*host).address)
        };
        let mut wanted: Vec<_> = wanted.iter().map(line).collect();
        wanted.sort();
        self.look(target, |diagnosed| {
            let mut told = diagnosed.findings();
            told.sort();
            (told != wanted).then(|| format!("{told:?} for {wanted:?}: {:#?}", diagnosed.finished))
        })
    }

    /// Executes the printed commands; then all must be well.
    #[track_caller]
    fn mends(&self, diagnosed: &Diagnosed, target: Ipv4Addr) {
        let commands = diagnosed.commands();
        assert!(!commands.is_empty(), "{:#?}", diagnosed.told());
        for (node, command) in commands {
            let hosts = self.overlay.lab.nodes();
            let host = hosts.iter().find(|host| host.address.to_string() == node);
            let host = host.unwrap_or_else(|| panic!("no host {node} for {command}"));
            host.run("sh", &["-euc", &command]);
        }
        self.healthy(target);
    }
}

fn reach(a: &Container, b: &Container) {
    let what = format!("{} to reach {}", a.address, b.address);
    until(&what, REACH, || a.net.reaches(b.address).then_some(()));
}

/// What Docker 28 adds for each container, and at the end of its chain. The daemon here may be older.
fn docker_28(host: &Host, container: Ipv4Addr, add: &str) {
    let to = format!("{container}/32");
    let raw = ["-t", "raw", add, "PREROUTING", "-d", &to];
    let words = ["!", "-i", "docker0", "-j", "DROP"];
    host.run("iptables", &[&raw[..], &words].concat());
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn docker_closes_a_vxlan_and_the_remedies_open_it() {
    closed_and_opened("vxlan");
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn docker_closes_host_gw_and_the_remedies_open_it() {
    closed_and_opened("host-gw");
}

fn closed_and_opened(backend: &str) {
    let docks = Docks::new(backend, BARE, &["--ip-masq=false", "--mtu=1450"]);
    let there = docks.host(1);
    let a = docks.docks[0].container("first");
    let b = docks.docks[1].container("second");
    // It has switched forwarding on, and the policy to DROP on both hosts: what comes from the flannel device ends.
    let closed = docks.told(
        b.address,
        &[("FL101", 1, "request proven"), ("FL101", 0, "reply proven")],
    );
    docks.mends(&closed, b.address);
    reach(&a, &b);

    docker_28(there, b.address, "-A");
    let raw = docks.told(b.address, &[("FL102", 1, "request proven")]);
    docks.mends(&raw, b.address);
    docker_28(there, b.address, "-D");

    // In Docker's own chain, in front of nothing: the remedy of before does not reach it.
    for direction in ["-s", "-d"] {
        there.run(
            "iptables",
            &["-D", "FORWARD", direction, lab::NETWORK, "-j", "ACCEPT"],
        );
    }
    there.run("iptables", &["-P", "FORWARD", "ACCEPT"]);
    let last = [
        "DOCKER", "!", "-i", "docker0", "-o", "docker0", "-j", "DROP",
    ];
    there.run("iptables", &[&["-A"], &last[..]].concat());
    let unpublished = docks.told(b.address, &[("FL103", 1, "request proven")]);
    docks.mends(&unpublished, b.address);
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn containers_come_and_go() {
    let docks = Docks::new("vxlan", &[], &["--ip-masq=false", "--mtu=1450"]);
    let (here, there) = (&docks.docks[0], &docks.docks[1]);
    // docker0 stands at 1500 before the first container, whatever --mtu says.
    docks.healthy(docks.host(1).address);
    let a = here.container("first");
    let b = there.container("second");
    reach(&a, &b);
    docks.healthy(b.address);

    // A network of Compose is none of flannel's: information.
    here.docker(&["network", "create", "--subnet=172.30.0.0/24", "compose"]);
    let _other = here.container_with("other", &["--network", "compose"]);
    let diagnosed = docks.told(b.address, &[]);
    let first = docks.host(0).address.to_string();
    let told = diagnosed.told();
    assert!(
        told.iter()
            .any(|it| it.id == "FL303" && it.node == first && it.confidence == "proven"),
        "{told:#?}"
    );
    assert_eq!(diagnosed.code(), 0, "{:#?}", diagnosed.finished);

    // Pings are switched off inside.
    let mute = there.container_with("mute", &["--sysctl", "net.ipv4.icmp_echo_ignore_all=1"]);
    docks.told(mute.address, &[("FL312", 1, "reply proven")]);

    // It is stopped: its address is nobody's.
    there.docker(&["stop", "second"]);
    docks.told(b.address, &[("FL310", 1, "request proven")]);
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn a_docker_that_was_not_told_of_flannel() {
    let overlay = Overlay::bare(Lab::new(2), &["--backend", "vxlan"], &[]);
    overlay.node(0).sysctl("net/ipv4/ip_forward", "1");
    let docks = vec![overlay.node(1).dockerd_with(&["--bip=172.17.0.1/16"])];
    let _b = docks[0].container("second");
    let docks = Docks {
        docks,
        looks: RefCell::default(),
        overlay,
    };
    docks.told(
        docks.host(1).address,
        &[("FL301", 1, "request proven"), ("FL302", 1, "none proven")],
    );
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn a_docker_that_was_told_the_subnet_alone() {
    let docks = Docks::new("vxlan", &[], &[]);
    let a = docks.docks[0].container("first");
    let b = docks.docks[1].container("second");
    reach(&a, &b);
    // It masquerades, and gives its containers a full-size MTU.
    docks.told(
        b.address,
        &[
            ("FL120", 0, "request proven"),
            ("FL120", 1, "request proven"),
            ("FL302", 0, "none proven"),
            ("FL302", 1, "none proven"),
        ],
    );
}
