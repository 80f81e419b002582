//! The answering side: the questions to one node as they come and go, and the answers to them.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use etcd_client::{Compare, CompareOp, KeyValue, PutOptions, TxnOp};

use super::ask::id_of;
use super::tail::{News, Tail};
use super::{MeetError, ReadError, answers, questions, read, write};
use crate::diagnose::request::{Answer, Request};
use crate::registry::error::{Error, Operation};
use crate::registry::store::Registry;

/// A question as it stands in etcd.
#[derive(Debug, Clone)]
pub struct Question {
    /// The diagnosis.
    pub id: String,
    /// Its key, which guards the answer.
    key: String,
    /// etcd lease of the asking side.
    lease: i64,
    /// Revision of this step.
    revision: i64,
    /// What is asked, untrusted; or why it cannot be read.
    pub request: Result<Request, ReadError>,
}

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// A question, or the next step of one.
    Question(Box<Question>),
    /// The asking side of this diagnosis is done or dead.
    Over(String),
}

/// Hears the questions to one node.
pub struct Listener {
    registry: Registry,
    node: Ipv4Addr,
    folder: String,
    tail: Tail,
    /// The diagnoses that have a question here, with the revision heard last.
    open: BTreeMap<String, i64>,
    queue: VecDeque<Heard>,
}

impl Listener {
    /// For the node with this public IP. Opens nothing yet.
    pub fn new(registry: &Registry, node: Ipv4Addr) -> Self {
        let folder = questions(&registry.inner.keys.diagnose, node);
        Self {
            registry: registry.clone(),
            node,
            tail: Tail::new(registry.clone(), folder.clone()),
            folder,
            open: BTreeMap::new(),
            queue: VecDeque::new(),
        }
    }

    /// The next question or end. Cancel-safe.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve; the next call tries anew.
    pub async fn next(&mut self) -> Result<Heard, Error> {
        loop {
            if let Some(heard) = self.queue.pop_front() {
                return Ok(heard);
            }
            match self.tail.next().await? {
                News::Put(kv) => self.put(&kv),
                News::Gone(key) => self.gone(&key),
                News::All(kvs) => {
                    let left: Vec<_> = kvs.iter().map(|kv| id_of(&self.folder, kv.key())).collect();
                    let gone = self
                        .open
                        .keys()
                        .filter(|id| !left.contains(&Some((*id).clone())));
                    for id in gone.cloned().collect::<Vec<_>>() {
                        self.over(id);
                    }
                    kvs.iter().for_each(|kv| self.put(kv));
                }
            }
        }
    }

    fn put(&mut self, kv: &KeyValue) {
        // Without a lease nobody would ever take it away again: not written by a flannelctl.
        let Some(id) = id_of(&self.folder, kv.key()).filter(|_| kv.lease() != 0) else {
            return;
        };
        let revision = kv.mod_revision();
        if self.open.insert(id.clone(), revision) == Some(revision) {
            return;
        }
        self.queue.push_back(Heard::Question(Box::new(Question {
            key: format!("{}{id}", self.folder),
            lease: kv.lease(),
            revision,
            request: read(kv.value()),
            id,
        })));
    }

    fn gone(&mut self, key: &[u8]) {
        if let Some(id) = id_of(&self.folder, key) {
            self.over(id);
        }
    }

    fn over(&mut self, id: String) {
        if self.open.remove(&id).is_some() {
            self.queue.push_back(Heard::Over(id));
        }
    }

    /// Answers a question, if it still stands as it was heard. The answer goes with the asking side's lease.
    ///
    /// # Errors
    /// [`MeetError`]: withdrawn, too long, or etcd does not serve.
    pub async fn answer(&self, question: &Question, answer: &Answer) -> Result<(), MeetError> {
        let folder = answers(&self.registry.inner.keys.diagnose, &question.id);
        let key = format!("{folder}{}", self.node);
        let text = write(&key, answer)?;
        let guard =
            Compare::mod_revision(question.key.as_str(), CompareOp::Equal, question.revision);
        let options = PutOptions::new().with_lease(question.lease);
        let put = TxnOp::put(key.as_str(), text, Some(options));
        match self
            .registry
            .transact(Operation::Write, &key, vec![guard], put)
            .await
        {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(MeetError::Withdrawn { key }),
            // The lease went between the question and its answer.
            Err(Error::Refused { answer, .. }) if answer.code == tonic::Code::NotFound => {
                Err(MeetError::Withdrawn { key })
            }
            Err(error) => Err(error.into()),
        }
    }
}
