//! `etcdserverpb.Watch`: several watchers on a stream, one task a stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use etcd_client::proto::{PbWatchRequest, PbWatchRequestUnion, PbWatchResponse, PbWatchService};
use futures_util::{Stream, stream};
use prost::Message;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::answer::{event, stopped};
use super::{MAX_MESSAGE, Shared};
use crate::embedded::core::{News, Span, WatchRequest};

/// Answers that wait for the client. What more there is waits in history.
const WAITING: usize = 4;
/// The ID of an answer that is for no watcher: a requested progress notification.
const NOBODY: i64 = -1;

type Answers = mpsc::Sender<Result<PbWatchResponse, Status>>;

/// The service; its streams outlive a call, so they share what it holds.
pub(super) struct WatchService(pub(super) Arc<Shared>);

#[async_trait]
impl PbWatchService for WatchService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<PbWatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<PbWatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (answers, waiting) = mpsc::channel(WAITING);
        let desk = Desk {
            shared: self.0.clone(),
            answers,
            watchers: BTreeMap::new(),
            next_id: 0,
        };
        tokio::spawn(desk.run(request.into_inner()));
        let answers = stream::unfold(waiting, |mut waiting| async {
            Some((waiting.recv().await?, waiting))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// What a stream knows of one of its watchers.
struct Entry {
    watcher: u64,
    fragment: bool,
    progress: bool,
    /// It got something since the last progress notification.
    heard: bool,
}

/// One stream.
struct Desk {
    shared: Arc<Shared>,
    answers: Answers,
    watchers: BTreeMap<i64, Entry>,
    next_id: i64,
}

/// The client is gone.
struct Gone;

impl Desk {
    async fn run(mut self, mut requests: Streaming<PbWatchRequest>) {
        let mut revision = self.shared.revision.subscribe();
        let mut progress = tokio::time::interval(self.shared.options.progress);
        progress.reset();
        let end = self.shared.end.clone();
        let answers = self.answers.clone();
        let mut open = true;
        loop {
            // The client's turn ends this task wherever it waits.
            let turn = async {
                tokio::select! {
                    request = requests.message(), if open => match request {
                        Ok(Some(request)) => self.serve(request).await,
                        // The client has nothing more to ask, but still listens.
                        Ok(None) => { open = false; Ok(()) }
                        Err(_) => Err(Gone),
                    },
                    Ok(()) = revision.changed() => {
                        revision.mark_unchanged();
                        self.deliver().await
                    }
                    _ = progress.tick() => self.tell_progress().await,
                }
            };
            let done = tokio::select! {
                done = turn => done,
                () = answers.closed() => Err(Gone),
                () = end.cancelled() => {
                    // Whether anybody still listens does not matter.
                    answers.send(Err(stopped())).await.ok();
                    Err(Gone)
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn serve(&mut self, request: PbWatchRequest) -> Result<(), Gone> {
        match request.request_union {
            Some(PbWatchRequestUnion::CreateRequest(create)) => {
                let request = WatchRequest {
                    // An empty key is the first of all.
                    span: Span::new(
                        if create.key.is_empty() {
                            vec![0]
                        } else {
                            create.key
                        },
                        create.range_end,
                    ),
                    start_revision: create.start_revision,
                    prev_kv: create.prev_kv,
                    no_put: create.filters.contains(&0),
                    no_delete: create.filters.contains(&1),
                };
                let entry = |watcher| Entry {
                    watcher,
                    fragment: create.fragment,
                    progress: create.progress_notify,
                    heard: true,
                };
                let created = self.create(create.watch_id, request, entry);
                self.send(created).await?;
            }
            Some(PbWatchRequestUnion::CancelRequest(cancel)) => {
                if let Some(entry) = self.watchers.remove(&cancel.watch_id) {
                    self.shared.lock().unwatch(entry.watcher);
                    let mut answer = self.answer(cancel.watch_id, self.shared.lock().revision());
                    answer.canceled = true;
                    self.send(answer).await?;
                }
                return Ok(());
            }
            Some(PbWatchRequestUnion::ProgressRequest(_)) => {
                // What it tells is true only after everything before was sent.
                let revision = self.deliver_until().await?;
                let answer = self.answer(NOBODY, revision);
                return self.send(answer).await;
            }
            None => return Ok(()),
        }
        self.deliver().await
    }

    fn create(
        &mut self,
        asked: i64,
        request: WatchRequest,
        entry: impl FnOnce(u64) -> Entry,
    ) -> PbWatchResponse {
        let mut store = self.shared.lock();
        let mut answer = self.answer(NOBODY, store.revision());
        answer.created = true;
        let watcher =
            if asked != 0 && self.watchers.contains_key(&asked) && !request.span.is_empty() {
                Err("mvcc: duplicate watch ID provided on the WatchStream".to_owned())
            } else {
                store.watch(request).map_err(|refusal| refusal.to_string())
            };
        drop(store);
        let watcher = match watcher {
            Ok(watcher) => watcher,
            Err(reason) => {
                answer.canceled = true;
                answer.cancel_reason = reason;
                return answer;
            }
        };
        let id = if asked == 0 { self.free_id() } else { asked };
        self.watchers.insert(id, entry(watcher));
        answer.watch_id = id;
        answer
    }

    fn free_id(&mut self) -> i64 {
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// Sends all there is.
    async fn deliver(&mut self) -> Result<(), Gone> {
        self.deliver_until().await.map(|_| ())
    }

    /// Sends all there is, a batch of each watcher in turn; tells up to which revision.
    async fn deliver_until(&mut self) -> Result<i64, Gone> {
        loop {
            let mut busy = false;
            let mut reached = self.shared.lock().revision();
            let ids: Vec<i64> = self.watchers.keys().copied().collect();
            for id in ids {
                let Some(entry) = self.watchers.get_mut(&id) else {
                    continue;
                };
                let news = self.shared.lock().news(entry.watcher);
                match news {
                    News::Nothing(revision) => reached = reached.min(revision),
                    News::Changes(changes, revision) => {
                        busy = true;
                        entry.heard = true;
                        let fragment = entry.fragment;
                        let mut answer = self.answer(id, revision);
                        answer.events = changes.iter().map(event).collect();
                        self.send_events(answer, fragment).await?;
                    }
                    News::Compacted(revision) => {
                        self.watchers.remove(&id);
                        let mut answer = self.answer(id, 0);
                        answer.canceled = true;
                        answer.compact_revision = revision;
                        self.send(answer).await?;
                    }
                }
            }
            if !busy {
                return Ok(reached);
            }
        }
    }

    async fn tell_progress(&mut self) -> Result<(), Gone> {
        let revision = self.deliver_until().await?;
        let mut silent = Vec::new();
        for (id, entry) in &mut self.watchers {
            if entry.progress && !entry.heard {
                silent.push(*id);
            }
            entry.heard = false;
        }
        for id in silent {
            let answer = self.answer(id, revision);
            self.send(answer).await?;
        }
        Ok(())
    }

    fn answer(&self, id: i64, revision: i64) -> PbWatchResponse {
        PbWatchResponse {
            header: Some(self.shared.header(revision)),
            watch_id: id,
            ..PbWatchResponse::default()
        }
    }

    /// Sends events, in parts if asked for and there are many.
    async fn send_events(&self, mut answer: PbWatchResponse, fragment: bool) -> Result<(), Gone> {
        if !fragment || answer.encoded_len() < MAX_MESSAGE {
            return self.send(answer).await;
        }
        let mut rest = std::mem::take(&mut answer.events).into_iter().peekable();
        while rest.peek().is_some() {
            let mut part = answer.clone();
            let mut size = part.encoded_len();
            while let Some(event) = rest.peek() {
                size += event.encoded_len() + 8;
                if !part.events.is_empty() && size >= MAX_MESSAGE {
                    break;
                }
                part.events.extend(rest.next());
            }
            part.fragment = rest.peek().is_some();
            self.send(part).await?;
        }
        Ok(())
    }

    async fn send(&self, answer: PbWatchResponse) -> Result<(), Gone> {
        self.answers.send(Ok(answer)).await.map_err(|_| Gone)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let mut store = self.shared.lock();
        for entry in self.watchers.values() {
            store.unwatch(entry.watcher);
        }
    }
}
