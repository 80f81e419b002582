//! Sends small datagrams to UDP ports of a node and hears which ICMP errors come back, through each socket's error queue:
//! no privilege is needed, and no other packet is taken for an answer.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};

use super::echo::{failed, nothing_yet};
use super::sockopt;
use crate::diagnose::probe::{IcmpError, MARK, PORT_HEAD};
use crate::diagnose::{Path, PathResult};

/// Silence is what an open port answers: it is not waited for any longer.
const LISTEN: Duration = Duration::from_millis(300);
/// An error of an earlier datagram is told instead of sending the next: so often it is tried again.
const TRIES: usize = 3;

/// One port.
struct Stream {
    socket: Option<UdpSocket>,
    result: PathResult,
    next: u16,
    due: Instant,
}

/// Sends in the calling thread's namespace; returns one result a path, in the same order. Paths to anything but ports are
/// not sent.
pub(super) fn exchange(paths: Vec<Path>, patience: Duration) -> io::Result<Vec<PathResult>> {
    let now = Instant::now();
    let mut streams: Vec<_> = paths.iter().map(|path| open(path, now)).collect();
    let mut end = now + LISTEN.min(patience);
    loop {
        for stream in &mut streams {
            while stream.next <= stream.result.path.count && stream.due <= Instant::now() {
                datagram(stream);
                end = Instant::now() + LISTEN.min(patience);
            }
            hear(stream);
        }
        let unsent = |stream: &&Stream| stream.next <= stream.result.path.count;
        let next = streams.iter().filter(unsent).map(|stream| stream.due).min();
        let left = next
            .unwrap_or(end)
            .saturating_duration_since(Instant::now());
        let answered =
            |stream: &Stream| !stream.result.errors.is_empty() || stream.socket.is_none();
        if next.is_none() && (left.is_zero() || streams.iter().all(answered)) {
            return Ok(streams.into_iter().map(|stream| stream.result).collect());
        }
        // Errors make a socket ready without being asked for.
        let sockets = streams.iter().filter_map(|stream| stream.socket.as_ref());
        let mut fds: Vec<_> = sockets
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::empty()))
            .collect();
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1));
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn open(path: &Path, now: Instant) -> Stream {
    let mut result = nothing_yet(path);
    let connected = || -> io::Result<UdpSocket> {
        let Some(port) = result.port() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        sockopt::set_int(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
        socket.connect((path.to, port))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let socket = match connected() {
        Ok(socket) => Some(socket),
        Err(error) => {
            result.refused = Some(error.to_string());
            None
        }
    };
    Stream {
        next: if socket.is_some() { 1 } else { u16::MAX },
        socket,
        result,
        due: now,
    }
}

fn datagram(stream: &mut Stream) {
    let path = &stream.result.path;
    let mut bytes = PORT_HEAD.to_vec();
    bytes.extend(MARK);
    bytes.extend(path.icmp_id.to_be_bytes());
    bytes.extend(stream.next.to_be_bytes());
    stream.next = stream.next.saturating_add(1);
    stream.due += Duration::from_millis(u64::from(path.interval_ms));
    for _ in 0..TRIES {
        let Some(socket) = &stream.socket else { return };
        match socket.send(&bytes) {
            Ok(_) => {
                stream.result.sent += 1;
                return;
            }
            Err(error) => {
                if !hear(stream) {
                    stream.result.refused.get_or_insert(error.to_string());
                    return;
                }
            }
        }
    }
}

/// Takes what is in the error queue; whether there was anything.
fn hear(stream: &mut Stream) -> bool {
    let Some(socket) = &stream.socket else {
        return false;
    };
    let mut any = false;
    while let Ok(error) = queued(socket) {
        any = true;
        if let Some(error) = error {
            failed(&mut stream.result.errors, error);
        }
    }
    any
}

/// The next of the error queue; `None` for one that is no ICMP error.
fn queued(socket: &UdpSocket) -> nix::Result<Option<IcmpError>> {
    let mut quoted = [0_u8; 64];
    let mut vector = [IoSliceMut::new(&mut quoted)];
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut vector, Some(&mut space), flags)?;
    let error = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, from)
            if error.ee_origin == libc::SO_EE_ORIGIN_ICMP =>
        {
            Some(IcmpError {
                from: Ipv4Addr::from(u32::from_be(from?.sin_addr.s_addr)),
                kind: error.ee_type,
                code: error.ee_code,
                mtu: 0,
                outer: false,
                count: 1,
            })
        }
        _ => None,
    });
    Ok(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::diagnose::probe::{Origin, PORT_PAYLOAD, Target};

    fn path(port: u16) -> Path {
        let here = Ipv4Addr::LOCALHOST;
        Path {
            index: 0,
            source_node: here,
            target_node: here,
            origin: Origin::Host,
            target: Target::Port(port),
            from: here,
            to: here,
            icmp_id: 4711,
            count: 2,
            interval_ms: 5,
            payload: PORT_PAYLOAD,
            ttl: 64,
            df: false,
        }
    }

    #[test]
    fn a_closed_port_is_told_from_an_open_one() {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (open, closed) = (bind(), bind());
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let (open_port, closed_port) = (port(&open), port(&closed));
        drop(closed);
        let paths = vec![path(open_port), path(closed_port)];
        let results = exchange(paths, Duration::from_secs(1)).unwrap();
        assert_eq!((results[0].sent, &results[0].errors), (2, &Vec::new()));
        let error = &results[1].errors[0];
        assert_eq!(
            (
                results[1].sent,
                error.kind,
                error.code,
                error.count,
                error.from
            ),
            (2, 3, 3, 2, Ipv4Addr::LOCALHOST)
        );
        let mut bytes = [0; 100];
        open.set_nonblocking(true).unwrap();
        let length = open.recv(&mut bytes).unwrap();
        assert_eq!(length, usize::from(PORT_PAYLOAD));
        assert_eq!(
            bytes[..length],
            [&[0; 4], &MARK[..], &[18, 103, 0, 1]].concat()
        );
    }
}
