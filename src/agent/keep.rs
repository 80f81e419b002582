//! Keeps the own lease: refreshes it in time, follows what others do to its record, takes it again when it
//! was deleted. It ends only when it is told to, or when this node's subnet belongs to somebody else.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::registry::{
    AcquireError, Error as EtcdError, Followed, Held, KeepAlive, Registry, Renewal as Rewritten,
};
use crate::subnet::envfile::PreviousSubnets;
use crate::subnet::own::{self, OwnRecord};
use crate::subnet::renew::Renewal;
use crate::subnet::{LeaseAttrs, NetworkConfig, SubnetKey};

/// flanneld's lease time, in seconds.
pub const LEASE_TTL: i64 = 86_400;
/// Two agents with one public IP rewrite each other's record: not more often than this.
const REWRITE_PAUSE: Duration = Duration::from_secs(60);
/// Pause between tries to take a deleted lease again.
const RETAKE_PAUSE: Duration = Duration::from_secs(2);

/// How the own lease stands, for health and readiness.
#[derive(Debug, Clone)]
pub struct LeaseStatus {
    /// Its subnet.
    pub key: SubnetKey,
    /// When etcd drops it unless it is refreshed; `None` for a reservation, which does not end.
    pub expires: Option<Instant>,
    /// What is wrong with it, for people.
    pub trouble: Option<Trouble>,
}

/// What can be wrong with a lease that is still ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Refreshing fails.
    #[error("the lease cannot be refreshed; the log says why")]
    NotRefreshed,
    /// The record is gone and not yet ours again.
    #[error("the lease was deleted and is being taken again")]
    Deleted,
    /// Another agent writes our record.
    #[error("another node registers with this node's public IP")]
    DuplicatePublicIp,
}

/// Why this node no longer has its subnet.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The record belongs to another node.
    #[error("the subnet {subnet} now belongs to {holder}")]
    Taken {
        /// What was ours.
        subnet: SubnetKey,
        /// Public IP of the new holder.
        holder: Ipv4Addr,
    },
    /// The lease was deleted, and only another subnet could be had.
    #[error(
        "the lease of {old} was deleted and the subnet is taken: this node has {new} from its next start on"
    )]
    Changed {
        /// What was ours.
        old: SubnetKey,
        /// What etcd holds for us now.
        new: SubnetKey,
    },
    /// The lease was deleted and none could be had.
    #[error("the lease of {subnet} was deleted and cannot be taken again: {source}")]
    Refused {
        /// What was ours.
        subnet: SubnetKey,
        /// Why not.
        source: Box<AcquireError>,
    },
}

/// What the keeper remembers from one look at etcd to the next.
#[derive(Debug, Default)]
struct Watch {
    /// Newest revision seen.
    revision: i64,
    /// When an altered record was last put right.
    rewritten: Option<Instant>,
    /// When to look again unasked.
    again: Option<Instant>,
}

/// The keeper with what it needs to write the record again.
#[derive(Debug)]
pub struct Keeper {
    /// Way to etcd.
    pub registry: Registry,
    /// Config that the subnet was taken under.
    pub config: NetworkConfig,
    /// What the record says of us.
    pub attrs: LeaseAttrs,
    /// The record.
    pub held: Held,
    /// Refresh at the latest this long before the end.
    pub margin: Duration,
}

impl Keeper {
    /// The status to start with.
    pub fn status(&self, now: Instant) -> LeaseStatus {
        let expires = self.held.ttl.map(|ttl| now + seconds(ttl));
        LeaseStatus {
            key: self.held.key.clone(),
            expires,
            trouble: None,
        }
    }

