//! `/healthz` and `/readyz`, which tell the truth: alive while every part of the agent moves, ready while the
//! lease runs, the own side of the network stands and no firewall rule is in its way. What a restart cannot mend (etcd away, a lease that ran
//! out meanwhile) is no reason to be restarted: it would end the udp data path for nothing. Peers that cannot
//! be programmed change neither. `/metrics` is served beside them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::guard::FirewallStatus;
use super::keep::{LeaseStatus, Trouble};
use super::metrics;
use super::reconcile::{Failure, ReconcileStatus};
use crate::forward::Counters;

/// The reconciler looks at the kernel at least every 10 s; after this long without a round it hangs.
const STALLED: Duration = Duration::from_secs(60);

/// What health is judged by: the parts of the life that runs, `None` while one is starting.
#[derive(Debug, Default)]
pub struct Vitals {
    parts: watch::Sender<Option<Parts>>,
    /// The udp backend's, if that is the backend.
    counters: ArcSwapOption<Counters>,
}

#[derive(Debug, Clone)]
struct Parts {
    reconcile: watch::Receiver<ReconcileStatus>,
    lease: watch::Receiver<LeaseStatus>,
    firewall: watch::Receiver<FirewallStatus>,
}

/// Why the agent is not healthy or not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ill {
    /// Config or lease are still waited for.
    #[error("flanneld is not ready yet")]
    Starting,
    /// No round for a minute.
    #[error("the reconciler stands still")]
    Stalled,
    /// The lease's time is over.
    #[error("the lease of {0} has run out")]
    LeaseExpired(String),
    /// The lease is ours, but something is wrong with it.
    #[error("{0}")]
    Lease(Trouble),
    /// The own side of the network is not as it should be.
    #[error("{0}")]
    Kernel(Failure),
    /// The firewall drops overlay traffic, or our rules are not in place.
    #[error("the firewall stands in the way: {0}")]
    Firewall(String),
}

impl Vitals {
    /// Called in each life when the network stands and `subnet.env` is written.
    pub fn started(
        &self,
        reconcile: watch::Receiver<ReconcileStatus>,
        lease: watch::Receiver<LeaseStatus>,
        firewall: watch::Receiver<FirewallStatus>,
    ) {
        self.parts.send_replace(Some(Parts {
            reconcile,
            lease,
            firewall,
        }));
    }

    /// Called in each life before its data path runs: what `/metrics` shows of it.
    pub fn counts(&self, counters: Option<Arc<Counters>>) {
        self.counters.store(counters);
    }

    /// The life ended; what it left says nothing about the next one.
    pub fn ended(&self) {
        self.parts.send_replace(None);
    }

    /// Alive: nothing hangs. Waiting for etcd or a config is being alive.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn alive(&self, now: Instant) -> Result<(), Ill> {
        let parts = self.parts.borrow();
        let last_round = parts
            .as_ref()
            .and_then(|parts| parts.reconcile.borrow().last_round);
        match last_round {
            Some(at) if now.duration_since(at) > STALLED => Err(Ill::Stalled),
            _ => Ok(()),
        }
    }

    /// Ready: alive, the lease runs and is ours, device, address and own routes are in place, and the firewall
    /// lets overlay traffic pass.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn ready(&self, now: Instant) -> Result<(), Ill> {
        let parts = self.parts.borrow().clone().ok_or(Ill::Starting)?;
        self.alive(now)?;
        {
            let lease = parts.lease.borrow();
            if lease.expires.is_some_and(|expires| now >= expires) {
                return Err(Ill::LeaseExpired(lease.key.to_string()));
            }
        }
        if let Some(trouble) = parts.lease.borrow().trouble
            && trouble != Trouble::NotRefreshed
        {
            return Err(Ill::Lease(trouble));
        }
        let own = parts
            .reconcile
            .borrow()
            .failures
            .iter()
            .find(|f| !f.concerns_peer())
            .cloned();
        if let Some(failure) = own {
            return Err(Ill::Kernel(failure));
        }
        let blocked = parts.firewall.borrow().stops.clone();
        blocked.map_or(Ok(()), |reason| Err(Ill::Firewall(reason)))
    }
}

