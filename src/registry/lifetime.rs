//! The life of etcd leases: granting, refreshing, asking for the time left. Knows nothing of the keys
//! that hang on them.

use std::collections::{BTreeMap, BTreeSet};

use etcd_client::{LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions};
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::RngExt;
use tonic::Code;

use super::error::{Error, Operation};
use super::store::Registry;

/// Questions for a time to live that are on their way together.
const TTL_AT_ONCE: usize = 32;

/// What became of an etcd lease that was to be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Refreshed.
    Alive {
        /// Seconds that it lives from now.
        ttl: i64,
    },
    /// It expired or was revoked, and with it the keys on it.
    Gone,
}

/// An etcd lease of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granted {
    pub(super) id: i64,
    pub(super) ttl: i64,
}

impl Registry {
    /// Seconds that etcd leases still live; `None` for one that is gone. 0 (no lease) is left out.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve.
    pub async fn ttls(&self, leases: &[i64]) -> Result<BTreeMap<i64, Option<i64>>, Error> {
        let distinct: BTreeSet<i64> = leases.iter().copied().filter(|id| *id != 0).collect();
        stream::iter(distinct)
            .map(|id| async move {
                let (ttl, _) = self.time_to_live(id, false).await?;
                Ok((id, ttl))
            })
            .buffer_unordered(TTL_AT_ONCE)
            .try_collect()
            .await
    }

    /// The lease's remaining seconds (`None` = gone) and how many keys are on it.
    pub(super) async fn time_to_live(
        &self,
        id: i64,
        keys: bool,
    ) -> Result<(Option<i64>, usize), Error> {
        let named = lease_text(id);
        let call = self
            .inner
            .pool
            .call(Operation::TimeToLive, &named, |client| {
                let mut lease = client.lease_client();
                async move {
                    let options = keys.then(|| LeaseTimeToLiveOptions::new().with_keys());
                    lease.time_to_live(id, options).await
                }
            });
        match call.await {
            Ok((_, response)) => {
                let ttl = response.ttl();
                Ok(((ttl >= 0).then_some(ttl), response.keys().len()))
            }
            // Some versions say it so.
            Err(Error::Refused { answer, .. }) if answer.code == Code::NotFound => Ok((None, 0)),
            Err(error) => Err(error),
        }
    }

    /// Refreshes an etcd lease once. Safe at any time: a leader that has just changed counts from
    /// its election.
    ///
    /// # Errors
    /// [`Error`] when etcd does not serve; the lease may still live.
    pub async fn keep_alive(&self, id: i64) -> Result<KeepAlive, Error> {
        let named = lease_text(id);
        let call = self
            .inner
            .pool
            .call(Operation::KeepAlive, &named, |client| {
                let mut lease = client.lease_client();
                async move {
                    // etcd-client swallows the first answer, which holds the TTL; the second is ours.
                    let (mut keeper, mut answers) = match lease.keep_alive(id).await {
                        Ok(both) => both,
                        // Its only word for a lease that is gone, but also for other things: ask.
                        Err(error @ etcd_client::Error::LeaseKeepAliveError(_)) => {
                            let left = lease.time_to_live(id, None).await?;
                            return if left.ttl() < 0 { Ok(0) } else { Err(error) };
                        }
                        Err(error) => return Err(error),
                    };
                    keeper.keep_alive().await?;
                    match answers.message().await? {
                        Some(answer) => Ok(answer.ttl()),
                        None => Err(etcd_client::Error::LeaseKeepAliveError(
                            "the stream ended".to_owned(),
                        )),
                    }
                }
            });
        match call.await {
            Ok((_, ttl)) if ttl > 0 => Ok(KeepAlive::Alive { ttl }),
            Ok(_) => Ok(KeepAlive::Gone),
            Err(Error::Refused { answer, .. }) if answer.code == Code::NotFound => {
                Ok(KeepAlive::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// Grants an etcd lease under an ID of ours, so that a repeated request makes no second one.
    pub(super) async fn grant(&self, ttl: i64) -> Result<Granted, Error> {
        let id = rand::rng().random_range(1..i64::MAX);
        let named = lease_text(id);
        let call = self.inner.pool.call(Operation::Grant, &named, |client| {
            let mut lease = client.lease_client();
            async move {
                let options = LeaseGrantOptions::new().with_id(id);
                lease.grant(ttl, Some(options)).await
            }
        });
        match call.await {
            Ok((_, response)) => Ok(Granted {
                id,
                ttl: response.ttl(),
            }),
            Err(Error::Refused { answer, .. }) if answer.message.contains("already exists") => {
                Ok(Granted { id, ttl })
            }
            Err(error) => Err(error),
        }
    }

    /// Revokes an etcd lease that no key hangs on. Only tidies up: an error is no matter, as etcd
    /// lets the lease expire.
    pub(super) async fn tidy(&self, id: i64) {
        if id != 0
            && matches!(self.time_to_live(id, true).await, Ok((Some(_), 0)))
            && let Err(error) = self.revoke(id).await
        {
            tracing::debug!(%error, lease = id, "an unused etcd lease is left to expire");
        }
    }

    /// Revokes an etcd lease with all keys on it. One that is gone already is no error.
    pub(super) async fn revoke(&self, id: i64) -> Result<(), Error> {
        let named = lease_text(id);
        let call = self.inner.pool.call(Operation::Revoke, &named, |client| {
            let mut lease = client.lease_client();
            async move { lease.revoke(id).await }
        });
        match call.await {
            Err(Error::Refused { answer, .. }) if answer.code == Code::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Options of a put: on this etcd lease, or on none.
pub(super) fn on_lease(granted: Option<Granted>) -> Option<PutOptions> {
    granted.map(|granted| PutOptions::new().with_lease(granted.id))
}

/// As etcdctl writes it.
fn lease_text(id: i64) -> String {
    format!("etcd lease {id:016x}")
}
