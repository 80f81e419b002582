//! How each record stands: usable as a peer, or why not. One function serves the agent (which programs
//! only `usable` peers) and `leases` (which shows every state).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Lease, NetworkConfig, Record, RecordError, Snapshot};

/// The state of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is wrong.
    Ok,
    /// Key or value cannot be read.
    Unreadable(RecordError),
    /// The subnet lies outside the configured network.
    OutsideNetwork,
    /// Inside the network, but not of the configured length or outside SubnetMin..SubnetMax: still
    /// a peer (flanneld programs it too), and its owner will move at its next start.
    NotAllocatable,
    /// Another record with this public IP (name of the other record, the newest). Still a peer: a node
    /// that moves has two for a while.
    DuplicatePublicIp(String),
    /// Overlaps a lease that takes precedence (name of the other record): of two the one that can be
    /// programmed, then the one that fits the config, then the more specific, then the newer one.
    Overlap(String),
    /// A reservation that its node has not taken yet: no backend has written its part.
    Unclaimed,
    /// Written by another backend than the configured one (its type; empty = udp).
    BackendMismatch(String),
    /// Contains an address of this host or a network that this host is connected to.
    OverlapsHost(Ipv4Net),
    /// No IPv4 public address, or one that no peer can have (0.0.0.0, loopback, multicast, broadcast).
    NoPublicIp,
    /// A vxlan lease without a readable VtepMAC.
    NoVtep,
}

/// What this host itself holds, to be kept apart from peers' subnets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostNets {
    /// Addresses and connected networks of the host. The caller leaves out flannel's own devices and
    /// what lies in the own record's subnet (Docker's bridge).
    pub connected: Vec<Ipv4Net>,
}

/// A record's name with all that is wrong with it (empty = ok).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Name below the `subnets` folder.
    pub name: String,
    /// In order of weight; empty means `Ok`.
    pub standings: Vec<Standing>,
}

impl Standing {
    /// True when an agent may program the peer all the same.
    pub fn usable(&self) -> bool {
        match self {
            Standing::Ok | Standing::NotAllocatable | Standing::DuplicatePublicIp(_) => true,
            Standing::Unreadable(_)
            | Standing::OutsideNetwork
            | Standing::Overlap(_)
            | Standing::Unclaimed
            | Standing::BackendMismatch(_)
            | Standing::OverlapsHost(_)
            | Standing::NoPublicIp
            | Standing::NoVtep => false,
        }
    }
}

impl fmt::Display for Standing {
    /// In words. Names and types come from other hosts and are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Ok => f.write_str("ok"),
            Standing::Unreadable(reason) => write!(f, "unreadable: {reason}"),
            Standing::OutsideNetwork => f.write_str("its subnet is outside of the network"),
            Standing::NotAllocatable => f.write_str(
                "its subnet does not fit the config: its node takes another at its next start",
            ),
            Standing::DuplicatePublicIp(other) => {
                write!(f, "it has the public IP of {}", other.escape_debug())
            }
            Standing::Overlap(other) => {
                write!(f, "its subnet overlaps {}", other.escape_debug())
            }
            Standing::Unclaimed => f.write_str("a reservation that its node has not taken yet"),
            Standing::BackendMismatch(kind) => match kind.as_str() {
                "" => f.write_str("it was written by the udp backend"),
                kind => write!(f, "it was written by the backend {}", kind.escape_debug()),
            },
            Standing::OverlapsHost(net) => {
                write!(
                    f,
                    "its subnet overlaps {net}, which this host is connected to"
                )
            }
            Standing::NoPublicIp => f.write_str("it has no public IP that a peer can have"),
            Standing::NoVtep => f.write_str("it has no readable VtepMAC"),
        }
    }
}

impl Judged {
    /// True when an agent may program the peer.
    pub fn usable(&self) -> bool {
        self.standings.iter().all(Standing::usable)
    }

    /// The weightiest standing.
    pub fn state(&self) -> &Standing {
        self.standings.first().unwrap_or(&Standing::Ok)
    }
}

