//! What is known of all leases: a snapshot at a revision, and the changes that follow it.

use std::collections::BTreeMap;

use super::lease::Record;

/// All records below the `subnets` folder at one revision, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// etcd revision at which this was the truth.
    pub revision: i64,
    /// Records by the key's text below `<prefix>/subnets/`, in etcd's (byte) order.
    pub records: BTreeMap<String, Record>,
}

/// One change after a snapshot.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every change is a put, and none lives longer than its watch response"
)]
pub enum Change {
    /// Created or rewritten; holds the new record, readable or not.
    Put(Record),
    /// Deleted or expired; holds the name.
    Deleted(String),
}

impl Snapshot {
    /// Follows one watch response: its changes in order, and the revision that it brings.
    pub fn apply(&mut self, revision: i64, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Put(record) => {
                    self.records.insert(record.name().to_owned(), record);
                }
                Change::Deleted(name) => {
                    self.records.remove(&name);
                }
            }
        }
        self.revision = self.revision.max(revision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subnet::lease::Origin;

    fn put(name: &str, value: &str, mod_revision: i64) -> Change {
        let origin = Origin {
            mod_revision,
            ..Origin::default()
        };
        Change::Put(Record::read(name, value.as_bytes(), origin))
    }

    #[test]
    fn changes_are_followed_in_order() {
        let mut table = Snapshot::default();
        let changes = [
            put("10.5.1.0-24", "{}", 5),
            put("10.5.2.0-24", "{}", 6),
            Change::Deleted("10.5.1.0-24".to_owned()),
            put("10.5.1.0-24", "{\"PublicIP\":\"192.0.2.1\"}", 8),
            Change::Deleted("10.5.2.0-24".to_owned()),
            Change::Deleted("never there".to_owned()),
        ];
        table.apply(9, changes);
        assert_eq!(table.revision, 9);
        assert_eq!(table.records.len(), 1);
        let held = &table.records["10.5.1.0-24"];
        assert_eq!(held.origin().mod_revision, 8);
    }

    #[test]
    fn junk_harms_nobody_and_time_does_not_run_back() {
        let mut table = Snapshot::default();
        table.apply(9, [put("10.5.1.0-24", "{}", 9)]);
        table.apply(7, [put("foo", "{}", 10), put("10.5.2.0-24", "[", 11)]);
        assert_eq!(table.revision, 9);
        let readable = |record: &&Record| matches!(record, Record::Lease(_));
        assert_eq!(table.records.values().filter(readable).count(), 1);
        assert_eq!(table.records.len(), 3);
        assert!(table.records["foo"].key().is_none());
        assert!(table.records["10.5.2.0-24"].key().is_some());
    }
}
