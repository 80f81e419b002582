//! Sends the echo requests of paths and gathers what comes back, each path from its own namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::Socket;

use super::netns::Netns;
use super::patience::Patience;
use super::ping_socket::Pings;
use super::ports;
use super::sight::Recogniser;
use crate::diagnose::probe::{IcmpError, MARK, Origin};
use crate::diagnose::{Path, PathResult};
use crate::packet::checksum::Sum;

/// Bytes of an ICMP header.
const HEADER: usize = 8;
/// The largest payload of an IPv4 packet's ICMP message.
const MOST_PAYLOAD: u16 = u16::MAX - 20 - 8;

/// Nobody sleeps longer while others hear answers.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How paths are sent.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Namespaces of containers and endpoints on this host, by address: paths whose origin is not the host
    /// are sent from the one of their `from`.
    pub namespaces: BTreeMap<Ipv4Addr, Netns>,
    /// How long to wait for answers after the last request. The kernel needs 3.1 s after the first request to
    /// say that a neighbour does not answer; with less, that error is not seen.
    pub patience: Duration,
    /// Nodes that watch what reaches them. Once one of them has answered by any path, what it does not answer is
    /// waited for no longer than such answers take: the kernel's error would add nothing.
    pub watching: BTreeSet<Ipv4Addr>,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            namespaces: BTreeMap::new(),
            patience: Duration::from_secs(1),
            watching: BTreeSet::new(),
        }
    }
}

/// The namespace to send from, `None`: the caller's own; and whether it is datagrams to ports.
type Place = (Option<Netns>, bool);

/// Sends all paths at once, a thread per namespace; returns one result a path, in the same order, as soon
/// as every request has an answer or patience ends. A path that cannot be sent says so in `refused`. Blocks.
///
/// The payload is `MARK`, the path's ICMP identifier and the sequence number (two bytes each, big endian), then
/// filling.
pub fn send(paths: &[Path], how: &Sending) -> Vec<PathResult> {
    let mut results: Vec<PathResult> = paths.iter().map(nothing_yet).collect();
    let mut places: Vec<(Place, Vec<usize>)> = Vec::new();
    for (n, (path, result)) in paths.iter().zip(&mut results).enumerate() {
        let place = match path.origin {
            Origin::Host => None,
            Origin::Container | Origin::Endpoint => match how.namespaces.get(&path.from) {
                Some(namespace) => Some(namespace.clone()),
                None => {
                    result.refused =
                        Some(format!("the namespace of {} is not to be had", path.from));
                    continue;
                }
            },
        };
        let place = (place, result.port().is_some());
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, members)) => members.push(n),
            None => places.push((place, vec![n])),
        }
    }
    let patience = &Patience::new(how.patience, how.watching.clone());
    let sent: Vec<(Vec<usize>, Vec<PathResult>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = places
            .into_iter()
            .map(|(place, members)| {
                let own: Vec<Path> = members
                    .iter()
                    .filter_map(|n| paths.get(*n))
                    .cloned()
                    .collect();
                let failed = own.clone();
                let thread = scope.spawn(move || match place {
                    (_, true) => ports::exchange(own, how.patience),
                    (None, _) => exchange(own, patience),
                    (Some(namespace), _) => namespace.run(|| exchange(own, patience)).flatten(),
                });
                (members, failed, thread)
            })
            .collect();
        threads
            .into_iter()
            .map(|(members, paths, thread)| {
                let results = thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("the sending thread panicked")));
                (
                    members,
                    results.unwrap_or_else(|error| refuse(&paths, &error)),
                )
            })
            .collect()
    });
    for (members, part) in sent {
        for (n, result) in members.into_iter().zip(part) {
            if let Some(slot) = results.get_mut(n) {
                *slot = result;
            }
        }
    }
    results
}

pub(super) fn nothing_yet(path: &Path) -> PathResult {
    PathResult {
        path: path.clone(),
        sent: 0,
        refused: None,
        replies: Vec::new(),
        errors: Vec::new(),
    }
}

fn refuse(paths: &[Path], error: &io::Error) -> Vec<PathResult> {
    let refused = |path| PathResult {
        refused: Some(error.to_string()),
        ..nothing_yet(path)
    };
    paths.iter().map(refused).collect()
}

/// One path under way.
struct Stream {
    result: PathResult,
    /// Time of each request sent, by sequence number less one.
    times: Vec<Option<Instant>>,
    next: u16,
    /// Of the next request.
    due: Instant,
    last_sent: Instant,
}

impl Stream {
    fn is_sent(&self) -> bool {
        self.next > self.result.path.count
    }

    /// Nothing more can come, as far as one can tell.
    fn is_answered(&self) -> bool {
        let errors: u32 = self.result.errors.iter().map(|e| e.count).sum();
        self.is_sent()
            && self.result.replies.len() + errors as usize >= usize::from(self.result.sent)
    }

    /// When to look after it again; `None`: not any more, but for what comes by itself.
    fn until(&self, patience: &Patience) -> Option<Instant> {
        if !self.is_sent() {
            return Some(self.due);
        }
        let end = self.last_sent + patience.with(self.result.path.target_node);
        (!self.is_answered() && Instant::now() < end).then_some(end)
    }
}

