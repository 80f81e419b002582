//! Reading a range.

use std::cmp::Ordering;

use super::keyspace::Keyspace;
use super::{Item, Refusal, Span};

/// What to sort by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs, reason = "etcd's own names")]
pub enum Target {
    #[default]
    Key,
    Version,
    Create,
    Mod,
    Value,
}

/// Which way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
pub enum Order {
    Ascending,
    Descending,
}

/// A read.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "etcd's own names; 0 means unset")]
pub struct Query {
    pub span: Span,
    pub limit: i64,
    pub revision: i64,
    pub order: Option<Order>,
    pub target: Target,
    pub keys_only: bool,
    pub count_only: bool,
    pub min_mod_revision: i64,
    pub max_mod_revision: i64,
    pub min_create_revision: i64,
    pub max_create_revision: i64,
}

impl Query {
    /// Everything in a span, now.
    pub fn all(span: Span) -> Self {
        Self {
            span,
            limit: 0,
            revision: 0,
            order: None,
            target: Target::Key,
            keys_only: false,
            count_only: false,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
        }
    }

    fn wants(&self, item: &Item) -> bool {
        let within = |value, min, max| (max == 0 || value <= max) && (min == 0 || value >= min);
        within(
            item.mod_revision,
            self.min_mod_revision,
            self.max_mod_revision,
        ) && within(
            item.create_revision,
            self.min_create_revision,
            self.max_create_revision,
        )
    }

    fn compare(&self, one: &Item, other: &Item) -> Ordering {
        match self.target {
            Target::Key => one.key.cmp(&other.key),
            Target::Version => one.version.cmp(&other.version),
            Target::Create => one.create_revision.cmp(&other.create_revision),
            Target::Mod => one.mod_revision.cmp(&other.mod_revision),
            Target::Value => one.value.cmp(&other.value),
        }
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The revision of the answer's header.
    pub revision: i64,
    /// The keys.
    pub items: Vec<Item>,
    /// The limit cut some off.
    pub more: bool,
    /// Keys in the span, whatever limit and filters.
    pub count: i64,
}

impl Keyspace {
    /// Reads a range.
    pub(super) fn read(&self, query: &Query) -> Result<Found, Refusal> {
        let revision = self.readable(query.revision)?;
        let mut count = 0_usize;
        let mut items = Vec::new();
        for item in self.items(&query.span, revision) {
            count += 1;
            if !query.count_only && query.wants(&item) {
                items.push(item);
            }
        }
        // The order is by key already; another target without an order means ascending.
        match query.order {
            None | Some(Order::Ascending) => items.sort_by(|one, other| query.compare(one, other)),
            Some(Order::Descending) => items.sort_by(|one, other| query.compare(other, one)),
        }
        let limit = usize::try_from(query.limit).unwrap_or(0);
        let more = limit > 0 && items.len() > limit;
        if more {
            items.truncate(limit);
        }
        if query.keys_only {
            for item in &mut items {
                item.value = Default::default();
            }
        }
        Ok(Found {
            revision: self.seen(),
            items,
            more,
            count: i64::try_from(count).unwrap_or(i64::MAX),
        })
    }
}
