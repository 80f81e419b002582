//! The udp backend's data path: a pair of threads for each queue of the TUN device and its UDP socket. They
//! block when there is nothing to do (after a while awake where packets came close together). What
//! happens to a packet is `forward`'s to say; how it is read and written is `kernel`'s. Nothing here allocates or logs
//! per packet, and nobody waits for a lock.

mod backend;
mod busy_poll;
mod errors;
mod inbound;
mod lane;
mod load;
mod outbound;
mod turn;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::forward::{Accept, Counters, Offload, Table};
use crate::kernel::interrupt;
use crate::kernel::tun::{self, Tun};
use crate::kernel::udp::{RawSender, UdpError, UdpSocket};

use lane::Lane;

pub use backend::{Device, UdpBackend, UdpSettings};

/// What a pump runs on.
pub struct PumpConfig {
    /// The open device.
    pub tun: Tun,
    /// The interface's address and the network's port: source of all datagrams.
    pub bind: SocketAddrV4,
    /// Base of the own subnet: source of the ICMP errors.
    pub tunnel_address: Ipv4Addr,
    /// Whose datagrams are accepted.
    pub accept: Accept,
    /// As `UdpOptions::busy_poll`.
    pub busy_poll: Duration,
}

/// Why a pump could not start.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    /// No socket.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// No thread, or no way to call it back.
    #[error("cannot start the udp data path")]
    Start(#[source] io::Error),
}

/// Why a pump ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// It was stopped.
    Asked,
    /// The device was deleted under it.
    DeviceGone,
    /// The device failed.
    Device(Arc<io::Error>),
    /// The socket failed.
    Socket(Arc<io::Error>),
    /// One of its threads panicked.
    Panicked,
}

/// A running data path. Dropping it stops it.
pub struct Pump {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    ended: watch::Receiver<Option<Ended>>,
}

/// What all threads use.
struct Shared {
    tun: Tun,
    /// One for each queue of the device.
    sockets: Vec<UdpSocket>,
    raw: Option<RawSender>,
    /// Looked at before each call that may wait; who waits already is interrupted, or waits for one who looks.
    stopping: AtomicBool,
    table: Arc<ArcSwap<Table>>,
    counters: Arc<Counters>,
    tunnel_address: Ipv4Addr,
    accept: Accept,
    busy_poll: Duration,
    offload: Offload,
    ended: watch::Sender<Option<Ended>>,
}

impl Pump {
    /// Opens the sockets in the calling thread's network namespace and starts the threads.
    ///
    /// # Errors
    /// `PumpError`: the port is in use, the address is not on this host, no thread.
    pub fn start(
        config: PumpConfig,
        table: Arc<ArcSwap<Table>>,
        counters: Arc<Counters>,
    ) -> Result<Self, PumpError> {
        interrupt::prepare().map_err(PumpError::Start)?;
        let queues = config.tun.queues().len();
        let sockets = UdpSocket::bind_several(config.bind, queues)?;
        let raw = RawSender::open()
            .inspect_err(|error| {
                tracing::warn!(%error, "no raw socket: senders will not be told of packets that cannot be forwarded (CAP_NET_RAW)");
            })
            .ok();
        let offload = probe(&config.tun, &sockets);
        counters.set_offload(offload);
        let busy_poll =
            (!config.busy_poll.is_zero()).then(|| tracing::field::debug(config.busy_poll));
        tracing::info!(%offload, device = config.tun.name(), queues, busy_poll, "udp data path");
        let (sender, ended) = watch::channel(None);
        let shared = Arc::new(Shared {
            tun: config.tun,
            sockets,
            raw,
            stopping: AtomicBool::new(false),
            table,
            counters,
            tunnel_address: config.tunnel_address,
            accept: config.accept,
            busy_poll: config.busy_poll,
            offload,
            ended: sender,
        });
        let mut pump = Self {
            shared,
            threads: Vec::with_capacity(2 * queues),
            ended,
        };
        for index in 0..queues {
            let (owner, borrower) = turn::pair();
            pump.spawn(format!("tun-to-udp-{index}"), index, move |lane| {
                lane::tun_to_udp(lane, &owner)
            })?;
            pump.spawn(format!("udp-to-tun-{index}"), index, move |lane| {
                lane::udp_to_tun(lane, &borrower)
            })?;
        }
        Ok(pump)
    }

    fn spawn(
        &mut self,
        name: String,
        index: usize,
        run: impl Fn(&Lane<'_>) -> Result<(), Ended> + Send + 'static,
    ) -> Result<(), PumpError> {
        let shared = Arc::clone(&self.shared);
        let body = move || {
            // Reports even when this thread unwinds, and before what `run` holds is dropped, by which the other thread of
            // the lane may learn of it; the others end with the pump at the latest.
            let mut guard = Guard(&shared, Ended::Panicked);
            if let (Some(tun), Some(socket)) =
                (shared.tun.queues().get(index), shared.sockets.get(index))
            {
                let lane = Lane {
                    shared: &shared,
                    tun,
                    socket,
                };
                guard.1 = run(&lane).err().unwrap_or(Ended::Asked);
            }
        };
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(PumpError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until it has ended by itself or by `stop`, and says why.
    pub async fn stopped(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(Ended::Asked),
            Err(_) => Ended::Asked,
        }
    }

    /// Stops it, waits for its threads (well below a second) and says why it ended. The socket and
    /// the device are closed, which removes the device.
    pub fn stop(mut self) -> Ended {
        self.join();
        self.ended.borrow().clone().unwrap_or(Ended::Asked)
    }

    fn join(&mut self) {
        self.shared.stopping.store(true, Relaxed);
        // A panic was reported by the thread's guard.
        interrupt::join(self.threads.drain(..).collect());
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.join();
    }
}

struct Guard<'a>(&'a Shared, Ended);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // The first reason counts; the other thread ends because of it.
        self.0.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(self.1.clone());
            }
            first
        });
        self.0.stopping.store(true, Relaxed);
    }
}

/// Finds out what this kernel has. A device that was opened without offloads asks for none at all.
fn probe(tun: &Tun, sockets: &[UdpSocket]) -> Offload {
    let device = tun.offload();
    Offload {
        tso: device.tso,
        uso: device.uso,
        udp_segment: device.header && sockets.iter().all(UdpSocket::can_segment),
        udp_gro: device.header && sockets.iter().all(UdpSocket::receive_together),
    }
}

/// The end that an error of the device means.
fn device_end(error: io::Error) -> Ended {
    if tun::is_gone(&error) {
        Ended::DeviceGone
    } else {
        Ended::Device(Arc::new(error))
    }
}
