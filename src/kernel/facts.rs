//! The state of a node in the words of a diagnosis. Only reads; what cannot be read goes into `missing`.

use std::collections::BTreeMap;
use std::path::Path;

use super::facts_links::{self, Seen};
use super::netlink::Netlink;
use super::observe;
use super::witness::WitnessSpec;
use super::{facts_flows, facts_modules, facts_processes};
use crate::diagnose::NodeEvidence;
use crate::diagnose::evidence::{EnvFact, FdbFact, RouteFact};
use crate::plan::state::{Protocol, Route, RouteKind};
use crate::subnet::envfile;

/// sysctls of the whole namespace that can cost packets.
const SYSCTLS: &[&str] = &[
    "net.ipv4.ip_forward",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.bridge.bridge-nf-call-iptables",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
];
/// sysctls of each interface concerned.
const PER_INTERFACE: &[&str] = &["forwarding", "rp_filter", "accept_local", "src_valid_mark"];
/// `subnet.env` has five lines.
const MOST_ENV: u64 = 64 << 10;

/// The names of what a node's packets pass.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub external: Option<String>,
    pub device: Option<String>,
    pub bridge: Option<String>,
}

impl Names {
    /// What the spec says, else what the kernel shows.
    pub fn find(spec: &WitnessSpec, links: &[Seen]) -> Self {
        let named = |test: &dyn Fn(&Seen) -> bool| {
            let found = links.iter().find(|link| test(link));
            found.map(|link| link.fact.name.clone())
        };
        let external = || {
            named(&|link| {
                link.fact
                    .addresses
                    .iter()
                    .any(|net| net.addr() == spec.node)
            })
        };
        let device = || match spec.backend.as_str() {
            "vxlan" => named(&|link| {
                let vni = link.fact.vxlan.as_ref().map(|vxlan| vxlan.vni);
                vni == Some(spec.vni) && link.fact.name.starts_with("flannel")
            })
            .or_else(|| named(&|link| link.fact.name == format!("flannel.{}", spec.vni))),
            "udp" | "" => {
                named(&|link| link.fact.kind == "tun" && link.fact.name.starts_with("flannel"))
            }
            _ => None,
        };
        let bridge = || {
            let of_subnet = |link: &Seen| {
                let inside = |net: &ipnet::Ipv4Net| {
                    spec.subnet
                        .is_some_and(|subnet| subnet.contains(&net.addr()))
                };
                link.fact.kind == "bridge" && link.fact.addresses.iter().any(inside)
            };
            named(&of_subnet).or_else(|| named(&|link| link.fact.name == "docker0"))
        };
        let exists = |name: &String| links.iter().any(|link| link.fact.name == *name);
        Self {
            external: spec.external.clone().or_else(external),
            device: spec.device.clone().filter(exists).or_else(device),
            bridge: spec.bridge.clone().filter(exists).or_else(bridge),
        }
    }
}

/// Fills in the state: links, routes, neighbours, forwarding entries, rules, sysctls, `subnet.env`, names.
pub(super) fn gather(spec: &WitnessSpec, evidence: &mut NodeEvidence) {
    evidence.node = Some(spec.node);
    evidence.hostname = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default();
    evidence.subnet_env = Some(env(&spec.subnet_file));
    if let Err(error) = tables(spec, evidence) {
        evidence.missing.push(error.to_string());
    }
    sysctls(evidence);
    evidence.lacks = facts_modules::lacks(&spec.backend);
    evidence.flows = facts_flows::translated(spec);
    (evidence.process, evidence.managers) = facts_processes::read(&spec.subnet_file);
}

