//! What a request must look like, whatever the store holds.

use std::collections::BTreeSet;

use super::{Delete, Operation, Put, Query, Refusal, Span, Transaction};

/// etcd's default limit of operations in one transaction.
const MAX_OPERATIONS: usize = 128;

impl Query {
    /// Whether the request is well-formed.
    pub fn check(&self) -> Result<(), Refusal> {
        not_empty(self.span.first())
    }
}

impl Put {
    /// Whether the request is well-formed.
    pub fn check(&self) -> Result<(), Refusal> {
        not_empty(&self.key)?;
        if self.ignore_value && !self.value.is_empty() {
            return Err(Refusal::ValueProvided);
        }
        if self.ignore_lease && self.lease != 0 {
            return Err(Refusal::LeaseProvided);
        }
        Ok(())
    }
}

impl Delete {
    /// Whether the request is well-formed.
    pub fn check(&self) -> Result<(), Refusal> {
        not_empty(self.span.first())
    }
}

impl Transaction {
    /// Whether the request is well-formed.
    pub fn check(&self) -> Result<(), Refusal> {
        self.check_shape(MAX_OPERATIONS)?;
        Writes::of(&self.success)?;
        Writes::of(&self.failure)?;
        Ok(())
    }

    fn check_shape(&self, room: usize) -> Result<(), Refusal> {
        let longest = self
            .compare
            .len()
            .max(self.success.len())
            .max(self.failure.len());
        let rest = room
            .checked_sub(longest)
            .ok_or(Refusal::TooManyOperations)?;
        for comparison in &self.compare {
            not_empty(comparison.span.first())?;
        }
        let mut operations = self.success.iter().chain(&self.failure);
        operations.try_for_each(|operation| match operation {
            Operation::Range(query) => query.check(),
            Operation::Put(put) => put.check(),
            Operation::Delete(delete) => delete.check(),
            Operation::Transaction(nested) => nested.check_shape(rest),
            Operation::Empty => Err(Refusal::KeyNotFound),
        })
    }
}

fn not_empty(key: &[u8]) -> Result<(), Refusal> {
    if key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    Ok(())
}

/// What a list of operations writes. A key may be written once; the two branches of a nested
/// transaction exclude each other.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<&'a Span>,
}

impl<'a> Writes<'a> {
    fn of(operations: &'a [Operation]) -> Result<Self, Refusal> {
        let mut all = Self {
            deletes: operations.iter().filter_map(deleted).collect(),
            ..Self::default()
        };
        for nested in operations.iter().filter_map(nested) {
            let success = Self::of(&nested.success)?;
            let failure = Self::of(&nested.failure)?;
            for key in &success.puts {
                all.add(key, &BTreeSet::new())?;
            }
            for key in &failure.puts {
                all.add(key, &success.puts)?;
            }
            all.deletes.extend(success.deletes);
            all.deletes.extend(failure.deletes);
        }
        for operation in operations {
            if let Operation::Put(put) = operation {
                all.add(&put.key, &BTreeSet::new())?;
            }
        }
        Ok(all)
    }

    fn add(&mut self, key: &'a [u8], excluded: &BTreeSet<&[u8]>) -> Result<(), Refusal> {
        let again = !self.puts.insert(key) && !excluded.contains(key);
        if again || self.deletes.iter().any(|span| span.clashes(key)) {
            return Err(Refusal::DuplicateKey);
        }
        Ok(())
    }
}

fn deleted(operation: &Operation) -> Option<&Span> {
    match operation {
        Operation::Delete(delete) => Some(&delete.span),
        _ => None,
    }
}

fn nested(operation: &Operation) -> Option<&Transaction> {
    match operation {
        Operation::Transaction(nested) => Some(nested),
        _ => None,
    }
}