    /// Runs until dropped; every write is guarded, so it may be dropped at any moment.
    ///
    /// # Errors
    /// `Lost` when the subnet is no longer ours.
    pub async fn run(
        mut self,
        mut followed: watch::Receiver<Followed>,
        status: watch::Sender<LeaseStatus>,
    ) -> Result<(), Lost> {
        // What happened to the record before the first list counts too.
        followed.mark_changed();
        let mut renewal = self.renewal();
        let mut watch = Watch::default();
        loop {
            let refresh = async {
                match self.held.origin.lease_id {
                    0 => std::future::pending().await, // a reservation does not end
                    _ => tokio::time::sleep_until(renewal.deadline().into()).await,
                }
            };
            let again = async {
                match watch.again {
                    None => std::future::pending().await,
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                }
            };
            tokio::select! {
                () = refresh => {
                    self.refresh(&mut renewal, &status).await?;
                    continue;
                }
                () = again => watch.again = None,
                changed = followed.changed() => if changed.is_err() {
                    return Ok(()); // the follower ended: the agent is stopping
                },
            }
            let snapshot = followed.borrow_and_update().snapshot.clone();
            if snapshot.revision < watch.revision {
                // Another etcd, or an older backup of it: our revisions mean nothing there.
                self.held.origin.create_revision = 0;
                self.held.origin.mod_revision = 0;
            }
            watch.revision = snapshot.revision;
            let fate = own::examine(&self.held.name, &self.attrs, self.held.origin, &snapshot);
            self.answer(fate, &mut renewal, &mut watch, &status).await?;
        }
    }

    fn renewal(&self) -> Renewal {
        let ttl = seconds(self.held.ttl.unwrap_or(LEASE_TTL));
        Renewal::new(Instant::now(), ttl, self.margin)
    }

    async fn refresh(
        &mut self,
        renewal: &mut Renewal,
        status: &watch::Sender<LeaseStatus>,
    ) -> Result<(), Lost> {
        match self.registry.keep_alive(self.held.origin.lease_id).await {
            Ok(KeepAlive::Alive { ttl }) => {
                if renewal.failures() > 0 {
                    tracing::info!("the lease of {} is refreshed again", self.held.key);
                }
                renewal.renewed(Instant::now(), seconds(ttl));
                let expires = Some(renewal.expires());
                status.send_modify(|s| {
                    s.expires = expires;
                    s.trouble = s.trouble.filter(|t| *t == Trouble::DuplicatePublicIp);
                });
            }
            Ok(KeepAlive::Gone) => {
                tracing::warn!("the lease of {} ran out or was revoked", self.held.key);
                self.take_again(renewal, status).await?;
            }
            Err(error) => {
                if renewal.failures() == 0 {
                    tracing::warn!(
                        "the lease of {} cannot be refreshed, trying on: {error}",
                        self.held.key
                    );
                }
                renewal.failed(Instant::now());
                status.send_modify(|s| s.trouble = Some(Trouble::NotRefreshed));
            }
        }
        Ok(())
    }

    async fn answer(
        &mut self,
        fate: OwnRecord,
        renewal: &mut Renewal,
        watch: &mut Watch,
        status: &watch::Sender<LeaseStatus>,
    ) -> Result<(), Lost> {
        let recent = watch
            .rewritten
            .map(|at| at + REWRITE_PAUSE)
            .filter(|end| *end > Instant::now());
        let doubled = status.borrow().trouble == Some(Trouble::DuplicatePublicIp);
        match fate {
            OwnRecord::Fine if doubled && recent.is_none() => {
                tracing::info!(
                    "nobody else writes the record of {} any more",
                    self.held.key
                );
                status.send_modify(|s| s.trouble = None);
            }
            OwnRecord::Fine => {}
            OwnRecord::Missing => {
                tracing::warn!(
                    "the lease of {} was deleted, taking it again",
                    self.held.key
                );
                self.take_again(renewal, status).await?;
            }
            OwnRecord::Taken(holder) => {
                return Err(Lost::Taken {
                    subnet: self.held.key.clone(),
                    holder,
                });
            }
            OwnRecord::Moved(origin) => {
                let kind = if origin.lease_id == 0 {
                    "a reservation"
                } else {
                    "a lease"
                };
                tracing::info!(
                    "the record of {} was rewritten by another hand; it is {kind}",
                    self.held.key
                );
                self.held.origin = origin;
                self.held.ttl = (origin.lease_id != 0).then_some(LEASE_TTL);
                *renewal = self.renewal();
                // Learns at once how long the new lease runs.
                if origin.lease_id != 0 {
                    self.refresh(renewal, status).await?;
                } else {
                    status.send_modify(|s| (s.expires, s.trouble) = (None, None));
                }
            }
            OwnRecord::Altered(origin) => {
                if !doubled {
                    let ip = self.attrs.public_ip;
                    tracing::error!(
                        "another node registers with this node's public IP {ip}; give each its own --public-ip or --iface"
                    );
                    status.send_modify(|s| s.trouble = Some(Trouble::DuplicatePublicIp));
                }
                if recent.is_some() {
                    watch.again = recent;
                    return Ok(());
                }
                let now = Instant::now();
                watch.rewritten = Some(now);
                watch.again = Some(now + REWRITE_PAUSE);
                self.rewrite(origin, renewal, status).await;
            }
            OwnRecord::Reserved(origin) => {
                tracing::info!("{} was made a reservation of this node", self.held.key);
                self.rewrite(origin, renewal, status).await;
            }
            OwnRecord::Broken(mut origin) => {
                // A put by hand takes the etcd lease away: no reason to hold the subnet for ever.
                origin.lease_id = self.held.origin.lease_id;
                self.rewrite(origin, renewal, status).await;
            }
        }
        Ok(())
    }

