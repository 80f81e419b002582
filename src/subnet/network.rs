//! The network config at `<prefix>/config` (flannel-compat 1): decoding by Go's rules, derivation of
//! the ranges, validation of what flanneld validates. What flanneld forgets is in
//! [`NetworkConfig::strict_problems`].

mod backend;
mod derive;
mod error;
mod strict;

use ipnet::{Ipv4Net, Ipv6Net};

pub use backend::{Backend, VxlanOptions};
pub use error::ConfigError;
pub use strict::ConfigProblem;

use super::gojson::{self, ObjectError, WrongType};
use super::pool::{Pool4, Pool6};
use derive::{V4, V6};
use error::shown;

/// A config that flanneld would accept. Which backend it asks for is decided by
/// [`NetworkConfig::backend`], as flanneld also looks only later.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkConfig {
    /// IPv4 range, unless `EnableIPv4` is false.
    pub ipv4: Option<Pool4>,
    /// IPv6 range, if `EnableIPv6` is true.
    pub ipv6: Option<Pool6>,
    /// `EnableNFTables`.
    pub nftables: bool,
    /// Lower-cased `Backend.Type`; `udp` without `Backend`, empty without `Type`.
    pub backend_type: String,
    /// The raw `Backend` object's members in order.
    pub backend_options: Vec<(String, serde_json::Value)>,
}

/// The fields as decoded, before anything is derived. Zero and unspecified mean "not set", as in flanneld.
#[derive(Default)]
struct Fields<'a> {
    ipv4_off: bool,
    ipv6: bool,
    nftables: bool,
    network: Option<Ipv4Net>,
    ipv6_network: Option<Ipv6Net>,
    subnet_len: u64,
    ipv6_subnet_len: u64,
    min: u128,
    max: u128,
    ipv6_min: u128,
    ipv6_max: u128,
    backend: Option<&'a str>,
}

impl NetworkConfig {
    /// Decodes, derives and validates (flannel-compat 1.1 to 1.4).
    ///
    /// # Errors
    /// `ConfigError` names field, value and remedy.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let text = gojson::text(text);
        let fields = Fields::decode(&text)?;
        let ipv4 = match fields.ipv4_off {
            true => None,
            false => Some(fields.pool4()?),
        };
        let ipv6 = match fields.ipv6 {
            true => Some(fields.pool6()?),
            false => None,
        };
        let (backend_type, backend_options) = match fields.backend {
            Some(raw) => backend::decode(raw)?,
            None => ("udp".to_owned(), Vec::new()),
        };
        Ok(Self {
            ipv4,
            ipv6,
            nftables: fields.nftables,
            backend_type,
            backend_options,
        })
    }
}

impl<'a> Fields<'a> {
    fn decode(text: &'a str) -> Result<Self, ConfigError> {
        let members = gojson::members(text).map_err(|error| match error {
            ObjectError::Syntax { line, column } => ConfigError::Syntax { line, column },
            ObjectError::NotAnObject => ConfigError::NotAnObject,
        })?;
        let mut fields = Self::default();
        // Every occurrence counts, in the order of the text: a later duplicate overwrites an earlier one.
        for (key, raw) in members.iter() {
            match key.as_str() {
                "enableipv4" => {
                    let mut on = !fields.ipv4_off;
                    set(&mut on, gojson::boolean(raw), "EnableIPv4", raw)?;
                    fields.ipv4_off = !on;
                }
                "enableipv6" => set(&mut fields.ipv6, gojson::boolean(raw), "EnableIPv6", raw)?,
                "enablenftables" => {
                    let value = gojson::boolean(raw);
                    set(&mut fields.nftables, value, "EnableNFTables", raw)?;
                }
                "subnetlen" => set(&mut fields.subnet_len, gojson::uint(raw), "SubnetLen", raw)?,
                "ipv6subnetlen" => {
                    let value = gojson::uint(raw);
                    set(&mut fields.ipv6_subnet_len, value, "IPv6SubnetLen", raw)?;
                }
                "network" => fields.network = Some(derive::network4(raw)?),
                "ipv6network" => fields.ipv6_network = Some(derive::network6(raw)?),
                "subnetmin" => fields.min = derive::base4("SubnetMin", raw)?,
                "subnetmax" => fields.max = derive::base4("SubnetMax", raw)?,
                "ipv6subnetmin" => fields.ipv6_min = derive::base6("IPv6SubnetMin", raw)?,
                "ipv6subnetmax" => fields.ipv6_max = derive::base6("IPv6SubnetMax", raw)?,
                "backend" => fields.backend = Some(raw),
                _ => {}
            }
        }
        Ok(fields)
    }

    fn pool4(&self) -> Result<Pool4, ConfigError> {
        let missing = ConfigError::NetworkMissing {
            field: "Network",
            switch: "EnableIPv4",
        };
        let network = self.network.filter(|net| net.prefix_len() > 0);
        let network = network.ok_or(missing)?;
        let (subnet_len, min, max) = V4.derive(
            network.into(),
            u128::from(u32::from(network.addr())),
            (self.subnet_len, self.min, self.max),
        )?;
        Ok(Pool4 {
            network,
            subnet_len,
            min: derive::address4(min),
            max: derive::address4(max),
        })
    }

    fn pool6(&self) -> Result<Pool6, ConfigError> {
        let missing = ConfigError::NetworkMissing {
            field: "IPv6Network",
            switch: "EnableIPv6",
        };
        let network = self.ipv6_network.filter(|net| net.prefix_len() > 0);
        let network = network.ok_or(missing)?;
        let (subnet_len, min, max) = V6.derive(
            network.into(),
            network.addr().into(),
            (self.ipv6_subnet_len, self.ipv6_min, self.ipv6_max),
        )?;
        Ok(Pool6 {
            network,
            subnet_len,
            min: min.into(),
            max: max.into(),
        })
    }
}

/// Assigns a scalar; `null` leaves what was there.
fn set<T: Expected>(
    field: &mut T,
    value: Result<Option<T>, WrongType>,
    name: &'static str,
    raw: &str,
) -> Result<(), ConfigError> {
    match value {
        Ok(Some(value)) => *field = value,
        Ok(None) => {}
        Err(WrongType) => return Err(T::refuse(name, shown(raw))),
    }
    Ok(())
}

/// The error for a value of the wrong type.
trait Expected {
    fn refuse(field: &'static str, value: String) -> ConfigError;
}

impl Expected for bool {
    fn refuse(field: &'static str, value: String) -> ConfigError {
        ConfigError::NotABool { field, value }
    }
}

impl Expected for u64 {
    fn refuse(field: &'static str, value: String) -> ConfigError {
        ConfigError::NotANumber { field, value }
    }
}
