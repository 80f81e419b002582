//! Holding a subnet in etcd: taking one, changing its record, letting it go. `subnet::allocate` decides
//! which; this carries it out by guarded transactions and never writes over what somebody else wrote.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, TxnOp};
use rand::RngExt;

use super::error::{Error, Operation};
use super::keys::after_prefix;
use super::lifetime::{Granted, on_lease};
use super::store::Registry;
use crate::subnet::allocate::{self, Acquisition, AllocateError};
use crate::subnet::envfile::PreviousSubnets;
use crate::subnet::{LeaseAttrs, NetworkConfig, Origin, Record, SubnetKey};

/// How many times a node asks anew that lost a subnet to another one.
const TRIES: u32 = 20;

/// A subnet that this node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The record's name as it stands in etcd.
    pub name: String,
    /// Its subnet(s).
    pub key: SubnetKey,
    /// Where it stands since our write; `lease_id` 0 = a reservation.
    pub origin: Origin,
    /// Seconds that the etcd lease lives from the write; `None` for a reservation, which never ends.
    pub ttl: Option<i64>,
}

/// Why no subnet was acquired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// etcd did not serve.
    #[error(transparent)]
    Registry(#[from] Error),
    /// There is none to take.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// Others were always quicker, or a record that cannot be read is in the way.
    #[error("no subnet could be acquired: {tries} times another record was in the way, last {key}")]
    Contended {
        /// How many times it was tried.
        tries: u32,
        /// The key that was tried last.
        key: String,
    },
}

/// What became of [`Registry::renew`].
#[derive(Debug, Clone, PartialEq)]
pub enum Renewal {
    /// Written.
    Renewed(Held),
    /// The record is gone or somebody else wrote it; nothing was changed. Acquire anew.
    Lost {
        /// What stands there now.
        current: Option<Record>,
    },
}

impl Registry {
    /// Takes a subnet for the node whose public IP is in `attrs` (flannel-compat 3.2): its record
    /// of an earlier run, else its previous subnet, else a free one. `ttl` in seconds.
    ///
    /// Two nodes never get overlapping subnets: a new key is created only where no key of the same IPv4
    /// subnet exists, and is withdrawn when any key created since our list overlaps it. Of two such
    /// transactions exactly the later one sees the other.
    ///
    /// A record without an etcd lease is a reservation and stays without one. The etcd lease of an
    /// earlier run is revoked when no key is on it any more. If the returned future is dropped halfway,
    /// an etcd lease without keys is left to expire.
    ///
    /// # Errors
    /// `AcquireError`.
    pub async fn acquire(
        &self,
        config: &NetworkConfig,
        attrs: &LeaseAttrs,
        previous: &PreviousSubnets,
        ttl: i64,
    ) -> Result<Held, AcquireError> {
        let mut granted = None;
        let outcome = self
            .acquire_with(config, attrs, previous, ttl, &mut granted)
            .await;
        if let Some(unused) = granted {
            self.tidy(unused.id).await;
        }
        outcome
    }

