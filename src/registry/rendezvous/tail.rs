//! A folder of etcd as it is and as it changes: a list, then a watch from the next revision; anew after every
//! break. The caller waits between two errors.

use std::collections::VecDeque;

use etcd_client::{GetOptions, KeyValue, WatchOptions, WatchStream};

use crate::registry::error::{Answer, Cause, EndpointFailure, Error, Operation, judge};
use crate::registry::keys::after_prefix;
use crate::registry::store::{MESSAGE_LIMIT, Registry};
use crate::registry::text::plain;

/// Keys that one list of the folder takes.
const LIST_LIMIT: i64 = 256;

/// What the folder holds, or what changed in it.
#[derive(Debug)]
pub(super) enum News {
    /// All of it; what is not in it is gone.
    All(Vec<KeyValue>),
    /// One key was written.
    Put(KeyValue),
    /// One key is gone.
    Gone(Vec<u8>),
}

pub(super) struct Tail {
    registry: Registry,
    folder: String,
    open: Option<(usize, WatchStream)>,
    queue: VecDeque<News>,
}

impl Tail {
    /// Opens nothing yet. `folder` ends with a slash.
    pub(super) fn new(registry: Registry, folder: String) -> Self {
        Self {
            registry,
            folder,
            open: None,
            queue: VecDeque::new(),
        }
    }

    /// The next news. After an error the next call lists anew. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<News, Error> {
        loop {
            if let Some(news) = self.queue.pop_front() {
                return Ok(news);
            }
            let Some((endpoint, stream)) = &mut self.open else {
                let all = self.list().await?;
                return Ok(News::All(all));
            };
            let endpoint = *endpoint;
            match stream.message().await {
                Ok(Some(response)) if response.compact_revision() > 0 => self.open = None,
                Ok(Some(response)) if response.canceled() => {
                    let reason = plain(response.cancel_reason());
                    return Err(self.broken(endpoint, reason, tonic::Code::Unavailable));
                }
                Ok(Some(response)) => {
                    for kv in response.events().iter().filter_map(|event| event.kv()) {
                        // A key that was put has a version.
                        self.queue.push_back(match kv.version() {
                            0 => News::Gone(kv.key().to_vec()),
                            _ => News::Put(kv.clone()),
                        });
                    }
                }
                Ok(None) => {
                    let ended = "the watch ended".to_owned();
                    return Err(self.broken(endpoint, ended, tonic::Code::Unavailable));
                }
                Err(error) => {
                    let (_, answer) = judge(&error);
                    return Err(self.broken(endpoint, answer.message, answer.code));
                }
            }
        }
    }

    async fn list(&mut self) -> Result<Vec<KeyValue>, Error> {
        let range = GetOptions::new()
            .with_range(after_prefix(&self.folder))
            .with_limit(LIST_LIMIT);
        let (_, response) = self
            .registry
            .get(&self.folder, Operation::List, Some(range))
            .await?;
        let revision = response.header().map_or(0, |header| header.revision());
        let options = WatchOptions::new()
            .with_range(after_prefix(&self.folder))
            .with_start_revision(revision + 1);
        let pool = &self.registry.inner.pool;
        let folder = self.folder.as_str();
        let call = pool.call(Operation::Watch, folder, |client| {
            let mut watch = client
                .watch_client()
                .max_decoding_message_size(MESSAGE_LIMIT);
            let options = options.clone();
            async move { watch.watch(folder, Some(options)).await }
        });
        self.open = Some(call.await?);
        Ok(response.kvs().to_vec())
    }

    fn broken(&mut self, endpoint: usize, message: String, code: tonic::Code) -> Error {
        self.open = None;
        let pool = &self.registry.inner.pool;
        pool.avoid(endpoint);
        Error::Unreachable {
            operation: Operation::Watch,
            key: plain(&self.folder),
            failures: vec![EndpointFailure {
                endpoint: pool.url(endpoint).to_owned(),
                cause: Cause::Failed(Answer { code, message }),
            }],
        }
    }
}