    /// Puts our value back, guarded by the revision of what was found. A failure is left to the next change
    /// or the next refresh.
    async fn rewrite(
        &mut self,
        found: crate::subnet::Origin,
        renewal: &mut Renewal,
        status: &watch::Sender<LeaseStatus>,
    ) {
        let target = Held {
            origin: found,
            ..self.held.clone()
        };
        match self.registry.renew(&target, &self.attrs, LEASE_TTL).await {
            Ok(Rewritten::Renewed(held)) => {
                tracing::warn!(
                    "the record of {} was written by another hand and is this node's again",
                    held.key
                );
                self.held = held;
                *renewal = self.renewal();
                let now = self.status(Instant::now());
                status.send_modify(|s| s.expires = now.expires);
            }
            // Somebody was quicker; the next snapshot tells what stands there.
            Ok(Rewritten::Lost { .. }) => {}
            Err(error) => tracing::warn!(
                "the altered record of {} cannot be restored: {error}",
                self.held.key
            ),
        }
    }

    /// Takes the subnet again after its record vanished.
    async fn take_again(
        &mut self,
        renewal: &mut Renewal,
        status: &watch::Sender<LeaseStatus>,
    ) -> Result<(), Lost> {
        status.send_modify(|s| s.trouble = Some(Trouble::Deleted));
        let previous = PreviousSubnets {
            v4: self.held.key.subnet4(),
            v6: self.held.key.v6,
        };
        let mut told = false;
        loop {
            match self
                .registry
                .acquire(&self.config, &self.attrs, &previous, LEASE_TTL)
                .await
            {
                Ok(held) if held.key == self.held.key => {
                    tracing::info!("the lease of {} is ours again", held.key);
                    self.held = held;
                    *renewal = self.renewal();
                    let now = self.status(Instant::now());
                    status.send_replace(now);
                    return Ok(());
                }
                Ok(held) => {
                    return Err(Lost::Changed {
                        old: self.held.key.clone(),
                        new: held.key,
                    });
                }
                // Only a network that is full ends it: an etcd that is away, full or refuses may serve again.
                Err(error @ (AcquireError::Registry(_) | AcquireError::Contended { .. })) => {
                    if !told {
                        tracing::warn!("the lease is not ours again yet, trying on: {error}");
                        told = true;
                    }
                    tokio::time::sleep(RETAKE_PAUSE).await;
                }
                Err(error) => {
                    return Err(Lost::Refused {
                        subnet: self.held.key.clone(),
                        source: Box::new(error),
                    });
                }
            }
        }
    }
}

/// True when etcd is only away or compacts just now: the same call may work later.
pub fn is_passing(error: &AcquireError) -> bool {
    matches!(
        error,
        AcquireError::Registry(EtcdError::Unreachable { .. } | EtcdError::Compacted { .. })
    )
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(ttl.max(1).unsigned_abs())
}