    /// `granted` holds an etcd lease that no record of ours is on yet.
    async fn acquire_with(
        &self,
        config: &NetworkConfig,
        attrs: &LeaseAttrs,
        previous: &PreviousSubnets,
        ttl: i64,
        granted: &mut Option<Granted>,
    ) -> Result<Held, AcquireError> {
        let value = attrs.encode();
        let mut previous = previous.clone();
        let mut last = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                let pause = rand::rng().random_range(5..=(20 * u64::from(attempt)).min(200));
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            let snapshot = self.snapshot().await?;
            let decision = allocate::decide(
                config,
                &snapshot,
                attrs.public_ip,
                &previous,
                &mut rand::rng(),
            )?;
            let held = match decision {
                Acquisition::Discard { name, origin } => {
                    last = self.subnet_key(&name);
                    if self.delete(&last, origin.mod_revision).await? {
                        // The half that still fits stays: turning IPv6 on or off moves no IPv4 subnet.
                        if let Ok(key) = SubnetKey::parse(&name) {
                            previous.v4 = key.subnet4().or(previous.v4);
                            previous.v6 = key.v6.or(previous.v6);
                        }
                        self.tidy(origin.lease_id).await;
                    }
                    None
                }
                Acquisition::Reuse { name, key, origin } => {
                    last = self.subnet_key(&name);
                    let lease = match origin.lease_id {
                        0 => None,
                        _ => Some(self.granted(granted, ttl).await?),
                    };
                    let reused = self.rewrite(name, key, origin, &value, lease).await?;
                    if reused.is_some() && lease.is_some() {
                        *granted = None;
                        self.tidy(origin.lease_id).await;
                    }
                    reused
                }
                Acquisition::Create { key } => {
                    last = self.subnet_key(&key.to_string());
                    let lease = self.granted(granted, ttl).await?;
                    let created = self.create(key, &value, lease, snapshot.revision).await?;
                    if created.is_some() {
                        *granted = None;
                    }
                    created
                }
            };
            if let Some(held) = held {
                return Ok(held);
            }
        }
        Err(AcquireError::Contended {
            tries: TRIES,
            key: super::text::plain(&last),
        })
    }

    /// The etcd lease of this acquisition, granted at its first use.
    async fn granted(&self, slot: &mut Option<Granted>, ttl: i64) -> Result<Granted, Error> {
        if let Some(granted) = *slot {
            return Ok(granted);
        }
        let granted = self.grant(ttl).await?;
        *slot = Some(granted);
        Ok(granted)
    }

    /// Creates the record of `key` unless another one is there. `listed` is the revision of the list
    /// that showed the subnet to be free.
    async fn create(
        &self,
        key: SubnetKey,
        value: &str,
        lease: Granted,
        listed: i64,
    ) -> Result<Option<Held>, Error> {
        let name = key.to_string();
        let full = self.subnet_key(&name);
        let put = TxnOp::put(full.as_str(), value, on_lease(Some(lease)));
        let guards = self.free(&key);
        let revision = match self.transact(Operation::Write, &full, guards, put).await? {
            Some(revision) => revision,
            None => match self.record_at(&full).await? {
                // Our own write, whose answer was lost on the way and which was sent again.
                Some(kv) if kv.lease() == lease.id => kv.mod_revision(),
                _ => return Ok(None),
            },
        };
        if self.overlapped(&key, &full, listed, revision).await? {
            self.delete(&full, revision).await?;
            return Ok(None);
        }
        Ok(Some(Held {
            name,
            key,
            origin: Origin {
                lease_id: lease.id,
                create_revision: revision,
                mod_revision: revision,
            },
            ttl: Some(lease.ttl),
        }))
    }

    /// Guards: neither `A.B.C.D-LEN` nor any `A.B.C.D-LEN&…` exists.
    fn free(&self, key: &SubnetKey) -> Vec<Compare> {
        let absent = |key: String| Compare::version(key, CompareOp::Equal, 0);
        if key.subnet4().is_none() {
            return vec![absent(self.subnet_key(&key.to_string()))];
        }
        let single = self.subnet_key(&SubnetKey::v4(key.v4).to_string());
        let dual = format!("{single}&");
        let end = after_prefix(&dual);
        vec![absent(single), absent(dual).with_range(end)]
    }

    /// True when a record created after `listed` and up to `revision` overlaps `key`.
    async fn overlapped(
        &self,
        key: &SubnetKey,
        full: &str,
        listed: i64,
        revision: i64,
    ) -> Result<bool, Error> {
        let keys = &self.inner.keys;
        let options = GetOptions::new()
            .with_range(keys.subnets_end())
            .with_revision(revision)
            .with_min_create_revision(listed + 1);
        let (_, response) = match self
            .get(&keys.subnets, Operation::List, Some(options))
            .await
        {
            Ok(response) => response,
            // Compacted away this very moment: take nothing that cannot be checked.
            Err(Error::Compacted { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        Ok(response
            .kvs()
            .iter()
            .filter(|kv| kv.key() != full.as_bytes())
            .any(|kv| {
                let record = keys.record(kv);
                record.key().is_some_and(|other| overlap(key, other))
            }))
    }

    /// Writes a record anew if it still is as `origin` says.
    async fn rewrite(
        &self,
        name: String,
        key: SubnetKey,
        origin: Origin,
        value: &str,
        lease: Option<Granted>,
    ) -> Result<Option<Held>, Error> {
        let full = self.subnet_key(&name);
        let guard = Compare::mod_revision(full.as_str(), CompareOp::Equal, origin.mod_revision);
        let put = TxnOp::put(full.as_str(), value, on_lease(lease));
        let lease_id = lease.map_or(0, |lease| lease.id);
        let revision = match self
            .transact(Operation::Write, &full, vec![guard], put)
            .await?
        {
            Some(revision) => revision,
            None => match self.record_at(&full).await? {
                // Our own write, whose answer was lost on the way and which was sent again.
                Some(kv)
                    if kv.create_revision() == origin.create_revision
                        && kv.mod_revision() > origin.mod_revision
                        && kv.lease() == lease_id
                        && kv.value() == value.as_bytes() =>
                {
                    kv.mod_revision()
                }
                _ => return Ok(None),
            },
        };
        Ok(Some(Held {
            name,
            key,
            origin: Origin {
                lease_id,
                create_revision: origin.create_revision,
                mod_revision: revision,
            },
            ttl: lease.map(|lease| lease.ttl),
        }))
    }

    /// Writes the held record anew, with other attributes or a fresh etcd lease of `ttl` seconds (a
    /// reservation stays without one), if nobody has written it since.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve; it may have been written all the same, and asking again
    /// with the same `held` and `attrs` tells `Lost` with the current record.
    pub async fn renew(&self, held: &Held, attrs: &LeaseAttrs, ttl: i64) -> Result<Renewal, Error> {
        let lease = match held.origin.lease_id {
            0 => None,
            _ => Some(self.grant(ttl).await?),
        };
        let value = attrs.encode();
        let (name, key) = (held.name.clone(), held.key.clone());
        let written = self.rewrite(name, key, held.origin, &value, lease).await;
        // The new lease if it came to nothing, the old one if it was replaced.
        match (&written, lease) {
            (Ok(Some(_)), Some(_)) => self.tidy(held.origin.lease_id).await,
            (Ok(None), Some(unused)) => self.tidy(unused.id).await,
            _ => {}
        }
        if let Some(renewed) = written? {
            return Ok(Renewal::Renewed(renewed));
        }
        let current = self.record_at(&self.subnet_key(&held.name)).await?;
        Ok(Renewal::Lost {
            current: current.map(|kv| self.inner.keys.record(&kv)),
        })
    }

    /// Gives the subnet back: deletes the record unless somebody has written it since. A reservation is
    /// the admin's and stays. True when the record was deleted.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve.
    pub async fn release(&self, held: &Held) -> Result<bool, Error> {
        if held.origin.lease_id == 0 {
            return Ok(false);
        }
        let full = self.subnet_key(&held.name);
        let deleted = self.delete(&full, held.origin.mod_revision).await?;
        if deleted {
            self.tidy(held.origin.lease_id).await;
        }
        Ok(deleted)
    }

    /// Deletes `full` if it still is as it was at `mod_revision`. True when it is gone.
    async fn delete(&self, full: &str, mod_revision: i64) -> Result<bool, Error> {
        let guard = Compare::mod_revision(full, CompareOp::Equal, mod_revision);
        let delete = TxnOp::delete(full, None);
        let done = self
            .transact(Operation::Delete, full, vec![guard], delete)
            .await?;
        Ok(done.is_some())
    }

    async fn record_at(&self, full: &str) -> Result<Option<KeyValue>, Error> {
        let (_, mut response) = self.get(full, Operation::Read, None).await?;
        Ok(response.take_kvs().pop())
    }
}

/// True when two records cannot both be programmed.
fn overlap(a: &SubnetKey, b: &SubnetKey) -> bool {
    let four = match (a.subnet4(), b.subnet4()) {
        (Some(a), Some(b)) => a.contains(&b) || b.contains(&a),
        _ => false,
    };
    let six = match (a.v6, b.v6) {
        (Some(a), Some(b)) => a.contains(&b.trunc()) || b.contains(&a.trunc()),
        _ => false,
    };
    four || six
}
