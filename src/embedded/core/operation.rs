//! Writing a key, deleting a range.

use super::keyspace::Keyspace;
use super::lessor::Lessor;
use super::{Item, Refusal, Span};

/// A write.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "etcd's own names")]
pub struct Put {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub lease: i64,
    pub prev_kv: bool,
    pub ignore_value: bool,
    pub ignore_lease: bool,
}

/// A write was done.
#[derive(Clone, Debug)]
pub struct PutDone {
    /// The revision of the answer's header.
    pub revision: i64,
    /// What was there, when asked for.
    pub before: Option<Item>,
}

/// A deletion.
#[derive(Clone, Debug)]
pub struct Delete {
    /// Which keys.
    pub span: Span,
    /// Whether to tell what was there.
    pub prev_kv: bool,
}

/// A deletion was done.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// The revision of the answer's header.
    pub revision: i64,
    /// How many keys.
    pub count: i64,
    /// What was there, when asked for.
    pub before: Vec<Item>,
}

impl Keyspace {
    /// Writes in the open transaction.
    pub(super) fn apply_put(&mut self, lessor: &Lessor, put: &Put) -> Result<PutDone, Refusal> {
        if put.lease != 0 && !lessor.holds(put.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        let before = self.item(&put.key);
        let mut value = None;
        let mut lease = put.lease;
        if put.ignore_value || put.ignore_lease {
            let Some(before) = &before else {
                return Err(Refusal::KeyNotFound);
            };
            if put.ignore_value {
                value = Some(before.value.clone());
            }
            if put.ignore_lease {
                lease = before.lease;
            }
        }
        let value = value.unwrap_or_else(|| put.value.as_slice().into());
        self.put(&put.key, value, lease);
        Ok(PutDone {
            revision: self.seen(),
            before: before.filter(|_| put.prev_kv),
        })
    }

    /// Deletes in the open transaction.
    pub(super) fn apply_delete(&mut self, delete: &Delete) -> Deleted {
        let before = if delete.prev_kv {
            self.items(&delete.span, self.seen()).collect()
        } else {
            Vec::new()
        };
        Deleted {
            count: self.delete(&delete.span),
            revision: self.seen(),
            before,
        }
    }
}
