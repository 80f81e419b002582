//! The list of leases as `leases` shows it: rows from one snapshot, and their forms for people and programs.
//! The JSON form is a contract (`flannelctl/v1`): fields may be added, none may change its meaning.

mod row;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use ipnet::IpNet;
use serde::Serialize;

use super::table;
use super::terminal::clean;
use crate::subnet::Snapshot;
use crate::subnet::standing::Judged;

pub use row::{Kind, Row, State};

/// All rows at one revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseList {
    /// `flannelctl/v1`.
    pub api_version: &'static str,
    /// `LeaseList`.
    pub kind: &'static str,
    /// etcd revision of the snapshot.
    pub revision: i64,
    /// In the order of their subnets, unreadable ones last.
    pub leases: Vec<Row>,
}

/// What a row is made from beside the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Seconds left by etcd lease; `None` = gone. A lease that is not in it is not known of.
    pub ttls: &'a BTreeMap<i64, Option<i64>>,
    /// What is wrong with each record.
    pub judged: &'a [Judged],
    /// Addresses of the host that asks.
    pub addresses: &'a [Ipv4Addr],
    /// When the seconds were read.
    pub now: SystemTime,
}

impl LeaseList {
    /// Makes the rows.
    pub fn new(snapshot: &Snapshot, facts: &Facts<'_>) -> Self {
        let standings: BTreeMap<_, _> = facts
            .judged
            .iter()
            .map(|judged| (judged.name.as_str(), judged.standings.as_slice()))
            .collect();
        let mut leases: Vec<_> = snapshot
            .records
            .iter()
            .map(|(name, record)| {
                let standings = standings.get(name.as_str()).copied().unwrap_or_default();
                Row::new(name, record, standings, facts)
            })
            .collect();
        leases.sort_by_key(|row| (row.subnet.is_none(), row.subnet, row.ipv6_subnet));
        Self {
            api_version: "flannelctl/v1",
            kind: "LeaseList",
            revision: snapshot.revision,
            leases,
        }
    }

    /// How many rows have anything wrong with them. A reservation may well wait for its node.
    pub fn problems(&self) -> usize {
        let wrong = |row: &&Row| row.states.iter().any(|state| state.state != "unclaimed");
        self.leases.iter().filter(wrong).count()
    }

    /// How many are reservations.
    pub fn reservations(&self) -> usize {
        let kinds = self.leases.iter().map(|row| row.kind);
        kinds.filter(|kind| *kind == Kind::Reservation).count()
    }

    /// The table for people.
    pub fn table(&self, wide: bool, colour: bool) -> String {
        let mut headers = vec!["subnet", "public-ip", "backend", "type", "ttl", "state"];
        if wide {
            headers.extend([
                "vtep-mac",
                "vni",
                "ipv6-subnet",
                "public-ipv6",
                "lease-id",
                "mod-rev",
                "key",
            ]);
        }
        let rows = self.leases.iter().map(|row| row.fields(wide)).collect();
        table::render(&headers, rows, colour)
    }

    /// One name a line, as it stands in etcd.
    pub fn names(&self) -> String {
        let names = self.leases.iter().map(|row| row.key.as_str());
        names.map(|name| format!("{}\n", clean(name))).collect()
    }
}

/// What `leases` can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// An address of a container or of a host.
    Address(IpAddr),
    /// A subnet: rows that hold it or lie in it.
    Net(IpNet),
}

impl Question {
    /// Reads `10.5.7.23`, `10.5.7.0/24`, and the form of the keys, `10.5.7.0-24`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let net = text.parse().ok();
        net.or_else(|| text.replacen('-', "/", 1).parse().ok())
            .map(|net: IpNet| Self::Net(net.trunc()))
    }
}

#[cfg(test)]
mod tests;
