//! One record below `<prefix>/subnets/`: its attributes (flannel-compat 2.3) and where it stands in
//! etcd. Everything here was written by another host: untrusted.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

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
    pub fn decode(_value: &[u8]) -> Result<Self, AttrsError> {
        todo!()
    }

    /// Writes the value byte for byte as flanneld does: field order, `PublicIPv6:null`, no spaces,
    /// `<`, `>`, `&` escaped.
    pub fn encode(&self) -> String {
        todo!()
    }

    /// The vxlan data of the IPv4 half, if it is there and readable.
    pub fn vtep(&self) -> Option<Vtep> {
        todo!()
    }

    /// The vxlan data of the IPv6 half, if it is there and readable.
    pub fn vtep6(&self) -> Option<Vtep> {
        todo!()
    }
}

impl Vtep {
    /// The JSON that goes into `BackendData`.
    pub fn to_json(&self) -> Value {
        todo!()
    }
}

impl Record {
    /// Reads one key-value pair. `name` is the key's text below `<prefix>/subnets/`; a key of
    /// the range that is not below that folder is `KeyError::Folder` and is made by the caller.
    pub fn read(_name: &str, _value: &[u8], _origin: Origin) -> Self {
        todo!()
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
