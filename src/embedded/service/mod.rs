//! The store on the wire: etcd's gRPC services over one [`Store`] behind a lock.

mod answer;
mod auth;
mod authority;
mod cluster;
mod kv;
mod lease;
mod maintenance;
mod request;
mod watch;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use etcd_client::proto::{
    PbClusterServer, PbKvServer, PbLeaseServer, PbMaintenanceServer, PbResponseHeader,
    PbWatchServer,
};
use futures_util::StreamExt;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch as signal;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::core::{Refusal, Store};
use super::{Error, Options};

/// The largest entry that etcd takes into its log, and what it wraps a request in for it.
const MAX_ENTRY: usize = 3 << 19;
const WRAPPING: usize = 18;
/// The largest message that etcd reads. Somewhat larger ones are read here, to refuse them with its words.
const MAX_MESSAGE: usize = MAX_ENTRY + (512 << 10);
const MAX_READ: usize = 8 * MAX_MESSAGE;
/// How often leases are looked at, as etcd.
const EXPIRY: Duration = Duration::from_millis(500);
/// How long the end waits for clients to close their connections.
const GRACE: Duration = Duration::from_secs(1);

/// What all services share.
pub(super) struct Shared {
    store: Mutex<Store>,
    /// The store's revision, for those who wait for news.
    revision: signal::Sender<i64>,
    cluster: u64,
    member: u64,
    address: SocketAddr,
    options: Options,
    /// The server ends: so do its streams.
    end: CancellationToken,
}

/// A new cluster's first elected leader has this term in etcd.
const TERM: u64 = 2;

impl Shared {
    fn new(address: SocketAddr, options: Options) -> Self {
        let store = Store::new(options.limits);
        Self {
            revision: signal::Sender::new(store.revision()),
            store: Mutex::new(store),
            cluster: rand::random_range(1..=u64::MAX),
            member: rand::random_range(1..=u64::MAX),
            address,
            options,
            end: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // A panic of another request's thread leaves at worst that request half done.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the store, then wakes the watchers if it has a new revision.
    fn change<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.lock();
        let done = work(&mut store);
        let revision = store.revision();
        drop(store);
        self.revision.send_if_modified(|known| {
            let newer = revision > *known;
            *known = revision.max(*known);
            newer
        });
        done
    }

    fn header(&self, revision: i64) -> PbResponseHeader {
        PbResponseHeader {
            cluster_id: self.cluster,
            member_id: self.member,
            revision,
            raft_term: TERM,
        }
    }

    /// A header with the newest revision.
    fn header_now(&self) -> PbResponseHeader {
        self.header(self.lock().revision())
    }
}

/// Refuses what etcd would not take into its log.
fn within_size(bytes: usize) -> Result<(), Refusal> {
    if bytes + WRAPPING > MAX_ENTRY {
        return Err(Refusal::RequestTooLarge);
    }
    Ok(())
}

/// Refuses what etcd would not read; tells the size of what it would.
fn readable(message: &impl Message) -> Result<usize, Status> {
    let size = message.encoded_len();
    if size > MAX_MESSAGE {
        return Err(Status::resource_exhausted(format!(
            "grpc: received message larger than max ({size} vs. {MAX_MESSAGE})"
        )));
    }
    Ok(size)
}

/// Serves until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::Listener)?;
    let shared = Arc::new(Shared::new(address, options));
    let end = shared.end.clone();
    let router = Server::builder()
        .add_service(PbKvServer::from_arc(shared.clone()).max_decoding_message_size(MAX_READ))
        .add_service(
            PbWatchServer::new(watch::WatchService(shared.clone()))
                .max_decoding_message_size(MAX_READ),
        )
        .add_service(PbLeaseServer::new(lease::LeaseService(shared.clone())))
        .add_service(PbMaintenanceServer::from_arc(shared.clone()))
        .add_service(PbClusterServer::from_arc(shared.clone()))
        .add_service(auth::AuthService(shared.clone()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let incoming = incoming.map(|connection| connection.map(authority::Tolerant::new));
    let ending = async move {
        shutdown.await;
        end.cancel();
    };
    let served = router.serve_with_incoming_shutdown(incoming, ending);
    let ended = tokio::select! {
        ended = served => ended,
        () = expire(&shared) => Ok(()),
        () = overdue(&shared) => Ok(()),
    };
    shared.end.cancel();
    ended.map_err(|source| Error::Server { address, source })
}

/// Returns when the end was called for and clients had their time.
async fn overdue(shared: &Shared) {
    shared.end.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Ends leases whose time is over, for ever.
async fn expire(shared: &Shared) {
    let mut tick = tokio::time::interval(EXPIRY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        shared.change(|store| store.expire(Instant::now()));
    }
}
