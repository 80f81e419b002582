//! What flannel keeps in etcd, read and written by single operations: the config and the list of
//! leases.

use std::fmt;
use std::sync::Arc;

use etcd_client::{Compare, CompareOp, GetOptions, GetResponse, KeyValue, Txn, TxnOp};

use super::client::Pool;
use super::error::{Error, Operation};
use super::keys::Keys;
use super::options::{EtcdOptions, OptionsError};
use crate::subnet::Snapshot;

/// flannel's default prefix, CentOS', those of guides, and the first two without their slash.
const PREFIXES: &[&str] = &[
    "/coreos.com/network",
    "/atomic.io/network",
    "/kube-centos/network",
    "/kubernetes/network",
    "/flannel/network",
    "coreos.com/network",
    "atomic.io/network",
];

/// One page of a list: 1,000 leases are about 250 kB.
const PAGE: i64 = 1000;
/// A page with long junk in it may be bigger than tonic's 4 MiB.
pub(super) const MESSAGE_LIMIT: usize = 64 << 20;
/// How many times a list begins anew that a compaction cut off.
const LIST_TRIES: u32 = 3;

/// The network config as it stands in etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// The value, untrusted.
    pub bytes: Vec<u8>,
    /// Revision of its last change; guards [`Registry::put_config`].
    pub mod_revision: i64,
    /// etcd's revision when it was read.
    pub revision: i64,
}

/// What became of [`Registry::put_config`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written.
    Done {
        /// Revision of the write.
        revision: i64,
    },
    /// Somebody else wrote meanwhile; nothing was changed.
    Conflict {
        /// What stands there now.
        current: Option<ConfigValue>,
    },
}

/// The way to flannel's data in etcd. Cheap to clone. Connects at the first operation, and must be
/// used within one tokio runtime.
#[derive(Clone)]
pub struct Registry {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pool: Pool,
    pub(super) keys: Keys,
    warnings: Vec<String>,
}

/// A list with what tells one etcd from another.
pub(super) struct View {
    pub(super) snapshot: Snapshot,
    pub(super) endpoint: usize,
    pub(super) mark: Mark,
}

/// Which etcd answered, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) cluster: u64,
    pub(super) term: u64,
    pub(super) revision: i64,
}

