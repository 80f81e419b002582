//! The benchmark's own traffic between two network namespaces: TCP streams, single datagrams, round trips.
//!
//! Sockets stay in the namespace in which they were made, so each side is a pair of sockets and plain blocking
//! threads. All that is counted is counted within a window, after a warm-up, by its receivers.

mod datagrams;
mod latency;
mod tcp;

pub use datagrams::{Datagrams, datagrams};
pub use latency::{Latency, idle, loaded};
pub use tcp::{Streams, Transfer, transfer};

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::netns::Netns;
use super::wait::Stop;

/// How long anything may take to answer at first.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a blocked thread looks up whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Between whom.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where the client is.
    pub from: Netns,
    /// Where the server is.
    pub to: Netns,
    /// The server's address.
    pub address: Ipv4Addr,
}

/// When it counts.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Before anything counts.
    pub warm_up: Duration,
    /// While it counts.
    pub window: Duration,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stop was called.
    #[error("interrupted")]
    Interrupted,
    /// The kernel refused, or the path is broken.
    #[error("cannot {what} {address}: {source}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// The server's address.
        address: Ipv4Addr,
        /// The kernel's word.
        source: io::Error,
    },
    /// Everything was sent and nothing came.
    #[error("{address} received nothing")]
    Nothing {
        /// The server's address.
        address: Ipv4Addr,
    },
}

impl Ends {
    fn failed(&self, what: &'static str) -> impl Fn(io::Error) -> Error + Copy {
        let address = self.address;
        move |source| Error::Failed {
            what,
            address,
            source,
        }
    }

    fn nothing(&self) -> Error {
        Error::Nothing {
            address: self.address,
        }
    }
}

impl Timing {
    /// Waits, and gives what `look` sees at both ends of the window, and the time between.
    fn watch<T>(&self, stop: &Stop, look: impl Fn() -> T) -> Result<[(Instant, T); 2], Error> {
        let mark = |time| {
            if stop.sleep(time) {
                return Err(Error::Interrupted);
            }
            Ok((Instant::now(), look()))
        };
        Ok([mark(self.warm_up)?, mark(self.window)?])
    }
}

/// What one thread counts and another reads; alone in its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

impl Counter {
    /// By the only thread that writes it.
    fn add(&self, n: u64) {
        self.0
            .store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A timeout of a blocking socket, which only asks to look up.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
