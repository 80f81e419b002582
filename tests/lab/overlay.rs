//! A flannel network in a lab: etcd, `init`, an agent on each host, and an address of each host's subnet
//! to ping where Docker is not the subject.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Agent, Etcd, Host, Lab, until};

/// The network that the tests set up.
pub const NETWORK: &str = "10.1.0.0/16";

/// How long the agents may take to heal what was broken: 2 s where nobody else uses the machine. (That it is not their
/// timer which heals is what `reconcile_heal` shows.)
pub const HEAL: Duration = Duration::from_secs(8);

/// A running network. The fields' order is the order of their end.
pub struct Overlay {
    pub agents: Vec<Agent>,
    pub etcd: Etcd,
    pub lab: Lab,
}

impl Overlay {
    /// `nodes` hosts with ready agents on a network with this backend.
    pub fn new(nodes: usize, backend: &str) -> Self {
        Self::with(Lab::new(nodes), &["--backend", backend], &[])
    }

    /// As [`Overlay::new`], on a given lab, with this JSON as the backend's config.
    pub fn with_config(lab: Lab, backend: &str) -> Self {
        let etcd = lab.etcd();
        etcd.put(
            "config",
            &format!(r#"{{"Network":"{NETWORK}","Backend":{backend}}}"#),
        );
        Self::start(lab, etcd, &[])
    }

    /// As [`Overlay::new`], on a given lab, with further arguments of `init` and of the agents.
    pub fn with(lab: Lab, init: &[&str], agent: &[&str]) -> Self {
        let etcd = lab.etcd();
        init_network(&lab.switch, &etcd, init);
        Self::start(lab, etcd, agent)
    }

    fn start(lab: Lab, etcd: Etcd, agent: &[&str]) -> Self {
        let overlay = Self::agents(lab, etcd, agent);
        overlay
            .lab
            .nodes()
            .iter()
            .for_each(Host::stand_in_for_docker);
        overlay
    }

    /// As [`Overlay::with`], without the stand-ins for Docker's bridge.
    pub fn bare(lab: Lab, init: &[&str], agent: &[&str]) -> Self {
        let etcd = lab.etcd();
        init_network(&lab.switch, &etcd, init);
        Self::agents(lab, etcd, agent)
    }

    fn agents(lab: Lab, etcd: Etcd, agent: &[&str]) -> Self {
        let mut agents: Vec<_> = lab
            .nodes()
            .iter()
            .map(|host| host.agent(&etcd, agent))
            .collect();
        for agent in &mut agents {
            agent.ready();
        }
        Self { agents, etcd, lab }
    }

    pub fn node(&self, i: usize) -> &Host {
        self.lab.node(i)
    }

    /// Ends agent `i` hard and starts another in its place; waits until it is ready.
    pub fn crash_and_restart(&mut self, i: usize) {
        self.agents[i].process.kill9();
        self.restart(i);
    }

    /// Starts agent `i` in the place of one that has ended; waits until it is ready.
    pub fn restart(&mut self, i: usize) {
        self.agents[i] = self.lab.node(i).agent(&self.etcd, &[]);
        self.agents[i].ready();
    }

    /// The address of host `i` on its container network.
    pub fn inside(&self, i: usize) -> Ipv4Addr {
        self.node(i).inside()
    }

    /// Waits until every host reaches every other one through the overlay.
    #[track_caller]
    pub fn connected(&self, deadline: Duration) {
        let nodes = self.lab.nodes();
        for from in nodes {
            for to in nodes.iter().filter(|to| to.address != from.address) {
                let what = format!("{} to reach {}", from.name(), to.inside());
                until(&what, deadline, || from.reaches(to.inside()).then_some(()));
            }
        }
    }
}

impl Host {
    /// Gives the host the bridge that Docker would make.
    pub fn stand_in_for_docker(&self) {
        self.ip("link add docker0 type bridge");
        let subnet = self.env("FLANNEL_SUBNET").expect("a FLANNEL_SUBNET");
        self.ip(&format!("address add {subnet} dev docker0"));
        self.ip("link set docker0 up");
    }

    /// The first address of the host's subnet, which Docker's bridge has.
    pub fn inside(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base()) + 1)
    }

    /// The route to a subnet, as `ip route` prints it; empty without one.
    pub fn route_to(&self, subnet: &str) -> String {
        self.ip(&format!("route show {subnet}")).trim().to_owned()
    }

    /// Waits until the route to `subnet` holds `text` (`via 192.0.2.11 dev eth0`); empty means gone.
    #[track_caller]
    pub fn routes(&self, subnet: &str, text: &str, deadline: Duration) {
        let what = format!("{} to route {subnet} {text:?}", self.name());
        until(&what, deadline, || {
            let route = self.route_to(subnet);
            let fits = if text.is_empty() {
                route.is_empty()
            } else {
                route.contains(text)
            };
            fits.then_some(())
        });
    }

    /// What an agent programs in this host's kernel: addresses, routes, permanent neighbours, the
    /// bridging entries of flannel devices, firewall rules.
    pub fn kernel(&self) -> Vec<String> {
        let addresses = self.ip("-o -4 address show");
        let routes = self.ip("-4 route show");
        let neighbours = self.ip("-4 neigh show nud permanent");
        let fdb = self.bridge("fdb show");
        let rules = self.run::<&str>("iptables-save", &[]);
        let fdb = fdb.lines().filter(|line| line.contains("dev flannel"));
        // Not the counters, not the comments with the time.
        let rules = rules.lines().filter(|line| line.starts_with('-'));
        let mut all: Vec<_> = addresses
            .lines()
            .chain(routes.lines())
            .chain(neighbours.lines())
            .chain(fdb)
            .chain(rules)
            .map(|line| line.trim().to_owned())
            .collect();
        all.sort();
        all
    }

    /// The MAC address of a device.
    pub fn mac(&self, device: &str) -> String {
        let text = self.ip(&format!("-o link show {device}"));
        let words: Vec<_> = text.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "link/ether").unwrap();
        words[at + 1].to_owned()
    }
}

/// `flannelctl init` of [`NETWORK`].
pub fn init_network(host: &Host, etcd: &Etcd, args: &[&str]) {
    let url = etcd.url();
    let mut all = vec![
        "--etcd-endpoints",
        &url,
        "init",
        "--network",
        NETWORK,
        "--yes",
    ];
    all.extend(args);
    host.flannelctl(&all).expect(0);
}
