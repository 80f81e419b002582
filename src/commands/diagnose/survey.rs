//! What is known before a packet is sent: the store, and which node this is. Trouble with etcd is a finding, not an
//! end.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

use crate::diagnose::case::{LeaseFact, NetworkFact, StoreTrouble};
use crate::kernel::{interfaces, local};
use crate::registry::{Error, Registry};
use crate::report::terminal::clean_short;
use crate::subnet::envfile;
use crate::subnet::{NetworkConfig, Record, Snapshot};

/// Records that cannot be read are told up to this number.
const UNREADABLE: usize = 20;

/// What etcd holds.
#[derive(Debug, Default)]
pub struct Survey {
    /// The config, if there is a valid one.
    pub network: Option<NetworkFact>,
    /// The leases.
    pub leases: Vec<LeaseFact>,
    /// What is wrong.
    pub troubles: Vec<StoreTrouble>,
    /// etcd answers.
    pub reachable: bool,
}

/// This host.
#[derive(Debug, Clone, Default)]
pub struct Here {
    /// Public IP of the lease that is this host's, else the address that it would have.
    pub node: Option<Ipv4Addr>,
    /// A lease says so.
    pub leased: bool,
    /// Its subnet: the lease's, else that of `subnet.env`.
    pub subnet: Option<Ipv4Net>,
    /// `FLANNEL_NETWORK`.
    pub network: Option<Ipv4Net>,
    /// `FLANNEL_MTU`.
    pub mtu: Option<u32>,
}

/// Reads config and leases.
pub async fn survey(registry: &Registry) -> Survey {
    let mut survey = Survey::default();
    let config = match registry.config().await {
        Ok(config) => config,
        Err(error) => {
            survey.troubles.push(trouble(&error));
            return survey;
        }
    };
    survey.reachable = true;
    let key = registry.config_key();
    match config.map(|config| NetworkConfig::parse(&config.bytes)) {
        None => survey.troubles.push(no_config(registry, key).await),
        Some(Err(error)) => survey.bad_config(format!("{key}: {error}")),
        Some(Ok(config)) => match NetworkFact::of(&config) {
            Ok(Some(network)) => survey.network = Some(network),
            Ok(None) => survey.bad_config(format!("{key} turns IPv4 off")),
            Err(error) => survey.bad_config(format!("{key}: {error}")),
        },
    }
    match registry.snapshot().await {
        Ok(snapshot) => survey.records(registry, &snapshot).await,
        Err(error) => survey.troubles.push(trouble(&error)),
    }
    survey
}

/// Where it is instead.
async fn no_config(registry: &Registry, key: &str) -> StoreTrouble {
    if let Some(old) = registry.config_in_v2().await {
        return StoreTrouble::ConfigInV2 {
            url: old.url,
            key: old.key,
            value: clean_short(&old.value, 200),
        };
    }
    match registry.config_elsewhere().await {
        Some(other) => StoreTrouble::ConfigElsewhere(format!(
            "there is no network config at {key}, but one at {other}"
        )),
        None => StoreTrouble::NoConfig(format!("there is no network config at {key}")),
    }
}

impl Survey {
    fn bad_config(&mut self, why: String) {
        self.troubles.push(StoreTrouble::BadConfig(why));
    }

    async fn records(&mut self, registry: &Registry, snapshot: &Snapshot) {
        let ids: Vec<_> = snapshot
            .records
            .values()
            .map(|record| record.origin().lease_id)
            .filter(|id| *id != 0)
            .collect();
        let ttls = match registry.ttls(&ids).await {
            Ok(ttls) => ttls,
            Err(error) => {
                self.troubles.push(trouble(&error));
                Default::default()
            }
        };
        for record in snapshot.records.values() {
            match record {
                Record::Lease(lease) => {
                    // Gone between the list and the question: nothing is left of it.
                    let ttl = ttls.get(&lease.origin.lease_id);
                    let ttl = ttl.map(|ttl| ttl.unwrap_or(0));
                    self.leases.extend(LeaseFact::of(lease, ttl));
                }
                Record::Unreadable(record) if self.troubles.len() < UNREADABLE => {
                    let name = clean_short(&record.name, 80);
                    let sentence = format!("{name}: {}", record.reason);
                    self.troubles.push(StoreTrouble::UnreadableRecord(sentence));
                }
                Record::Unreadable(_) => {}
            }
        }
    }

