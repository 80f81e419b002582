//! From what the user asked to the cases that are judged: which legs, in which rounds.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::paths::{self, COUNT_DEFAULT, Extent, Leg, Manner, ROUND, Sides, Sources, side};
use super::round::{Held, Outcome, Round};
use super::survey::{self, Here, Survey};
use super::target::{self, Aim};
use crate::agent::respond::hands::{Site, Wish};
use crate::cli::{DiagnoseArgs, SourceArg};
use crate::diagnose::Case;
use crate::diagnose::case::NetworkFact;
use crate::exit::Failure;
use crate::registry::Registry;
use crate::registry::rendezvous::Meeting;
use crate::report::progress::Spinner;

/// The whole takes no longer where the user does not say otherwise, sending many packets aside.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody waits longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// An etcd that takes longer for an operation is called slow.
const SLOW: Duration = Duration::from_millis(250);
/// For so many nodes; each one more may take longer.
const FEW: usize = 4;
const EACH: Duration = Duration::from_millis(500);
/// Kept of it for judging and cleaning up.
const RESERVE: Duration = Duration::from_millis(500);

/// A diagnosis that is about to be made.
pub struct Gathering<'a> {
    args: &'a DiagnoseArgs,
    registry: Registry,
    subnet_file: PathBuf,
    timeout: Duration,
}

/// What is to be judged.
#[derive(Debug, Default)]
pub struct Gathered {
    /// One a round.
    pub cases: Vec<Case>,
    /// What did not work, beside what the nodes themselves tell.
    pub missing: Vec<String>,
}

/// What is to be tried.
struct Plan {
    rounds: Vec<Vec<Leg>>,
    wish: Wish,
}

impl<'a> Gathering<'a> {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// Usage.
    pub fn new(
        args: &'a DiagnoseArgs,
        registry: Registry,
        subnet_file: PathBuf,
    ) -> Result<Self, Failure> {
        let timeout = match &args.timeout {
            None => TIMEOUT,
            Some(text) => humantime::parse_duration(text)
                .map_err(|error| Failure::usage(format!("--timeout: {text:?}: {error}")))?,
        };
        if !(Duration::from_secs(1)..=TIMEOUT_MAX).contains(&timeout) {
            return Err(Failure::usage("--timeout: use 1s to 1h"));
        }
        Ok(Self {
            args,
            registry,
            subnet_file,
            timeout,
        })
    }

    /// Asks, sends, collects. What it makes is in `held`.
    ///
    /// # Errors
    /// Usage, or nothing can be tried from here.
    pub async fn run(self, held: &mut Held) -> Result<Gathered, Failure> {
        let spinner = Spinner::start("asking etcd");
        let started = Instant::now();
        let survey = survey::survey(&self.registry).await;
        // Three operations one after the other.
        let lag = started.elapsed() / 3;
        let here = Here::find(&survey, &self.subnet_file);
        let network = survey.network.clone().or_else(|| here.network());
        let Some(network) = network else {
            // Without a network there is nothing to send to: the store's troubles are the whole case.
            return match survey.troubles.is_empty() {
                false => Ok(self.only_the_store(survey, &here)),
                true => Err(nowhere()),
            };
        };
        if here.node.is_none() && !self.args.mesh {
            return match survey.reachable {
                true => Err(nowhere()),
                false => Ok(self.only_the_store(survey, &here)),
            };
        }
        let aim = match &self.args.target {
            None => Aim::All,
            Some(text) => target::read(text, &survey, &here)?,
        };
        let site = self.site(&here, &network);
        let mut plan = self.plan(aim, &survey, &here, site.as_ref()).await?;
        if plan.rounds.is_empty() {
            // No other node: this one's own state is judged all the same.
            plan.rounds.push(Vec::new());
        }
        let mut gathered = Gathered::default();
        if lag > SLOW {
            gathered.missing.push(format!(
                "etcd is slow ({} ms for an answer): what other nodes tell may come too late",
                lag.as_millis()
            ));
        }
        if survey.reachable
            && plan
                .rounds
                .iter()
                .flatten()
                .any(|leg| leg.source != leg.target)
        {
            match Meeting::open(&self.registry).await {
                Ok(meeting) => held.meeting = Some(meeting),
                Err(error) => gathered
                    .missing
                    .push(format!("the other nodes' agents were not asked: {error}")),
            }
        }
        let rounds = plan.rounds.len();
        for legs in plan.rounds {
            let manner = self.manner(&here, &network);
            let (meeting, progress) = (held.meeting.is_some(), |what| spinner.say(what));
            let round = Round {
                sides: sides(&survey, &here, &network),
                legs,
                manner,
                site: site.clone(),
                wish: plan.wish,
                packets: self.args.write.is_some(),
                ask: meeting,
                lag: lag.min(Duration::from_millis(500)),
                deadline: self.deadline(started, rounds, survey.leases.len()),
                progress: &progress,
            };
            let outcome = round.run(held).await;
            gathered.add(&survey, &network, &here, outcome);
        }
        Ok(gathered)
    }

