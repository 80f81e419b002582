//! Following etcd: a list at revision R, then every change from R + 1, for as long as the agent runs.
//!
//! Whatever happens to etcd, what is known stays known: only a delete event, or a list that really
//! was read, takes a record away. A key that cannot be read is a record that says so.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::store::{ConfigValue, Mark, Registry};
use super::stream::{End, Stream};
use crate::subnet::Snapshot;
use crate::subnet::table::Change;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Events that arrive close together are handed on together.
const GATHER: Duration = Duration::from_millis(10);
const GATHER_MAX: Duration = Duration::from_millis(100);

/// What is known of etcd. Receivers are woken when `snapshot` or `config` changed and when the contact
/// was lost or came back.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    /// All records. Revision 0 means that nothing has been read yet.
    pub snapshot: Arc<Snapshot>,
    /// The network config, if there is one.
    pub config: Option<ConfigValue>,
    /// How etcd is doing.
    pub contact: Contact,
}

/// How the follower stands with etcd.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// When etcd last said something (it is asked to every 5 s). Kept current without waking anybody.
    pub last_ok: Option<std::time::Instant>,
    /// The endpoint in use.
    pub endpoint: Option<Arc<str>>,
    /// Why there is no contact now; `None` while there is.
    pub last_error: Option<Error>,
}

impl Followed {
    /// True once a list has been read.
    pub fn is_known(&self) -> bool {
        self.snapshot.revision > 0
    }
}

/// What came in with one message.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) revision: i64,
    pub(super) changes: Vec<Change>,
    /// `Some(None)`: the config was deleted.
    pub(super) config: Option<Option<ConfigValue>>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.config.is_none()
    }

    fn add(&mut self, next: Batch) {
        self.revision = self.revision.max(next.revision);
        self.changes.extend(next.changes);
        if next.config.is_some() {
            self.config = next.config;
        }
    }
}

/// From where a broken stream goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// First revision of the records that was not seen yet.
    pub(super) subnets: i64,
    /// The same for the config, which is watched on its own.
    pub(super) config: i64,
    /// The etcd that these revisions belong to.
    pub(super) mark: Mark,
}

/// Follows until `cancel`. The newest state is always in `tx`; a lost etcd changes nothing but
/// `contact`.
pub async fn follow(registry: Registry, tx: watch::Sender<Followed>, cancel: CancellationToken) {
    let follower = Follower {
        registry,
        tx,
        pause: BACKOFF_MIN,
    };
    // The inner loop has no end of its own.
    let _cancelled = cancel.run_until_cancelled(follower.run()).await;
}

struct Follower {
    registry: Registry,
    tx: watch::Sender<Followed>,
    pause: Duration,
}

impl Follower {
    async fn run(mut self) {
        let mut cursor = None;
        loop {
            let from = match cursor {
                Some(from) => from,
                None => match self.list().await {
                    Ok(from) => from,
                    Err(error) => {
                        self.lost(error).await;
                        continue;
                    }
                },
            };
            cursor = Some(from);
            match self.watch(&mut cursor).await {
                End::Relist => {
                    cursor = None;
                    self.wait().await;
                }
                End::Lost(error) => self.lost(error).await,
            }
        }
    }

    /// Reads everything anew and hands it on as a whole.
    async fn list(&mut self) -> Result<Cursor, Error> {
        let view = self.registry.view().await?;
        let revision = view.snapshot.revision;
        let config = self.registry.config_at(revision).await?;
        let endpoint = Arc::from(self.registry.inner.pool.url(view.endpoint));
        self.tx.send_modify(|followed| {
            followed.snapshot = Arc::new(view.snapshot);
            followed.config = config;
            followed.contact = Contact::good(endpoint);
        });
        Ok(Cursor {
            subnets: revision + 1,
            config: revision + 1,
            mark: view.mark,
        })
    }

    /// Opens the stream and hands on what comes until it ends.
    async fn watch(&mut self, cursor: &mut Option<Cursor>) -> End {
        let Some(cursor) = cursor else {
            return End::Relist;
        };
        let mut stream = match Stream::open(&self.registry, cursor).await {
            Ok(stream) => stream,
            Err(end) => return end,
        };
        let endpoint: Arc<str> = Arc::from(self.registry.inner.pool.url(stream.endpoint));
        self.in_contact(&endpoint);
        loop {
            let mut batch = match stream.next(cursor).await {
                Ok(batch) => batch,
                Err(end) => return end,
            };
            self.pause = BACKOFF_MIN;
            let mut ended = None;
            if !batch.is_empty() {
                let until = Instant::now() + GATHER_MAX;
                while Instant::now() < until {
                    match tokio::time::timeout(GATHER, stream.next(cursor)).await {
                        Ok(Ok(more)) => batch.add(more),
                        Ok(Err(end)) => {
                            ended = Some(end);
                            break;
                        }
                        Err(_quiet) => break,
                    }
                }
            }
            self.apply(batch, &endpoint);
            if let Some(end) = ended {
                return end;
            }
        }
    }

    /// Changes the state in its place: no copy, unless a receiver still holds the old one.
    fn apply(&self, batch: Batch, endpoint: &Arc<str>) {
        self.tx.send_if_modified(|followed| {
            followed.contact = Contact::good(Arc::clone(endpoint));
            if batch.is_empty() {
                return false;
            }
            if !batch.changes.is_empty() {
                Arc::make_mut(&mut followed.snapshot).apply(batch.revision, batch.changes);
            }
            if let Some(config) = batch.config {
                followed.config = config;
            }
            true
        });
    }

    fn in_contact(&self, endpoint: &Arc<str>) {
        self.tx.send_if_modified(|followed| {
            let changed = followed.contact.last_error.is_some()
                || followed.contact.endpoint.as_ref() != Some(endpoint);
            followed.contact = Contact::good(Arc::clone(endpoint));
            changed
        });
    }

    /// Says so, once for a loss however often it is tried again, and waits.
    async fn lost(&mut self, error: Error) {
        self.tx.send_if_modified(|followed| {
            let news = followed.contact.last_error.is_none();
            followed.contact.endpoint = None;
            followed.contact.last_error = Some(error);
            news
        });
        self.wait().await;
    }

    /// A little, and longer each time until a stream brings something.
    async fn wait(&mut self) {
        let millis = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX);
        let pause = rand::rng().random_range(millis / 2..=millis);
        sleep(Duration::from_millis(pause)).await;
        self.pause = (self.pause * 2).min(BACKOFF_MAX);
    }
}

impl Contact {
    fn good(endpoint: Arc<str>) -> Self {
        Self {
            last_ok: Some(std::time::Instant::now()),
            endpoint: Some(endpoint),
            last_error: None,
        }
    }
}