fn tables(spec: &WitnessSpec, evidence: &mut NodeEvidence) -> Result<(), super::Error> {
    let mut netlink = Netlink::open()?;
    let links = facts_links::links(&mut netlink)?;
    let names = Names::find(spec, &links);
    let by_index: BTreeMap<u32, String> = links
        .iter()
        .map(|link| (link.fact.index, link.fact.name.clone()))
        .collect();
    let device = names.device.as_ref();
    let device = device.and_then(|name| links.iter().find(|link| link.fact.name == *name));
    let vxlan = device.and_then(|device| device.fact.vxlan.as_ref());
    evidence.encap_port = match spec.backend.as_str() {
        "vxlan" => vxlan.map(|vxlan| vxlan.port),
        "udp" | "" => udp_listener(spec),
        _ => None,
    };
    if let Some(device) = device.filter(|_| vxlan.is_some()) {
        evidence.fdb = observe::fdb(&mut netlink, device.fact.index)?
            .into_iter()
            .map(|entry| FdbFact {
                mac: entry.mac.to_string(),
                remote: entry.remote,
                permanent: entry.permanent,
            })
            .collect();
    }
    evidence.external = names.external;
    evidence.device = names.device;
    evidence.bridge = names.bridge;
    evidence.links = links.into_iter().map(|link| link.fact).collect();
    evidence.neighbours = facts_links::neighbours(&mut netlink, &by_index)?;
    evidence.routes = observe::routes(&mut netlink)?
        .iter()
        .map(|route| fact(route, &by_index))
        .collect();
    evidence.rules = facts_links::rules(&mut netlink)?;
    Ok(())
}

fn fact(route: &Route, names: &BTreeMap<u32, String>) -> RouteFact {
    RouteFact {
        destination: route.destination,
        gateway: route.gateway,
        device: route.oif.and_then(|index| names.get(&index).cloned()),
        onlink: route.onlink,
        metric: route.metric,
        // linux/rtnetlink.h, RTN_… and RTPROT_….
        kind: match route.kind {
            RouteKind::Unicast => "unicast".into(),
            RouteKind::Blackhole => "blackhole".into(),
            RouteKind::Other(7) => "unreachable".into(),
            RouteKind::Other(8) => "prohibit".into(),
            RouteKind::Other(9) => "throw".into(),
            RouteKind::Other(number) => number.to_string(),
        },
        protocol: match route.protocol {
            Protocol::Kernel => "kernel".into(),
            Protocol::Boot => "boot".into(),
            Protocol::Other(4) => "static".into(),
            Protocol::Other(16) => "dhcp".into(),
            Protocol::Other(number) => number.to_string(),
        },
    }
}

/// The port of the udp backend if a socket is bound to it on this node.
fn udp_listener(spec: &WitnessSpec) -> Option<u16> {
    let table = std::fs::read_to_string("/proc/thread-self/net/udp").ok()?;
    let bound = table.lines().skip(1).any(|line| {
        let local = line.split_whitespace().nth(1).unwrap_or_default();
        let port = local.rsplit(':').next().unwrap_or_default();
        u16::from_str_radix(port, 16) == Ok(spec.port)
    });
    bound.then_some(spec.port)
}

fn env(path: &Path) -> EnvFact {
    let mut fact = EnvFact {
        path: path.display().to_string(),
        ..EnvFact::default()
    };
    let read = || {
        use std::io::Read;
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(MOST_ENV).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    match read().map(|text| envfile::parse(&text)) {
        Err(error) => fact.trouble = Some(error.to_string()),
        Ok(Err(error)) => fact.trouble = Some(error.to_string()),
        Ok(Ok(lines)) => {
            // Of a name given twice, the last holds, as for a shell.
            for line in lines {
                match line.key.as_str() {
                    "FLANNEL_NETWORK" => fact.network = line.value.parse().ok(),
                    "FLANNEL_SUBNET" => fact.subnet = line.value.parse().ok(),
                    "FLANNEL_MTU" => fact.mtu = line.value.parse().ok(),
                    "FLANNEL_IPMASQ" => fact.ip_masq = line.value.parse().ok(),
                    _ => {}
                }
            }
        }
    }
    fact
}

fn sysctls(evidence: &mut NodeEvidence) {
    let read = |path: String| std::fs::read_to_string(path).ok();
    for name in SYSCTLS {
        if let Some(value) = read(format!("/proc/sys/{}", name.replace('.', "/"))) {
            let value = value.trim().to_owned();
            evidence.sysctls.insert((*name).to_owned(), value);
        }
    }
    let concerned = [&evidence.external, &evidence.device, &evidence.bridge];
    let interfaces = concerned.into_iter().flatten().map(String::as_str);
    for interface in interfaces.chain(["all", "default"]) {
        for name in PER_INTERFACE {
            if let Some(value) = read(format!("/proc/sys/net/ipv4/conf/{interface}/{name}")) {
                let key = format!("net.ipv4.conf.{interface}.{name}");
                evidence.sysctls.insert(key, value.trim().to_owned());
            }
        }
    }
}