/// Sends and receives in the calling thread's namespace.
fn exchange(paths: Vec<Path>, patience: &Patience) -> io::Result<Vec<PathResult>> {
    let pings = Pings::open(&paths)?;
    let begun = Instant::now();
    let recogniser = Recogniser {
        paths: (0_u8..)
            .zip(&paths)
            .map(|(n, path)| (path.icmp_id, n))
            .collect(),
        ..Recogniser::default()
    };
    let mut streams: Vec<Stream> = paths
        .iter()
        .map(|path| Stream {
            result: nothing_yet(path),
            times: vec![None; usize::from(path.count)],
            next: 1,
            due: begun,
            last_sent: begun,
        })
        .collect();
    let mut buffer = vec![MaybeUninit::uninit(); usize::from(u16::MAX)];
    loop {
        for (stream, n) in streams.iter_mut().zip(0..) {
            while !stream.is_sent() && stream.due <= Instant::now() {
                request(&pings, n, stream);
            }
        }
        receive(&pings, &recogniser, &mut buffer, &mut streams, patience);
        let Some(until) = streams.iter().filter_map(|s| s.until(patience)).min() else {
            break;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            continue;
        }
        let sockets = pings.all().iter();
        let mut fds: Vec<_> = sockets
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        // Rounded up, so that a rest below a millisecond does not spin; another thread may have heard an answer.
        let timeout = PollTimeout::try_from(left.min(LOOK_UP) + Duration::from_millis(1));
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(streams.into_iter().map(|stream| stream.result).collect())
}

fn request(pings: &Pings, n: usize, stream: &mut Stream) {
    let path = &stream.result.path;
    let sequence = stream.next;
    stream.next = sequence.saturating_add(1);
    stream.due += Duration::from_millis(u64::from(path.interval_ms));
    let packet = packet(path, sequence);
    let now = Instant::now();
    stream.last_sent = now;
    let sent = match pings.of(n) {
        Some(socket) => transmit(socket, path, &packet),
        None => Err(Errno::EBADF),
    };
    match sent {
        Ok(()) => {
            stream.result.sent += 1;
            if let Some(time) = stream.times.get_mut(usize::from(sequence) - 1) {
                *time = Some(now);
            }
        }
        Err(error) => {
            if stream.result.refused.is_none() {
                stream.result.refused = Some(error.desc().to_owned());
            }
        }
    }
}

fn packet(path: &Path, sequence: u16) -> Vec<u8> {
    let size = HEADER + usize::from(path.payload.min(MOST_PAYLOAD));
    let mut packet = Vec::with_capacity(size.max(HEADER + MARK.len() + 4));
    packet.extend([8, 0, 0, 0]);
    packet.extend(path.icmp_id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(MARK);
    packet.extend(path.icmp_id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    let filling = (0_u8..=u8::MAX).cycle();
    packet.extend(filling.take(size.saturating_sub(packet.len())));
    packet.truncate(size);
    let check = Sum::new().bytes(&packet).finish();
    packet[2..4].copy_from_slice(&check);
    packet
}

fn transmit(socket: &Socket, path: &Path, packet: &[u8]) -> Result<(), Errno> {
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    socket
        .set_ttl_v4(u32::from(path.ttl.max(1)))
        .map_err(errno)?;
    // DF without heeding a path MTU that was learned, so that each size is really tried; or no DF at all.
    let discover = if path.df {
        libc::IP_PMTUDISC_PROBE
    } else {
        libc::IP_PMTUDISC_DONT
    };
    super::sockopt::set_int(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discover)
        .map_err(errno)?;
    let source = libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from_ne_bytes(path.from.octets()),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let pinned = [ControlMessage::Ipv4PacketInfo(&source)];
    let control = match path.from.is_unspecified() {
        true => &[][..],
        false => &pinned[..],
    };
    let to = SockaddrIn::from(SocketAddrV4::new(path.to, 0));
    let vector = [io::IoSlice::new(packet)];
    sendmsg(
        socket.as_raw_fd(),
        &vector,
        control,
        MsgFlags::MSG_DONTWAIT,
        Some(&to),
    )
    .map(drop)
}

fn receive(
    pings: &Pings,
    recogniser: &Recogniser,
    buffer: &mut [MaybeUninit<u8>],
    streams: &mut [Stream],
    patience: &Patience,
) {
    for socket in pings.all() {
        loop {
            let packet = match pings.receive(socket, buffer) {
                Ok(packet) => packet,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Nothing there; or an error of a packet sent before, which also came as ICMP.
                Err(_) => break,
            };
            let now = Instant::now();
            if let Some(probe) = recogniser.reply(&packet) {
                if let Some(stream) = streams.get_mut(usize::from(probe.path)) {
                    answered(stream, probe.from, probe.sequence, now, patience);
                }
            } else if let Some((path, error)) = recogniser.error_of(&packet)
                && let Some(stream) = streams.get_mut(usize::from(path))
            {
                failed(&mut stream.result.errors, error);
            }
        }
    }
}

fn answered(stream: &mut Stream, from: Ipv4Addr, sequence: u16, now: Instant, patience: &Patience) {
    let time = usize::from(sequence)
        .checked_sub(1)
        .and_then(|n| stream.times.get(n))
        .copied()
        .flatten();
    let (Some(time), true) = (time, from == stream.result.path.to) else {
        return;
    };
    let replies = &mut stream.result.replies;
    if replies.iter().all(|(known, _)| *known != sequence) {
        let rtt = now.saturating_duration_since(time);
        patience.answered(stream.result.path.target_node, rtt);
        replies.push((sequence, u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX)));
    }
}

pub(super) fn failed(errors: &mut Vec<IcmpError>, error: IcmpError) {
    match errors.iter_mut().find(|known| known.is_like(&error)) {
        Some(known) => known.count = known.count.saturating_add(1),
        None => errors.push(error),
    }
}