    /// The lease whose subnet an address lies in.
    pub fn holder(&self, address: Ipv4Addr) -> Option<&LeaseFact> {
        self.leases
            .iter()
            .find(|lease| lease.subnet.contains(&address))
    }
}

fn trouble(error: &Error) -> StoreTrouble {
    match error {
        Error::Denied { .. } => StoreTrouble::Denied(error.to_string()),
        // A certificate that is not accepted looks like a dead endpoint, but for its words.
        _ if is_about_tls(&error.to_string()) => StoreTrouble::Denied(error.to_string()),
        _ => StoreTrouble::Unreachable(error.to_string()),
    }
}

fn is_about_tls(text: &str) -> bool {
    let text = text.to_lowercase();
    ["certificate", "tls", "alert"]
        .iter()
        .any(|word| text.contains(word))
}

impl Here {
    /// Finds this host among the leases, by its addresses first, then (behind NAT) by its subnet file.
    pub fn find(survey: &Survey, subnet_file: &Path) -> Self {
        let mut here = Self::default();
        here.read(subnet_file);
        let own: Vec<_> = local::addresses()
            .unwrap_or_default()
            .into_iter()
            .map(|(address, _)| address)
            .filter(|address| !address.is_loopback())
            .collect();
        let mine = |lease: &&LeaseFact| own.contains(&lease.public_ip);
        let same_subnet = |lease: &&LeaseFact| Some(lease.subnet) == here.subnet;
        let lease = survey
            .leases
            .iter()
            .find(|lease| mine(lease) && same_subnet(lease))
            .or_else(|| survey.leases.iter().find(mine))
            .or_else(|| survey.leases.iter().find(same_subnet));
        if let Some(lease) = lease {
            here.node = Some(lease.public_ip);
            here.subnet = Some(lease.subnet);
            here.leased = true;
        } else if here.subnet.is_some() {
            // An agent was here: its address is the one that reaches the others.
            let other = survey.leases.first().map(|lease| lease.public_ip);
            here.node = other
                .and_then(interfaces::source_for)
                .or_else(default_address)
                .or_else(|| only_address(here.network));
        }
        here
    }

    fn read(&mut self, subnet_file: &Path) {
        let Ok(text) = std::fs::read_to_string(subnet_file) else {
            return;
        };
        for line in envfile::parse(&text).unwrap_or_default() {
            let net = || line.value.parse::<Ipv4Net>().ok().map(|net| net.trunc());
            match line.key.as_str() {
                "FLANNEL_NETWORK" => self.network = net(),
                "FLANNEL_SUBNET" => self.subnet = net(),
                "FLANNEL_MTU" => self.mtu = line.value.parse().ok(),
                _ => {}
            }
        }
    }

    /// The network as far as this host alone can tell it.
    pub fn network(&self) -> Option<NetworkFact> {
        let (backend, vni, port) = if let Some(vni) = vxlan_vni() {
            ("vxlan", vni, crate::plan::state::VXLAN_PORT)
        } else if interfaces::exists("flannel0") {
            ("udp", 0, 8285)
        } else {
            ("host-gw", 0, 0)
        };
        Some(NetworkFact {
            network: self.network?,
            subnet_len: self.subnet?.prefix_len(),
            backend: backend.to_owned(),
            vni,
            port,
            direct_routing: false,
        })
    }
}

fn vxlan_vni() -> Option<u32> {
    let host = interfaces::read(None).ok()?;
    let mut names = host.interfaces.iter();
    names.find_map(|one| one.name.strip_prefix("flannel.")?.parse().ok())
}

/// Where the interface to the others is down there is no default route: the one address of this host that belongs neither to
/// flannel nor to a bridge.
fn only_address(network: Option<Ipv4Net>) -> Option<Ipv4Addr> {
    let host = interfaces::read(None).ok()?;
    let bridge = |name: &str| {
        ["docker", "br-", "virbr"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    let mut all = host
        .interfaces
        .iter()
        .filter(|one| !bridge(&one.name))
        .flat_map(|one| &one.addresses)
        .map(|one| one.address)
        .filter(|it| !it.is_loopback() && !network.is_some_and(|net| net.contains(it)));
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

fn default_address() -> Option<Ipv4Addr> {
    let host = interfaces::read(None).ok()?;
    let index = host.default_route?;
    let mut interfaces = host.interfaces.iter();
    let holder = interfaces.find(|one| one.index == index)?;
    holder.addresses.first().map(|one| one.address)
}
