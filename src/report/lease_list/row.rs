//! One row: what a record says, what is wrong with it, and its cells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use super::{Facts, Question};
use crate::report::table::{Field, Tone};
use crate::report::terminal::clean_short;
use crate::subnet::standing::Standing;
use crate::subnet::{Lease, Record};

/// A lease with fewer seconds left has missed its renewal: flanneld renews an hour before the end.
const EXPIRING_BELOW: i64 = 50 * 60;
/// Longest text from etcd in a table cell, in characters.
const CELL: usize = 60;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// IPv4 subnet; none on an IPv6-only node and where the key cannot be read.
    pub subnet: Option<Ipv4Net>,
    /// Underlay address of the holder.
    #[serde(rename = "publicIP")]
    pub public_ip: Option<Ipv4Addr>,
    /// Its backend; none where the value cannot be read.
    pub backend: Option<String>,
    /// Whether it ends by itself.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Seconds left; none for a reservation and where the etcd lease is gone.
    pub ttl_seconds: Option<i64>,
    /// `ok`, or the weightiest of `states`.
    pub state: &'static str,
    /// All that is wrong with it.
    pub states: Vec<State>,
    /// When it ends, RFC 3339 in UTC.
    pub expires_at: Option<String>,
    /// IPv6 subnet of a dual-stack or IPv6-only node.
    #[serde(rename = "ipv6Subnet")]
    pub ipv6_subnet: Option<Ipv6Net>,
    /// IPv6 underlay address of the holder.
    #[serde(rename = "publicIPv6")]
    pub public_ipv6: Option<Ipv6Addr>,
    /// vxlan: network identifier.
    pub vni: Option<u32>,
    /// vxlan: MAC address of the holder's device.
    #[serde(rename = "vtepMAC")]
    pub vtep_mac: Option<String>,
    /// True when the public IP is an address of the host that asks.
    pub this_node: bool,
    /// Name of the record below the `subnets` folder.
    pub key: String,
    /// etcd lease as etcdctl writes it (hexadecimal); none for a reservation.
    pub lease_id: Option<String>,
    /// etcd revision of the key's creation.
    pub create_revision: i64,
    /// etcd revision of the key's last change.
    pub mod_revision: i64,
}

/// Whether a record ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Ends with its etcd lease.
    Lease,
    /// Has no etcd lease and stays.
    Reservation,
}

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// A stable word.
    pub state: &'static str,
    /// More about it, for people.
    pub detail: Option<String>,
}

impl Row {
    /// One record's row.
    pub fn new(name: &str, record: &Record, standings: &[Standing], facts: &Facts<'_>) -> Self {
        let origin = record.origin();
        let kind = match origin.lease_id {
            0 => Kind::Reservation,
            _ => Kind::Lease,
        };
        let ttl = facts.ttls.get(&origin.lease_id).copied();
        let mut states: Vec<_> = standings.iter().filter_map(state).collect();
        if let Record::Unreadable(unreadable) = record
            && !states.iter().any(|s| s.state == "unreadable")
        {
            let detail = Some(unreadable.reason.to_string());
            states.insert(
                0,
                State {
                    state: "unreadable",
                    detail,
                },
            );
        }
        match (kind, ttl) {
            (Kind::Lease, Some(None)) => states.push(State {
                state: "expired",
                detail: Some("its etcd lease is gone".to_owned()),
            }),
            (Kind::Lease, Some(Some(seconds))) if seconds < EXPIRING_BELOW => states.push(State {
                state: "expiring",
                detail: Some("its holder does not renew it".to_owned()),
            }),
            _ => {}
        }
        let ttl_seconds = ttl.flatten().filter(|seconds| *seconds >= 0);
        let key = record.key();
        let lease = match record {
            Record::Lease(lease) => Some(lease),
            Record::Unreadable(_) => None,
        };
        let vtep = lease.and_then(|l| l.attrs.vtep().or_else(|| l.attrs.vtep6()));
        let public_ip = lease
            .map(|l| l.attrs.public_ip)
            .filter(|ip| !ip.is_unspecified());
        Self {
            subnet: key.and_then(|key| key.subnet4()),
            public_ip,
            backend: lease.map(backend),
            kind,
            ttl_seconds,
            state: states.first().map_or("ok", |s| s.state),
            states,
            expires_at: ttl_seconds.and_then(|seconds| after(facts.now, seconds)),
            ipv6_subnet: key.and_then(|key| key.v6).map(|v6| v6.trunc()),
            public_ipv6: lease.and_then(|l| l.attrs.public_ipv6),
            vni: vtep.map(|v| v.vni),
            vtep_mac: vtep.map(|v| mac(v.mac)),
            this_node: public_ip.is_some_and(|ip| facts.addresses.contains(&ip)),
            key: name.to_owned(),
            lease_id: (origin.lease_id != 0).then(|| format!("{:016x}", origin.lease_id)),
            create_revision: origin.create_revision,
            mod_revision: origin.mod_revision,
        }
    }

