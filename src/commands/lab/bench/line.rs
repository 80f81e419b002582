//! The stages, one an underlay; on each, two hosts with agents and containers for every data path.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::request::Request;
use super::workspace::Workspace;
use crate::bench::{DataPath, Underlay};
use crate::exit::Failure;
use crate::kernel::load::{self, Ends, Timing};
use crate::kernel::wait::Stop;
use crate::lab::plan::{Cable, Plan, UPLINK, etcd_url};
use crate::lab::{Agent, Container, Host, Stage, Store};

const SOON: Duration = Duration::from_secs(30);

/// All data paths on one underlay. The fields' order is the order of their end.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) underlay: Underlay,
    pub(super) lines: Vec<Line>,
    _serving: DropGuard,
    _stage: Stage,
}

/// One data path, ready to be measured.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) path: DataPath,
    pub(super) ends: Ends,
    _containers: Vec<Container>,
    _agents: Vec<Agent>,
}

impl Setup {
    /// None if the stop was called meanwhile.
    pub(super) fn new(
        request: &Request,
        underlay: Underlay,
        workspace: &Workspace,
        runtime: &Handle,
        stop: &Stop,
    ) -> Result<Option<Self>, Failure> {
        let paths = &request.plan.paths;
        let nodes = u8::try_from(2 * paths.len()).unwrap_or(u8::MAX);
        let cable = match underlay {
            Underlay::Veth => Cable::Veth,
            Underlay::Wire => Cable::Wire,
        };
        let folder = workspace.folder(underlay.name());
        let folder = folder.map_err(Failure::could_not_run)?;
        let stage = Stage::build(&Plan::new(nodes, cable), &folder);
        let stage = stage.map_err(Failure::could_not_run)?;
        let serving = CancellationToken::new();
        let ends_with_this = serving.clone().drop_guard();
        let store = Store::Embedded.serve(&stage, runtime, &serving);
        store.map_err(Failure::could_not_run)?;
        let mut lines = Vec::new();
        for (number, (path, hosts)) in paths.iter().zip(stage.hosts().chunks(2)).enumerate() {
            if stop.is_called() {
                return Ok(None);
            }
            let Some(line) = Line::new(request, *path, number, stage.switch(), hosts, stop)? else {
                return Ok(None);
            };
            lines.push(line);
        }
        Ok(Some(Self {
            underlay,
            lines,
            _serving: ends_with_this,
            _stage: stage,
        }))
    }
}

impl Line {
    fn new(
        request: &Request,
        path: DataPath,
        number: usize,
        switch: &Host,
        hosts: &[Host],
        stop: &Stop,
    ) -> Result<Option<Self>, Failure> {
        let [from, to] = hosts else {
            return Err(Failure::could_not_run("the lab has too few hosts"));
        };
        let mut line = Self {
            path,
            ends: Ends {
                from: from.namespace().clone(),
                to: to.namespace().clone(),
                address: to.address(),
            },
            _containers: Vec::new(),
            _agents: Vec::new(),
        };
        if let Some(backend) = backend(path) {
            let prefix = format!("/bench/{}", path.name());
            init(&request.own, switch, &prefix, number, backend)?;
            let (program, args) = agent(request, path, prefix);
            let start = |host: &Host| host.start_agent(program, &args);
            let agents: Result<Vec<Agent>, _> = hosts.iter().map(start).collect();
            line._agents = agents.map_err(Failure::could_not_run)?;
            for (agent, host) in line._agents.iter_mut().zip(hosts) {
                let file = host.subnet_file();
                let ready = || stop.is_called() || file.exists();
                let waited = agent.process().wait_until(SOON, ready);
                waited.map_err(Failure::could_not_run)?;
            }
            if stop.is_called() {
                return Ok(None);
            }
            let containers: Result<Vec<Container>, _> = hosts
                .iter()
                .map(|host| host.add_container(idle(request)))
                .collect();
            line._containers = containers.map_err(Failure::could_not_run)?;
            if let [from, to] = line._containers.as_slice() {
                line.ends = Ends {
                    from: from.namespace().clone(),
                    to: to.namespace().clone(),
                    address: to.address(),
                };
            }
        }
        line.wait_for_answer(stop)
    }

    /// Until the two ends reach each other.
    fn wait_for_answer(mut self, stop: &Stop) -> Result<Option<Self>, Failure> {
        let short = Timing {
            warm_up: Duration::ZERO,
            window: Duration::from_millis(20),
        };
        let begin = Instant::now();
        loop {
            match load::idle(&self.ends, short, stop) {
                Ok(_) => return Ok(Some(self)),
                Err(load::Error::Interrupted) => return Ok(None),
                Err(error) if begin.elapsed() > SOON => {
                    let logs: Vec<String> = self
                        ._agents
                        .iter_mut()
                        .map(|agent| agent.process().log())
                        .collect();
                    return Err(Failure::could_not_run(format!(
                        "{}: no traffic after {} s: {error}\n{}",
                        self.path.name(),
                        SOON.as_secs(),
                        logs.concat()
                    )));
                }
                // Routes are on their way.
                Err(_) if stop.sleep(Duration::from_millis(10)) => return Ok(None),
                Err(_) => {}
            }
        }
    }
}

fn backend(path: DataPath) -> Option<&'static str> {
    match path {
        DataPath::Bare => None,
        DataPath::HostGw => Some("host-gw"),
        DataPath::Vxlan | DataPath::PeerVxlan => Some("vxlan"),
        DataPath::Udp | DataPath::UdpPlain | DataPath::PeerUdp => Some("udp"),
    }
}

fn agent(request: &Request, path: DataPath, prefix: String) -> (&Path, Vec<String>) {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut args = words(&["--etcd-endpoints", &etcd_url(), "--etcd-prefix", &prefix]);
    let peer = match path {
        DataPath::PeerVxlan | DataPath::PeerUdp => request.peer.as_deref(),
        _ => None,
    };
    if peer.is_none() {
        args.push("agent".to_owned());
    }
    args.extend(words(&["--iface", UPLINK]));
    if matches!(path, DataPath::Udp | DataPath::UdpPlain) {
        args.extend(request.agent_args.iter().cloned());
    }
    if path == DataPath::UdpPlain {
        args.push("--udp-offload=off".to_owned());
    }
    (peer.unwrap_or(&request.binary), args)
}

/// What keeps a container alive. It is this program's, whichever agents are measured.
fn idle(request: &Request) -> Command {
    let mut command = Command::new(&request.own);
    command.args(["lab", "idle"]);
    command
}

/// Writes the network config, as an admin would.
fn init(
    binary: &Path,
    switch: &Host,
    prefix: &str,
    number: usize,
    backend: &str,
) -> Result<(), Failure> {
    let mut command = Command::new(binary);
    command.args(["--etcd-endpoints", &etcd_url(), "--etcd-prefix", prefix]);
    command.args(["init", "--yes", "--backend", backend]);
    command.args(["--network", &format!("10.{number}.0.0/16")]);
    let output = switch.namespace().run(|| command.output()).flatten();
    let output = output.map_err(|error| {
        Failure::could_not_run(format!("cannot run {}: {error}", binary.display()))
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::could_not_run(format!(
            "init failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}
