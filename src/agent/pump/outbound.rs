//! TUN → UDP: reads until the device is empty or the batch is full, sends the batch.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::errors::Errors;
use super::{Ended, Shared, device_end};
use crate::forward::decide::{self, Outbound};
use crate::forward::{Reason, Table};
use crate::kernel::mmsg::{Message, SendBatch};
use crate::kernel::wait::Ready;
use crate::packet::{Span, ipv4};

/// Packets a batch.
const BATCH: usize = 64;
/// The largest IPv4 packet. Only the pages that packets touch are ever used.
const SLOT: usize = 1 << 16;

pub fn run(shared: &Shared) -> Ended {
    Outbox::new(shared).run()
}

struct Outbox<'a> {
    shared: &'a Shared,
    buffer: Vec<u8>,
    messages: Vec<Message>,
    spans: Vec<Span>,
    batch: SendBatch,
    errors: Errors,
}

impl<'a> Outbox<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            buffer: vec![0; BATCH * SLOT],
            messages: Vec::with_capacity(BATCH),
            spans: Vec::with_capacity(BATCH),
            batch: SendBatch::new(BATCH, BATCH),
            errors: Errors::new(),
        }
    }

    fn run(mut self) -> Ended {
        loop {
            let dry = match self.fill() {
                Ok(dry) => dry,
                Err(error) => return device_end(error),
            };
            self.send();
            if dry {
                match self.shared.stop.wait(self.shared.tun.as_fd()) {
                    Ok(Ready::Stop) => return Ended::Asked,
                    Ok(Ready::Data) => {}
                    // A read tells which error it is; a device that reports one and has none is no
                    // device to wait for.
                    Ok(Ready::Error) => match self.shared.tun.read(&mut self.buffer) {
                        Ok(_) => {}
                        Err(error) => return device_end(error),
                    },
                    Err(error) => return Ended::Device(Arc::new(error)),
                }
            } else if self.shared.stop.is_called() {
                return Ended::Asked;
            }
        }
    }

    /// Reads a batch of packets; true when the device has no more.
    fn fill(&mut self) -> io::Result<bool> {
        let table = self.shared.table.load();
        for slot in 0..BATCH {
            let start = slot * SLOT;
            let Some(room) = self.buffer.get_mut(start..start + SLOT) else {
                return Ok(false);
            };
            match self.shared.tun.read(room) {
                Ok(len) => self.judge(Span::new(start, len), &table),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn judge(&mut self, span: Span, table: &Table) {
        let Some(packet) = span.of_mut(&mut self.buffer) else {
            return;
        };
        match decide::outbound(packet, table) {
            Outbound::Send(to) => {
                ipv4::decrement_ttl(packet);
                self.messages.push(Message {
                    to,
                    first: self.spans.len() as u32,
                    parts: 1,
                });
                self.spans.push(span);
            }
            Outbound::Drop(reason, error) => {
                let counters = &self.shared.counters.sent;
                counters.drop(reason);
                if let Some(error) = error {
                    self.errors.send(self.shared, counters, error, packet);
                }
            }
        }
    }

    fn send(&mut self) {
        let counters = &self.shared.counters.sent;
        let (mut packets, mut bytes) = (0, 0);
        let mut from = 0;
        while let Some(messages @ [first, ..]) = self.messages.get(from..) {
            counters.calls.fetch_add(1, Relaxed);
            match self
                .batch
                .send(&self.shared.socket, &self.buffer, messages, &self.spans)
            {
                Ok(sent) => {
                    for span in self.spans.iter().skip(first.first as usize).take(sent) {
                        packets += 1;
                        bytes += u64::from(span.len);
                    }
                    from += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    counters.drop(Reason::SendRefused);
                    from += 1;
                }
            }
        }
        counters.forwarded(packets, bytes);
        self.messages.clear();
        self.spans.clear();
    }
}
