//! Which subnet a node takes (flannel-compat 3.2, 3.3). The registry carries the decision out by a guarded
//! transaction and, when it loses, asks again with a fresh snapshot.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::envfile::PreviousSubnets;
use super::{NetworkConfig, Origin, Record, Snapshot, SubnetKey};

/// How many free subnets are looked for; one of them is taken. Two nodes that start at once then rarely
/// want the same.
const CANDIDATES: usize = 100;

/// What to do in etcd to hold a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquisition {
    /// Our record of an earlier run fits: rewrite it, guarded by its mod revision. With
    /// `origin.lease_id == 0` it is a reservation and stays without an etcd lease.
    Reuse {
        /// The record's name as it stands in etcd.
        name: String,
        /// Its subnet.
        key: SubnetKey,
        /// Where it stands.
        origin: Origin,
    },
    /// Our record of an earlier run no longer fits the config: delete it, guarded by its mod revision,
    /// then ask again.
    Discard {
        /// The record's name.
        name: String,
        /// Where it stands.
        origin: Origin,
    },
    /// Create the key if it does not exist (version = 0).
    Create {
        /// The subnet to take.
        key: SubnetKey,
    },
}

/// Why there is no subnet to take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// Every subnet of the family's range overlaps a record.
    #[error("out of subnets: all {total} {family} subnets between {min} and {max} are taken")]
    OutOfSubnets {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// How many the range has.
        total: u128,
        /// First base.
        min: String,
        /// Last base.
        max: String,
    },
    /// `SubnetMin` lies above `SubnetMax`.
    #[error("no {family} subnet can be allocated: SubnetMin {min} lies above SubnetMax {max}")]
    EmptyRange {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// First base.
        min: String,
        /// Last base.
        max: String,
    },
    /// The config turns both families off.
    #[error("no subnet can be allocated: EnableIPv4 and EnableIPv6 are both off")]
    NoFamily,
}

/// Decides from one snapshot.
///
/// A record with our public IP that fits the config is ours and used again; one that does not is
/// discarded, unless it is a reservation: that is the administrator's. Otherwise each half of the new key
/// is the previous subnet, where it fits and overlaps no record, or one of the first free ones, at random.
/// Unreadable records whose key can be read hold their subnet too.
///
/// # Errors
/// `AllocateError` when the range is full.
pub fn decide(
    config: &NetworkConfig,
    snapshot: &Snapshot,
    public_ip: Ipv4Addr,
    previous: &PreviousSubnets,
    rng: &mut impl Rng,
) -> Result<Acquisition, AllocateError> {
    if let Some(ours) = ours(config, snapshot, public_ip) {
        return Ok(ours);
    }
    let keys = || snapshot.records.values().filter_map(|record| record.key());
    let v4 = match &config.ipv4 {
        None => None,
        Some(pool) => {
            let taken = Taken::new(keys().filter_map(|key| key.subnet4()).map(span4));
            let wanted = previous.v4.filter(|net| pool.admits(*net));
            let wanted = wanted.filter(|net| taken.is_free(span4(*net)));
            let base = match wanted {
                Some(net) => net.addr(),
                None => {
                    let range = Range {
                        family: "IPv4",
                        min: u32::from(pool.min).into(),
                        max: u32::from(pool.max).into(),
                        size: 1 << (32 - pool.subnet_len),
                        text: |bits| low32(bits).to_string(),
                    };
                    low32(range.pick(&taken, rng)?)
                }
            };
            Ipv4Net::new(base, pool.subnet_len).ok()
        }
    };
    let v6 = match &config.ipv6 {
        None => None,
        Some(pool) => {
            let taken = Taken::new(keys().filter_map(|key| key.v6).map(span6));
            let wanted = previous.v6.filter(|net| pool.admits(*net));
            let wanted = wanted.filter(|net| taken.is_free(span6(*net)));
            let base = match wanted {
                Some(net) => net.addr(),
                None => {
                    let range = Range {
                        family: "IPv6",
                        min: pool.min.into(),
                        max: pool.max.into(),
                        size: 1 << (128 - pool.subnet_len),
                        text: |bits| Ipv6Addr::from(bits).to_string(),
                    };
                    range.pick(&taken, rng)?.into()
                }
            };
            Ipv6Net::new(base, pool.subnet_len).ok()
        }
    };
    match (v4, v6) {
        (None, None) => Err(AllocateError::NoFamily),
        // flanneld's name for "no IPv4 half" is 0.0.0.0-0.
        (v4, v6) => Ok(Acquisition::Create {
            key: SubnetKey {
                v4: v4.unwrap_or_default(),
                v6,
            },
        }),
    }
}