impl Mark {
    pub(super) fn of(response: &GetResponse) -> Self {
        response.header().map_or_else(Self::default, |header| Self {
            cluster: header.cluster_id(),
            term: header.raft_term(),
            revision: header.revision(),
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("endpoints", &self.endpoints())
            .field("subnets", &self.inner.keys.subnets)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Checks the options and reads the TLS files. No network traffic yet.
    ///
    /// # Errors
    /// `OptionsError` names the option or file.
    pub fn new(options: EtcdOptions) -> Result<Self, OptionsError> {
        let checked = options.check()?;
        Ok(Self {
            inner: Arc::new(Inner {
                pool: Pool::new(&checked),
                keys: checked.keys,
                warnings: checked.warnings,
            }),
        })
    }

    /// What is odd about the options without being wrong, for a person.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// The endpoints' URLs.
    pub fn endpoints(&self) -> Vec<&str> {
        self.inner.pool.urls().collect()
    }

    /// The key of the network config, for messages.
    pub fn config_key(&self) -> &str {
        &self.inner.keys.config
    }

    /// The key of a record's name, for messages.
    pub fn subnet_key(&self, name: &str) -> String {
        self.inner.keys.subnet(name)
    }

    /// Leaves all connections: after a change of this host's addresses they are dead without knowing it.
    pub async fn reconnect(&self) {
        self.inner.pool.forget_all().await;
    }

    /// Reads the network config; `None` when there is none.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve.
    pub async fn config(&self) -> Result<Option<ConfigValue>, Error> {
        Ok(self.config_and_mark().await?.1)
    }

    /// The key of a network config below one of the other prefixes that are in use in the field. `None` also where
    /// those may not be read.
    pub async fn config_elsewhere(&self) -> Option<String> {
        for prefix in PREFIXES {
            let key = format!("{prefix}/config");
            let own = key == self.inner.keys.config;
            let read = async || self.get(&key, Operation::Read, None).await;
            if !own && read().await.is_ok_and(|it| !it.1.kvs().is_empty()) {
                return Some(key);
            }
        }
        None
    }

    pub(super) async fn config_and_mark(&self) -> Result<(Mark, Option<ConfigValue>), Error> {
        let response = self
            .get(&self.inner.keys.config, Operation::Read, None)
            .await?
            .1;
        let mark = Mark::of(&response);
        let first = response.kvs().first();
        let config = first.map(|kv| ConfigValue::of(kv, mark.revision));
        Ok((mark, config))
    }

    /// Writes the network config if its mod revision is still `expected` (0 = if there is none).
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve; it may have been written all the same.
    pub async fn put_config(&self, text: &str, expected: i64) -> Result<PutOutcome, Error> {
        let key = &self.inner.keys.config;
        let guard = Compare::mod_revision(key.as_str(), CompareOp::Equal, expected);
        let put = TxnOp::put(key.as_str(), text, None);
        if let Some(revision) = self
            .transact(Operation::Write, key, vec![guard], put)
            .await?
        {
            return Ok(PutOutcome::Done { revision });
        }
        Ok(match self.config().await? {
            // Our own write, whose answer was lost on the way and which was sent again.
            Some(now) if now.bytes == text.as_bytes() && now.mod_revision > expected => {
                PutOutcome::Done {
                    revision: now.mod_revision,
                }
            }
            current => PutOutcome::Conflict { current },
        })
    }

    /// All records at one revision, in pages.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(self.view().await?.snapshot)
    }

    pub(super) async fn view(&self) -> Result<View, Error> {
        let mut tries = 1;
        loop {
            match self.list().await {
                Err(Error::Compacted { .. }) if tries < LIST_TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn list(&self) -> Result<View, Error> {
        let keys = &self.inner.keys;
        let mut view: Option<View> = None;
        let mut from = keys.subnets.clone().into_bytes();
        loop {
            let mut options = GetOptions::new()
                .with_range(keys.subnets_end())
                .with_limit(PAGE);
            if let Some(view) = &view {
                options = options.with_revision(view.snapshot.revision);
            }
            let (endpoint, response) = self
                .range(from.clone(), &keys.subnets, Operation::List, Some(options))
                .await?;
            let view = view.get_or_insert_with(|| {
                let mark = Mark::of(&response);
                View {
                    snapshot: Snapshot {
                        revision: mark.revision,
                        ..Snapshot::default()
                    },
                    endpoint,
                    mark,
                }
            });
            let records = response.kvs().iter().map(|kv| keys.record(kv));
            view.snapshot
                .records
                .extend(records.map(|record| (record.name().to_owned(), record)));
            match response.kvs().last() {
                Some(last) if response.more() => {
                    from = last.key().to_vec();
                    from.push(0);
                }
                _ => break,
            }
        }
        // The loop has run at least once.
        Ok(view.unwrap_or_else(|| View {
            snapshot: Snapshot::default(),
            endpoint: 0,
            mark: Mark::default(),
        }))
    }

    /// The config as it stood at `revision`.
    pub(super) async fn config_at(&self, revision: i64) -> Result<Option<ConfigValue>, Error> {
        let options = GetOptions::new().with_revision(revision);
        let config = &self.inner.keys.config;
        let (_, response) = self.get(config, Operation::Read, Some(options)).await?;
        let first = response.kvs().first();
        Ok(first.map(|kv| ConfigValue::of(kv, revision)))
    }

    /// One guarded operation. The revision of its success, or `None` when a guard did not hold.
    pub(super) async fn transact(
        &self,
        operation: Operation,
        key: &str,
        guards: Vec<Compare>,
        then: TxnOp,
    ) -> Result<Option<i64>, Error> {
        let txn = Txn::new().when(guards).and_then([then]);
        let call = self.inner.pool.call(operation, key, |client| {
            let mut kv = client.kv_client();
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        });
        let (_, response) = call.await?;
        let revision = response.header().map_or(0, |header| header.revision());
        Ok(response.succeeded().then_some(revision))
    }

    /// One key or, by its options, a range that begins there.
    pub(super) async fn get(
        &self,
        key: &str,
        operation: Operation,
        options: Option<GetOptions>,
    ) -> Result<(usize, GetResponse), Error> {
        self.range(key.as_bytes().to_vec(), key, operation, options)
            .await
    }

    async fn range(
        &self,
        from: Vec<u8>,
        shown: &str,
        operation: Operation,
        options: Option<GetOptions>,
    ) -> Result<(usize, GetResponse), Error> {
        let pool = &self.inner.pool;
        let call = pool.call(operation, shown, |client| {
            let mut kv = client.kv_client().max_decoding_message_size(MESSAGE_LIMIT);
            let (from, options) = (from.clone(), options.clone());
            async move { kv.get(from, options).await }
        });
        call.await
    }
}

impl ConfigValue {
    pub(super) fn of(kv: &KeyValue, revision: i64) -> Self {
        Self {
            bytes: kv.value().to_vec(),
            mod_revision: kv.mod_revision(),
            revision,
        }
    }
}
