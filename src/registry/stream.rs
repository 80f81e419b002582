//! One watch stream: the records and the config on one connection, until it breaks, falls silent or
//! etcd no longer has the revision. Turns raw responses into changes; keeps the cursor.

use std::time::Duration;

use etcd_client::{Event, WatchOptions, WatchResponse, WatchStream};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Code;

use super::error::{Answer, Cause, EndpointFailure, Error, Operation, Verdict, judge};
use super::follow::{Batch, Cursor};
use super::store::{ConfigValue, MESSAGE_LIMIT, Registry};
use crate::subnet::table::Change;

/// The watches on the stream.
const SUBNETS: i64 = 1;
const CONFIG: i64 = 2;
/// etcd is asked for a sign of life so often.
const PROBE: Duration = Duration::from_secs(5);
/// And has this long to give it.
const SILENCE: Duration = Duration::from_secs(6);

/// Why a stream ended.
pub(super) enum End {
    /// The revision is gone, or it is another etcd: list anew.
    Relist,
    /// Go on from the cursor, elsewhere.
    Lost(Error),
}

pub(super) struct Stream<'a> {
    registry: &'a Registry,
    pub(super) endpoint: usize,
    inner: WatchStream,
    next_probe: Instant,
    /// When the unanswered probe was sent.
    waiting: Option<Instant>,
    /// etcd before 3.4 ignores probes: silence says nothing there (HTTP/2 pings still do).
    answers_probes: bool,
}

impl<'a> Stream<'a> {
    /// Opens both watches at the cursor, at an endpoint that has been seen to belong to the same
    /// etcd and to be as far as the cursor.
    pub(super) async fn open(registry: &'a Registry, cursor: &mut Cursor) -> Result<Self, End> {
        let keys = &registry.inner.keys;
        let subnets = WatchOptions::new()
            .with_range(keys.subnets_end())
            .with_start_revision(cursor.subnets)
            .with_watch_id(SUBNETS)
            .with_progress_notify();
        let config = WatchOptions::new()
            .with_start_revision(cursor.config)
            .with_watch_id(CONFIG)
            .with_progress_notify();
        let call = registry
            .inner
            .pool
            .call(Operation::Watch, &keys.subnets, |client| {
                let mut watch = client
                    .watch_client()
                    .max_decoding_message_size(MESSAGE_LIMIT);
                let (subnets, config) = (subnets.clone(), config.clone());
                async move {
                    let mut stream = watch.watch(keys.subnets.as_str(), Some(subnets)).await?;
                    stream.watch(keys.config.as_str(), Some(config)).await?;
                    // One at once, to learn whether this etcd answers them.
                    stream.request_progress().await?;
                    Ok(stream)
                }
            });
        let (endpoint, inner) = call.await.map_err(|error| match error {
            Error::Compacted { .. } => End::Relist,
            error => End::Lost(error),
        })?;

        // Only now: an etcd that was put in the place of ours while the watches were being opened takes
        // a revision that it does not have yet without a word. One that comes later breaks the stream.
        // Linearizable, so a member that merely lags cannot look like an older etcd.
        let (mark, _) = registry.config_and_mark().await.map_err(End::Lost)?;
        let seen = cursor.subnets.max(cursor.config) - 1;
        let known = cursor.mark;
        if mark.cluster != known.cluster || mark.term < known.term || mark.revision < seen {
            tracing::warn!(
                seen,
                found = mark.revision,
                "etcd is not the one of before (restored from a backup?): reading everything anew"
            );
            return Err(End::Relist);
        }
        cursor.mark = mark;
        Ok(Self {
            registry,
            endpoint,
            inner,
            next_probe: Instant::now() + PROBE,
            waiting: None,
            answers_probes: false,
        })
    }

    /// The next message's changes; empty for a mere sign of life. Cancel-safe.
    pub(super) async fn next(&mut self, cursor: &mut Cursor) -> Result<Batch, End> {
        loop {
            let wake = match self.waiting {
                Some(sent) => sent + SILENCE,
                None => self.next_probe,
            };
            tokio::select! {
                biased;
                message = self.inner.message() => {
                    self.waiting = None;
                    return match message {
                        Ok(Some(response)) => self.read(&response, cursor),
                        Ok(None) => Err(self.lost(Code::Unavailable, "the watch ended")),
                        Err(error) => Err(self.broken(&error)),
                    };
                }
                () = sleep_until(wake) => {
                    if let Some(sent) = self.waiting {
                        return Err(self.silent(sent.elapsed()));
                    }
                    self.probe().await?;
                }
            }
        }
    }

