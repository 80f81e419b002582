//! The `Backend` object: its type, and the options of the backends that flannelctl has, with the ranges
//! that flanneld does not check.

use serde_json::Value;

use super::NetworkConfig;
use super::error::{ConfigError, shown};
use crate::subnet::gojson;

/// flanneld's other backends.
const UNSUPPORTED: [&str; 6] = [
    "wireguard",
    "ipip",
    "ipsec",
    "alloc",
    "extension",
    "tencent-vpc",
];

/// Port of the udp backend where none is given.
const UDP_PORT: u16 = 8285;
/// More digits do not fit into the name of an interface behind `flannel.`.
const MOST_VNI: u32 = 9_999_999;
/// Every IPv4 host must take packets of this size (RFC 791).
const LEAST_MTU: u32 = 576;

/// A backend of ours with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Raw IP packets in UDP, forwarded in user space.
    Udp {
        /// UDP port, the same on all nodes. Default 8285.
        port: u16,
    },
    /// Kernel VXLAN.
    Vxlan(VxlanOptions),
    /// Routes to the peers' underlay addresses.
    HostGw,
}

/// Options of the vxlan backend (flannel-compat 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VxlanOptions {
    /// 1 to 9999999: the device's name `flannel.<VNI>` has at most 15 characters. Default 1.
    pub vni: u32,
    /// UDP port; `None` = the kernel's default, 8472.
    pub port: Option<u16>,
    /// MTU of the underlay to count from, at least 576; `None` = that of the interface.
    pub mtu: Option<u32>,
    /// Group-based policy extension.
    pub gbp: bool,
    /// Source learning in the kernel.
    pub learning: bool,
    /// Plain routes to peers on the same link.
    pub direct_routing: bool,
}

impl Backend {
    /// `udp`, `vxlan`, `host-gw`.
    pub fn name(&self) -> &'static str {
        match self {
            Backend::Udp { .. } => "udp",
            Backend::Vxlan(_) => "vxlan",
            Backend::HostGw => "host-gw",
        }
    }

    /// The `BackendType` of this backend's leases; udp writes none.
    pub fn lease_type(&self) -> &'static str {
        match self {
            Backend::Udp { .. } => "",
            other => other.name(),
        }
    }
}

impl NetworkConfig {
    /// The backend asked for, with options read and validated (ranges of VNI, Port and MTU too).
    ///
    /// # Errors
    /// `ConfigError` for an unknown or unsupported type or an option out of range.
    pub fn backend(&self) -> Result<Backend, ConfigError> {
        match self.backend_type.as_str() {
            "" => Err(ConfigError::BackendTypeMissing),
            "udp" => Ok(Backend::Udp {
                port: self.port("Port", 1)?.unwrap_or(UDP_PORT),
            }),
            "vxlan" => Ok(Backend::Vxlan(VxlanOptions {
                vni: self.vni()?,
                port: self.port("Port", 0)?.filter(|port| *port != 0),
                mtu: self.mtu()?,
                gbp: self.switch("GBP")?,
                learning: self.switch("Learning")?,
                direct_routing: self.switch("DirectRouting")?,
            })),
            "host-gw" => Ok(Backend::HostGw),
            other => match UNSUPPORTED.into_iter().find(|name| *name == other) {
                Some(name) => Err(ConfigError::BackendUnsupported { name }),
                None => Err(ConfigError::BackendUnknown { name: shown(other) }),
            },
        }
    }

    /// All values of an option that say something: `null` does not.
    fn values(&self, option: &'static str) -> impl Iterator<Item = &Value> {
        self.backend_options
            .iter()
            .filter(move |(key, value)| {
                gojson::fold(key) == gojson::fold(option) && !value.is_null()
            })
            .map(|(_, value)| value)
    }

    fn number(
        &self,
        option: &'static str,
        least: u32,
        most: u32,
    ) -> Result<Option<u32>, ConfigError> {
        let mut last = None;
        for value in self.values(option) {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            match number.filter(|number| (least..=most).contains(number)) {
                Some(number) => last = Some(number),
                None => {
                    return Err(ConfigError::OptionOutOfRange {
                        option,
                        value: shown(&value.to_string()),
                        least,
                        most,
                    });
                }
            }
        }
        Ok(last)
    }

    fn vni(&self) -> Result<u32, ConfigError> {
        match self.number("VNI", 1, 0xff_ffff)?.unwrap_or(1) {
            vni if vni > MOST_VNI => Err(ConfigError::VniTooLong {
                vni,
                most: MOST_VNI,
            }),
            vni => Ok(vni),
        }
    }

    fn port(&self, option: &'static str, least: u16) -> Result<Option<u16>, ConfigError> {
        let number = self.number(option, u32::from(least), u32::from(u16::MAX))?;
        Ok(number.and_then(|number| u16::try_from(number).ok()))
    }

    /// 0 is "not set", as in flanneld.
    fn mtu(&self) -> Result<Option<u32>, ConfigError> {
        let most = u32::from(u16::MAX);
        if self.values("MTU").all(|value| value.as_u64() == Some(0)) {
            return Ok(None);
        }
        self.number("MTU", LEAST_MTU, most)
    }

    fn switch(&self, option: &'static str) -> Result<bool, ConfigError> {
        let mut last = false;
        for value in self.values(option) {
            last = value.as_bool().ok_or_else(|| ConfigError::OptionNotABool {
                option,
                value: shown(&value.to_string()),
            })?;
        }
        Ok(last)
    }
}

/// Lower-cased type and members of the raw `Backend` value.
pub(super) fn decode(raw: &str) -> Result<(String, Vec<(String, Value)>), ConfigError> {
    let refuse = || ConfigError::BackendNotAnObject { value: shown(raw) };
    let members = gojson::members(raw).map_err(|_| refuse())?;
    let mut kind = String::new();
    for (key, raw) in members.iter() {
        if key == "type" {
            let value = gojson::string(raw)
                .map_err(|_| ConfigError::BackendTypeNotAString { value: shown(raw) })?;
            kind = value.unwrap_or(kind);
        }
    }
    let options = members
        .as_written()
        .map(|(key, raw)| {
            Ok((
                key.to_owned(),
                serde_json::from_str(raw).map_err(|_| refuse())?,
            ))
        })
        .collect::<Result<_, _>>()?;
    Ok((kind.to_lowercase(), options))
}
