//! Asks by ARP which addresses somebody holds, as a host does before it takes one (RFC 5227).

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::plan::state::Mac;

const ETH_P_ARP: u16 = 0x0806;
/// An ARP packet for IPv4 over Ethernet.
const LENGTH: usize = 28;

/// Of `candidates`, those for which somebody answers on interface `index` within `patience`. Two requests
/// each. Works in the calling thread's network namespace.
///
/// # Errors
/// No packet socket to be had, or the interface does not send.
pub(super) fn taken(
    index: u32,
    own: Mac,
    candidates: &[Ipv4Addr],
    patience: Duration,
) -> io::Result<BTreeSet<Ipv4Addr>> {
    let socket = Socket::new(
        Domain::PACKET,
        Type::DGRAM,
        Some(Protocol::from(i32::from(ETH_P_ARP.to_be()))),
    )?;
    socket.set_nonblocking(true)?;
    let begun = Instant::now();
    let mut taken = BTreeSet::new();
    for round in [patience / 2, patience] {
        for candidate in candidates.iter().filter(|c| !taken.contains(*c)) {
            send(&socket, index, &request(own, *candidate))?;
        }
        while let Some(left) = round.checked_sub(begun.elapsed()) {
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut fds, timeout) {
                Ok(0) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let mut buffer = [0_u8; 128];
            while let Ok(length) = nix::unistd::read(&socket, &mut buffer) {
                taken.extend(sender(buffer.get(..length).unwrap_or_default(), own));
            }
        }
    }
    Ok(taken)
}

/// A probe: it names no sender address, so nobody learns one from it.
fn request(own: Mac, target: Ipv4Addr) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    packet[8..14].copy_from_slice(&own.0);
    packet[24..].copy_from_slice(&target.octets());
    packet
}

/// Who says that an address is its own, in a request or an answer.
fn sender(packet: &[u8], own: Mac) -> Option<Ipv4Addr> {
    let packet = packet.first_chunk::<LENGTH>()?;
    let ours = packet[8..14] == own.0;
    let address = Ipv4Addr::new(packet[14], packet[15], packet[16], packet[17]);
    (packet[..6] == [0, 1, 8, 0, 6, 4] && !ours && !address.is_unspecified()).then_some(address)
}

fn send(socket: &Socket, index: u32, packet: &[u8; LENGTH]) -> io::Result<()> {
    // SAFETY: all fields of sockaddr_ll are integers, for which zero is a value.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_protocol = ETH_P_ARP.to_be();
    to.sll_ifindex = index.cast_signed();
    to.sll_halen = 6;
    to.sll_addr[..6].fill(0xff);
    // SAFETY: packet and address are live and their lengths are given.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