/// Judges every record. `own` is the name of this node's record (left out of peer rules; it takes
/// precedence over all that overlap it), `host` is empty where it is not known (`leases` from elsewhere).
/// A dual-stack lease is judged by its IPv4 half wherever the network has one.
pub fn judge(
    snapshot: &Snapshot,
    config: &NetworkConfig,
    host: &HostNets,
    own: Option<&str>,
) -> Vec<Judged> {
    let host = Blocks::new(&host.connected);
    let mut judged: Vec<Judged> = snapshot
        .records
        .iter()
        .map(|(name, record)| Judged {
            name: name.clone(),
            standings: match record {
                Record::Unreadable(unreadable) => {
                    vec![Standing::Unreadable(unreadable.reason.clone())]
                }
                Record::Lease(lease) => alone(lease, config, &host, own == Some(name)),
            },
        })
        .collect();
    let overlaps = overlaps(snapshot, config, &judged, own);
    let duplicates = newest_two(snapshot);
    for (judged, record) in judged.iter_mut().zip(snapshot.records.values()) {
        let name = judged.name.as_str();
        if let Some(winner) = record.key().and_then(|key| overlaps.get(&key.subnet4()?))
            && winner.name.0 != name
            && matches!(record, Record::Lease(_))
        {
            judged
                .standings
                .push(Standing::Overlap(winner.name.0.to_owned()));
        }
        let Record::Lease(lease) = record else {
            continue;
        };
        if let Some(two) = duplicates.get(&lease.attrs.public_ip)
            && let Some((_, other)) = two.iter().flatten().find(|(_, other)| *other != name)
        {
            judged
                .standings
                .push(Standing::DuplicatePublicIp((*other).to_owned()));
        }
        if let (Some(pool), Some(subnet)) = (&config.ipv4, lease.key.subnet4())
            && pool.network.contains(&subnet)
            && !pool.admits(lease.key.v4)
        {
            judged.standings.push(Standing::NotAllocatable);
        }
    }
    judged
}

/// What is wrong with a lease whatever the others say.
fn alone(lease: &Lease, config: &NetworkConfig, host: &Blocks, own: bool) -> Vec<Standing> {
    let mut standings = Vec::new();
    let subnet = lease.key.subnet4();
    let inside = match (&config.ipv4, &config.ipv6) {
        (Some(pool), _) => subnet.is_some_and(|subnet| pool.network.contains(&subnet)),
        (None, Some(pool)) => lease.key.v6.is_some_and(|v6| pool.network.contains(&v6)),
        (None, None) => false,
    };
    if !inside {
        standings.push(Standing::OutsideNetwork);
    }
    if own {
        return standings;
    }
    let attrs = &lease.attrs;
    let reachable = match config.ipv4 {
        Some(_) => is_host(attrs.public_ip),
        None => attrs.public_ipv6.is_some(),
    };
    if !reachable {
        standings.push(Standing::NoPublicIp);
    }
    let expected = match config.backend_type.as_str() {
        "udp" => "",
        other => other,
    };
    let vtep = match config.ipv4 {
        Some(_) => attrs.vtep(),
        None => attrs.vtep6(),
    };
    if attrs.backend_type != expected {
        let untouched = lease.origin.lease_id == 0 && attrs.backend_type.is_empty();
        standings.push(match untouched && attrs.backend_data.is_none() {
            true => Standing::Unclaimed,
            false => Standing::BackendMismatch(attrs.backend_type.clone()),
        });
    } else if expected == "vxlan" && vtep.is_none() {
        standings.push(Standing::NoVtep);
    }
    if let Some(net) = subnet.and_then(|subnet| host.overlapping(subnet)) {
        standings.push(Standing::OverlapsHost(net));
    }
    standings
}

/// An address that a packet can be sent to and answered from.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast())
}

/// The two newest records of each public IP.
fn newest_two(snapshot: &Snapshot) -> HashMap<Ipv4Addr, [Option<(i64, &str)>; 2]> {
    let mut newest: HashMap<Ipv4Addr, [Option<(i64, &str)>; 2]> = HashMap::new();
    for record in snapshot.records.values() {
        let Record::Lease(lease) = record else {
            continue;
        };
        if !is_host(lease.attrs.public_ip) {
            continue;
        }
        let two = newest.entry(lease.attrs.public_ip).or_default();
        let this = Some((lease.origin.mod_revision, lease.name.as_str()));
        *two = match *two {
            [first, _] if this > first => [this, first],
            [first, second] => [first, second.max(this)],
        };
    }
    newest
}

