//! Helps other nodes' `diagnose`: hears their requests in etcd, and watches, sends and tells for them. One
//! diagnosis at a time. What was made for it goes when it is done, when the asking side withdraws or dies, and
//! after a minute without a further step.

pub mod check;
pub mod fit;
pub mod hands;

use std::collections::BTreeSet;
use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::check::Known;
use self::hands::{Hands, Site, Wish, on_thread};
use crate::diagnose::request::{Answer, Request};
use crate::kernel::echo;
use crate::registry::rendezvous::{Heard, Listener, MeetError, Question};
use crate::registry::{Followed, Registry};
use crate::subnet::Record;

/// A diagnosis without a further step is over after this time.
const IDLE: Duration = Duration::from_secs(60);
/// Pause before etcd is asked again, and its longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long to wait for echo replies.
pub const PATIENCE: Duration = Duration::from_millis(3100);

/// What a step ends with.
struct Done {
    hands: Option<Hands>,
    answer: Answer,
}

type Job = JoinHandle<Option<Done>>;

/// The diagnosis that this node takes part in.
struct Current {
    question: Question,
    /// `None` while a step uses them.
    hands: Option<Hands>,
    job: Option<Job>,
    /// Came while a step was at work.
    next: Option<Question>,
    until: Instant,
}

/// Answers requests to this node until `cancel`.
pub async fn respond(
    registry: Registry,
    site: Site,
    enabled: bool,
    followed: watch::Receiver<Followed>,
    cancel: CancellationToken,
) {
    let listener = Listener::new(&registry, site.node);
    let responder = Responder {
        listener,
        site,
        enabled,
        followed,
        current: None,
        pause: PAUSE,
        rest: Instant::now(),
    };
    // The inner loop has no end of its own.
    let _cancelled = cancel.run_until_cancelled(responder.run()).await;
}

struct Responder {
    listener: Listener,
    site: Site,
    enabled: bool,
    followed: watch::Receiver<Followed>,
    current: Option<Current>,
    pause: Duration,
    /// etcd is not asked before.
    rest: Instant,
}

impl Responder {
    async fn run(mut self) {
        loop {
            let until = self.current.as_ref().map(|current| current.until);
            let job = self.current.as_mut().and_then(|c| c.job.as_mut());
            let rest = self.rest;
            let hear = async {
                sleep_until(rest).await;
                self.listener.next().await
            };
            tokio::select! {
                heard = hear => match heard {
                    Ok(Heard::Question(question)) => self.question(*question).await,
                    Ok(Heard::Over(id)) => self.over(&id),
                    Err(error) => {
                        tracing::debug!("requests for diagnoses cannot be heard: {error}");
                        self.rest = Instant::now() + self.pause;
                        self.pause = (self.pause * 2).min(PAUSE_MAX);
                    }
                },
                done = finished(job) => self.done(done).await,
                () = at(until) => {
                    tracing::info!("a diagnosis had no further step; removed what was made for it");
                    self.leave();
                }
            }
        }
    }

    async fn question(&mut self, question: Question) {
        self.pause = PAUSE;
        if let Err(reason) = self.check(&question) {
            return self.answer(&question, &Answer::Refused { reason }).await;
        }
        if matches!(question.request, Ok(Request::Arm { .. })) {
            self.answer(&question, &Answer::Heard).await;
        }
        match &mut self.current {
            Some(current) if current.job.is_some() => current.next = Some(question),
            _ => self.begin(question),
        }
    }

    fn check(&self, question: &Question) -> Result<(), String> {
        if !self.enabled {
            return Err("the agent runs with --diagnose=off".into());
        }
        let request = question.request.as_ref().map_err(ToString::to_string)?;
        if self
            .current
            .as_ref()
            .is_some_and(|c| c.question.id != question.id)
        {
            return Err("the node is busy with another diagnosis; try again in a moment".into());
        }
        if self.current.is_none() && !matches!(request, Request::Arm { .. }) {
            return Err("the node does not take part in this diagnosis".into());
        }
        check::check(request, &self.known()).map_err(|refusal| refusal.to_string())
    }

