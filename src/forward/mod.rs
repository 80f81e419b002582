//! What the udp backend does with each packet: which peer gets it, what is answered, what is
//! dropped and under which name. Pure: imports `packet` only; no socket, clock, lock or allocation
//! per packet.

use std::num::NonZero;
use std::time::Duration;

pub mod coalesce;
pub mod counters;
pub mod decide;
pub mod group;
pub mod segment;
pub mod table;

pub use counters::{Counters, Offload, Reason};
pub use decide::Accept;
pub use table::{Peer, Table};

/// `UdpOptions::busy_poll` where the admin says nothing: a few round trips between two hosts that are awake.
pub const BUSY_POLL: Duration = Duration::from_micros(200);

/// Longest `UdpOptions::busy_poll`: beyond it the time to wake makes no difference.
pub const LONGEST_BUSY_POLL: Duration = Duration::from_millis(10);

/// How the udp data path works, as far as the admin chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpOptions {
    /// Use what the kernel has to carry many packets at once.
    pub offload: bool,
    /// Whose datagrams are accepted.
    pub accept: Accept,
    /// Queues of the device, each with a pair of threads; `None` = as the processors are.
    pub queues: Option<NonZero<u8>>,
    /// How long a thread looks for the next packet before it sleeps, where the last ones came so close together; zero:
    /// not at all.
    pub busy_poll: Duration,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self {
            offload: true,
            accept: Accept::default(),
            queues: None,
            busy_poll: BUSY_POLL,
        }
    }
}
