//! The way to etcd over several endpoints: one lazy client each, asked in turn.
//!
//! tonic's own balancing does not fail over (it keeps picking dead endpoints), so this does: the last
//! endpoint that served is asked first; when it fails another is asked at once, when it is silent
//! another is asked *as well* after a short while, and the first answer counts. An operation may
//! therefore reach etcd twice: every write of ours is guarded or idempotent.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, TlsOptions};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::error::{Answer, Cause, EndpointFailure, Error, Operation, Verdict, judge};
use super::options::{Address, Checked, Secret};

/// A listening peer answers a connection at once; only a name server may take longer.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// HTTP/2 pings notice a dead peer after at most the sum. etcd drops those who ping below 5 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// After this silence another endpoint is asked as well.
const STAGGER: Duration = Duration::from_secs(1);
/// After this silence the same endpoint is asked again: a member forgets what it had sent to a leader
/// that died, and says so only after 7 s.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// So many failed connections in a row to every endpoint end an operation before its time.
const REFUSALS: u32 = 3;

/// All endpoints.
pub(super) struct Pool {
    members: Vec<Member>,
    preferred: AtomicUsize,
    tls: TlsOptions,
    user: Option<(String, Secret)>,
    /// Time for one operation.
    budget: Duration,
}

struct Member {
    address: Address,
    client: Mutex<Option<Client>>,
}

/// What one operation knows of one endpoint.
struct Standing {
    /// Attempts on their way.
    running: u32,
    /// Not before.
    next: Instant,
    /// Among those of the same time, the lowest goes first.
    rank: u32,
    /// Failed connections in a row.
    refusals: u32,
    tries: u32,
    started: Option<Instant>,
    failure: Option<Answer>,
}

/// Where an operation is in its time.
struct Attempts {
    standings: Vec<Standing>,
    last_start: Option<Instant>,
    stagger: Duration,
}

impl Pool {
    pub(super) fn new(checked: &Checked) -> Self {
        let members: Vec<Member> = checked
            .addresses
            .iter()
            .map(|address| Member {
                address: address.clone(),
                client: Mutex::new(None),
            })
            .collect();
        Self {
            // Agents spread over the members instead of all hanging on the first one.
            preferred: AtomicUsize::new(rand::rng().random_range(0..members.len().max(1))),
            members,
            tls: checked.tls.clone(),
            user: checked.user.clone(),
            budget: checked.timeout,
        }
    }

    /// URL of an endpoint, for messages.
    pub(super) fn url(&self, index: usize) -> &str {
        self.members
            .get(index)
            .map_or("", |member| member.address.url.as_str())
    }