    fn known(&self) -> Known {
        let snapshot = &self.followed.borrow().snapshot;
        let nodes: BTreeSet<Ipv4Addr> = snapshot
            .records
            .values()
            .filter_map(|record| match record {
                Record::Lease(lease) => Some(lease.attrs.public_ip),
                Record::Unreadable(_) => None,
            })
            .collect();
        Known {
            network: self.site.network.network,
            node: self.site.node,
            nodes,
        }
    }

    /// Starts a step. Its question is checked.
    fn begin(&mut self, question: Question) {
        let Ok(request) = question.request.clone() else {
            return;
        };
        tracing::debug!(id = question.id, "a step of a diagnosis begins");
        let before = self.current.take();
        let mut hands = before.and_then(|current| current.hands);
        let job: Job = match request {
            Request::Arm {
                asked_by,
                endpoint,
                paths,
                packets,
            } => {
                tracing::info!("taking part in a diagnosis of {asked_by}");
                let site = self.site.clone();
                drop(hands.take());
                tokio::spawn(on_thread(move || {
                    let wish = if endpoint { Wish::Any } else { Wish::Nothing };
                    let mut hands = Hands::prepare(site.clone(), wish, true);
                    let nodes = paths.iter().flat_map(|p| [p.source_node, p.target_node]);
                    let peers: BTreeSet<_> = nodes.filter(|ip| *ip != site.node).collect();
                    hands.arm(peers.into_iter().collect(), paths, packets);
                    let inner = hands.inner();
                    Done {
                        hands: Some(hands),
                        answer: Answer::Armed {
                            target: inner.map(|(address, _)| address),
                            container: inner.is_some_and(|(_, container)| container),
                        },
                    }
                }))
            }
            Request::Send { paths, watching } => {
                let sending = hands.as_ref().map(|hands| hands.sending(PATIENCE));
                let mut sending = sending.unwrap_or_default();
                sending.watching = watching.into_iter().collect();
                tokio::spawn(on_thread(move || Done {
                    hands: None,
                    answer: Answer::Sent {
                        results: echo::send(&paths, &sending),
                    },
                }))
            }
            Request::Collect => {
                let taken = hands.take();
                tokio::spawn(on_thread(move || Done {
                    hands: None,
                    answer: match taken {
                        Some(hands) => fit::fit(hands.collect()),
                        None => Answer::Refused {
                            reason: "nothing was watched".into(),
                        },
                    },
                }))
            }
        };
        self.current = Some(Current {
            question,
            hands,
            job: Some(job),
            next: None,
            until: Instant::now() + IDLE,
        });
    }

    /// A step is done: tells its result, and begins the next one.
    async fn done(&mut self, done: Option<Done>) {
        let Some(mut current) = self.current.take() else {
            return;
        };
        let done = done.unwrap_or_else(|| Done {
            hands: None,
            answer: Answer::Refused {
                reason: "a step failed on the node".into(),
            },
        });
        tracing::debug!(id = current.question.id, "a step of a diagnosis is done");
        current.job = None;
        current.hands = done.hands.or(current.hands);
        let last = matches!(done.answer, Answer::Evidence { .. });
        self.answer(&current.question, &done.answer).await;
        let next = current.next.take();
        if !last || next.is_some() {
            self.current = Some(current);
        }
        if let Some(next) = next {
            self.begin(next);
        }
    }

    fn over(&mut self, id: &str) {
        if self.current.as_ref().is_some_and(|c| c.question.id == id) {
            self.leave();
        }
    }

    /// Removes what was made. A step at work ends by itself, and what it made with it.
    fn leave(&mut self) {
        if let Some(hands) = self.current.take().and_then(|current| current.hands) {
            tokio::spawn(on_thread(move || drop(hands)));
        }
    }

    async fn answer(&self, question: &Question, answer: &Answer) {
        match self.listener.answer(question, answer).await {
            Ok(()) => {}
            Err(MeetError::Withdrawn { .. }) => {}
            Err(error) => tracing::debug!("a diagnosis was not answered: {error}"),
        }
    }
}

/// The end of the step at work; never without one.
async fn finished(job: Option<&mut Job>) -> Option<Done> {
    match job {
        Some(job) => job.await.ok().flatten(),
        None => pending().await,
    }
}

/// The deadline; never without one.
async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
