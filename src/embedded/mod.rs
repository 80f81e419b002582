//! An etcd v3 server in process and in memory: for `flannelctl lab` and for tests, and for nothing
//! else. It is one process and forgets everything when that ends: **for more than one machine, use
//! etcd.**
//!
//! It speaks the API of etcd 3.4 (KV, Watch, Lease, Maintenance, Cluster, Auth as with authentication
//! switched off), without TLS. `core` is the store as a pure state machine; `service` puts it on the
//! wire. `tests/embedded_*` compare it with a real etcd, answer by answer.

pub mod core;
mod service;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;

pub use core::Limits;

/// Why the store does not serve.
#[derive(Debug, Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("the embedded store cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The listener has no address.
    #[error("the embedded store's listener has no address: {0}")]
    Listener(#[source] io::Error),
    /// The server ended.
    #[error("the embedded store's server on {address} ended: {source}")]
    Server {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// The member's name in `member list`.
    pub name: String,
    /// How often a watcher with `progress_notify` hears of progress when it hears nothing else.
    pub progress: Duration,
    /// How much it holds at most.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "embedded".to_owned(),
            // etcd's own.
            progress: Duration::from_secs(600),
            limits: Limits::default(),
        }
    }
}

/// Listens on an address; with port 0 the system chooses one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| Error::Bind { address, source })
}

/// Serves an empty store until `shutdown` is there; then ends all streams and returns.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    service::serve(listener, options, shutdown).await
}
