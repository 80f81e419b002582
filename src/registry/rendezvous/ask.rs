//! The asking side of a diagnosis: one etcd lease, a question to each node, the answers as they come.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use etcd_client::PutOptions;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::tail::{News, Tail};
use super::{LEASE_SECONDS, MeetError, ReadError, answers, is_id, questions, read, write};
use crate::diagnose::request::{Answer, Request};
use crate::registry::error::{Error, Operation};
use crate::registry::lifetime::KeepAlive;
use crate::registry::store::Registry;

/// The etcd lease is refreshed this often.
const REFRESH: Duration = Duration::from_secs(15);
/// Pause before a broken watch is opened anew.
const PAUSE: Duration = Duration::from_millis(200);

/// What a node answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// etcd's revision of the answer.
    revision: i64,
    /// It, or why it is not used.
    pub answer: Result<Answer, ReadError>,
}

type Answers = BTreeMap<Ipv4Addr, Answered>;

/// A diagnosis with other nodes. Dropped without [`Meeting::close`] it ends by itself after [`LEASE_SECONDS`].
pub struct Meeting {
    registry: Registry,
    id: String,
    lease: i64,
    answers: watch::Receiver<Answers>,
    tasks: [JoinHandle<()>; 2],
}

impl Meeting {
    /// Grants the etcd lease and begins to watch for answers.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve.
    pub async fn open(registry: &Registry) -> Result<Self, Error> {
        let granted = registry.grant(LEASE_SECONDS).await?;
        let id = format!("{:016x}", granted.id);
        let (tx, rx) = watch::channel(Answers::new());
        let folder = answers(&registry.inner.keys.diagnose, &id);
        let tail = Tail::new(registry.clone(), folder.clone());
        Ok(Self {
            registry: registry.clone(),
            id,
            lease: granted.id,
            answers: rx,
            tasks: [
                tokio::spawn(listen(tail, folder, tx)),
                tokio::spawn(refresh(registry.clone(), granted.id)),
            ],
        })
    }

    /// Its name in the keys.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Asks a node; a question before it is replaced. Returns what [`Meeting::answer`] takes.
    ///
    /// # Errors
    /// [`MeetError`]: etcd does not serve, or the question is too long.
    pub async fn ask(&self, node: Ipv4Addr, request: &Request) -> Result<i64, MeetError> {
        let folder = questions(&self.registry.inner.keys.diagnose, node);
        let key = format!("{folder}{}", self.id);
        let text = write(&key, request)?;
        let options = PutOptions::new().with_lease(self.lease);
        let pool = &self.registry.inner.pool;
        let call = pool.call(Operation::Write, &key, |client| {
            let mut kv = client.kv_client();
            let (key, text, options) = (key.as_str(), text.as_str(), options.clone());
            async move { kv.put(key, text, Some(options)).await }
        });
        let (_, response) = call.await?;
        Ok(response.header().map_or(0, |header| header.revision()))
    }

    /// The node has heard the question that was written at `asked`, before `deadline`.
    pub async fn heard(&self, node: Ipv4Addr, asked: i64, deadline: Instant) -> bool {
        let mut answers = self.answers.clone();
        let fits = |answers: &Answers| answers.get(&node).is_some_and(|a| a.revision > asked);
        let wait = tokio::time::timeout_at(deadline, answers.wait_for(fits));
        matches!(wait.await, Ok(Ok(_)))
    }

    /// The node's answer to the question that was written at `asked`; `None` where none comes until `deadline`.
    /// That it has heard is no answer.
    pub async fn answer(
        &self,
        node: Ipv4Addr,
        asked: i64,
        deadline: Instant,
    ) -> Option<Result<Answer, ReadError>> {
        let mut answers = self.answers.clone();
        let answers_it =
            |a: &Answered| a.revision > asked && !matches!(a.answer, Ok(Answer::Heard));
        let fits = |answers: &Answers| answers.get(&node).is_some_and(answers_it);
        let wait = answers.wait_for(fits);
        let known = tokio::time::timeout_at(deadline, wait).await.ok()?.ok()?;
        known.get(&node).map(|answered| answered.answer.clone())
    }

    /// Ends it: all its keys vanish at once, and the nodes remove what they made for it.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve; then it ends by itself after [`LEASE_SECONDS`].
    pub async fn close(self) -> Result<(), Error> {
        self.registry.revoke(self.lease).await
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Hands on every answer below the folder.
async fn listen(mut tail: Tail, folder: String, tx: watch::Sender<Answers>) {
    loop {
        let kvs = match tail.next().await {
            Ok(News::All(kvs)) => kvs,
            Ok(News::Put(kv)) => vec![kv],
            Ok(News::Gone(_)) => continue,
            Err(error) => {
                tracing::debug!("waiting for answers: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        for kv in kvs {
            let name = kv.key().strip_prefix(folder.as_bytes());
            let name = name.and_then(|name| std::str::from_utf8(name).ok());
            let Some(node) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            let answered = Answered {
                revision: kv.mod_revision(),
                answer: read(kv.value()),
            };
            tx.send_modify(|answers| {
                answers.insert(node, answered);
            });
        }
    }
}

async fn refresh(registry: Registry, lease: i64) {
    loop {
        tokio::time::sleep(REFRESH).await;
        match registry.keep_alive(lease).await {
            Ok(KeepAlive::Alive { .. }) => {}
            Ok(KeepAlive::Gone) => return,
            Err(error) => tracing::debug!("the diagnosis's etcd lease is not refreshed: {error}"),
        }
    }
}

/// The id in a question's key.
pub(super) fn id_of(folder: &str, key: &[u8]) -> Option<String> {
    let name = key.strip_prefix(folder.as_bytes())?;
    let name = std::str::from_utf8(name).ok()?;
    is_id(name).then(|| name.to_owned())
}
