//! TUN → UDP: reads until the device is empty or the batch is full, sends the batch.

use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::Ordering::Relaxed;

use super::errors::Errors;
use super::load::Load;
use super::{Ended, Lane, device_end};
use crate::forward::decide::{self, Outbound};
use crate::forward::group::{Grouper, MAX_COUNT, Message};
use crate::forward::segment::{self, MAX_HEADERS, MAX_PIECES};
use crate::forward::{Offload, Reason, Table};
use crate::kernel::mmsg::SendBatch;
use crate::kernel::udp::UdpSocket;
use crate::packet::vnet::{self, Vnet};
use crate::packet::{Span, icmp, ipv4};

/// Most reads a batch.
const BATCH: usize = 128;
/// Room that each read gets: the largest packet and the header before it, in whole cache lines.
const SLOT: usize = (1 << 16) + 64;
/// Packets lie one behind the other in this much memory.
const PACKETS: usize = 2 * SLOT;
/// A batch ends when so many bytes were cut into pieces, which are two of the largest packets.
const ENOUGH: usize = 3 * SLOT / 2;
/// Behind the packets, room for pieces: of that many bytes, and of one more packet, however small they are.
const PIECES: usize = ENOUGH + SLOT + MAX_PIECES * MAX_HEADERS;
/// Most parts and messages of a batch: every read alone, and the pieces that `judge` lets in before it sends.
const MOST: usize = BATCH + MAX_PIECES;
/// The outer headers: IPv4 and UDP.
const OUTER: u16 = 28;

/// The outward half of a lane. Whoever holds it reads the device, so that no packet overtakes another.
pub struct Outbox {
    /// Packets as they were read, then pieces.
    buffer: Vec<u8>,
    /// Bytes of pieces.
    pieces: usize,
    grouper: Grouper,
    sender: Sender,
    errors: Errors,
}

impl Outbox {
    pub fn new(lane: &Lane<'_>) -> Self {
        let mut grouper = Grouper::new(MOST);
        grouper.set_together(lane.offload.udp_segment);
        Self {
            buffer: vec![0; PACKETS + PIECES],
            pieces: 0,
            grouper,
            sender: Sender {
                batch: SendBatch::new(MOST, MOST),
                singles: Vec::with_capacity(MAX_COUNT.into()),
                parts: Vec::with_capacity(MAX_COUNT.into()),
                refused: false,
            },
            errors: Errors::new(),
        }
    }

    /// Sends the packets that are there, a batch at most, and says how many they were. Where there is none it
    /// waits for one, if it is to, or until it is interrupted.
    ///
    /// # Errors
    /// The device is gone or broken.
    pub fn pass(&mut self, lane: &Lane<'_>, wait: bool) -> Result<Load, Ended> {
        let load = self.fill(lane, wait).map_err(device_end)?;
        self.send(lane);
        Ok(load)
    }

    /// Reads a batch of packets, waits for the first if it is to.
    fn fill(&mut self, lane: &Lane<'_>, mut wait: bool) -> io::Result<Load> {
        // Of the time when the first packet came.
        let mut table = None;
        let mut start = 0;
        let mut load = Load::default();
        for _ in 0..BATCH {
            if start + SLOT > PACKETS || self.pieces >= ENOUGH {
                break;
            }
            let Some(room) = self.buffer.get_mut(start..start + SLOT) else {
                break;
            };
            let read = match wait {
                true => lane.tun.read_or_wait(room),
                false => lane.tun.read(room),
            };
            match read {
                Ok(len) => {
                    wait = false;
                    let table = table.get_or_insert_with(|| lane.table.load());
                    let taken = self.judge(lane, Span::new(start, len), table);
                    if taken == Taken::Whole {
                        start += len.next_multiple_of(64);
                    }
                    load.packets += 1;
                    load.bytes += len;
                    load.good += usize::from(taken != Taken::Not);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => break,
                    _ => return Err(error),
                },
            }
        }
        Ok(load)
    }

    /// Takes the packet into the batch.
    fn judge(&mut self, lane: &Lane<'_>, mut span: Span, table: &Table) -> Taken {
        let counters = &lane.counters.sent;
        let Some(mut packet) = span.of_mut(&mut self.buffer) else {
            return Taken::Not;
        };
        let mut vnet = Vnet::WHOLE;
        if lane.shared.tun.offload().header {
            let Some((header, behind)) = Vnet::split(packet) else {
                counters.drop(Reason::Short);
                return Taken::Not;
            };
            (vnet, packet) = (header, behind);
            span = Span::new(span.start as usize + vnet::LEN, packet.len());
        }
        let to = match decide::outbound(packet, table) {
            Outbound::Send(to) => to,
            Outbound::Drop(reason, error) => {
                counters.drop(reason);
                if let Some(error) = error {
                    self.errors.send(lane, counters, error, packet);
                }
                return Taken::Not;
            }
        };
        ipv4::decrement_ttl(packet);
        match segment::prepare(&vnet, packet) {
            Err(_) => {
                counters.drop(Reason::BadOffload);
                Taken::Not
            }
            Ok(None) => {
                self.grouper.push(to, span, span.len as usize);
                Taken::Whole
            }
            Ok(Some(cut)) => {
                if self.grouper.parts() + cut.count() > MAX_PIECES {
                    self.send(lane);
                }
                self.cut(lane, &cut, span, to)
            }
        }
    }

