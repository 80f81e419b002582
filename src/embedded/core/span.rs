//! A range of keys as etcd writes it: a key and an end.

use std::ops::Bound;

/// From where to where, for an ordered map.
pub(super) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Keys from a first one on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    from: Vec<u8>,
    end: End,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum End {
    /// The first key alone.
    Alone,
    /// Up to this key, without it.
    Before(Vec<u8>),
    /// All further keys.
    Open,
}

impl Span {
    /// From a request: no end means the key alone, the end `\0` all further keys.
    pub fn new(key: Vec<u8>, range_end: Vec<u8>) -> Self {
        let end = match range_end.as_slice() {
            [] => End::Alone,
            [0] => End::Open,
            _ => End::Before(range_end),
        };
        Self { from: key, end }
    }

    /// One key.
    pub fn key(key: Vec<u8>) -> Self {
        Self::new(key, Vec::new())
    }

    /// The first key.
    pub fn first(&self) -> &[u8] {
        &self.from
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, End::Before(end) if *end <= self.from)
    }

    /// Whether a key is in it.
    pub fn holds(&self, key: &[u8]) -> bool {
        match &self.end {
            End::Alone => key == self.from,
            End::Before(end) => key >= self.from.as_slice() && key < end.as_slice(),
            End::Open => key >= self.from.as_slice(),
        }
    }

    /// For an ordered map; none for an empty span.
    pub(super) fn bounds(&self) -> Option<Bounds<'_>> {
        let from = Bound::Included(self.from.as_slice());
        let end = match &self.end {
            End::Alone => Bound::Included(self.from.as_slice()),
            End::Before(end) => Bound::Excluded(end.as_slice()),
            End::Open => Bound::Unbounded,
        };
        (!self.is_empty()).then_some((from, end))
    }

    /// Whether etcd's check for overlapping writes takes a deleted span and a put key as
    /// overlapping. It reads the end `\0` as that very key, so an open span overlaps nothing.
    pub(super) fn clashes(&self, put: &[u8]) -> bool {
        self.end != End::Open && self.holds(put)
    }
}
