//! From the leases to the goal: judges every record, leaves out what must not be programmed (and says so
//! once), and hands the newest goal to the reconciler and the newest table to the udp data path.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::pump::Device;
use super::reconcile::ReconcileStatus;
use crate::forward;
use crate::plan::{Goal, Peer};
use crate::registry::Followed;
use crate::subnet::standing::{self, HostNets, Judged};
use crate::subnet::{Backend, Lease, NetworkConfig, Snapshot};

/// What turns a snapshot into a goal.
#[derive(Debug)]
pub struct Peering {
    config: NetworkConfig,
    config_bytes: Vec<u8>,
    own_name: String,
    base: Goal,
    table: Option<Arc<ArcSwap<forward::Table>>>,
    told: BTreeMap<String, String>,
    told_config: Vec<u8>,
    etcd_away: bool,
}

impl Peering {
    /// `base` is the goal without peers; `table` that of the udp data path, if it runs.
    pub fn new(
        config: NetworkConfig,
        config_bytes: Vec<u8>,
        own_name: String,
        base: Goal,
        table: Option<Arc<ArcSwap<forward::Table>>>,
    ) -> Self {
        let told_config = config_bytes.clone();
        Self {
            config,
            config_bytes,
            own_name,
            base,
            table,
            told: BTreeMap::new(),
            told_config,
            etcd_away: false,
        }
    }

    /// The goal for a snapshot; stores the forwarding table on the way.
    pub fn goal(&mut self, snapshot: &Snapshot, host: &HostNets) -> Arc<Goal> {
        let own_name = self.own_name.clone();
        let own = Some(own_name.as_str());
        let judged = standing::judge(snapshot, &self.config, host, own);
        self.tell(&judged);
        let mut leases = standing::peers(snapshot, &judged, own, self.base.host.public_ip);
        // Of two that collide the earlier in the goal is served. A node that moved has two leases with one
        // MAC until the old one runs out, and is where the newer one says.
        leases.sort_by_key(|lease| Reverse(lease.origin.mod_revision));
        let peers: Vec<Peer> = leases.into_iter().filter_map(peer).collect();
        if let (Some(table), Backend::Udp { port }) = (&self.table, &self.base.backend) {
            let entries = peers.iter().map(|peer| forward::Peer {
                subnet: peer.subnet,
                address: SocketAddrV4::new(peer.public_ip, *port),
            });
            table.store(Arc::new(forward::Table::new(entries)));
        }
        Arc::new(Goal {
            peers,
            ..self.base.clone()
        })
    }

    /// The TUN device was opened again.
    pub fn device(&mut self, device: &Device) {
        self.base.host.tun = Some(device.name.clone());
    }

    /// Says each new problem and each healing once.
    fn tell(&mut self, judged: &[Judged]) {
        let now: BTreeMap<String, String> = judged
            .iter()
            .filter(|j| !j.standings.is_empty())
            .map(|j| {
                (
                    j.name.clone(),
                    j.standings
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("; "),
                )
            })
            .collect();
        for (name, what) in &now {
            if self.told.get(name) != Some(what) {
                let left_out = judged
                    .iter()
                    .any(|j| j.name == *name && !j.standings.iter().all(|s| s.usable()));
                let consequence = if left_out {
                    "; it is not programmed"
                } else {
                    ""
                };
                tracing::warn!("record {name:?}: {what}{consequence}");
            }
        }
        for name in self.told.keys().filter(|name| !now.contains_key(*name)) {
            tracing::info!("record {name:?}: nothing is wrong any more");
        }
        self.told = now;
    }

    /// A changed config takes effect at the next start, as with flanneld; it is said once per change.
    fn tell_config(&mut self, followed: &Followed) {
        let Some(config) = &followed.config else {
            return;
        };
        if config.bytes != self.told_config {
            self.told_config.clone_from(&config.bytes);
            if config.bytes != self.config_bytes {
                tracing::warn!(
                    "the network config in etcd was changed; it takes effect when this agent is restarted"
                );
            }
        }
    }

    /// A lost etcd changes nothing, so nothing else would tell of it.
    fn tell_contact(&mut self, followed: &Followed) {
        match &followed.contact.last_error {
            Some(error) if !self.etcd_away => {
                tracing::warn!("no contact with etcd, the network stays as it is: {error}")
            }
            None if self.etcd_away => tracing::info!(
                "in contact with etcd again, at {}",
                followed.contact.endpoint.as_deref().unwrap_or("?")
            ),
            _ => {}
        }
        self.etcd_away = followed.contact.last_error.is_some();
    }

    /// Runs until a channel closes.
    pub async fn run(
        mut self,
        mut followed: watch::Receiver<Followed>,
        mut status: watch::Receiver<ReconcileStatus>,
        mut device: Option<watch::Receiver<Device>>,
        goals: watch::Sender<Arc<Goal>>,
    ) {
        loop {
            let (snapshot, host) = {
                let now = followed.borrow_and_update();
                self.tell_config(&now);
                self.tell_contact(&now);
                (
                    Arc::clone(&now.snapshot),
                    status.borrow_and_update().host_nets.clone(),
                )
            };
            if let Some(device) = &mut device {
                let device = device.borrow_and_update().clone();
                self.device(&device);
            }
            let goal = self.goal(&snapshot, &host);
            goals.send_if_modified(|current| {
                let differs = **current != *goal;
                if differs {
                    *current = goal;
                }
                differs
            });
            let seen = host;
            let host_changed = async {
                loop {
                    if status.changed().await.is_err()
                        || status.borrow_and_update().host_nets != seen
                    {
                        return;
                    }
                }
            };
            tokio::select! {
                changed = followed.changed() => if changed.is_err() { return },
                () = host_changed => if status.has_changed().is_err() { return },
                changed = device_changed(&mut device) => if changed.is_err() { return },
            }
        }
    }
}

async fn device_changed(
    device: &mut Option<watch::Receiver<Device>>,
) -> Result<(), watch::error::RecvError> {
    match device {
        Some(device) => device.changed().await,
        None => std::future::pending().await,
    }
}

fn peer(lease: &Lease) -> Option<Peer> {
    Some(Peer {
        subnet: lease.key.subnet4()?,
        public_ip: lease.attrs.public_ip,
        vtep_mac: lease.attrs.vtep().map(|vtep| vtep.mac),
    })
}
