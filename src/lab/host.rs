//! A host of the lab: a namespace with an interface on the underlay, an agent, a container.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::LabError;
use super::plan::{BRIDGE, CONTAINER_PORT, UPLINK, container_address};
use super::process::{Agent, Process};
use crate::kernel;
use crate::kernel::construct::{Builder, VethEnd};
use crate::kernel::file::FileError;
use crate::kernel::netns::Netns;
use crate::kernel::nursery::Nursery;
use crate::subnet::envfile;

/// A host. Its processes end with the stage.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: Ipv4Addr,
    namespace: Netns,
    folder: PathBuf,
    nursery: Arc<Nursery>,
}

/// A stand-in for a container: a namespace behind the host's bridge.
#[derive(Debug)]
pub struct Container {
    /// As in every container, something runs there; it ends with the container.
    _program: Process,
    namespace: Netns,
    address: Ipv4Addr,
    subnet: Ipv4Net,
}

impl Host {
    /// Only the loopback is in it.
    pub(super) fn new(
        name: &str,
        address: Ipv4Addr,
        namespace: Netns,
        folder: PathBuf,
        nursery: Arc<Nursery>,
    ) -> Result<Self, LabError> {
        let host = Self {
            name: name.to_owned(),
            address,
            namespace,
            folder,
            nursery,
        };
        host.build(|builder| builder.set_up("lo", true))?;
        Ok(host)
    }

    /// `node1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// On the underlay.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Where its devices are.
    pub fn namespace(&self) -> &Netns {
        &self.namespace
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What its agent writes for Docker.
    pub fn subnet_file(&self) -> PathBuf {
        self.folder.join("subnet.env")
    }

    /// Changes its devices.
    ///
    /// # Errors
    /// The kernel's refusal, with the host's name.
    pub fn build(
        &self,
        work: impl FnOnce(&mut Builder) -> Result<(), kernel::Error>,
    ) -> Result<(), LabError> {
        build(&self.name, &self.namespace, work)
    }

    /// Sets `/proc/sys/NAME` of this host.
    ///
    /// # Errors
    /// No such sysctl, or no permission.
    pub fn set_sysctl(&self, name: &str, value: &str) -> Result<(), LabError> {
        set_sysctl(&self.name, &self.namespace, name, value)
    }

    /// Starts a program here that ends with the stage; what it says goes to `LABEL.log`.
    ///
    /// # Errors
    /// The log cannot be written, or the program not be started.
    pub fn start(&self, label: &str, command: Command) -> Result<Process, LabError> {
        self.start_in(&self.namespace, label, command)
    }

    fn start_in(
        &self,
        namespace: &Netns,
        label: &str,
        mut command: Command,
    ) -> Result<Process, LabError> {
        let log = self.folder.join(format!("{label}.log"));
        let file = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = file.map_err(|error| FileError::new("create", &log, error))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let program = PathBuf::from(command.get_program());
        let child = self
            .nursery
            .spawn(command, namespace, &self.name)
            .map_err(|source| LabError::Start {
                host: self.name.clone(),
                program,
                source,
            })?;
        Ok(Process::new(&self.name, label, child, log))
    }

    /// Starts an agent, with nothing of this process's environment but PATH. It is not ready yet.
    ///
    /// # Errors
    /// See [`Host::start`].
    pub fn start_agent(&self, program: &Path, args: &[String]) -> Result<Agent, LabError> {
        let subnet_file = self.subnet_file();
        let mut command = Command::new(program);
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.args(args).arg("--subnet-file").arg(&subnet_file);
        let before = Agent::number(&subnet_file);
        let process = self.start("agent", command)?;
        Ok(Agent::new(process, subnet_file, before))
    }

    /// Makes the bridge that Docker would make from the subnet file, and a container behind it that runs `program`.
    ///
    /// # Errors
    /// The subnet file is no use, or the kernel refuses.
    pub fn add_container(&self, program: Command) -> Result<Container, LabError> {
        let (bridge, mtu) = self.read_subnet_file()?;
        let name = format!("{}/container", self.name);
        let namespace = Netns::create().map_err(|source| LabError::Namespace {
            host: name.clone(),
            source,
        })?;
        let inside = container_address(bridge);
        let ends = [
            VethEnd {
                name: CONTAINER_PORT,
                namespace: &self.namespace,
            },
            VethEnd {
                name: UPLINK,
                namespace: &namespace,
            },
        ];
        self.build(|builder| {
            builder.bridge(BRIDGE, mtu)?;
            builder.add_address(BRIDGE, bridge)?;
            builder.set_up(BRIDGE, true)?;
            builder.veth(ends, mtu)?;
            builder.enslave(CONTAINER_PORT, BRIDGE)?;
            builder.set_up(CONTAINER_PORT, true)
        })?;
        build(&name, &namespace, |builder| {
            builder.set_up("lo", true)?;
            builder.add_address(UPLINK, inside)?;
            builder.set_up(UPLINK, true)?;
            builder.add_default_route(bridge.addr())
        })?;
        let program = self.start_in(&namespace, "container", program)?;
        Ok(Container {
            _program: program,
            namespace,
            address: inside.addr(),
            subnet: bridge.trunc(),
        })
    }

    /// The bridge's address with the subnet's length, and the MTU.
    fn read_subnet_file(&self) -> Result<(Ipv4Net, u32), LabError> {
        let path = self.subnet_file();
        let text =
            fs::read_to_string(&path).map_err(|error| FileError::new("read", &path, error))?;
        let assignments = envfile::parse(&text).map_err(|source| LabError::SubnetText {
            host: self.name.clone(),
            path: path.clone(),
            source,
        })?;
        let value = |key: &'static str| {
            let found = assignments.iter().rfind(|assignment| assignment.key == key);
            found.map(|assignment| assignment.value.as_str())
        };
        let missing = |missing| LabError::SubnetFile {
            host: self.name.clone(),
            path: path.clone(),
            missing,
        };
        let subnet = value("FLANNEL_SUBNET").and_then(|text| text.parse().ok());
        let mtu = value("FLANNEL_MTU").and_then(|text| text.parse().ok());
        Ok((
            subnet.ok_or_else(|| missing("FLANNEL_SUBNET"))?,
            mtu.ok_or_else(|| missing("FLANNEL_MTU"))?,
        ))
    }
}

impl Container {
    /// Where to send from.
    pub fn namespace(&self) -> &Netns {
        &self.namespace
    }

    /// The host's subnet.
    pub fn subnet(&self) -> Ipv4Net {
        self.subnet
    }

    /// In the host's subnet.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }
}

pub(super) fn set_sysctl(
    host: &str,
    namespace: &Netns,
    name: &str,
    value: &str,
) -> Result<(), LabError> {
    let path = Path::new("/proc/sys").join(name);
    let written = namespace.run(|| fs::write(&path, value));
    written.flatten().map_err(|source| LabError::Sysctl {
        host: host.to_owned(),
        name: name.to_owned(),
        source,
    })
}

pub(super) fn build(
    host: &str,
    namespace: &Netns,
    work: impl FnOnce(&mut Builder) -> Result<(), kernel::Error>,
) -> Result<(), LabError> {
    Builder::within(namespace)
        .and_then(|mut builder| work(&mut builder))
        .map_err(|source| LabError::Kernel {
            host: host.to_owned(),
            source,
        })
}
