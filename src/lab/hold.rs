//! Raises a whole lab and holds it: stage, store, network config, agents, containers.

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::plan::{Cable, ETCD_PORT, ETCD_PREFIX, NETWORK, Plan, SWITCH_ADDRESS, UPLINK, etcd_url};
use super::record::{Holder, NodeRecord, Record};
use super::{Agent, Container, LabError, Process, Stage, relay};
use crate::embedded;
use crate::kernel::netns::Netns;
use crate::kernel::process::start_time;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What keeps the lab's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// The program `etcd`, on the switch.
    Program(PathBuf),
    /// An etcd outside the lab: `host:port`, reached from the machine itself.
    Outside(String),
    /// The store in this process.
    Embedded,
}

/// What lab is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many hosts.
    pub nodes: u8,
    /// `vxlan`, `host-gw`, `udp`.
    pub backend: String,
    /// What keeps the keys.
    pub store: Store,
    /// The flannelctl that the hosts run.
    pub program: PathBuf,
    /// Where the lab's files go; it must exist.
    pub folder: PathBuf,
}

/// A lab that stands. Dropping it ends it. The fields' order is the order of their end.
#[derive(Debug)]
pub struct Lab {
    agents: Vec<Agent>,
    containers: Vec<Container>,
    _etcd: Option<Process>,
    serving: CancellationToken,
    stage: Stage,
    wish: Wish,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.serving.cancel();
    }
}

impl Store {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Program(path) => format!("etcd ({})", path.display()),
            Self::Outside(target) => format!("etcd at {target}"),
            Self::Embedded => "the embedded store".to_owned(),
        }
    }

    /// Makes the store answer at the switch's address until `serving` is cancelled, or the process dropped if it is one.
    ///
    /// # Errors
    /// The address cannot be had, or `etcd` does not start.
    pub fn serve(
        &self,
        stage: &Stage,
        runtime: &Handle,
        serving: &CancellationToken,
    ) -> Result<Option<Process>, LabError> {
        match self {
            Store::Program(program) => start_etcd(stage, program).map(Some),
            Store::Outside(target) => {
                let relay = relay::serve(
                    listen(stage, runtime)?,
                    target.clone(),
                    serving.clone().cancelled_owned(),
                );
                runtime.spawn(async move {
                    if let Err(error) = relay.await {
                        tracing::error!(%error, "etcd can no longer be reached by the hosts");
                    }
                });
                Ok(None)
            }
            Store::Embedded => {
                let options = embedded::Options::default();
                let store = embedded::serve(
                    listen(stage, runtime)?,
                    options,
                    serving.clone().cancelled_owned(),
                );
                runtime.spawn(async move {
                    if let Err(error) = store.await {
                        tracing::error!(%error, "the store has ended");
                    }
                });
                Ok(None)
            }
        }
    }
}

impl Lab {
    /// Raises it step by step; `say` hears what is being done. Blocks; `runtime` serves the store meanwhile.
    ///
    /// # Errors
    /// Names the host and what failed; what was made is gone then.
    pub fn raise(
        wish: Wish,
        runtime: &Handle,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, LabError> {
        say("hosts and switch");
        let stage = Stage::build(&Plan::new(wish.nodes, Cable::Veth), &wish.folder)?;
        say(&wish.store.words());
        let serving = CancellationToken::new();
        let etcd = wish.store.serve(&stage, runtime, &serving)?;
        let mut lab = Self {
            agents: Vec::new(),
            containers: Vec::new(),
            _etcd: etcd,
            serving,
            stage,
            wish,
        };
        say("network config");
        lab.init()?;
        say("agents");
        lab.start_agents()?;
        say("containers");
        for host in lab.stage.hosts() {
            let mut idle = Command::new(&lab.wish.program);
            idle.args(["lab", "idle"]);
            lab.containers.push(host.add_container(idle)?);
        }
        Ok(lab)
    }

    fn init(&self) -> Result<(), LabError> {
        let network = NETWORK.to_string();
        let args = [
            "init",
            "--network",
            &network,
            "--backend",
            &self.wish.backend,
            "--yes",
        ];
        let mut command = Command::new(&self.wish.program);
        command.args(etcd_flags()).args(args);
        let mut init = self.stage.switch().start("init", command)?;
        init.wait_done(PATIENCE)
    }

    fn start_agents(&mut self) -> Result<(), LabError> {
        let args = ["agent", "--iface", UPLINK].map(str::to_owned);
        let args: Vec<String> = etcd_flags().into_iter().chain(args).collect();
        for host in self.stage.hosts() {
            self.agents
                .push(host.start_agent(&self.wish.program, &args)?);
        }
        for agent in &mut self.agents {
            agent.wait_ready(PATIENCE)?;
        }
        Ok(())
    }

    /// What other commands have to know of it.
    pub fn record(&mut self) -> Record {
        let hosts = self.stage.hosts().iter();
        let nodes =
            hosts
                .zip(&self.containers)
                .zip(&mut self.agents)
                .map(|((host, container), agent)| {
                    let agent = pid(agent.process().pid());
                    NodeRecord {
                        name: host.name().to_owned(),
                        address: host.address(),
                        subnet: container.subnet(),
                        container: container.address(),
                        agent,
                        agent_started: start_time(agent).unwrap_or_default(),
                        subnet_file: host.subnet_file(),
                        namespace: descriptor(host.namespace()),
                        container_namespace: descriptor(container.namespace()),
                    }
                });
        Record {
            holder: Holder::own(),
            backend: self.wish.backend.clone(),
            store: self.wish.store.words(),
            nodes: nodes.collect(),
            switch: descriptor(self.stage.switch().namespace()),
        }
    }
}

fn pid(id: u32) -> i32 {
    // The kernel's largest pid has 22 bits.
    i32::try_from(id).unwrap_or(i32::MAX)
}

fn descriptor(namespace: &Netns) -> i32 {
    namespace.as_fd().as_raw_fd()
}

fn etcd_flags() -> Vec<String> {
    let flags = [
        "--etcd-endpoints",
        &etcd_url(),
        "--etcd-prefix",
        ETCD_PREFIX,
    ];
    flags.map(str::to_owned).to_vec()
}

fn listen(stage: &Stage, runtime: &Handle) -> Result<tokio::net::TcpListener, LabError> {
    let bound = stage.switch().namespace().run(|| {
        let listener = TcpListener::bind((SWITCH_ADDRESS, ETCD_PORT))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let _entered = runtime.enter();
    bound
        .flatten()
        .and_then(tokio::net::TcpListener::from_std)
        .map_err(|source| LabError::Listen {
            address: (SWITCH_ADDRESS, ETCD_PORT).into(),
            source,
        })
}

fn start_etcd(stage: &Stage, program: &Path) -> Result<Process, LabError> {
    let url = etcd_url();
    let mut command = Command::new(program);
    command
        .arg("--data-dir")
        .arg(stage.switch().folder().join("etcd"));
    command.args([
        "--listen-client-urls",
        &url,
        "--advertise-client-urls",
        &url,
    ]);
    // Not the machine's name, which need not have an address.
    let peer = "http://127.0.0.1:2380";
    command.args([
        "--listen-peer-urls",
        peer,
        "--initial-advertise-peer-urls",
        peer,
    ]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    let mut etcd = stage.switch().start("etcd", command)?;
    let namespace = stage.switch().namespace();
    etcd.wait_until(PATIENCE, || {
        let connect = || std::net::TcpStream::connect((SWITCH_ADDRESS, ETCD_PORT)).is_ok();
        namespace.run(connect).unwrap_or(false)
    })?;
    Ok(etcd)
}