/// Opens the port. A port in use is known before anything is changed.
///
/// # Errors
/// The system's reason.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until cancelled. Any method is answered, as by flanneld.
pub async fn serve(listener: TcpListener, vitals: Arc<Vitals>, cancel: CancellationToken) {
    let app = Router::new()
        .route("/healthz", any(healthz))
        .route("/readyz", any(readyz))
        .route("/metrics", any(numbers))
        .with_state(vitals);
    let stopped = cancel.clone();
    let server =
        axum::serve(listener, app).with_graceful_shutdown(async move { stopped.cancelled().await });
    if let Err(error) = server.await {
        tracing::error!("the health server ended: {error}");
    }
}

async fn healthz(State(vitals): State<Arc<Vitals>>) -> (StatusCode, String) {
    answer(vitals.alive(Instant::now()), "flanneld is running")
}

async fn readyz(State(vitals): State<Arc<Vitals>>) -> (StatusCode, String) {
    answer(vitals.ready(Instant::now()), "flanneld is ready")
}

async fn numbers(State(vitals): State<Arc<Vitals>>) -> Response {
    let ready = vitals.ready(Instant::now()).is_ok();
    match metrics::text(ready, vitals.counters.load().as_deref()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn answer(state: Result<(), Ill>, well: &str) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, well.to_owned()),
        Err(ill) => (StatusCode::SERVICE_UNAVAILABLE, ill.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::subnet::SubnetKey;

    fn lease(expires: Option<Instant>, trouble: Option<Trouble>) -> LeaseStatus {
        LeaseStatus {
            key: SubnetKey::v4("10.5.7.0/24".parse().unwrap()),
            expires,
            trouble,
        }
    }

    #[test]
    fn readiness_reverts_and_health_notices_what_hangs() {
        let vitals = Vitals::default();
        let now = Instant::now();
        assert_eq!(vitals.alive(now), Ok(()), "waiting is being alive");
        assert_eq!(vitals.ready(now), Err(Ill::Starting));

        let (lease_in, lease_out) = watch::channel(lease(Some(now + STALLED * 9), None));
        let status = ReconcileStatus {
            last_round: Some(now),
            ..ReconcileStatus::default()
        };
        let (_reconcile_in, reconcile_out) = watch::channel(status);
        let (firewall_in, firewall_out) = watch::channel(FirewallStatus::default());
        vitals.started(reconcile_out, lease_out, firewall_out);
        assert_eq!(vitals.ready(now), Ok(()));
        let dropped = FirewallStatus {
            stops: Some("FORWARD drops".to_owned()),
            ..FirewallStatus::default()
        };
        firewall_in.send_replace(dropped);
        assert!(matches!(vitals.ready(now), Err(Ill::Firewall(_))));
        assert_eq!(vitals.alive(now), Ok(()), "a restart would not mend it");
        firewall_in.send_replace(FirewallStatus::default());
        assert_eq!(vitals.alive(now + STALLED * 2), Err(Ill::Stalled));
        lease_in.send_replace(lease(None, Some(Trouble::Deleted)));
        assert_eq!(vitals.ready(now), Err(Ill::Lease(Trouble::Deleted)));
        assert_eq!(vitals.alive(now), Ok(()));
        lease_in.send_replace(lease(Some(now), None));
        assert!(matches!(vitals.ready(now), Err(Ill::LeaseExpired(_))));
        assert_eq!(
            vitals.alive(now),
            Ok(()),
            "a restart would not bring it back"
        );
    }

    #[test]
    fn the_next_life_is_not_judged_by_what_the_last_one_left() {
        let vitals = Vitals::default();
        let now = Instant::now();
        let begin = |at| {
            let (reconcile_in, reconcile) = watch::channel(ReconcileStatus {
                last_round: Some(at),
                ..ReconcileStatus::default()
            });
            let (lease_in, lease) = watch::channel(lease(None, None));
            let (firewall_in, firewall) = watch::channel(FirewallStatus::default());
            vitals.started(reconcile, lease, firewall);
            (reconcile_in, lease_in, firewall_in)
        };
        drop(begin(now));
        let later = now + STALLED * 2;
        assert_eq!(vitals.alive(later), Err(Ill::Stalled));
        vitals.ended();
        assert_eq!(vitals.alive(later), Ok(()), "a life that starts is alive");
        assert_eq!(vitals.ready(later), Err(Ill::Starting));
        let _second = begin(later);
        assert_eq!(vitals.ready(later), Ok(()));
    }
}
