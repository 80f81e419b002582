//! Transactions: compare, then one of two lists of operations, all or nothing.

use std::cmp::Ordering;

use super::keyspace::Keyspace;
use super::lessor::Lessor;
use super::{Delete, Deleted, Found, Item, Put, PutDone, Query, Refusal, Span};

/// What a key is compared with.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "etcd's own names")]
pub enum Expected {
    Version(i64),
    Create(i64),
    Mod(i64),
    Value(Vec<u8>),
    Lease(i64),
    /// A target that this API does not have; etcd takes both sides as equal.
    Unknown,
}

/// How it has to compare.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Relation {
    Equal,
    NotEqual,
    Greater,
    Less,
    /// A relation that this API does not have; etcd takes it as true.
    Unknown,
}

/// One comparison; of a range, every key has to pass.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Comparison {
    pub span: Span,
    pub expected: Expected,
    pub relation: Relation,
}

/// One operation.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Operation {
    Range(Query),
    Put(Put),
    Delete(Delete),
    Transaction(Transaction),
    /// A request with nothing in it, which is refused.
    Empty,
}

/// A transaction.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "etcd's own names")]
pub struct Transaction {
    pub compare: Vec<Comparison>,
    pub success: Vec<Operation>,
    pub failure: Vec<Operation>,
}

/// The answer to one operation.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Done {
    Range(Found),
    Put(PutDone),
    Delete(Deleted),
    Transaction(TransactionDone),
}

/// The answer to a transaction.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TransactionDone {
    /// The revision of the answer's header; etcd leaves it out in a nested one.
    pub revision: i64,
    pub succeeded: bool,
    pub responses: Vec<Done>,
}

impl Comparison {
    fn holds(&self, space: &Keyspace) -> bool {
        let mut items = space.items(&self.span, space.seen()).peekable();
        if items.peek().is_none() {
            // A value that is not there equals none, not even the empty one.
            let value = matches!(self.expected, Expected::Value(_));
            return !value && self.fits(&Item::default());
        }
        items.all(|item| self.fits(&item))
    }

    fn fits(&self, item: &Item) -> bool {
        let found = match &self.expected {
            Expected::Version(version) => item.version.cmp(version),
            Expected::Create(revision) => item.create_revision.cmp(revision),
            Expected::Mod(revision) => item.mod_revision.cmp(revision),
            Expected::Value(value) => item.value.as_ref().cmp(value.as_slice()),
            Expected::Lease(lease) => item.lease.cmp(lease),
            Expected::Unknown => Ordering::Equal,
        };
        match self.relation {
            Relation::Equal => found == Ordering::Equal,
            Relation::NotEqual => found != Ordering::Equal,
            Relation::Greater => found == Ordering::Greater,
            Relation::Less => found == Ordering::Less,
            Relation::Unknown => true,
        }
    }
}

/// A transaction whose comparisons are made: every one, at whatever depth, before the first write.
struct Chosen<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Plain(&'a Operation),
    Nested(Chosen<'a>),
}

impl Transaction {
    fn choose(&self, space: &Keyspace) -> Chosen<'_> {
        let succeeded = self
            .compare
            .iter()
            .all(|comparison| comparison.holds(space));
        let operations = if succeeded {
            &self.success
        } else {
            &self.failure
        };
        let mut steps = Vec::with_capacity(operations.len());
        for operation in operations {
            steps.push(match operation {
                Operation::Transaction(nested) => Step::Nested(nested.choose(space)),
                plain => Step::Plain(plain),
            });
        }
        Chosen { succeeded, steps }
    }

    /// Whether a branch, at whatever depth, can put.
    pub(super) fn puts(&self) -> bool {
        let mut all = self.success.iter().chain(&self.failure);
        all.any(|operation| match operation {
            Operation::Put(_) => true,
            Operation::Transaction(nested) => nested.puts(),
            _ => false,
        })
    }

    /// Whether no branch can write. etcd looks one level deep: what is nested counts as a write.
    fn is_read_only(&self) -> bool {
        let mut all = self.success.iter().chain(&self.failure);
        all.all(|operation| matches!(operation, Operation::Range(_)))
    }
}

impl Chosen<'_> {
    /// Asks a question of every plain operation of the chosen branches, in order.
    fn check(&self, ask: &impl Fn(&Operation) -> Result<(), Refusal>) -> Result<(), Refusal> {
        self.steps.iter().try_for_each(|step| match step {
            Step::Plain(operation) => ask(operation),
            Step::Nested(nested) => nested.check(ask),
        })
    }

    fn run(&self, space: &mut Keyspace, lessor: &Lessor) -> Result<TransactionDone, Refusal> {
        let mut responses = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            responses.push(match step {
                Step::Nested(nested) => Done::Transaction(nested.run(space, lessor)?),
                Step::Plain(Operation::Range(query)) => Done::Range(space.read(query)?),
                Step::Plain(Operation::Put(put)) => Done::Put(space.apply_put(lessor, put)?),
                Step::Plain(Operation::Delete(delete)) => Done::Delete(space.apply_delete(delete)),
                Step::Plain(Operation::Empty | Operation::Transaction(_)) => {
                    return Err(Refusal::KeyNotFound);
                }
            });
        }
        Ok(TransactionDone {
            revision: 0,
            succeeded: self.succeeded,
            responses,
        })
    }
}

impl Keyspace {
    /// Runs a transaction as a whole, or not at all.
    pub(super) fn transact(
        &mut self,
        lessor: &Lessor,
        transaction: &Transaction,
    ) -> Result<TransactionDone, Refusal> {
        let chosen = transaction.choose(self);
        if !transaction.is_read_only() {
            chosen.check(&|operation| self.may_put(lessor, operation))?;
        }
        chosen.check(&|operation| self.may_read(operation))?;
        match chosen.run(self, lessor) {
            Ok(mut done) => {
                self.commit();
                done.revision = self.revision();
                Ok(done)
            }
            Err(refusal) => {
                self.roll_back();
                Err(refusal)
            }
        }
    }

    fn may_put(&self, lessor: &Lessor, operation: &Operation) -> Result<(), Refusal> {
        let Operation::Put(put) = operation else {
            return Ok(());
        };
        if (put.ignore_value || put.ignore_lease) && self.item(&put.key).is_none() {
            return Err(Refusal::KeyNotFound);
        }
        if put.lease != 0 && !lessor.holds(put.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        Ok(())
    }

    fn may_read(&self, operation: &Operation) -> Result<(), Refusal> {
        let Operation::Range(query) = operation else {
            return Ok(());
        };
        match query.revision {
            0 => Ok(()),
            revision if revision > self.revision() => Err(Refusal::FutureRevision),
            revision if revision < self.compacted() => Err(Refusal::Compacted),
            _ => Ok(()),
        }
    }
}
