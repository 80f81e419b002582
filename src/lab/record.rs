//! What a running lab says of itself, so that other commands find it.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::plan::{ETCD_PREFIX, etcd_url};
use crate::kernel::file::{FileError, write_atomic};
use crate::kernel::netns::Netns;
use crate::kernel::process;

/// The lab's files. One lab runs on a machine at a time.
pub const FOLDER: &str = "/run/flannelctl-lab";
const RECORD: &str = "lab.json";
const HOLDER: &str = "holder.json";

/// A running lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The process that holds it: a pid alone may be somebody else's by now.
    pub holder: Holder,
    /// How the hosts' packets travel.
    pub backend: String,
    /// What serves the store.
    pub store: String,
    /// The switch's namespace, as the holder's descriptor.
    pub switch: i32,
    /// The hosts, `node1` first.
    pub nodes: Vec<NodeRecord>,
}

/// One host of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRecord {
    /// `node1`.
    pub name: String,
    /// On the underlay.
    pub address: Ipv4Addr,
    /// Its lease.
    pub subnet: Ipv4Net,
    /// The container's address.
    pub container: Ipv4Addr,
    /// Its agent.
    pub agent: i32,
    /// When the agent began.
    pub agent_started: u64,
    /// What the agent wrote for Docker.
    pub subnet_file: PathBuf,
    /// Its namespace, as the holder's descriptor.
    pub namespace: i32,
    /// The container's namespace, as the holder's descriptor.
    pub container_namespace: i32,
}

/// The process that holds the lab, from before there is one to its end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Holder {
    /// Its pid.
    pub pid: i32,
    /// When it began, in the kernel's ticks.
    pub started: u64,
}

impl Holder {
    /// The calling process.
    pub fn own() -> Self {
        // The kernel's largest pid has 22 bits.
        let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        Self {
            pid,
            started: process::start_time(pid).unwrap_or_default(),
        }
    }

    /// Publishes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        write(&folder.join(HOLDER), self)
    }

    /// The one that was published last, whether it still runs or not.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(HOLDER)).ok()?).ok()
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        process::start_time(self.pid) == Some(self.started)
    }
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let text = serde_json::to_vec(value)
        .map_err(|error| FileError::new("write", path, io::Error::other(error)))?;
    write_atomic(path, &text, 0o644)
}

/// A place in the lab where a program can run.
#[derive(Debug)]
pub struct Place {
    /// `node1`, `node1/container`, `switch`.
    pub name: String,
    /// Where its devices are.
    pub namespace: Netns,
    /// What lets flannelctl work there without flags.
    pub environment: Vec<(&'static str, String)>,
}

impl Record {
    /// Publishes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        write(&folder.join(RECORD), self)
    }

    /// The lab that runs now.
    pub fn running() -> Option<Self> {
        let record = Self::read(Path::new(FOLDER))?;
        record.holder.is_alive().then_some(record)
    }

    /// The record, whether its lab still runs or not.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()
    }

    /// The host of that name.
    pub fn node(&self, name: &str) -> Option<&NodeRecord> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// All names that [`Record::place`] knows.
    pub fn places(&self) -> Vec<String> {
        let nodes = self.nodes.iter();
        nodes
            .flat_map(|node| [node.name.clone(), format!("{}/container", node.name)])
            .chain([super::plan::SWITCH.to_owned()])
            .collect()
    }

    /// The place of that name; `None` when there is none.
    ///
    /// # Errors
    /// Its namespace cannot be opened.
    pub fn place(&self, name: &str) -> io::Result<Option<Place>> {
        let (node, inside) = match name.split_once('/') {
            Some((node, "container")) => (node, true),
            Some(_) => return Ok(None),
            None => (name, false),
        };
        let (descriptor, subnet_file) = match self.node(node) {
            Some(node) if inside => (node.container_namespace, None),
            Some(node) => (node.namespace, Some(&node.subnet_file)),
            None if name == super::plan::SWITCH => (self.switch, None),
            None => return Ok(None),
        };
        let namespace = self.namespace(descriptor)?;
        let mut environment = vec![
            ("FLANNELCTL_ETCD_ENDPOINTS", etcd_url()),
            ("FLANNELCTL_ETCD_PREFIX", ETCD_PREFIX.to_owned()),
        ];
        if let Some(file) = subnet_file {
            environment.push((
                "FLANNELCTL_SUBNET_FILE",
                file.to_string_lossy().into_owned(),
            ));
        }
        Ok(Some(Place {
            name: name.to_owned(),
            namespace,
            environment,
        }))
    }

    fn namespace(&self, descriptor: i32) -> io::Result<Netns> {
        Netns::open(Path::new(&format!(
            "/proc/{}/fd/{descriptor}",
            self.holder.pid
        )))
    }
}
