//! What a snapshot says about the own lease: untouched, rewritten, taken over or gone. The keeper acts on it.

use std::net::Ipv4Addr;

use super::lease::{Lease, LeaseAttrs, Origin, Record};
use super::table::Snapshot;

/// The own record in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnRecord {
    /// As we wrote it, or the snapshot is older than our last write.
    Fine,
    /// Same contents, but rewritten by somebody: an administrator made it a reservation (lease 0) or an
    /// ordinary lease again, or a second agent uses our public IP.
    Moved(Origin),
    /// Our public IP, but other contents (for example another VTEP MAC).
    Altered(Origin),
    /// An administrator made it a bare reservation: our public IP, no etcd lease, nothing of a backend.
    Reserved(Origin),
    /// The value can no longer be read, or names no public IP at all.
    Broken(Origin),
    /// Another node holds our subnet now.
    Taken(Ipv4Addr),
    /// Deleted or expired.
    Missing,
}

/// Compares what we wrote (`name`, `attrs`, at `origin`) with the snapshot.
pub fn examine(name: &str, attrs: &LeaseAttrs, origin: Origin, snapshot: &Snapshot) -> OwnRecord {
    if snapshot.revision < origin.mod_revision {
        return OwnRecord::Fine;
    }
    match snapshot.records.get(name) {
        None => OwnRecord::Missing,
        Some(Record::Unreadable(record)) => OwnRecord::Broken(record.origin),
        Some(Record::Lease(lease)) if lease.origin.mod_revision == origin.mod_revision => {
            OwnRecord::Fine
        }
        Some(Record::Lease(lease)) => rewritten(lease, attrs),
    }
}

fn rewritten(lease: &Lease, attrs: &LeaseAttrs) -> OwnRecord {
    let found = &lease.attrs;
    if found.public_ip.is_unspecified() && !attrs.public_ip.is_unspecified() {
        OwnRecord::Broken(lease.origin)
    } else if found.public_ip != attrs.public_ip {
        OwnRecord::Taken(found.public_ip)
    } else if found != attrs {
        let bare = found.backend_type.is_empty() && found.backend_data.is_none();
        if bare && lease.origin.lease_id == 0 {
            OwnRecord::Reserved(lease.origin)
        } else {
            OwnRecord::Altered(lease.origin)
        }
    } else {
        OwnRecord::Moved(lease.origin)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::subnet::SubnetKey;
    use crate::subnet::key::KeyError;
    use crate::subnet::lease::{RecordError, Unreadable};

    const NAME: &str = "10.5.7.0-24";

    fn attrs(ip: &str, backend: &str) -> LeaseAttrs {
        LeaseAttrs {
            public_ip: ip.parse().unwrap(),
            public_ipv6: None,
            backend_type: backend.into(),
            backend_data: None,
            backend_v6_data: None,
        }
    }

    fn origin(mod_revision: i64, lease_id: i64) -> Origin {
        Origin {
            lease_id,
            create_revision: 5,
            mod_revision,
        }
    }

    fn lease(attrs: LeaseAttrs, origin: Origin) -> Record {
        let key = SubnetKey::v4("10.5.7.0/24".parse().unwrap());
        Record::Lease(Lease {
            name: NAME.into(),
            key,
            attrs,
            origin,
        })
    }

    #[test]
    fn every_fate_of_the_own_record() {
        let ours = attrs("192.0.2.1", "host-gw");
        let broken = Record::Unreadable(Unreadable {
            name: NAME.into(),
            key: None,
            reason: RecordError::Key(KeyError::Form),
            origin: origin(9, 7),
        });
        let table = [
            (Some(lease(ours.clone(), origin(6, 7))), OwnRecord::Fine),
            (
                Some(lease(ours.clone(), origin(9, 0))),
                OwnRecord::Moved(origin(9, 0)),
            ),
            (
                Some(lease(attrs("192.0.2.1", "vxlan"), origin(9, 8))),
                OwnRecord::Altered(origin(9, 8)),
            ),
            (
                Some(lease(attrs("192.0.2.2", "host-gw"), origin(9, 8))),
                OwnRecord::Taken("192.0.2.2".parse().unwrap()),
            ),
            (
                Some(lease(attrs("192.0.2.1", ""), origin(9, 0))),
                OwnRecord::Reserved(origin(9, 0)),
            ),
            (
                Some(lease(attrs("192.0.2.1", ""), origin(9, 8))),
                OwnRecord::Altered(origin(9, 8)),
            ),
            (
                Some(lease(attrs("0.0.0.0", ""), origin(9, 0))),
                OwnRecord::Broken(origin(9, 0)),
            ),
            (Some(broken), OwnRecord::Broken(origin(9, 7))),
            (None, OwnRecord::Missing),
        ];
        for (record, expected) in table {
            let records = record.into_iter().map(|r| (NAME.to_owned(), r)).collect();
            let mut snapshot = Snapshot {
                revision: 10,
                records,
            };
            assert_eq!(examine(NAME, &ours, origin(6, 7), &snapshot), expected);
            snapshot.revision = 5;
            assert_eq!(
                examine(NAME, &ours, origin(6, 7), &snapshot),
                OwnRecord::Fine,
                "older than our write"
            );
        }
    }
}
