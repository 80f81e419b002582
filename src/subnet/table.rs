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
