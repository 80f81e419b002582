//! Datagrams as fast as one sender can: one `send` each, no batches, so that what is offered is what a program
//! without tricks offers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use super::{Counter, Ends, Error, LOOK_UP, Timing, is_timeout};
use crate::kernel::wait::Stop;

/// What went in and what came out within the window, a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datagrams {
    /// Taken by the sender's kernel.
    pub offered: f64,
    /// Read by the receiver.
    pub delivered: f64,
    /// The rest.
    pub lost: f64,
}

/// Sends datagrams with a payload of that many bytes.
///
/// # Errors
/// The kernel refuses, or nothing came through.
pub fn datagrams(
    ends: &Ends,
    payload: usize,
    timing: Timing,
    stop: &Stop,
) -> Result<Datagrams, Error> {
    let (sender, receiver) = sockets(ends).map_err(ends.failed("send datagrams to"))?;
    let (sent, received) = (Counter::default(), Counter::default());
    let over = AtomicBool::new(false);
    let look = || (sent.read(), received.read());
    let (marks, sending) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(&sender, payload, &sent, &over));
        scope.spawn(|| receive(&receiver, &received, &over));
        let marks = timing.watch(stop, look);
        over.store(true, Ordering::Relaxed);
        (marks, sending.join().unwrap_or(Ok(())))
    });
    sending.map_err(ends.failed("send datagrams to"))?;
    let [(begin, first), (end, last)] = marks?;
    let seconds = end.duration_since(begin).as_secs_f64();
    let offered = last.0.saturating_sub(first.0) as f64 / seconds;
    let delivered = last.1.saturating_sub(first.1) as f64 / seconds;
    if delivered == 0.0 {
        return Err(ends.nothing());
    }
    Ok(Datagrams {
        offered,
        delivered,
        // What was under way when the window began may arrive within it.
        lost: (offered - delivered).max(0.0),
    })
}

fn sockets(ends: &Ends) -> io::Result<(UdpSocket, UdpSocket)> {
    let receiver = ends
        .to
        .run(|| UdpSocket::bind(SocketAddr::from((ends.address, 0))))
        .flatten()?;
    let address = receiver.local_addr()?;
    let sender = ends
        .from
        .run(|| UdpSocket::bind("0.0.0.0:0").and_then(|s| s.connect(address).map(|()| s)))
        .flatten()?;
    sender.set_write_timeout(Some(LOOK_UP))?;
    receiver.set_read_timeout(Some(LOOK_UP))?;
    Ok((sender, receiver))
}

fn send(socket: &UdpSocket, payload: usize, sent: &Counter, over: &AtomicBool) -> io::Result<()> {
    let datagram = vec![0_u8; payload];
    while !over.load(Ordering::Relaxed) {
        match socket.send(&datagram) {
            Ok(_) => sent.add(1),
            Err(error) if is_timeout(&error) => {}
            // A full queue of a device: not taken, so not offered.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn receive(socket: &UdpSocket, received: &Counter, over: &AtomicBool) {
    let mut datagram = [0_u8; 2048];
    while !over.load(Ordering::Relaxed) {
        if socket.recv(&mut datagram).is_ok() {
            received.add(1);
        }
    }
}
