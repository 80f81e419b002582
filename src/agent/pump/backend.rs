//! Keeps the data path alive: opens the device before the lease is known, runs a pump on it, and
//! opens it again under its name when a foreign hand deletes it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Ended, Pump, PumpConfig, PumpError};
use crate::forward::{Accept, Counters, Table, UdpOptions};
use crate::kernel::tun::{Tun, TunError, TunWish};

/// Wait between attempts to get device and socket back.
const RETRY: Duration = Duration::from_millis(250);

/// What the lease and the network config say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSettings {
    /// The interface's address and the network's port.
    pub bind: SocketAddrV4,
    /// Base of the own subnet.
    pub tunnel_address: Ipv4Addr,
    /// Whose datagrams are accepted.
    pub accept: Accept,
    /// As `UdpOptions::busy_poll`.
    pub busy_poll: Duration,
}

/// The device as it is now. A new generation needs its address, MTU and routes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// How often it was opened, from 1.
    pub generation: u64,
}

/// The udp backend of an agent.
pub struct UdpBackend {
    wish: TunWish,
    tun: Tun,
    table: Arc<ArcSwap<Table>>,
    counters: Arc<Counters>,
    device: watch::Sender<Device>,
}

impl UdpBackend {
    /// Opens the first free `flannelN` in the calling thread's network namespace. What of the
    /// kernel's offloads is in use is told by `Counters::offload`.
    ///
    /// # Errors
    /// `TunError` says what is missing.
    pub fn open(options: UdpOptions) -> Result<Self, TunError> {
        let wish = wish(options);
        let tun = Tun::open(wish)?;
        let (device, _) = watch::channel(Device {
            name: tun.name().to_owned(),
            generation: 1,
        });
        Ok(Self {
            wish,
            tun,
            table: Arc::default(),
            counters: Arc::default(),
            device,
        })
    }

    /// The device, and each time that it was opened again.
    pub fn device(&self) -> watch::Receiver<Device> {
        self.device.subscribe()
    }

    /// The peers: store a new table to change them.
    pub fn table(&self) -> Arc<ArcSwap<Table>> {
        Arc::clone(&self.table)
    }

    /// What was forwarded and dropped.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Forwards until `cancel`; then the device is gone. A deleted device is opened again within
    /// a quarter of a second, a failed socket bound again.
    ///
    /// # Errors
    /// Only of the first start, so that an agent whose port is in use ends with that message.
    pub async fn run(
        self,
        settings: UdpSettings,
        cancel: CancellationToken,
    ) -> Result<(), PumpError> {
        let Self {
            wish,
            tun,
            table,
            counters,
            device,
        } = self;
        let start = |tun| {
            let config = PumpConfig {
                tun,
                bind: settings.bind,
                tunnel_address: settings.tunnel_address,
                accept: settings.accept,
                busy_poll: settings.busy_poll,
            };
            Pump::start(config, Arc::clone(&table), Arc::clone(&counters))
        };
        let mut pump = start(tun)?;
        loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    stop(pump).await;
                    return Ok(());
                }
                ended = pump.stopped() => report(&ended, &device.borrow().name),
            }
            stop(pump).await;
            pump = loop {
                let name = device.borrow().name.clone();
                match Tun::open_named(&name, wish) {
                    Ok(tun) => match start(tun) {
                        Ok(pump) => {
                            // Not before: where the port is not free yet, this device is gone again.
                            device.send_modify(|device| device.generation += 1);
                            break pump;
                        }
                        Err(error) => {
                            tracing::debug!(%error, "the udp data path does not start yet")
                        }
                    },
                    Err(error) => {
                        tracing::debug!(%error, device = name, "the device cannot be opened yet")
                    }
                }
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    () = tokio::time::sleep(RETRY) => {}
                }
            };
            tracing::info!(
                device = device.borrow().name,
                "the udp data path runs again"
            );
        }
    }
}

/// The device that the options ask for. Each queue costs two threads and some memory: one is enough for
/// a few processors, and no more than four pay.
fn wish(options: UdpOptions) -> TunWish {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    TunWish {
        offload: options.offload,
        queues: options
            .queues
            .map_or((processors / 4).clamp(1, 4), |queues| queues.get().into()),
    }
}

/// Joins the threads away from the runtime's.
async fn stop(pump: Pump) {
    if tokio::task::spawn_blocking(|| pump.stop()).await.is_err() {
        tracing::error!("the udp data path could not be stopped");
    }
}

fn report(ended: &Ended, device: &str) {
    match ended {
        Ended::Asked => {}
        Ended::DeviceGone => tracing::warn!(
            device,
            "the device was deleted by someone; opening it again"
        ),
        Ended::Device(error) => {
            tracing::error!(device, %error, "the device failed; opening it again")
        }
        Ended::Socket(error) => tracing::error!(%error, "the UDP socket failed; opening it again"),
        Ended::Panicked => tracing::error!(device, "the udp data path panicked; starting it again"),
    }
}
