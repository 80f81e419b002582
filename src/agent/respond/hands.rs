//! What a diagnosis does on one node: finds or makes something to ping, watches, sends, gathers. The agent does it
//! for others, `diagnose` for itself. Everything that blocks says so; dropping [`Hands`] removes all that was made.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::sync::oneshot;

use crate::agent::start::Chosen;
use crate::diagnose::case::NetworkFact;
use crate::diagnose::{NodeEvidence, Path};
use crate::kernel::containers::{self, Container};
use crate::kernel::echo::Sending;
use crate::kernel::endpoint::Endpoint;
use crate::kernel::witness::{Witness, WitnessSpec};
use crate::plan::goal::Goal;
use crate::settings::AgentSettings;

/// Which node this is.
#[derive(Debug, Clone)]
pub struct Site {
    /// Public IP.
    pub node: Ipv4Addr,
    /// Runtime file for Docker.
    pub subnet_file: PathBuf,
    /// The overlay.
    pub network: NetworkFact,
    /// The node's subnet, if it holds one.
    pub subnet: Option<Ipv4Net>,
    /// Underlay interface, where it is known.
    pub external: Option<String>,
    /// flannel's device, where it is known.
    pub device: Option<String>,
}

/// What should be there to ping, or to send from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: the host alone.
    Nothing,
    /// A container, else a temporary endpoint.
    Any,
    /// The container with this address.
    Container(Ipv4Addr),
}

/// What is used and watched on this node, until it is dropped.
#[derive(Debug)]
pub struct Hands {
    // In the order of their end: the capture must not see its own endpoint go.
    witness: Option<Witness>,
    endpoint: Option<Endpoint>,
    containers: Vec<Container>,
    chosen: Option<Ipv4Addr>,
    site: Site,
    missing: Vec<String>,
    /// This process is the agent.
    agent: bool,
}

impl Site {
    /// The agent's own node; `None` where its config cannot be told in the words of a diagnosis.
    pub fn of(settings: &AgentSettings, chosen: &Chosen, base: &Goal) -> Option<Self> {
        Some(Self {
            node: base.host.public_ip,
            subnet_file: settings.subnet_file.clone(),
            network: NetworkFact::of(&chosen.config).ok()??,
            subnet: base.own,
            external: Some(base.host.ext.name.clone()),
            device: base.device_name(),
        })
    }

    /// The same in the words of the witness.
    pub fn spec(&self, peers: Vec<Ipv4Addr>, paths: Vec<Path>) -> WitnessSpec {
        WitnessSpec {
            node: self.node,
            subnet_file: self.subnet_file.clone(),
            backend: self.network.backend.clone(),
            port: self.network.port,
            vni: self.network.vni,
            subnet: self.subnet,
            network: self.network.network,
            external: self.external.clone(),
            device: self.device.clone(),
            bridge: None,
            peers,
            paths,
            packets: false,
        }
    }
}

impl Hands {
    /// Finds a container or makes an endpoint. Blocks for some 300 ms.
    pub fn prepare(site: Site, wish: Wish, agent: bool) -> Self {
        let mut hands = Self {
            witness: None,
            endpoint: None,
            containers: Vec::new(),
            chosen: None,
            site,
            missing: Vec::new(),
            agent,
        };
        if wish != Wish::Nothing {
            hands.look_behind_the_bridge(wish);
        }
        hands
    }

    fn look_behind_the_bridge(&mut self, wish: Wish) {
        let seen = Witness::look(&self.site.spec(Vec::new(), Vec::new()));
        let Some(bridge) = seen.bridge else {
            let none = "there is no bridge with the node's subnet and no docker0: nothing was sent from or to a \
                        container here";
            self.missing.push(none.to_owned());
            return;
        };
        self.containers = containers::behind(&bridge, &mut self.missing).containers;
        let in_subnet = |address: Ipv4Addr| self.site.subnet.is_some_and(|s| s.contains(&address));
        let mut usable: Vec<_> = self
            .containers
            .iter()
            .filter(|container| container.namespace.is_some())
            .map(|container| container.fact.address)
            .filter(|address| in_subnet(*address))
            .collect();
        usable.sort();
        self.chosen = match wish {
            Wish::Container(address) => usable.contains(&address).then_some(address),
            Wish::Nothing | Wish::Any => usable.first().copied(),
        };
        match (wish, self.chosen, self.site.subnet) {
            (Wish::Any, None, Some(subnet)) => match Endpoint::create(&bridge, subnet, &[]) {
                Ok(endpoint) => {
                    self.chosen = Some(endpoint.address());
                    self.endpoint = Some(endpoint);
                }
                Err(error) => self.missing.push(error.to_string()),
            },
            (Wish::Any, None, None) => self
                .missing
                .push("the node has no subnet: no temporary endpoint was made".to_owned()),
            (Wish::Container(address), None, _) => self.missing.push(format!(
                "no container with the address {address} was found behind {bridge}, or it cannot be entered"
            )),
            _ => {}
        }
    }

    /// The address that can be pinged and sent from, and whether it is a real container's.
    pub fn inner(&self) -> Option<(Ipv4Addr, bool)> {
        self.chosen
            .map(|address| (address, self.endpoint.is_none()))
    }

    /// Begins to watch, and keeps the packets themselves where they are wanted. Blocks for some 300 ms.
    pub fn arm(&mut self, peers: Vec<Ipv4Addr>, paths: Vec<Path>, packets: bool) {
        self.witness = Some(Witness::arm(&WitnessSpec {
            packets,
            ..self.site.spec(peers, paths)
        }));
    }

    /// How to send from here.
    pub fn sending(&self, patience: Duration) -> Sending {
        let real = self
            .containers
            .iter()
            .filter_map(|container| Some((container.fact.address, container.namespace.clone()?)));
        let mut namespaces: BTreeMap<_, _> = real.collect();
        if let Some(endpoint) = &self.endpoint {
            namespaces.insert(endpoint.address(), endpoint.namespace().clone());
        }
        Sending {
            namespaces,
            patience,
            ..Sending::default()
        }
    }

    /// Stops watching, removes what was made, tells everything. Blocks for some 300 ms.
    pub fn collect(mut self) -> NodeEvidence {
        let mut evidence = match self.witness.take() {
            Some(witness) => witness.collect(),
            None => Witness::look(&self.site.spec(Vec::new(), Vec::new())),
        };
        evidence.agent = self.agent;
        for sentence in std::mem::take(&mut self.missing) {
            if !evidence.missing.contains(&sentence) {
                evidence.missing.push(sentence);
            }
        }
        evidence
    }
}

/// Does blocking work on a thread that nobody has to wait for: unlike the runtime's own blocking threads it does
/// not keep the process from ending.
pub async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tx, rx) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("diagnose".into())
        .spawn(move || {
            // Nobody waits any more: what the work made is dropped here.
            drop(tx.send(work()));
        });
    match thread {
        Ok(_) => rx.await.ok(),
        Err(error) => {
            tracing::warn!("cannot start a thread: {error}");
            None
        }
    }
}