/// Our record of an earlier run: the first that fits, else the first that does not and may go. Nodes
/// without an IPv4 address all have 0.0.0.0, which identifies nobody.
fn ours(config: &NetworkConfig, snapshot: &Snapshot, public_ip: Ipv4Addr) -> Option<Acquisition> {
    let mut misfit = None;
    for record in snapshot.records.values() {
        let Record::Lease(lease) = record else {
            continue;
        };
        if lease.attrs.public_ip != public_ip || public_ip.is_unspecified() {
            continue;
        }
        let (name, origin) = (lease.name.clone(), lease.origin);
        if fits(config, &lease.key) {
            let key = lease.key.clone();
            return Some(Acquisition::Reuse { name, key, origin });
        }
        if misfit.is_none() && origin.lease_id != 0 {
            misfit = Some(Acquisition::Discard { name, origin });
        }
    }
    misfit
}

/// True when a node may keep this key under the config (flannel-compat 3.1, "compatible").
pub fn fits(config: &NetworkConfig, key: &SubnetKey) -> bool {
    let four = match &config.ipv4 {
        Some(pool) => pool.admits(key.v4),
        None => key.subnet4().is_none(),
    };
    let six = match (&config.ipv6, key.v6) {
        (Some(pool), Some(v6)) => pool.admits(v6),
        (None, None) => true,
        _ => false,
    };
    four && six
}

/// First and last address.
type Span = (u128, u128);

fn span4(net: Ipv4Net) -> Span {
    let bits = |address| u128::from(u32::from(address));
    (bits(net.network()), bits(net.broadcast()))
}

fn span6(net: Ipv6Net) -> Span {
    (net.network().into(), net.broadcast().into())
}

fn low32(bits: u128) -> Ipv4Addr {
    Ipv4Addr::from_bits((bits & u128::from(u32::MAX)) as u32)
}

/// What is in use: spans in order, apart from each other.
struct Taken(Vec<Span>);

impl Taken {
    fn new(spans: impl Iterator<Item = Span>) -> Self {
        let mut spans: Vec<Span> = spans.collect();
        spans.sort_unstable();
        let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match apart.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => apart.push((first, last)),
            }
        }
        Self(apart)
    }

    /// Index of the first span that ends at or after `address`.
    fn from(&self, address: u128) -> usize {
        self.0.partition_point(|span| span.1 < address)
    }

    fn is_free(&self, (first, last): Span) -> bool {
        match self.0.get(self.from(first)) {
            Some(span) => span.0 > last,
            None => true,
        }
    }
}

/// The bases of one family that may be allocated.
struct Range {
    family: &'static str,
    min: u128,
    max: u128,
    size: u128,
    text: fn(u128) -> String,
}

impl Range {
    fn pick(&self, taken: &Taken, rng: &mut impl Rng) -> Result<u128, AllocateError> {
        let (family, min, max) = (self.family, (self.text)(self.min), (self.text)(self.max));
        if self.min > self.max {
            return Err(AllocateError::EmptyRange { family, min, max });
        }
        match self.free(taken).choose(rng) {
            Some(base) => Ok(*base),
            None => Err(AllocateError::OutOfSubnets {
                family,
                total: (self.max - self.min) / self.size + 1,
                min,
                max,
            }),
        }
    }

    /// The first free bases, at most [`CANDIDATES`]. Walks over spans, not over what they cover.
    fn free(&self, taken: &Taken) -> Vec<u128> {
        let mut free = Vec::new();
        let mut spans = taken.0.iter().skip(taken.from(self.min)).peekable();
        let mut next = Some(self.min);
        while let Some(base) = next.filter(|base| *base <= self.max && free.len() < CANDIDATES) {
            let last = base + (self.size - 1);
            while spans.next_if(|span| span.1 < base).is_some() {}
            next = match spans.peek() {
                Some((first, end)) if *first <= last => {
                    // The first base after what is in use.
                    let used = (end - self.min) / self.size + 1;
                    used.checked_mul(self.size)
                        .and_then(|offset| self.min.checked_add(offset))
                }
                _ => {
                    free.push(base);
                    base.checked_add(self.size)
                }
            };
        }
        free
    }
}
