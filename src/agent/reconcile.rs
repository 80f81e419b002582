//! Holds the kernel to the newest goal: look, plan, compare, correct, until nothing differs. Woken by a
//! new goal, by the kernel's own notices and by a slow timer. It stops without touching anything: the
//! data path of vxlan and host-gw outlives the agent.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use super::reconcile_status::{ExternalSeen, Failure, ReconcileStatus};
use super::voice::Voice;
use crate::kernel;
use crate::kernel::apply::{Outcome, apply};
use crate::kernel::monitor::{Interest, Monitor};
use crate::kernel::netlink::Netlink;
use crate::kernel::observe::{self, observe};
use crate::plan::state::{Link, LinkKind};
use crate::plan::{self, Change, Goal, Observed};
use crate::subnet::Backend;
use crate::subnet::standing::HostNets;

/// How often the kernel is looked at without any notice.
const PERIOD: Duration = Duration::from_secs(10);
/// From a notice to the look, so that one look serves a burst of notices.
const SHORT_PAUSE: Duration = Duration::from_millis(30);
/// The same while somebody keeps undoing our work.
const LONG_PAUSE: Duration = Duration::from_secs(1);
/// So long without a repair, and the next one is as quick as the first.
const CALM: Duration = Duration::from_secs(3);
/// Looks in one round. Two are the rule (device, then what goes onto it), one more to see that all is
/// well.
const PASSES: usize = 6;
/// Stack of the thread in bytes.
const STACK: usize = 512 * 1024;

/// Owns the netlink sockets and what must outlast a round. Make it in the network namespace that it is
/// to look after.
#[derive(Debug)]
pub struct Reconciler {
    netlink: Netlink,
    monitor: Monitor,
    /// The MAC last held, for a goal that names none: a lost device comes back with it.
    mac: Option<[u8; 6]>,
    status: ReconcileStatus,
    voice: Voice,
}

/// What one round did.
struct Round {
    goal: Arc<Goal>,
    observed: Observed,
    done: Vec<Change>,
    failures: Vec<Failure>,
    converged: bool,
}

impl Reconciler {
    /// Opens the netlink sockets.
    ///
    /// # Errors
    /// `kernel::Error` where netlink is not to be had.
    pub fn open() -> Result<Self, kernel::Error> {
        Ok(Self {
            netlink: Netlink::open()?,
            monitor: Monitor::open()?,
            mac: None,
            status: ReconcileStatus::default(),
            voice: Voice::default(),
        })
    }

    /// One round, at once: for the start, before the lease (device) and before READY (everything).
    /// Never fails: what fails is in the status.
    pub fn once(&mut self, goal: &Arc<Goal>) -> ReconcileStatus {
        self.round(goal);
        self.status.clone()
    }

