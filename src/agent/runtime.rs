//! The folder of runtime files: the lock that keeps a second agent out, and `subnet.env`.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use nix::fcntl::{Flock, FlockArg};

use crate::kernel::file::{FileError, write_atomic};
use crate::subnet::envfile::{self, PreviousSubnets, SubnetEnv};

/// Everybody may read: Docker's units, CNI plugins, shells.
const ENV_MODE: u32 = 0o644;

/// The runtime folder while this agent owns it.
#[derive(Debug)]
pub struct RuntimeFolder {
    subnet_file: PathBuf,
    _lock: Flock<File>,
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
}

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
    /// The folder cannot be made or written to, or another agent holds it.
    pub fn open(subnet_file: &Path) -> Result<Self, RuntimeError> {
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
        let mut write_pid = || {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        write_pid().map_err(|e| FileError::new("write", &path, e))?;
        Ok(Self {
            subnet_file: subnet_file.to_owned(),
            _lock: lock,
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
