//! One round of a diagnosis: arm the nodes, send, collect. This node works with its own hands, the others are
//! asked through etcd. What fails on the way is told and ends nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::asking::{answer_of, ask, ask_to, words};
use super::paths::{self, Leg, Manner, Sides};
use super::{sizes, untried};
use crate::agent::respond::PATIENCE;
use crate::agent::respond::check::PATHS;
use crate::agent::respond::hands::{Hands, Site, Wish, on_thread};
use crate::diagnose::case::SizeFact;
use crate::diagnose::probe::Origin;
use crate::diagnose::request::{Answer, Packed, Request};
use crate::diagnose::{NodeEvidence, Path, PathResult};
use crate::kernel::{echo, interfaces};
use crate::registry::rendezvous::Meeting;

/// An agent that is there has said so by then, etcd's own slowness aside.
const HEARING: Duration = Duration::from_millis(2000);

/// Kept for what the nodes tell at the end.
const GATHERING: Duration = Duration::from_millis(1500);

/// Packets seen that one node may tell.
const SIGHTINGS: usize = 500_000;

/// What is to be removed when the command is interrupted.
#[derive(Default)]
pub struct Held {
    /// With the other nodes.
    pub meeting: Option<Meeting>,
    /// On this node.
    pub hands: Option<Hands>,
    /// One for each thread that makes or removes something.
    busy: Arc<()>,
}

/// One round.
pub struct Round<'a> {
    /// What to try.
    pub legs: Vec<Leg>,
    /// How.
    pub manner: Manner,
    /// This node, where it takes part.
    pub site: Option<Site>,
    /// What to send from on this node.
    pub wish: Wish,
    /// Sides as far as they are known.
    pub sides: Sides,
    /// The packets themselves are wanted.
    pub packets: bool,
    /// The other nodes may be asked.
    pub ask: bool,
    /// How slow etcd is.
    pub lag: Duration,
    /// Not later.
    pub deadline: Instant,
    /// Told what goes on.
    pub progress: &'a dyn Fn(&'static str),
}

/// What a round brings.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of each node that told something.
    pub nodes: Vec<NodeEvidence>,
    /// Nodes without an agent that answers.
    pub silent: Vec<Ipv4Addr>,
    /// What was sent.
    pub results: Vec<PathResult>,
    /// Up to which size packets pass, where that is in question.
    pub size: Option<SizeFact>,
    /// What did not work.
    pub missing: Vec<String>,
}

