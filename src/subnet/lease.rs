//! One record below `<prefix>/subnets/`: its attributes (flannel-compat 2.3) and where it stands in
//! etcd. Everything here was written by another host: untrusted.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::gojson;
use super::key::{KeyError, SubnetKey};

/// A lease's value: who holds the subnet and how to reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseAttrs {
    /// Underlay IPv4 address of the holder; `0.0.0.0` when unset (IPv6-only nodes).
    pub public_ip: Ipv4Addr,
    /// Underlay IPv6 address of the holder.
    pub public_ipv6: Option<Ipv6Addr>,
    /// `vxlan`, `host-gw`, …; empty for udp and alloc, which write none.
    pub backend_type: String,
    /// The backend's own data for IPv4, any JSON.
    pub backend_data: Option<Value>,
    /// The backend's own data for IPv6, any JSON.
    pub backend_v6_data: Option<Value>,
}

/// The vxlan backend's data in a lease: `{"VNI":1,"VtepMAC":"2a:60:a9:ec:c1:fe"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vtep {
    /// VXLAN network identifier; 0 where the writer (v0.7) gave none.
    pub vni: u32,
    /// MAC address of the peer's VXLAN device.
    pub mac: [u8; 6],
}

/// Where a record stands in etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// etcd lease that the key is attached to; 0 = none, which makes the record a reservation.
    pub lease_id: i64,
    /// Revision of the key's creation.
    pub create_revision: i64,
    /// Revision of the key's last change; guards every write of ours.
    pub mod_revision: i64,
}

/// A readable record.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// The key's last part as it stands in etcd (flanneld accepts forms that it never writes).
    pub name: String,
    /// What the name says.
    pub key: SubnetKey,
    /// What the value says.
    pub attrs: LeaseAttrs,
    /// Where it stands.
    pub origin: Origin,
}

/// A record that flanneld would skip. It is shown and harms nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// The key below `<prefix>/`, untrusted text.
    pub name: String,
    /// The subnet, where at least the key could be read: it is in use by somebody.
    pub key: Option<SubnetKey>,
    /// What is wrong with it.
    pub reason: RecordError,
    /// Where it stands.
    pub origin: Origin,
}

/// Any record below the `subnets` folder.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Key and value could be read.
    Lease(Lease),
    /// Key or value could not be read.
    Unreadable(Unreadable),
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key names no subnet.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The value is no lease.
    #[error(transparent)]
    Value(#[from] AttrsError),
}

/// Why a value is no lease (reader rules in flannel-compat 2.3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttrsError {
    /// Not JSON, or not one JSON object.
    #[error("the value is not a JSON object")]
    NotAnObject,
    /// A field of the wrong type or with a text that is no address.
    #[error("the value's field {0} is not valid")]
    Field(&'static str),
}

impl LeaseAttrs {
    /// Reads a value as flanneld does: case-insensitive keys, unknown fields ignored.
    ///
    /// # Errors
    /// `AttrsError` where flanneld would skip the record.
    pub fn decode(value: &[u8]) -> Result<Self, AttrsError> {
        let text = gojson::text(value);
        let members = gojson::members(&text).map_err(|_| AttrsError::NotAnObject)?;
        let mut attrs = Self {
            public_ip: Ipv4Addr::UNSPECIFIED,
            public_ipv6: None,
            backend_type: String::new(),
            backend_data: None,
            backend_v6_data: None,
        };
        for (key, raw) in members.iter() {
            match key.as_str() {
                "publicip" => {
                    attrs.public_ip =
                        gojson::ipv4(gojson::address(raw)).ok_or(AttrsError::Field("PublicIP"))?;
                }
                "publicipv6" => {
                    attrs.public_ipv6 = match raw {
                        "null" => None,
                        _ => Some(
                            gojson::ipv6(gojson::address(raw))
                                .ok_or(AttrsError::Field("PublicIPv6"))?,
                        ),
                    }
                }
                "backendtype" => {
                    let text = gojson::string(raw).map_err(|_| AttrsError::Field("BackendType"))?;
                    attrs.backend_type = text.unwrap_or(attrs.backend_type);
                }
                "backenddata" => attrs.backend_data = Some(any(raw, "BackendData")?),
                "backendv6data" => attrs.backend_v6_data = Some(any(raw, "BackendV6Data")?),
                _ => {}
            }
        }
        Ok(attrs)
    }

