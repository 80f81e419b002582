//! What flanneld forgets to check: configs that it accepts and that cannot work. An agent says so, `init`
//! refuses to write them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::NetworkConfig;

/// A config that decodes, but cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// Both families are off.
    #[error("EnableIPv4 and EnableIPv6 are both off: no agent would have anything to do")]
    NoFamily,
    /// No subnet can be allocated.
    #[error("{min_field} {min} lies above {max_field} {max}: no node could get a subnet")]
    InvertedRange {
        /// `SubnetMin` or `IPv6SubnetMin`.
        min_field: &'static str,
        /// Its value, given or derived.
        min: IpAddr,
        /// `SubnetMax` or `IPv6SubnetMax`.
        max_field: &'static str,
        /// Its value, given or derived.
        max: IpAddr,
    },
    /// Addresses that the kernel forwards no packets for.
    #[error(
        "{field} {network} overlaps {special}, the {what} addresses: the kernel does not forward them"
    )]
    SpecialNetwork {
        /// `Network` or `IPv6Network`.
        field: &'static str,
        /// Its value.
        network: IpNet,
        /// The range that it overlaps.
        special: IpNet,
        /// What that range is for.
        what: &'static str,
    },
}

/// Ranges that the kernel does not forward: octets or first and last segment, prefix length, use.
const SPECIAL_V4: [([u8; 4], u8, &str); 2] = [
    ([127, 0, 0, 0], 8, "loopback"),
    ([224, 0, 0, 0], 4, "multicast"),
];
const SPECIAL_V6: [((u16, u16), u8, &str); 3] = [
    ((0, 1), 128, "loopback"),
    ((0xfe80, 0), 10, "link-local"),
    ((0xff00, 0), 8, "multicast"),
];

impl NetworkConfig {
    /// All that is wrong with a config that flanneld accepts; empty when it can work.
    pub fn strict_problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        if self.ipv4.is_none() && self.ipv6.is_none() {
            problems.push(ConfigProblem::NoFamily);
        }
        if let Some(pool) = &self.ipv4 {
            let bounds = (pool.min.into(), pool.max.into());
            problems.extend(inverted(["SubnetMin", "SubnetMax"], bounds));
            let ranges = SPECIAL_V4.map(|(base, len, what)| (IpAddr::from(base), len, what));
            problems.extend(special("Network", pool.network.into(), &ranges));
        }
        if let Some(pool) = &self.ipv6 {
            let bounds = (pool.min.into(), pool.max.into());
            problems.extend(inverted(["IPv6SubnetMin", "IPv6SubnetMax"], bounds));
            let ranges = SPECIAL_V6.map(|((first, last), len, what)| {
                (IpAddr::from([first, 0, 0, 0, 0, 0, 0, last]), len, what)
            });
            problems.extend(special("IPv6Network", pool.network.into(), &ranges));
        }
        problems
    }
}

fn inverted(
    [min_field, max_field]: [&'static str; 2],
    (min, max): (IpAddr, IpAddr),
) -> Option<ConfigProblem> {
    (min > max).then_some(ConfigProblem::InvertedRange {
        min_field,
        min,
        max_field,
        max,
    })
}

fn special(
    field: &'static str,
    network: IpNet,
    ranges: &[(IpAddr, u8, &'static str)],
) -> Option<ConfigProblem> {
    ranges.iter().find_map(|&(base, len, what)| {
        let special = IpNet::new(base, len).ok()?;
        let overlaps = special.contains(&network) || network.contains(&special);
        overlaps.then_some(ConfigProblem::SpecialNetwork {
            field,
            network,
            special,
            what,
        })
    })
}