    /// Runs until cancelled, or until all senders of goals are gone; that it ends otherwise is an error
    /// of the program. The work is done on a thread of its own, in the caller's network namespace.
    pub async fn run(
        self,
        goals: watch::Receiver<Arc<Goal>>,
        status: watch::Sender<ReconcileStatus>,
        cancel: CancellationToken,
    ) {
        let (ended, wait) = oneshot::channel::<()>();
        let spawned = std::thread::Builder::new()
            .name("reconcile".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(self.keep(goals, &status, &cancel)),
                    Err(error) => tracing::error!(%error, "cannot reconcile the kernel"),
                }
                drop(ended);
            });
        match spawned {
            // The sender is only ever dropped: at the thread's end, or by its panic.
            Ok(_) => drop(wait.await),
            Err(error) => tracing::error!(%error, "cannot reconcile the kernel"),
        }
    }

    async fn keep(
        mut self,
        mut goals: watch::Receiver<Arc<Goal>>,
        status: &watch::Sender<ReconcileStatus>,
        cancel: &CancellationToken,
    ) {
        let ready = match self.monitor.ready() {
            Ok(ready) => ready,
            Err(error) => {
                tracing::error!(%error, "cannot reconcile the kernel");
                return;
            }
        };
        let mut pause = SHORT_PAUSE;
        let mut repaired: Option<Instant> = None;
        while !cancel.is_cancelled() {
            let goal = goals.borrow_and_update().clone();
            let begun = Instant::now();
            let repair = self.round(&goal);
            status.send_replace(self.status.clone());
            // A hand that keeps undoing our work is answered, but not at any price; and looking takes
            // at most a tenth of one processor.
            if repair {
                let again = repaired.is_some_and(|last| begun.duration_since(last) < CALM);
                pause = if again {
                    (pause * 2).min(LONG_PAUSE)
                } else {
                    SHORT_PAUSE
                };
                repaired = Some(begun);
            }
            let settle = pause.max(begun.elapsed() * 10).min(LONG_PAUSE);

            let interest = self.interest(&goal);
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = goals.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(PERIOD) => {}
                woken = self.monitor.changed(&ready, &interest) => {
                    if let Err(error) = woken {
                        tracing::error!(%error, "cannot reconcile the kernel");
                        return;
                    }
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        changed = goals.changed() => if changed.is_err() { return },
                        () = tokio::time::sleep(settle) => {}
                    }
                }
            }
        }
    }

    /// Removes the device, routes and neighbours that `goal` asks for and that earlier runs left.
    /// Returns what could not be removed.
    pub fn cleanup(&mut self, goal: &Goal) -> Vec<Failure> {
        let mut refused = Vec::new();
        for _ in 0..PASSES {
            let observed = match observe(&mut self.netlink, goal.device_name().as_deref()) {
                Ok(observed) => observed,
                Err(error) => return vec![Failure::Kernel(error)],
            };
            let changes = plan::cleanup(&observed, goal);
            if changes.is_empty() {
                return Vec::new();
            }
            let outcomes = apply(&mut self.netlink, &changes);
            for (change, _) in changes
                .iter()
                .zip(&outcomes)
                .filter(|(_, o)| **o == Outcome::Done)
            {
                tracing::info!("{change}");
            }
            refused = refusals(&outcomes);
            if refused.len() == outcomes.len() {
                break;
            }
        }
        refused
    }

    /// Addresses and connected networks of the host, for the first judgement of peers. `own` is the own
    /// subnet, where it is known: the container bridge in it is not counted.
    ///
    /// # Errors
    /// `kernel::Error` where the kernel cannot be read.
    pub fn host_nets(&mut self, own: Option<Ipv4Net>) -> Result<HostNets, kernel::Error> {
        let observed = Observed {
            links: observe::links(&mut self.netlink)?,
            addresses: observe::addresses(&mut self.netlink)?,
            ..Observed::default()
        };
        Ok(plan::host_nets(&observed, own))
    }

    /// Works until nothing differs, or nothing more can be done. True when it had to repair what stood
    /// before.
    fn round(&mut self, goal: &Arc<Goal>) -> bool {
        let round = self.work(goal);
        let same_goal = self
            .status
            .goal
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, goal));
        self.voice.tell(&round.done, &round.failures, same_goal);
        let repair = same_goal && !round.done.is_empty();
        self.note(round, same_goal);
        repair
    }

    fn work(&mut self, goal: &Arc<Goal>) -> Round {
        let name = goal.device_name();
        let mut round = Round {
            goal: Arc::clone(goal),
            observed: Observed::default(),
            done: Vec::new(),
            failures: Vec::new(),
            converged: false,
        };
        let mut made = false;
        for _ in 0..PASSES {
            self.monitor.drain();
            match observe(&mut self.netlink, name.as_deref()) {
                Ok(observed) => round.observed = observed,
                Err(error) => {
                    round.failures = vec![Failure::Kernel(error)];
                    break;
                }
            }
            let goal = self.with_mac(goal, &round.observed);
            let desired = plan::desired(&goal, &round.observed);
            let changes = plan::diff(&round.observed, &desired);
            round.failures = desired.problems.into_iter().map(Failure::Plan).collect();
            if changes.is_empty() {
                round.converged = true;
                break;
            }
            // A device that does not keep its form is not made again and again in one round.
            let making = changes.iter().any(|c| matches!(c, Change::CreateVxlan(_)));
            if making && made {
                break;
            }
            made |= making;
            let outcomes = apply(&mut self.netlink, &changes);
            round.failures.extend(refusals(&outcomes));
            let stuck = outcomes.iter().all(|o| matches!(o, Outcome::Refused(_)));
            let done = changes.into_iter().zip(outcomes);
            round.done.extend(
                done.filter(|(_, o)| *o == Outcome::Done)
                    .map(|(change, _)| change),
            );
            if stuck {
                break;
            }
        }
        round
    }

    /// The goal with the MAC to hold: the one it names, the last one, that of the device, or a new one.
    fn with_mac<'a>(&mut self, goal: &'a Goal, observed: &Observed) -> Cow<'a, Goal> {
        if goal.host.mac.is_some() || !matches!(goal.backend, Backend::Vxlan(_)) {
            return Cow::Borrowed(goal);
        }
        let there = device(goal, observed)
            .filter(|link| matches!(link.kind, LinkKind::Vxlan(_)))
            .and_then(|link| link.mac)
            .map(|mac| mac.0);
        let mac = *self.mac.insert(self.mac.or(there).unwrap_or_else(new_mac));
        let mut goal = goal.clone();
        goal.host.mac = Some(mac);
        Cow::Owned(goal)
    }

    fn note(&mut self, round: Round, same_goal: bool) {
        let now = Instant::now();
        let observed = &round.observed;
        let link = device(&round.goal, observed);
        let status = &mut self.status;
        status.rounds += 1;
        status.last_round = Some(now);
        if round.converged {
            status.last_ok = Some(now);
        } else if !same_goal {
            status.last_ok = None;
        }
        status.mac = link.and_then(|link| link.mac).map(|mac| mac.0);
        status.device_index = link.map(|link| link.index);
        status.external = observed
            .link(&round.goal.host.ext.name)
            .map(|link| ExternalSeen {
                index: link.index,
                up: link.up,
                mtu: link.mtu,
                addresses: observed.addresses_of(link.index).collect(),
            });
        status.host_nets = plan::host_nets(observed, round.goal.own);
        status.failures = round.failures;
        status.goal = Some(round.goal);
        self.mac = status.mac.or(self.mac);
    }

    fn interest(&self, goal: &Goal) -> Interest {
        let device = self.status.device_index;
        let external = self.status.external.as_ref().map(|external| external.index);
        let mut names = vec![goal.host.ext.name.clone()];
        names.extend(goal.device_name());
        Interest {
            network: goal.network,
            names,
            indexes: device.into_iter().chain(external).collect(),
            device,
        }
    }
}

fn device<'a>(goal: &Goal, observed: &'a Observed) -> Option<&'a Link> {
    goal.device_name().and_then(|name| observed.link(&name))
}

fn refusals(outcomes: &[Outcome]) -> Vec<Failure> {
    let refused = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Refused(error) => Some(Failure::Kernel(error.clone())),
        Outcome::Done | Outcome::Moved(_) => None,
    });
    refused.collect()
}

/// A random MAC that no vendor has: locally administered, not multicast.
fn new_mac() -> [u8; 6] {
    let mut mac: [u8; 6] = rand::random();
    mac[0] = (mac[0] & !1) | 2;
    mac
}