    /// Writes the value byte for byte as flanneld does: field order, `PublicIPv6:null`, no spaces,
    /// `<`, `>`, `&` escaped.
    pub fn encode(&self) -> String {
        let ipv6 = match self.public_ipv6 {
            None => "null".to_owned(),
            Some(ip) => match ip.to_ipv4_mapped() {
                Some(mapped) => format!("\"{mapped}\""),
                None => format!("\"{ip}\""),
            },
        };
        let mut text = format!(
            "{{\"PublicIP\":\"{}\",\"PublicIPv6\":{ipv6}",
            self.public_ip
        );
        let mut member = |name: &str, value: &Value| {
            text.push_str(&format!(",\"{name}\":{value}"));
        };
        if !self.backend_type.is_empty() {
            member("BackendType", &Value::from(self.backend_type.as_str()));
        }
        if let Some(data) = &self.backend_data {
            member("BackendData", data);
        }
        if let Some(data) = &self.backend_v6_data {
            member("BackendV6Data", data);
        }
        text.push('}');
        escape_html(&text)
    }

    /// The vxlan data of the IPv4 half, if it is there and readable.
    pub fn vtep(&self) -> Option<Vtep> {
        self.backend_data.as_ref().and_then(Vtep::read)
    }

    /// The vxlan data of the IPv6 half, if it is there and readable.
    pub fn vtep6(&self) -> Option<Vtep> {
        self.backend_v6_data.as_ref().and_then(Vtep::read)
    }
}

/// Any JSON of sane depth.
fn any(raw: &str, field: &'static str) -> Result<Value, AttrsError> {
    serde_json::from_str(raw).map_err(|_| AttrsError::Field(field))
}

/// Go's encoder escapes these wherever they stand; in compact JSON they stand only inside of strings.
fn escape_html(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

impl Vtep {
    fn read(data: &Value) -> Option<Self> {
        let (mut vni, mut mac) = (0, None);
        for (key, value) in data.as_object()? {
            match gojson::fold(key).as_str() {
                "vni" if value.is_null() => {}
                "vni" => vni = u32::try_from(value.as_u64()?).ok()?,
                "vtepmac" => mac = Some(parse_mac(value.as_str()?)?),
                _ => {}
            }
        }
        mac.map(|mac| Self { vni, mac })
    }

    /// The JSON that goes into `BackendData`.
    pub fn to_json(&self) -> Value {
        let mac = self.mac.map(|byte| format!("{byte:02x}")).join(":");
        json!({"VNI": self.vni, "VtepMAC": mac})
    }
}

/// Six bytes in any form that Go knows: `2a:60:a9:ec:c1:fe`, `2a-60-a9-ec-c1-fe`, `2a60.a9ec.c1fe`.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let (separator, group) = match (text.len(), text.as_bytes().get(2)) {
        (17, Some(b':')) => (':', 2),
        (17, Some(b'-')) => ('-', 2),
        (14, _) => ('.', 4),
        _ => return None,
    };
    let mut mac = [0; 6];
    let mut bytes = mac.iter_mut();
    for part in text.split(separator) {
        if part.len() != group || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for start in (0..group).step_by(2) {
            *bytes.next()? = u8::from_str_radix(part.get(start..start + 2)?, 16).ok()?;
        }
    }
    bytes.next().is_none().then_some(mac)
}

impl Record {
    /// Reads one key-value pair. `name` is the key's text below `<prefix>/subnets/`; a key of
    /// the range that is not below that folder is `KeyError::Folder` and is made by the caller.
    pub fn read(name: &str, value: &[u8], origin: Origin) -> Self {
        let key = SubnetKey::parse(name);
        let unreadable = |key, reason| {
            Record::Unreadable(Unreadable {
                name: name.to_owned(),
                key,
                reason,
                origin,
            })
        };
        match (key, LeaseAttrs::decode(value)) {
            (Err(reason), _) => unreadable(None, reason.into()),
            (Ok(key), Err(reason)) => unreadable(Some(key), reason.into()),
            (Ok(key), Ok(attrs)) => Record::Lease(Lease {
                name: name.to_owned(),
                key,
                attrs,
                origin,
            }),
        }
    }

    /// The key's last part as it stands in etcd.
    pub fn name(&self) -> &str {
        match self {
            Record::Lease(lease) => &lease.name,
            Record::Unreadable(unreadable) => &unreadable.name,
        }
    }

    /// The subnet that the record occupies, as far as it can be told.
    pub fn key(&self) -> Option<&SubnetKey> {
        match self {
            Record::Lease(lease) => Some(&lease.key),
            Record::Unreadable(unreadable) => unreadable.key.as_ref(),
        }
    }

    /// Where it stands in etcd.
    pub fn origin(&self) -> Origin {
        match self {
            Record::Lease(lease) => lease.origin,
            Record::Unreadable(unreadable) => unreadable.origin,
        }
    }
}