    /// URLs of all endpoints.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        self.members
            .iter()
            .map(|member| member.address.url.as_str())
    }

    /// Lets the next operation begin elsewhere: a stream from `index` broke.
    pub(super) fn avoid(&self, index: usize) {
        let next = (index + 1) % self.members.len().max(1);
        // Unless another operation has moved on already.
        let _moved =
            self.preferred
                .compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Runs `attempt` until an endpoint serves it or the time is up. Returns the endpoint's index
    /// with the result.
    pub(super) async fn call<T, F, Fut>(
        &self,
        operation: Operation,
        key: &str,
        attempt: F,
    ) -> Result<(usize, T), Error>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let begin = Instant::now();
        let deadline = begin + self.budget;
        let mut attempts = Attempts::new(
            self.members.len(),
            self.preferred.load(Ordering::Relaxed),
            begin,
            self.budget,
        );
        let mut running = FuturesUnordered::new();
        loop {
            if attempts.hopeless() {
                return Err(self.unreachable(operation, key, &attempts));
            }
            let next = attempts.next();
            let wake = next.map_or(deadline, |(_, at)| at.min(deadline));
            tokio::select! {
                biased;
                Some((index, result)) = running.next(), if !running.is_empty() => {
                    let error = match result {
                        Ok(value) => {
                            self.preferred.store(index, Ordering::Relaxed);
                            return Ok((index, value));
                        }
                        Err(error) => error,
                    };
                    let (verdict, answer) = judge(&error);
                    if let Some(error) = self.last_word(index, operation, key, verdict, &answer) {
                        return Err(error);
                    }
                    attempts.failed(index, verdict, answer);
                }
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if now >= deadline {
                        return Err(self.unreachable(operation, key, &attempts));
                    }
                    if let Some((index, _)) = next {
                        attempts.started(index, now);
                        let attempt = &attempt;
                        running.push(async move { (index, self.ask(index, attempt).await) });
                    }
                }
            }
        }
    }

    /// One attempt at one endpoint, repeated once with fresh credentials where that may help.
    async fn ask<T, F, Fut>(&self, index: usize, attempt: &F) -> Result<T, etcd_client::Error>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let first = attempt(self.client(index).await?).await;
        match first {
            Err(error) if self.user.is_some() && judge(&error).0 == Verdict::Reauthenticate => {
                self.forget(index).await;
                attempt(self.client(index).await?).await
            }
            other => other,
        }
    }

    /// The endpoint's client; connects (lazily, but for the user's token) when there is none yet.
    async fn client(&self, index: usize) -> Result<Client, etcd_client::Error> {
        let Some(member) = self.members.get(index) else {
            return Err(etcd_client::Error::EndpointsNotManaged);
        };
        let mut slot = member.client.lock().await;
        if let Some(client) = slot.as_ref() {
            return Ok(client.clone());
        }
        let options = self.options(&member.address);
        let url = [member.address.url.as_str()];
        let client = match &self.user {
            None => Client::connect(url, Some(options)).await?,
            Some((name, password)) => {
                let with_user = options.clone().with_user(name, password.reveal());
                match Client::connect(url, Some(with_user)).await {
                    // As etcdctl: a user is no obstacle where etcd asks for none.
                    Err(error) if authentication_is_off(&error) => {
                        Client::connect(url, Some(options)).await?
                    }
                    other => other?,
                }
            }
        };
        *slot = Some(client.clone());
        Ok(client)
    }

    /// The next operation at each endpoint makes a connection of its own.
    pub(super) async fn forget_all(&self) {
        for index in 0..self.members.len() {
            self.forget(index).await;
        }
    }

    async fn forget(&self, index: usize) {
        if let Some(member) = self.members.get(index) {
            *member.client.lock().await = None;
        }
    }

    fn options(&self, address: &Address) -> ConnectOptions {
        let options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(PING_INTERVAL, PING_TIMEOUT)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if address.tls {
            options.with_tls(self.tls.clone())
        } else {
            options
        }
    }

    /// The error, if no other endpoint could answer better.
    fn last_word(
        &self,
        index: usize,
        operation: Operation,
        key: &str,
        verdict: Verdict,
        answer: &Answer,
    ) -> Option<Error> {
        let key = super::text::plain(key);
        let endpoint = self.url(index).to_owned();
        let answer = answer.clone();
        match verdict {
            Verdict::Rotate { .. } => None,
            Verdict::Reauthenticate | Verdict::Denied => Some(Error::Denied {
                operation,
                key,
                endpoint,
                answer,
            }),
            Verdict::Compacted => Some(Error::Compacted {
                operation,
                key,
                endpoint,
                answer,
            }),
            Verdict::Final => Some(Error::Refused {
                operation,
                key,
                endpoint,
                answer,
            }),
        }
    }

    fn unreachable(&self, operation: Operation, key: &str, attempts: &Attempts) -> Error {
        let now = Instant::now();
        let failures = self
            .urls()
            .zip(&attempts.standings)
            .map(|(url, standing)| EndpointFailure {
                endpoint: url.to_owned(),
                cause: match (&standing.failure, standing.started) {
                    (Some(answer), _) => Cause::Failed(answer.clone()),
                    (None, Some(started)) => Cause::Silence(now - started),
                    (None, None) => Cause::NotAsked,
                },
            })
            .collect();
        Error::Unreachable {
            operation,
            key: super::text::plain(key),
            failures,
        }
    }
}

impl Attempts {
    fn new(count: usize, preferred: usize, begin: Instant, budget: Duration) -> Self {
        let mut rng = rand::rng();
        let standings = (0..count)
            .map(|index| Standing {
                running: 0,
                next: begin,
                rank: if index == preferred {
                    0
                } else {
                    rng.random_range(1..u32::MAX)
                },
                refusals: 0,
                tries: 0,
                started: None,
                failure: None,
            })
            .collect();
        let share = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Self {
            standings,
            last_start: None,
            stagger: STAGGER.min(budget / share),
        }
    }

    /// Which endpoint to ask next, and when.
    fn next(&self) -> Option<(usize, Instant)> {
        let each = self.standings.iter().enumerate();
        let (index, standing) = each.min_by_key(|(_, standing)| (standing.next, standing.rank))?;
        let turn = self.last_start.map(|start| start + self.stagger);
        Some((
            index,
            turn.map_or(standing.next, |turn| turn.max(standing.next)),
        ))
    }

    fn started(&mut self, index: usize, now: Instant) {
        self.last_start = Some(now);
        if let Some(standing) = self.standings.get_mut(index) {
            standing.running += 1;
            standing.next = now + ASK_AGAIN;
            standing.tries += 1;
            standing.started.get_or_insert(now);
        }
    }

    fn failed(&mut self, index: usize, verdict: Verdict, answer: Answer) {
        // The next one need not wait for a silence.
        self.last_start = None;
        if let Some(standing) = self.standings.get_mut(index) {
            standing.running = standing.running.saturating_sub(1);
            standing.failure = Some(answer);
            standing.refusals = match verdict {
                Verdict::Rotate { answered: true } => 0,
                _ => standing.refusals + 1,
            };
            standing.next = Instant::now() + backoff(standing.tries);
        }
    }

    /// Every connection is refused: waiting on would only keep the caller waiting.
    fn hopeless(&self) -> bool {
        self.standings
            .iter()
            .all(|standing| standing.running == 0 && standing.refusals >= REFUSALS)
    }
}

/// Pause before try `tries` + 1: 50 ms, doubling to 800 ms, ± half.
fn backoff(tries: u32) -> Duration {
    let base = 50_u64 << tries.saturating_sub(1).min(4);
    Duration::from_millis(rand::rng().random_range(base / 2..=base * 3 / 2))
}

fn authentication_is_off(error: &etcd_client::Error) -> bool {
    matches!(error, etcd_client::Error::GRpcStatus(status)
        if status.message().contains("authentication is not enabled"))
}
