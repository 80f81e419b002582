//! The stage: for each data path two hosts with running agents and a container each, all on one switch
//! with one etcd, so that the measurements can take turns without anything being set up in between.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lab::{Agent, Etcd, Host, Lab, Net, until};
use crate::load::Place;
use crate::options::{Options, Route, Underlay};

const SOON: Duration = Duration::from_secs(30);

impl Place for Net {
    fn command(&self, program: &str) -> Command {
        Net::command(self, program)
    }
}

/// A running lab. The fields' order is the order of their end.
pub struct Stage {
    pub lines: Vec<Line>,
    _etcd: Etcd,
    _lab: Lab,
}

/// One data path, ready to be measured.
pub struct Line {
    pub route: Route,
    /// Containers on the first and on the second host.
    pub containers: [Host; 2],
    agents: [Agent; 2],
}

impl Stage {
    /// Panics, after having shown the hosts' state, if the containers do not reach each other.
    pub fn new(options: &Options, underlay: Underlay) -> Self {
        let routes = options.routes();
        let lab = Lab::new(2 * routes.len());
        // The switch is to be a wire, no firewall (which Docker's module makes of every bridge).
        if Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() {
            lab.switch.sysctl("net/bridge/bridge-nf-call-iptables", "0");
        }
        for i in 0..lab.nodes().len() {
            // Before any agent looks at what its interface can do.
            cable(lab.node(i), "eth0", underlay);
            cable(&lab.switch, &format!("p{i}"), underlay);
        }
        let etcd = lab.etcd();
        let lines: Vec<_> = routes
            .iter()
            .enumerate()
            .map(|(i, route)| Line::new(&lab, &etcd, options, i, *route))
            .collect();
        for line in &lines {
            let (from, to) = (&line.containers[0], line.containers[1].address);
            until(&format!("{} to answer", line.route.name()), SOON, || {
                from.reaches(to).then_some(())
            });
        }
        Self {
            lines,
            _etcd: etcd,
            _lab: lab,
        }
    }
}

impl Line {
    fn new(lab: &Lab, etcd: &Etcd, options: &Options, number: usize, route: Route) -> Self {
        let prefix = format!("/bench/{}", route.name());
        let backend = match route {
            Route::HostGw => "host-gw",
            Route::Vxlan => "vxlan",
            Route::Udp | Route::UdpPlain | Route::Peer => "udp",
        };
        let config =
            format!(r#"{{"Network":"10.{number}.0.0/16","Backend":{{"Type":"{backend}"}}}}"#);
        etcd.ctl(&["put", "--", &format!("{prefix}/config"), &config]);
        let hosts = [lab.node(2 * number), lab.node(2 * number + 1)];
        let agents = hosts.map(|host| agent(host, etcd, options, &prefix, route));
        for agent in &agents {
            agent.wrote_subnet_file();
        }
        let containers = [0, 1].map(|i| container(hosts[i], &format!("c{}", 2 * number + i)));
        Self {
            route,
            containers,
            agents,
        }
    }

    /// The first one's log.
    pub fn log(&self) -> String {
        self.agents[0].log()
    }
}

fn agent(host: &Host, etcd: &Etcd, options: &Options, prefix: &str, route: Route) -> Agent {
    let url = etcd.url();
    let common = ["--etcd-endpoints", &url, "--etcd-prefix", prefix];
    let ours = options.binary.as_deref();
    let ours = ours.unwrap_or(Path::new(env!("CARGO_BIN_EXE_flannelctl")));
    let (program, mut args) = match (route, &options.peer_binary) {
        (Route::Peer, Some(peer)) => (peer.as_path(), common.to_vec()),
        _ => (ours, [&common[..], &["agent"]].concat()),
    };
    args.extend(["--iface", "eth0"]);
    if matches!(route, Route::Udp | Route::UdpPlain) {
        args.extend(options.agent_arg.iter().map(String::as_str));
    }
    if route == Route::UdpPlain {
        args.push("--udp-offload=off");
    }
    host.sysctl("net/ipv4/ip_forward", "1");
    // A name without a slash would be looked for in PATH; a link must stay one (flannelctl as flanneld).
    let program = std::path::absolute(program).expect("a working directory");
    host.start_agent_by(host.command(program), &args)
}

/// A namespace behind a bridge, as Docker would make it from the subnet file.
fn container(host: &Host, label: &str) -> Host {
    let mtu = host.env("FLANNEL_MTU").expect("a FLANNEL_MTU");
    let gateway = host.env("FLANNEL_SUBNET").expect("a FLANNEL_SUBNET");
    let address = Ipv4Addr::from(u32::from(host.inside()) + 1);
    let container = Host::new(host.shared(), label, address);
    host.ip("link add docker0 type bridge");
    host.ip(&format!("address add {gateway} dev docker0"));
    host.ip(&format!("link set docker0 mtu {mtu} up"));
    host.ip(&format!(
        "link add veth0 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}",
        container.name()
    ));
    host.ip("link set veth0 master docker0 up");
    container.ip(&format!("address add {address}/24 dev eth0"));
    container.ip("link set eth0 up");
    container.ip(&format!("route add default via {}", host.inside()));
    container
}

fn cable(host: &Host, device: &str, underlay: Underlay) {
    if underlay == Underlay::Wire {
        let features = ["gso", "off", "tso", "off", "tx", "off", "gro", "on"];
        host.run("ethtool", &[&["-K", device][..], &features].concat());
    }
}