    /// The rounds of a mesh have their time each; otherwise the whole has.
    fn deadline(&self, started: Instant, rounds: usize, nodes: usize) -> tokio::time::Instant {
        let packets = self
            .args
            .count
            .unwrap_or(COUNT_DEFAULT)
            .saturating_sub(COUNT_DEFAULT);
        let sending = Duration::from_millis(30 * u64::from(packets));
        let begin = match rounds {
            0 | 1 => started,
            _ => Instant::now(),
        };
        // Where the user has set no bound, many nodes have more time to answer.
        let many = u32::try_from(nodes.saturating_sub(FEW)).unwrap_or(u32::MAX);
        let answering = match self.args.timeout {
            None => (EACH * many).min(self.timeout),
            Some(_) => Duration::ZERO,
        };
        tokio::time::Instant::from_std(begin + self.timeout + answering + sending - RESERVE)
    }

    fn only_the_store(&self, survey: Survey, here: &Here) -> Gathered {
        Gathered {
            cases: vec![Case {
                network: survey.network,
                store_troubles: survey.troubles,
                leases: survey.leases,
                here: here.node,
                ..Case::default()
            }],
            missing: vec![match here.network {
                None => format!(
                    "no packet was sent: the network is not known, neither from etcd nor from {} (--subnet-file)",
                    self.subnet_file.display()
                ),
                Some(_) => {
                    "no packet was sent: none of this host's addresses is known to be a node's"
                        .to_owned()
                }
            }],
        }
    }

    fn site(&self, here: &Here, network: &NetworkFact) -> Option<Site> {
        Some(Site {
            node: here.node?,
            subnet_file: self.subnet_file.clone(),
            network: network.clone(),
            subnet: here.subnet,
            external: None,
            device: None,
        })
    }

    fn manner(&self, here: &Here, network: &NetworkFact) -> Manner {
        Manner {
            count: self.args.count.unwrap_or(COUNT_DEFAULT),
            first_id: rand::rng().random(),
            mtu: here.mtu,
            // Both ends of the udp backend count as hops.
            extra_hops: if network.backend == "udp" { 2 } else { 0 },
            has_device: network.backend != "host-gw",
            ports: (network.backend != "host-gw").then(|| (network.port, unused(network.port))),
        }
    }

