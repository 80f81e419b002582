//! Addresses of the config: reading them as Go does, and deriving the allocatable range
//! (flannel-compat 1.3) for both families by the same steps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::error::{ConfigError, shown};
use crate::subnet::gojson;

/// What differs between the families.
pub(super) struct Family {
    bits: u8,
    /// Length of a node's subnet where none is given and the network has room.
    usual_len: u8,
    /// Names of network, length, min and max.
    fields: [&'static str; 4],
    address: fn(u128) -> IpAddr,
}

pub(super) const V4: Family = Family {
    bits: 32,
    usual_len: 24,
    fields: ["Network", "SubnetLen", "SubnetMin", "SubnetMax"],
    address: |bits| IpAddr::V4(address4(bits)),
};

pub(super) const V6: Family = Family {
    bits: 128,
    usual_len: 64,
    fields: [
        "IPv6Network",
        "IPv6SubnetLen",
        "IPv6SubnetMin",
        "IPv6SubnetMax",
    ],
    address: |bits| IpAddr::V6(bits.into()),
};

impl Family {
    /// Length, first and last base from the network (`base` are its bits) and the configured length, min
    /// and max (0 = not set).
    pub(super) fn derive(
        &self,
        network: IpNet,
        base: u128,
        (len, min, max): (u64, u128, u128),
    ) -> Result<(u8, u128, u128), ConfigError> {
        let [_, _, min_field, max_field] = self.fields;
        let len = self.subnet_len(network, len)?;
        let size = 1 << (self.bits - len);
        // The network has at least four subnets here, so neither shift nor sum can overflow.
        let end = base + ((1 << (self.bits - network.prefix_len())) - 1);
        let min = match min {
            0 => base + size,
            given => self.inside(min_field, given, network, base..=end)?,
        };
        let max = match max {
            0 => end - (size - 1),
            given => self.inside(max_field, given, network, base..=end)?,
        };
        for (field, bound) in [(min_field, min), (max_field, max)] {
            if bound % size != 0 {
                return Err(ConfigError::Unaligned {
                    field,
                    value: (self.address)(bound),
                    subnet_len: len,
                    base: (self.address)(bound - bound % size),
                });
            }
        }
        Ok((len, min, max))
    }

    fn subnet_len(&self, network: IpNet, given: u64) -> Result<u8, ConfigError> {
        let [network_field, field, ..] = self.fields;
        let prefix = network.prefix_len();
        let longest = self.bits - 2;
        if given == 0 {
            return match prefix {
                _ if prefix > longest - 2 => Err(ConfigError::NetworkTooSmall {
                    field: network_field,
                    network,
                    longest: longest - 2,
                }),
                _ if prefix + 2 <= self.usual_len => Ok(self.usual_len),
                _ => Ok(prefix + 2),
            };
        }
        let len = u8::try_from(given).ok().filter(|len| *len <= longest);
        let Some(len) = len else {
            return Err(ConfigError::SubnetTooSmall {
                field,
                value: given,
                longest,
            });
        };
        if prefix > longest - 2 {
            // No length would do.
            return Err(ConfigError::NetworkTooSmall {
                field: network_field,
                network,
                longest: longest - 2,
            });
        }
        if len < prefix + 2 {
            return Err(ConfigError::TooFewSubnets {
                field,
                value: given,
                network,
                shortest: prefix + 2,
            });
        }
        Ok(len)
    }

    fn inside(
        &self,
        field: &'static str,
        given: u128,
        network: IpNet,
        range: std::ops::RangeInclusive<u128>,
    ) -> Result<u128, ConfigError> {
        if range.contains(&given) {
            return Ok(given);
        }
        Err(ConfigError::OutOfRange {
            field,
            value: (self.address)(given),
            network,
        })
    }
}

/// The low 32 bits as an address.
pub(super) fn address4(bits: u128) -> Ipv4Addr {
    Ipv4Addr::from_bits((bits & u128::from(u32::MAX)) as u32)
}

/// `Network`, host bits cleared.
pub(super) fn network4(raw: &str) -> Result<Ipv4Net, ConfigError> {
    let net = cidr(gojson::address(raw))
        .and_then(|(address, len)| Ipv4Net::new(address.parse().ok()?, len).ok());
    net.map(|net| net.trunc())
        .ok_or_else(|| ConfigError::NotANetwork {
            field: "Network",
            value: shown(raw),
            example: "10.5.0.0/16",
        })
}

/// `IPv6Network`, host bits cleared.
pub(super) fn network6(raw: &str) -> Result<Ipv6Net, ConfigError> {
    let net = cidr(gojson::address(raw))
        .and_then(|(address, len)| Ipv6Net::new(address.parse().ok()?, len).ok());
    net.map(|net| net.trunc())
        .ok_or_else(|| ConfigError::NotANetwork {
            field: "IPv6Network",
            value: shown(raw),
            example: "fd00:5::/48",
        })
}

/// `SubnetMin` or `SubnetMax`; 0 = not set. `null` is no address in flanneld either.
pub(super) fn base4(field: &'static str, raw: &str) -> Result<u128, ConfigError> {
    match gojson::ipv4(gojson::address(raw)) {
        Some(address) => Ok(u128::from(u32::from(address))),
        None => Err(ConfigError::NotAnAddress {
            field,
            value: shown(raw),
            example: "10.5.16.0",
        }),
    }
}

/// `IPv6SubnetMin` or `IPv6SubnetMax`; 0 = not set, as with `null`.
pub(super) fn base6(field: &'static str, raw: &str) -> Result<u128, ConfigError> {
    let address = match raw {
        "null" => Some(Ipv6Addr::UNSPECIFIED),
        _ => gojson::ipv6(gojson::address(raw)),
    };
    match address {
        Some(address) => Ok(address.into()),
        None => Err(ConfigError::NotAnAddress {
            field,
            value: shown(raw),
            example: "fd00:5:0:10::",
        }),
    }
}

/// Address text and prefix length; Go allows leading zeros in the length.
fn cidr(text: &str) -> Option<(&str, u8)> {
    let (address, len) = text.split_once('/')?;
    let digits = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
    let significant = match len.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    digits
        .then(|| significant.parse().ok())
        .flatten()
        .map(|len| (address, len))
}