/// Precedence of overlapping records; the greatest takes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    own: bool,
    usable: bool,
    admitted: bool,
    prefix_len: u8,
    mod_revision: i64,
    name: Reverse<&'a str>,
}

/// For each subnet the record that takes precedence among all that overlap it. Networks either nest or
/// are apart, so looking up the at most 31 shorter ones of each is enough.
fn overlaps<'a>(
    snapshot: &'a Snapshot,
    config: &NetworkConfig,
    judged: &[Judged],
    own: Option<&str>,
) -> HashMap<Ipv4Net, Rank<'a>> {
    let mut best: HashMap<Ipv4Net, Rank<'a>> = HashMap::new();
    for ((name, record), judged) in snapshot.records.iter().zip(judged) {
        let own = own == Some(name);
        let counts = own || matches!(record, Record::Lease(_));
        let Some(key) = record.key().filter(|_| counts) else {
            continue;
        };
        let Some(subnet) = key.subnet4() else {
            continue;
        };
        let rank = Rank {
            own,
            usable: judged.usable(),
            admitted: config.ipv4.as_ref().is_some_and(|pool| pool.admits(subnet)),
            prefix_len: subnet.prefix_len(),
            mod_revision: record.origin().mod_revision,
            name: Reverse(name),
        };
        let entry = best.entry(subnet).or_insert(rank);
        *entry = rank.max(*entry);
    }
    let lengths: BTreeSet<u8> = best.keys().map(Ipv4Net::prefix_len).collect();
    let mut total = best.clone();
    for (subnet, rank) in &best {
        for len in lengths.range(..subnet.prefix_len()) {
            let Ok(wider) = Ipv4Net::new(subnet.addr(), *len) else {
                continue;
            };
            let wider = wider.trunc();
            let Some(wider_rank) = best.get(&wider) else {
                continue;
            };
            for (net, rank) in [(wider, rank), (*subnet, wider_rank)] {
                total
                    .entry(net)
                    .and_modify(|greatest| *greatest = rank.max(greatest).to_owned());
            }
        }
    }
    total
}

/// Networks to look for overlaps in.
struct Blocks(BTreeSet<(Ipv4Addr, u8)>);

impl Blocks {
    fn new(nets: &[Ipv4Net]) -> Self {
        Self(
            nets.iter()
                .map(|net| (net.network(), net.prefix_len()))
                .collect(),
        )
    }

    /// One that holds `subnet` or lies in it.
    fn overlapping(&self, subnet: Ipv4Net) -> Option<Ipv4Net> {
        let inside = (subnet.network(), 0)..=(subnet.broadcast(), 32);
        let within = self.0.range(inside).next().copied();
        let (address, len) = within.or_else(|| {
            (0..subnet.prefix_len())
                .filter_map(|len| Ipv4Net::new(subnet.addr(), len).ok())
                .map(|wider| (wider.network(), wider.prefix_len()))
                .find(|wider| self.0.contains(wider))
        })?;
        Ipv4Net::new(address, len).ok()
    }
}

/// The peers that an agent programs: every readable, usable record but its own, one per IPv4 subnet
/// (the newest by mod revision where a v4-only and a dual-stack key name the same subnet). A lease of
/// this host's own public IP on another subnet is what an earlier run left behind, and no peer.
pub fn peers<'a>(
    snapshot: &'a Snapshot,
    judged: &[Judged],
    own: Option<&str>,
    own_ip: Ipv4Addr,
) -> Vec<&'a Lease> {
    judged
        .iter()
        .filter(|judged| judged.usable() && own != Some(judged.name.as_str()))
        .filter_map(|judged| match snapshot.records.get(&judged.name) {
            Some(Record::Lease(lease)) => Some(lease),
            _ => None,
        })
        .filter(|lease| lease.key.subnet4().is_some() && lease.attrs.public_ip != own_ip)
        .collect()
}
