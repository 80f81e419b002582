//! UDP → TUN: receives what is there, writes what is accepted, runs of one flow together.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::errors::Errors;
use super::load::Load;
use super::{Ended, Lane, device_end};
use crate::forward::coalesce::{self, Coalescer};
use crate::forward::decide::{Inbound, Sender};
use crate::forward::{Offload, Reason};
use crate::kernel::mmsg::ReceiveBatch;
use crate::kernel::tun::{self, WriteMemory};
use crate::packet::vnet::Gso;
use crate::packet::{Span, ipv4};

/// Messages a batch while they are small.
const BATCH: usize = 64;
/// Messages a batch after one that came alone: room for 64 costs half a microsecond a call, even unused.
const SMALL_BATCH: usize = 4;
/// Messages a batch while they are large: what the processor's cache holds.
const LARGE_BATCH: usize = 2;
/// Messages more that a batch of large ones takes in while its last run may go on: the largest packet of TCP is more
/// than one datagram batch holds, so that its end comes in the next message.
const RUN_ENDS: usize = 2;
/// Mean size from which messages are large.
const LARGE: usize = 8192;
/// The largest message. Only the pages that messages touch are ever used.
const SLOT: usize = 1 << 16;
/// Packets of a batch: the kernel merges up to 64, in later versions 128, into a message.
const PACKETS: usize = BATCH * 128;
/// A socket that fails this often in a row is broken.
const MAX_FAILURES: u32 = 100;

/// The inward half of a lane.
pub struct Inbox<'a> {
    lane: &'a Lane<'a>,
    buffer: Vec<u8>,
    batch: ReceiveBatch,
    most: usize,
    failures: u32,
    coalescer: Coalescer,
    memory: WriteMemory,
    errors: Errors,
}

impl<'a> Inbox<'a> {
    pub fn new(lane: &'a Lane<'a>) -> Self {
        let batch = ReceiveBatch::new(BATCH, SLOT);
        let device = lane.shared.tun.offload();
        Self {
            lane,
            buffer: vec![0; batch.buffer_len()],
            batch,
            most: BATCH,
            failures: 0,
            coalescer: Coalescer::new(PACKETS, device.tso, device.uso),
            memory: WriteMemory::new(coalesce::MAX_COUNT.into()),
            errors: Errors::new(),
        }
    }

    /// Delivers the datagrams that are there, a batch at most, and says how many they were. Where there is none
    /// it waits for one, if it is to, or until it is interrupted.
    ///
    /// # Errors
    /// The device is gone or broken, or the socket is.
    pub fn pass(&mut self, wait: bool) -> Result<Load, Ended> {
        let most = self.most;
        let socket = self.lane.socket;
        let came = match self.batch.receive(socket, &mut self.buffer, most, wait) {
            Ok(came) => came,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Load::default()),
                    // An error of the network that the socket passes on; it is taken back by being read.
                    _ if self.failures < MAX_FAILURES => {
                        self.failures += 1;
                        Ok(Load::default())
                    }
                    _ => Err(Ended::Socket(Arc::new(error))),
                };
            }
        };
        self.failures = 0;
        if came == 0 {
            return Ok(Load::default());
        }
        self.lane.counters.received.calls.fetch_add(1, Relaxed);
        let load = self.sort(0..came);
        if most == LARGE_BATCH && came == most {
            self.take_in_run_end(came);
        }
        self.most = match came {
            _ if load.bytes / came >= LARGE => LARGE_BATCH,
            1 => SMALL_BATCH,
            _ => BATCH,
        };
        self.deliver().map_err(device_end)?;
        Ok(load)
    }

    /// Receives what continues the last run, if it is there already: one write instead of two.
    fn take_in_run_end(&mut self, mut came: usize) {
        for _ in 0..RUN_ENDS {
            if !self.coalescer.may_go_on() {
                return;
            }
            // An error is taken back by being read; one that stays meets the next call that waits.
            let more = self
                .batch
                .receive_more(self.lane.socket, &mut self.buffer, 1);
            let Ok(1..) = more else {
                return;
            };
            self.lane.counters.received.calls.fetch_add(1, Relaxed);
            self.sort(came..came + 1);
            came += 1;
        }
    }

    /// Judges all datagrams of these messages and keeps the good ones for delivery.
    fn sort(&mut self, messages: Range<usize>) -> Load {
        let table = self.lane.table.load();
        let mut load = Load::default();
        for index in messages {
            let Some(message) = self.batch.message(index) else {
                continue;
            };
            let len = message.span.len as usize;
            load.packets += len.div_ceil(message.size).max(1);
            load.bytes += len;
            if message.truncated {
                self.lane.counters.received.drop(Reason::Truncated);
                continue;
            }
            let mut sender = Sender::new(message.from, &table, self.lane.accept);
            let mut at = message.span.start as usize;
            loop {
                let len = message.size.min(message.span.end() - at);
                load.good += usize::from(self.judge(Span::new(at, len), &mut sender));
                at += len;
                if at >= message.span.end() {
                    break;
                }
            }
        }
        load
    }

    /// Keeps the packet for delivery; false when it was dropped.
    fn judge(&mut self, span: Span, sender: &mut Sender<'_>) -> bool {
        let Some(packet) = span.of_mut(&mut self.buffer) else {
            return false;
        };
        match sender.judge(packet) {
            Inbound::Deliver => {
                ipv4::decrement_ttl(packet);
                self.coalescer.push(&mut self.buffer, span);
                true
            }
            Inbound::Drop(reason, error) => {
                let counters = &self.lane.counters.received;
                counters.drop(reason);
                if let Some(error) = error {
                    self.errors.send(self.lane, counters, error, packet);
                }
                false
            }
        }
    }

    /// Writes the batch to the device.
    fn deliver(&mut self) -> io::Result<()> {
        let counters = &self.lane.counters.received;
        let (deliveries, spans) = self.coalescer.finish(&mut self.buffer);
        let (mut packets, mut bytes) = (0, 0);
        let mut refused = Offload::default();
        for delivery in deliveries {
            let parts = Span::new(delivery.first as usize, delivery.parts as usize);
            let Some(parts) = spans.get(parts.start as usize..parts.end()) else {
                continue;
            };
            let tun = self.lane.tun;
            match tun.write(&mut self.memory, &delivery.vnet, &self.buffer, parts) {
                Ok(_) => {
                    packets += u64::from(delivery.count);
                    bytes += u64::from(delivery.bytes);
                }
                Err(error) if tun::is_gone(&error) => return Err(error),
                // A kernel that does not take runs of this kind is not given them again.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && delivery.count > 1 => {
                    counters.drop_many(Reason::DeviceRefused, delivery.count.into());
                    refused.tso |= delivery.vnet.gso == Gso::Tcp4;
                    refused.uso |= delivery.vnet.gso == Gso::Udp;
                }
                Err(_) => counters.drop_many(Reason::DeviceRefused, delivery.count.into()),
            }
        }
        counters.forwarded(packets, bytes);
        self.coalescer.clear();
        if refused != Offload::default() {
            let used = self.lane.counters.offload();
            let offload = Offload {
                tso: used.tso && !refused.tso,
                uso: used.uso && !refused.uso,
                ..used
            };
            self.coalescer.merge(offload.tso, offload.uso);
            self.lane.counters.set_offload(offload);
            tracing::warn!(%offload, "the device does not take merged packets of a kind that it announced");
        }
        Ok(())
    }
}
