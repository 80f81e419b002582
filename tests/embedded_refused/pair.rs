//! A real etcd and the embedded store, asked the same.

use etcd_client::proto::{PbPutRequest, PbRangeRequest};
use prost::Message;

use super::embedded::Embedded;
use super::etcd::Etcd;
use super::wire::{Failure, Wire};

/// The same questions to both.
pub struct Pair {
    pub real: Wire,
    pub ours: Wire,
    pub differences: String,
    _servers: (Etcd, Embedded),
}

impl Pair {
    pub async fn start() -> Self {
        let servers = (Etcd::start(), Embedded::start());
        Self {
            real: Wire::connect(&servers.0.url).await,
            ours: Wire::connect(&servers.1.url).await,
            differences: String::new(),
            _servers: servers,
        }
    }

    /// Asks both; both refuse alike, or both do not. Tells whether they did.
    pub async fn ask<Q, A>(&mut self, what: &str, path: &str, question: Q) -> Option<Failure>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let theirs = self.real.call::<Q, A>(path, question.clone()).await.err();
        let own = self.ours.call::<Q, A>(path, question).await.err();
        if theirs != own {
            self.differences.push_str(&format!(
                "{what}\netcd:     {theirs:?}\nembedded: {own:?}\n"
            ));
        }
        own
    }

    /// Asks both; both refuse alike.
    pub async fn refused<Q, A>(&mut self, what: &str, path: &str, question: Q)
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let refused = self.ask::<Q, A>(what, path, question).await;
        assert!(
            refused.is_some() || !self.differences.is_empty(),
            "{what} is done"
        );
    }

    pub fn end(self) {
        assert!(self.differences.is_empty(), "{}", self.differences);
    }
}

/// Writes a key.
pub fn put(key: &str) -> PbPutRequest {
    PbPutRequest {
        key: key.into(),
        value: b"x".to_vec(),
        ..PbPutRequest::default()
    }
}

/// Reads a range.
pub fn range(key: &str, end: &str) -> PbRangeRequest {
    PbRangeRequest {
        key: key.into(),
        range_end: end.into(),
        ..PbRangeRequest::default()
    }
}
