//! The folder of runtime files: the lock that keeps a second agent out, and `subnet.env`.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::Ipv4Net;
use nix::fcntl::{Flock, FlockArg};

use crate::kernel::file::{FileError, write_atomic};
use crate::plan::Former;
use crate::subnet::envfile::{self, PreviousSubnets, SubnetEnv};

/// Everybody may read: Docker's units, CNI plugins, shells.
const ENV_MODE: u32 = 0o644;

/// The runtime folder while this agent owns it.
#[derive(Debug)]
pub struct RuntimeFolder {
    subnet_file: PathBuf,
    _lock: Flock<File>,
    /// Abstract names belong to the network namespace, as the agent's devices and rules do.
    _namespace: UnixListener,
}

/// Why the folder cannot be owned.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another agent uses it.
    #[error("another agent{} already runs with {}", pid(.holder), subnet_file.display())]
    Busy {
        /// Its subnet file, which is ours too.
        subnet_file: PathBuf,
        /// Its process id, if it wrote one.
        holder: Option<u32>,
    },
    /// Another agent, with another folder, works on the same devices, routes and rules.
    #[error("another agent already runs in this network namespace")]
    SecondAgent,
    /// The subnet file is a folder.
    #[error("{} is a folder: the subnet file must be a file", .0.display())]
    NotAFile(PathBuf),
}

/// Name of the socket that marks an agent's network namespace.
const MARK: &str = "flannelctl/agent";
/// A child between fork and exec may hold a dead agent's lock for an instant.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

fn pid(holder: &Option<u32>) -> String {
    holder
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}

impl RuntimeFolder {
    /// Makes the folder (mode 0755 as flanneld does) and takes its lock. Fails early where the folder
    /// cannot be written to, before anything is changed in etcd or the kernel.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or another agent holds it or the network namespace.
    pub fn open(subnet_file: &Path) -> Result<Self, RuntimeError> {
        if subnet_file.is_dir() || subnet_file.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(RuntimeError::NotAFile(subnet_file.to_owned()));
        }
        for _ in 1..TRIES {
            match Self::try_open(subnet_file) {
                Err(RuntimeError::Busy { .. } | RuntimeError::SecondAgent) => {
                    std::thread::sleep(PAUSE)
                }
                settled => return settled,
            }
        }
        Self::try_open(subnet_file)
    }

    fn try_open(subnet_file: &Path) -> Result<Self, RuntimeError> {
        let folder = subnet_file
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|e| FileError::new("create the folder", folder, e))?;
        let path = lock_path(subnet_file);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(|e| FileError::new("write", &path, e))?;
        let mut lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| RuntimeError::Busy {
                subnet_file: subnet_file.to_owned(),
                holder: fs::read_to_string(&path)
                    .ok()
                    .and_then(|text| text.trim().parse().ok()),
            })?;
        let namespace = SocketAddr::from_abstract_name(MARK)
            .and_then(|name| UnixListener::bind_addr(&name))
            .map_err(|_| RuntimeError::SecondAgent)?;
        let mut write_pid = || {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        write_pid().map_err(|e| FileError::new("write", &path, e))?;
        Ok(Self {
            subnet_file: subnet_file.to_owned(),
            _lock: lock,
            _namespace: namespace,
        })
    }

    /// Subnets of an earlier run, by flanneld's lenient rule.
    pub fn previous_subnets(&self) -> PreviousSubnets {
        fs::read_to_string(&self.subnet_file)
            .map(|text| envfile::previous(&text))
            .unwrap_or_default()
    }

    /// The network of an earlier run.
    pub fn network(&self) -> Option<Ipv4Net> {
        let text = fs::read_to_string(&self.subnet_file).ok()?;
        let assignments = envfile::parse(&text).ok()?;
        let network = assignments.iter().rfind(|a| a.key == "FLANNEL_NETWORK")?;
        network.value.parse::<Ipv4Net>().ok().map(|net| net.trunc())
    }

    /// Where an earlier run worked, when that was another network or another length of subnets.
    pub fn former(&self, network: Ipv4Net, subnet_len: u8) -> Option<Former> {
        let former = Former {
            network: self.network()?,
            own: self.previous_subnets().v4?,
        };
        let differs = former.network != network || former.own.prefix_len() != subnet_len;
        (differs && former.network.contains(&former.own)).then_some(former)
    }

    /// Publishes the node's subnet for Docker.
    ///
    /// # Errors
    /// The file cannot be replaced; the old one is untouched.
    pub fn publish(&self, env: &SubnetEnv) -> Result<(), FileError> {
        write_atomic(&self.subnet_file, env.render().as_bytes(), ENV_MODE)
    }

    /// Removes `subnet.env` and the lock, for `agent --cleanup`.
    ///
    /// # Errors
    /// A file that is there cannot be removed.
    pub fn remove_files(self) -> Result<(), FileError> {
        for path in [&self.subnet_file, &lock_path(&self.subnet_file)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::new("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn lock_path(subnet_file: &Path) -> PathBuf {
    subnet_file.with_file_name("flannelctl-agent.lock")
}