    async fn plan(
        &self,
        aim: Aim,
        survey: &Survey,
        here: &Here,
        site: Option<&Site>,
    ) -> Result<Plan, Failure> {
        if let Some(SourceArg::Address(address)) = self.args.source
            && let Some(subnet) = here.subnet.filter(|subnet| !subnet.contains(&address))
        {
            return Err(Failure::usage(format!(
                "--source {address}: the containers of this host are in {subnet}"
            )));
        }
        let all = Sources {
            host: true,
            container: true,
        };
        let (sources, mut wish) = match self.args.source {
            None => (all, Wish::Any),
            Some(SourceArg::Host) => (
                Sources {
                    host: true,
                    container: false,
                },
                Wish::Nothing,
            ),
            Some(SourceArg::Container) => (
                Sources {
                    host: false,
                    container: true,
                },
                Wish::Any,
            ),
            Some(SourceArg::Address(address)) => (
                Sources {
                    host: false,
                    container: true,
                },
                Wish::Container(address),
            ),
        };
        let others = || survey.leases.iter().map(|lease| lease.public_ip);
        if self.args.mesh {
            let nodes: Vec<_> = others().collect();
            let rounds = paths::mesh(&nodes)
                .into_iter()
                .map(|pairs| {
                    let legs = pairs.into_iter();
                    let leg = |(from, to)| leg(from, to, None, Extent::Least, all);
                    legs.map(leg).collect()
                })
                .collect();
            return Ok(Plan { rounds, wish });
        }
        let Some(own) = here.node else {
            return Err(nowhere());
        };
        let mut container = None;
        let targets: Vec<_> = match aim {
            Aim::All => others().filter(|node| *node != own).collect(),
            Aim::Node(node) => vec![node],
            Aim::Container(address, node) => {
                container = Some(address);
                vec![node]
            }
            Aim::FromNamed(name) => {
                wish = Wish::Container(target::named(&name, site).await?);
                others().filter(|node| *node != own).collect()
            }
        };
        // Containers behind the own bridge are reached without the overlay.
        let there_and_back = |target: Ipv4Addr, to: Extent, back: Extent| {
            let to = leg(own, target, container, to, sources);
            let reverse = target != own && !target.is_unspecified() && self.args.source.is_none();
            let back = reverse.then(|| leg(target, own, None, back, all));
            std::iter::once(to).chain(back)
        };
        let (to, back) = match targets.len() {
            n if n * (paths::size(Extent::Full) + paths::size(Extent::Back)) <= ROUND => {
                (Extent::Full, Extent::Back)
            }
            _ => (Extent::Brief, Extent::Least),
        };
        let batch = ROUND / (paths::size(to) + paths::size(back));
        let rounds = targets.chunks(batch.max(1)).map(|some| {
            some.iter()
                .flat_map(|t| there_and_back(*t, to, back))
                .collect()
        });
        let rounds = rounds.collect();
        Ok(Plan { rounds, wish })
    }
}

impl Gathered {
    fn add(&mut self, survey: &Survey, network: &NetworkFact, here: &Here, outcome: Outcome) {
        let Outcome {
            mut nodes,
            silent,
            results,
            size,
            missing,
        } = outcome;
        // In the case too, so that a saved one tells all.
        match nodes.iter_mut().find(|node| node.node == here.node) {
            Some(own) => own.missing.extend(missing),
            None => self.missing.extend(missing),
        }
        self.cases.push(Case {
            network: Some(network.clone()),
            store_troubles: survey.troubles.clone(),
            leases: survey.leases.clone(),
            here: here.node,
            nodes,
            silent,
            paths: results,
            sizes: size.into_iter().collect(),
        });
    }
}

/// A port where nobody listens, as far as one can guess: above those that Linux gives to clients.
fn unused(taken: u16) -> u16 {
    let port = rand::rng().random_range(61_000..u16::MAX);
    if port == taken { u16::MAX } else { port }
}

fn leg(
    source: Ipv4Addr,
    target: Ipv4Addr,
    container: Option<Ipv4Addr>,
    extent: Extent,
    sources: Sources,
) -> Leg {
    Leg {
        source,
        target,
        container,
        extent,
        sources,
    }
}

fn sides(survey: &Survey, here: &Here, network: &NetworkFact) -> Sides {
    let mut sides: Sides = survey
        .leases
        .iter()
        .map(|lease| {
            // What a host sends from: its flannel device's address, which host-gw does not have.
            let host = match network.backend.as_str() {
                "host-gw" => lease.public_ip,
                _ => lease.subnet.network(),
            };
            (lease.public_ip, side(Some(lease.subnet), Some(host)))
        })
        .collect();
    if let Some(node) = here.node {
        sides.entry(node).or_insert_with(|| side(here.subnet, None));
    }
    sides
}

fn nowhere() -> Failure {
    Failure::could_not_run(
        "this host holds no lease and has no subnet file: nothing can be tried from here",
    )
    .with_remedy("run it on a node (with --subnet-file where the agent has one), or use --mesh")
}