impl Held {
    /// As [`on_thread`], and known to [`Held::release`].
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let busy = Arc::clone(&self.busy);
        // Together, and in this order: where nobody takes the result any more, the thread is busy until the
        // result has been dropped.
        let (done, _busy) = on_thread(move || (work(), busy)).await?;
        Some(done)
    }

    /// Removes everything, on this node and on the others.
    pub async fn release(mut self) {
        const TICK: Duration = Duration::from_millis(10);
        if let Some(hands) = self.hands.take() {
            self.on_thread(move || drop(hands)).await;
        }
        if let Some(meeting) = self.meeting.take()
            && let Err(error) = meeting.close().await
        {
            tracing::debug!("the diagnosis is left to end by itself: {error}");
        }
        while Arc::strong_count(&self.busy) > 1 {
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Round<'_> {
    /// Runs it.
    pub async fn run(mut self, held: &mut Held) -> Outcome {
        let mut outcome = Outcome::default();
        let draft = paths::draft(&self.legs, &self.manner);
        (self.progress)("preparing");
        self.prepare(held).await;
        tracing::debug!("prepared");
        (self.progress)("asking the other nodes' agents");
        let asked = self.arm_others(held, &draft, &mut outcome).await;
        untried::containers(&self.legs, self.here(), &asked, &mut outcome.missing);
        let paths: Vec<_> = draft
            .iter()
            .map(|path| paths::fill(path.clone(), &self.sides))
            .map(|path| paths::or_bridge(path, &draft, &self.sides))
            .filter(paths::is_complete)
            // A node that is not here and not asked sends nothing.
            .filter(|p| Some(p.source_node) == self.here() || asked.contains(&p.source_node))
            .map(|path| self.with_source(path))
            .collect();
        tracing::debug!("{} other nodes watch", asked.len());
        self.arm_here(held, &paths).await;
        tracing::debug!("this node watches");
        (self.progress)("sending");
        self.send(held, &paths, &asked, &mut outcome).await;
        tracing::debug!("sent");
        (self.progress)("gathering what was seen");
        self.collect(held, &asked, &mut outcome).await;
        tracing::debug!("gathered");
        outcome
    }

    fn here(&self) -> Option<Ipv4Addr> {
        self.site.as_ref().map(|site| site.node)
    }

    /// The kernel's own choice of a source is known for this host.
    fn with_source(&self, mut path: Path) -> Path {
        if path.origin == Origin::Host && Some(path.source_node) == self.here() {
            path.from = interfaces::source_for(path.to).unwrap_or(path.from);
        }
        path
    }

    async fn prepare(&mut self, held: &mut Held) {
        let Some(site) = self.site.clone() else {
            return;
        };
        let wish = self.wish;
        let node = site.node;
        let Some(hands) = held
            .on_thread(move || Hands::prepare(site, wish, false))
            .await
        else {
            return;
        };
        let side = self.sides.entry(node).or_default();
        side.inner = hands.inner();
        held.hands = Some(hands);
    }

    /// Asks every other node to watch; returns those that do.
    async fn arm_others(
        &mut self,
        held: &Held,
        draft: &[Path],
        outcome: &mut Outcome,
    ) -> BTreeSet<Ipv4Addr> {
        let here = self.here();
        let nodes: BTreeSet<_> = self
            .legs
            .iter()
            .flat_map(|leg| [leg.source, leg.target])
            .filter(|node| Some(*node) != here && !node.is_unspecified())
            .collect();
        let Some(meeting) = held.meeting.as_ref().filter(|_| self.ask) else {
            return BTreeSet::new();
        };
        let heard = self.by(HEARING + 8 * self.lag);
        // The other half is for sending and gathering.
        let end = self.by((self.deadline - Instant::now()) / 2).max(heard);
        let arm = |node: Ipv4Addr| {
            let paths = self.concerned(draft, node);
            let request = Request::Arm {
                asked_by: here.unwrap_or(Ipv4Addr::UNSPECIFIED),
                endpoint: self.legs.iter().any(|leg| {
                    (leg.target == node && leg.container.is_none()) || leg.source == node
                }),
                paths,
                packets: self.packets,
            };
            async move {
                let answer = match ask_to(meeting, node, &request, heard).await {
                    Ok(asked) if meeting.heard(node, asked, heard).await => {
                        answer_of(meeting, node, asked, end).await
                    }
                    Ok(_) => Ok(None),
                    Err(why) => Err(why),
                };
                (node, answer)
            }
        };
        let answers = join_all(nodes.into_iter().map(arm)).await;
        let mut armed = BTreeSet::new();
        for (node, answer) in answers {
            match answer {
                Ok(Some(Answer::Armed { target, container })) => {
                    let inner = target.map(|address| (address, container));
                    self.sides.entry(node).or_default().inner = inner;
                    armed.insert(node);
                }
                Ok(None) => outcome.silent.push(node),
                Ok(Some(answer)) => {
                    outcome.silent.push(node);
                    outcome.missing.push(format!("{node}: {}", words(answer)));
                }
                Err(why) => {
                    outcome.silent.push(node);
                    outcome.missing.push(format!("{node}: {why}"));
                }
            }
        }
        armed
    }

    /// The paths that begin or end at a node, as many as it takes.
    fn concerned(&self, draft: &[Path], node: Ipv4Addr) -> Vec<Path> {
        draft
            .iter()
            .filter(|path| path.source_node == node || path.target_node == node)
            .take(PATHS)
            .map(|path| paths::fill(path.clone(), &self.sides))
            .collect()
    }

    async fn arm_here(&mut self, held: &mut Held, paths: &[Path]) {
        let (Some(mut hands), Some(here)) = (held.hands.take(), self.here()) else {
            return;
        };
        let paths: Vec<_> = paths
            .iter()
            .filter(|path| path.source_node == here || path.target_node == here)
            .cloned()
            .collect();
        let nodes = paths
            .iter()
            .flat_map(|path| [path.source_node, path.target_node]);
        let peers: BTreeSet<_> = nodes.filter(|node| *node != here).collect();
        let packets = self.packets;
        held.hands = held
            .on_thread(move || {
                hands.arm(peers.into_iter().collect(), paths, packets);
                hands
            })
            .await;
    }

    /// Sends from all nodes at once.
    async fn send(
        &mut self,
        held: &Held,
        paths: &[Path],
        asked: &BTreeSet<Ipv4Addr>,
        outcome: &mut Outcome,
    ) {
        let watching: BTreeSet<_> = asked.iter().copied().chain(self.here()).collect();
        let mut by_node = BTreeMap::<Ipv4Addr, Vec<Path>>::new();
        for path in paths {
            by_node
                .entry(path.source_node)
                .or_default()
                .push(path.clone());
        }
        let own = self.here().and_then(|here| by_node.remove(&here));
        let longest = paths
            .iter()
            .map(|p| u64::from(p.count) * u64::from(p.interval_ms))
            .max();
        let sending = Duration::from_millis(longest.unwrap_or(0));
        let end = self.by(sending + PATIENCE + Duration::from_millis(500) + 8 * self.lag);
        let others = join_all(by_node.into_iter().map(|(node, paths)| {
            let paths: Vec<_> = paths.into_iter().take(PATHS).collect();
            let targets: BTreeSet<_> = paths.iter().map(|path| path.target_node).collect();
            let watching = targets.intersection(&watching).copied().collect();
            let request = Request::Send { paths, watching };
            async move {
                let answer = match &held.meeting {
                    Some(meeting) => ask(meeting, node, &request, end).await,
                    None => Ok(None),
                };
                (node, answer)
            }
        }));
        let local = async {
            let paths = own?;
            let mut sending = held.hands.as_ref()?.sending(PATIENCE);
            sending.watching.clone_from(&watching);
            // Nothing is made or removed by sending: an interrupt need not wait for it.
            on_thread(move || echo::send(&paths, &sending)).await
        };
        let (local, others) = tokio::join!(local, others);
        outcome.results.extend(local.unwrap_or_default());
        for (node, answer) in others {
            match answer {
                Ok(Some(Answer::Sent { results })) => {
                    let honest = |result: &PathResult| paths.contains(&result.path);
                    outcome.results.extend(results.into_iter().filter(honest));
                }
                Ok(None) => outcome
                    .missing
                    .push(format!("{node}: its agent did not tell what it had sent")),
                Ok(Some(answer)) => outcome.missing.push(format!("{node}: {}", words(answer))),
                Err(why) => outcome.missing.push(format!("{node}: {why}")),
            }
        }
        if let Some(hands) = &held.hands {
            let end = self.deadline - GATHERING;
            outcome.size = sizes::search(hands, &outcome.results, end).await;
        }
        untried::forbidden(self.here(), outcome);
        outcome.results.sort_by_key(|result| result.path.index);
    }

    async fn collect(
        &mut self,
        held: &mut Held,
        asked: &BTreeSet<Ipv4Addr>,
        outcome: &mut Outcome,
    ) {
        // Those that watched are alive: their evidence is worth all the time there is.
        let end = self.deadline;
        let hands = held.hands.take();
        let held = &*held;
        let local = async {
            let hands = hands?;
            let collected = held.on_thread(move || hands.collect());
            Some(tokio::time::timeout_at(end, collected).await.ok().flatten())
        };
        let others = join_all(asked.iter().map(|node| async move {
            let answer = match &held.meeting {
                Some(meeting) => ask(meeting, *node, &Request::Collect, end).await,
                None => Ok(None),
            };
            (*node, answer)
        }));
        let (local, others) = tokio::join!(local, others);
        match local {
            Some(Some(evidence)) => outcome.nodes.push(evidence),
            Some(None) => outcome
                .missing
                .push("what this node itself saw was not told in time".to_owned()),
            None => {}
        }
        for (node, answer) in others {
            match answer {
                Ok(Some(Answer::Evidence {
                    mut evidence,
                    packed,
                })) => {
                    evidence.seen.extend(Packed::unpack(packed, SIGHTINGS));
                    // A node speaks for itself alone.
                    evidence.node = Some(node);
                    evidence.agent = true;
                    outcome.nodes.push(*evidence);
                    continue;
                }
                Ok(None) => outcome.missing.push(format!(
                    "{node}: its agent went silent during the diagnosis"
                )),
                Ok(Some(answer)) => outcome.missing.push(format!("{node}: {}", words(answer))),
                Err(why) => outcome.missing.push(format!("{node}: {why}")),
            }
            outcome.silent.push(node);
        }
    }

    fn by(&self, budget: Duration) -> Instant {
        self.deadline.min(Instant::now() + budget)
    }
}