    /// Writes the pieces of a large packet behind the packets.
    fn cut(
        &mut self,
        lane: &Lane<'_>,
        cut: &segment::Cut,
        packet: Span,
        to: SocketAddrV4,
    ) -> Taken {
        let (packets, pieces) = self.buffer.split_at_mut(PACKETS);
        let end = self.pieces + cut.bytes();
        let done = match (packet.of(packets), pieces.get_mut(self.pieces..end)) {
            (Some(packet), Some(out)) => segment::write_pieces(cut, packet, out),
            _ => false,
        };
        if !done {
            lane.counters.sent.drop(Reason::BadOffload);
            return Taken::Not;
        }
        let row = Span::new(PACKETS + self.pieces, cut.bytes());
        self.pieces = end;
        self.grouper.push(to, row, cut.piece());
        Taken::InPieces
    }

    fn send(&mut self, lane: &Lane<'_>) {
        if self.grouper.is_empty() {
            return;
        }
        let (messages, spans) = self.grouper.finish();
        self.sender
            .all(lane, &self.buffer, messages, spans, &mut self.errors);
        self.grouper.clear();
        self.pieces = 0;
        if self.sender.refused {
            self.grouper.set_together(false);
        }
    }
}

/// What became of a packet that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It was dropped.
    Not,
    /// It lies where it was read until the batch is sent.
    Whole,
    /// Its pieces lie elsewhere.
    InPieces,
}

/// Hands messages to the socket, and finds another way where the kernel refuses.
struct Sender {
    batch: SendBatch,
    /// Datagrams of a message, and where they lie.
    singles: Vec<Message>,
    parts: Vec<Span>,
    /// The outgoing device cannot carry many datagrams in one send.
    refused: bool,
}

impl Sender {
    fn all(
        &mut self,
        lane: &Lane<'_>,
        buffer: &[u8],
        mut messages: &[Message],
        spans: &[Span],
        errors: &mut Errors,
    ) {
        // A send that waits for room is interrupted when the pump is stopped.
        while let Some((first, others)) = messages.split_first()
            && lane.goes_on()
        {
            match self.send(lane, buffer, messages, spans) {
                Ok(sent) => messages = messages.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if first.count > 1
                        && self.is_about_segments(lane, &error, first, buffer, spans, errors)
                    {
                        self.singly(lane, buffer, first, spans);
                    } else {
                        drop_all(lane, first);
                    }
                    messages = others;
                }
            }
        }
    }

    fn send(
        &mut self,
        lane: &Lane<'_>,
        buffer: &[u8],
        messages: &[Message],
        spans: &[Span],
    ) -> io::Result<usize> {
        let counters = &lane.counters.sent;
        counters.calls.fetch_add(1, Relaxed);
        let sent = self.batch.send(lane.socket, buffer, messages, spans)?;
        let (mut packets, mut bytes) = (0, 0);
        for message in messages.iter().take(sent) {
            packets += u64::from(message.count);
            bytes += u64::from(message.bytes);
        }
        counters.forwarded(packets, bytes);
        Ok(sent)
    }

    /// True when the datagrams may pass one by one.
    fn is_about_segments(
        &mut self,
        lane: &Lane<'_>,
        error: &io::Error,
        message: &Message,
        buffer: &[u8],
        spans: &[Span],
        errors: &mut Errors,
    ) -> bool {
        match error.raw_os_error() {
            // The outgoing device has no checksum offload, which cutting needs.
            Some(libc::EIO | libc::EOPNOTSUPP) => {
                self.refused = true;
                lane.counters.set_offload(Offload {
                    udp_segment: false,
                    ..lane.counters.offload()
                });
                tracing::warn!(%error, "the outgoing device does not cut datagrams (UDP_SEGMENT); each is sent by itself from now on");
                true
            }
            // The path is narrower than the datagrams: one by one they are fragmented, as flanneld's
            // are. Who must not fragment is told, so that the next ones fit.
            Some(libc::EMSGSIZE | libc::EINVAL) => {
                tell_path_mtu(lane, message, buffer, spans, errors);
                true
            }
            _ => false,
        }
    }

    /// Sends the datagrams of one message one by one.
    fn singly(&mut self, lane: &Lane<'_>, buffer: &[u8], message: &Message, spans: &[Span]) {
        message.singles(spans, &mut self.singles, &mut self.parts);
        let singles = std::mem::take(&mut self.singles);
        let parts = std::mem::take(&mut self.parts);
        let mut rest = singles.as_slice();
        while let Some((first, others)) = rest.split_first()
            && lane.goes_on()
        {
            match self.send(lane, buffer, rest, &parts) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    drop_all(lane, first);
                    rest = others;
                }
            }
        }
        (self.singles, self.parts) = (singles, parts);
    }
}

fn drop_all(lane: &Lane<'_>, message: &Message) {
    let count = u64::from(message.count);
    lane.counters.sent.drop_many(Reason::SendRefused, count);
}

fn tell_path_mtu(
    lane: &Lane<'_>,
    message: &Message,
    buffer: &[u8],
    spans: &[Span],
    errors: &mut Errors,
) {
    let mut packet = [0_u8; 2048];
    let size = usize::from(message.size);
    let Some(packet) = packet.get_mut(..size) else {
        return;
    };
    let parts = spans
        .iter()
        .skip(message.first as usize)
        .take(message.parts as usize);
    let bytes = parts.filter_map(|part| part.of(buffer)).flatten();
    for (to, from) in packet.iter_mut().zip(bytes) {
        *to = *from;
    }
    let unbreakable = ipv4::Ipv4::parse(packet)
        .is_ok_and(|packet| packet.dont_fragment() && icmp::may_answer(&packet));
    if unbreakable
        && let Ok(mtu) = UdpSocket::path_mtu(message.to)
        && size > usize::from(mtu.saturating_sub(OUTER))
    {
        let error = icmp::Error::FragmentationNeeded(mtu - OUTER);
        errors.send(lane, &lane.counters.sent, error, packet);
    }
}