    async fn probe(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.next_probe = now + PROBE;
        // A stuck connection fills the queue of requests at last.
        match timeout(SILENCE, self.inner.request_progress()).await {
            Ok(Ok(())) => {
                self.waiting = self.answers_probes.then_some(now);
                Ok(())
            }
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(self.silent(SILENCE)),
        }
    }

    fn read(&mut self, response: &WatchResponse, cursor: &mut Cursor) -> Result<Batch, End> {
        if response.compact_revision() > 0 {
            return Err(End::Relist);
        }
        if response.canceled() {
            return Err(self.refused(response.cancel_reason()));
        }
        let mut batch = Batch::default();
        if response.events().is_empty() {
            let revision = response.header().map_or(0, |header| header.revision());
            match response.watch_id() {
                _ if response.created() => {}
                SUBNETS => cursor.subnets = cursor.subnets.max(revision + 1),
                CONFIG => cursor.config = cursor.config.max(revision + 1),
                // The answer to a probe. Its revision may be ahead of events that are still to
                // come (etcd before 3.4.25), so it moves no cursor.
                _ => self.answers_probes = true,
            }
            return Ok(batch);
        }
        for event in response.events() {
            self.take(event, cursor, &mut batch);
        }
        Ok(batch)
    }

    fn take(&self, event: &Event, cursor: &mut Cursor, batch: &mut Batch) {
        let Some(kv) = event.kv() else {
            return;
        };
        let keys = &self.registry.inner.keys;
        // Not `event_type()`, which panics at a type that it does not know. A key that was put has a
        // version.
        let deleted = kv.version() == 0;
        let revision = kv.mod_revision();
        // By the event's own revision: the header's may be ahead of events that are still to come.
        if kv.key() == keys.config.as_bytes() {
            cursor.config = cursor.config.max(revision + 1);
            batch.config = Some((!deleted).then(|| ConfigValue::of(kv, revision)));
        } else if keys.in_range(kv.key()) {
            cursor.subnets = cursor.subnets.max(revision + 1);
            batch.revision = batch.revision.max(revision);
            batch.changes.push(if deleted {
                Change::Deleted(keys.name(kv.key()))
            } else {
                Change::Put(keys.record(kv))
            });
        }
    }

    fn broken(&self, error: &etcd_client::Error) -> End {
        let (verdict, answer) = judge(error);
        // Also a message above the limit, which would come again and again.
        if verdict == Verdict::Compacted || answer.code == Code::OutOfRange {
            return End::Relist;
        }
        self.failed(Cause::Failed(answer))
    }

    fn silent(&self, after: Duration) -> End {
        self.failed(Cause::Silence(after))
    }

    fn lost(&self, code: Code, message: &str) -> End {
        self.failed(Cause::Failed(Answer {
            code,
            message: super::text::plain(message),
        }))
    }

    /// etcd ended the watch itself: no rights, no leader, …
    fn refused(&self, reason: &str) -> End {
        if reason.to_ascii_lowercase().contains("permission") {
            self.registry.inner.pool.avoid(self.endpoint);
            return End::Lost(Error::Denied {
                operation: Operation::Watch,
                key: self.registry.inner.keys.subnets.clone(),
                endpoint: self.registry.inner.pool.url(self.endpoint).to_owned(),
                answer: Answer {
                    code: Code::PermissionDenied,
                    message: super::text::plain(reason),
                },
            });
        }
        self.lost(Code::Unavailable, reason)
    }

    fn failed(&self, cause: Cause) -> End {
        let pool = &self.registry.inner.pool;
        pool.avoid(self.endpoint);
        End::Lost(Error::Unreachable {
            operation: Operation::Watch,
            key: self.registry.inner.keys.subnets.clone(),
            failures: vec![EndpointFailure {
                endpoint: pool.url(self.endpoint).to_owned(),
                cause,
            }],
        })
    }
}