    /// Whether the row answers a question: who has this container address, this subnet, this host?
    pub fn answers(&self, question: &Question) -> bool {
        match question {
            Question::Address(IpAddr::V4(ip)) => {
                self.public_ip == Some(*ip) || self.subnet.is_some_and(|net| net.contains(ip))
            }
            Question::Address(IpAddr::V6(ip)) => {
                self.public_ipv6 == Some(*ip)
                    || self.ipv6_subnet.is_some_and(|net| net.contains(ip))
            }
            Question::Net(IpNet::V4(net)) => self
                .subnet
                .is_some_and(|subnet| subnet.contains(net) || net.contains(&subnet)),
            Question::Net(IpNet::V6(net)) => self
                .ipv6_subnet
                .is_some_and(|subnet| subnet.contains(net) || net.contains(&subnet)),
        }
    }

    pub(super) fn fields(&self, wide: bool) -> Vec<Field> {
        let text = |value: Option<String>| Field::from(value.unwrap_or_default());
        let mut subnet = match (self.subnet, self.ipv6_subnet) {
            (Some(subnet), _) => subnet.to_string(),
            (None, Some(subnet)) => subnet.to_string(),
            // Nobody's subnet: the name is all there is to recognise it by.
            (None, None) => clean_short(&self.key, CELL),
        };
        if self.this_node {
            subnet.push_str(" *");
        }
        let public_ip = match (self.public_ip, self.public_ipv6) {
            (Some(ip), _) => Some(ip.to_string()),
            (None, ip) => ip.map(|ip| ip.to_string()),
        };
        let backend = self.backend.as_deref().map(|name| clean_short(name, CELL));
        let kind = match self.kind {
            Kind::Lease => "lease",
            Kind::Reservation => "reservation",
        };
        let mut fields = vec![
            subnet.into(),
            text(public_ip),
            text(backend),
            kind.into(),
            text(self.ttl_seconds.map(duration)),
            self.state_field(),
        ];
        if wide {
            fields.extend([
                text(self.vtep_mac.clone()),
                text(self.vni.map(|vni| vni.to_string())),
                text(self.ipv6_subnet.map(|net| net.to_string())),
                text(self.public_ipv6.map(|ip| ip.to_string())),
                text(self.lease_id.clone()),
                self.mod_revision.to_string().into(),
                clean_short(&self.key, CELL).into(),
            ]);
        }
        fields
    }

    fn state_field(&self) -> Field {
        if self.states.is_empty() {
            return Field::new("ok", Tone::Good);
        }
        let texts: Vec<_> = self
            .states
            .iter()
            .map(|state| match &state.detail {
                Some(detail) => format!("{} ({})", state.state, clean_short(detail, CELL + 20)),
                None => state.state.to_owned(),
            })
            .collect();
        let tone = match self.state {
            "expiring" | "not-allocatable" | "unclaimed" | "backend-mismatch" => Tone::Notable,
            _ => Tone::Bad,
        };
        Field::new(texts.join(", "), tone)
    }
}

/// The backend's name; udp writes none.
fn backend(lease: &Lease) -> String {
    match lease.attrs.backend_type.as_str() {
        "" => "udp".to_owned(),
        name => name.to_owned(),
    }
}

/// The stable word for a standing.
fn state(standing: &Standing) -> Option<State> {
    let (state, detail) = match standing {
        Standing::Ok => return None,
        Standing::Unreadable(reason) => ("unreadable", Some(reason.to_string())),
        Standing::OutsideNetwork => ("outside-network", None),
        Standing::NotAllocatable => (
            "not-allocatable",
            Some("its holder will take another at its next start".to_owned()),
        ),
        Standing::DuplicatePublicIp(other) => ("duplicate-public-ip", Some(other.clone())),
        Standing::Overlap(other) => ("overlap", Some(other.clone())),
        Standing::Unclaimed => (
            "unclaimed",
            Some("its node has not taken it yet".to_owned()),
        ),
        Standing::BackendMismatch(_) => (
            "backend-mismatch",
            Some("the network config asks for another backend".to_owned()),
        ),
        Standing::OverlapsHost(net) => ("overlaps-host", Some(net.to_string())),
        Standing::NoPublicIp => ("no-public-ip", None),
        Standing::NoVtep => ("no-vtep-mac", None),
    };
    Some(State { state, detail })
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// RFC 3339 in UTC, to the second.
fn after(now: SystemTime, seconds: i64) -> Option<String> {
    let end = now.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))?;
    // humantime cannot write years from 10000 on.
    let written = end.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs() < 253_402_300_800;
    written.then(|| humantime::format_rfc3339_seconds(end).to_string())
}

/// The two greatest units: `22h41m`, `38m12s`, `5s`.
pub(super) fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{:02}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (1, 0, 0) => "24h00m".to_owned(),
        (days, hours, _) => format!("{days}d{hours:02}h"),
    }
}
