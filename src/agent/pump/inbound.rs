//! UDP → TUN: receives what is there, writes what is accepted.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::errors::Errors;
use super::{Ended, Shared, device_end};
use crate::forward::decide::{self, Inbound};
use crate::forward::{Reason, Table};
use crate::kernel::mmsg::{ReceiveBatch, Received};
use crate::kernel::tun;
use crate::kernel::wait::Ready;
use crate::packet::ipv4;

/// Datagrams a batch.
const BATCH: usize = 64;
/// The largest datagram. Only the pages that datagrams touch are ever used.
const SLOT: usize = 1 << 16;
/// A socket that fails this often in a row is broken.
const MAX_FAILURES: u32 = 100;

pub fn run(shared: &Shared) -> Ended {
    Inbox::new(shared).run()
}

struct Inbox<'a> {
    shared: &'a Shared,
    buffer: Vec<u8>,
    batch: ReceiveBatch,
    errors: Errors,
}

impl<'a> Inbox<'a> {
    fn new(shared: &'a Shared) -> Self {
        let batch = ReceiveBatch::new(BATCH, SLOT);
        Self {
            shared,
            buffer: vec![0; batch.buffer_len()],
            batch,
            errors: Errors::new(),
        }
    }

    fn run(mut self) -> Ended {
        let mut failures = 0;
        loop {
            let came = match self.batch.receive(&self.shared.socket, &mut self.buffer) {
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // An error of the network that the socket passes on; it is taken back by being read.
                Err(error) => {
                    failures += 1;
                    if failures > MAX_FAILURES {
                        return Ended::Socket(Arc::new(error));
                    }
                    continue;
                }
            };
            failures = 0;
            if came > 0 {
                self.shared.counters.received.calls.fetch_add(1, Relaxed);
                if let Err(error) = self.deliver(came) {
                    return device_end(error);
                }
            }
            if came < BATCH {
                match self.shared.stop.wait(self.shared.socket.as_fd()) {
                    Ok(Ready::Stop) => return Ended::Asked,
                    Ok(Ready::Data | Ready::Error) => {}
                    Err(error) => return Ended::Socket(Arc::new(error)),
                }
            } else if self.shared.stop.is_called() {
                return Ended::Asked;
            }
        }
    }

    fn deliver(&mut self, came: usize) -> io::Result<()> {
        let table = self.shared.table.load();
        let (mut packets, mut bytes) = (0, 0);
        for index in 0..came {
            let Some(message) = self.batch.message(index) else {
                continue;
            };
            if let Some(len) = self.one(message, &table)? {
                packets += 1;
                bytes += len;
            }
        }
        self.shared.counters.received.forwarded(packets, bytes);
        Ok(())
    }

    /// Writes one datagram's packet to the device; its length, if it got there.
    fn one(&mut self, message: Received, table: &Table) -> io::Result<Option<u64>> {
        let counters = &self.shared.counters.received;
        let Some(packet) = message
            .span
            .of_mut(&mut self.buffer)
            .filter(|_| !message.truncated)
        else {
            counters.drop(Reason::Truncated);
            return Ok(None);
        };
        match decide::inbound(packet, message.from, table, self.shared.accept) {
            Inbound::Deliver => {
                ipv4::decrement_ttl(packet);
                match self.shared.tun.write(packet) {
                    Ok(_) => return Ok(Some(packet.len() as u64)),
                    Err(error) if tun::is_gone(&error) => return Err(error),
                    Err(_) => counters.drop(Reason::DeviceRefused),
                }
            }
            Inbound::Drop(reason, error) => {
                counters.drop(reason);
                if let Some(error) = error {
                    self.errors.send(self.shared, counters, error, packet);
                }
            }
        }
        Ok(None)
    }
}
