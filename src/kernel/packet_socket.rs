//! Packet sockets: opened with a filter on one interface, and read with what the kernel knows of each packet.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::sight::{Judge, Recogniser};
use super::sockopt::set_int;
use crate::diagnose::packets::COOKED;
use crate::diagnose::probe::{MARK, PORT_HEAD};

/// Receive buffer wished for each socket, bytes.
const BUFFER: usize = 2 << 20;

// linux/if_packet.h, linux/if_ether.h.
const ETH_P_ALL: u16 = 3;
const TP_STATUS_CSUMNOTREADY: u32 = 1 << 3;
const TP_STATUS_CSUM_VALID: u32 = 1 << 7;

/// Opens a packet socket on one interface. It delivers packets from their network header on, which is the
/// same on all kinds of devices.
pub(super) fn listen(index: u32, recogniser: &Recogniser) -> io::Result<Socket> {
    // Protocol 0 receives nothing until it is bound, so nothing gets in before the filter.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))?;
    socket.attach_filter(&filter(recogniser))?;
    socket.set_nonblocking(true)?;
    if nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &BUFFER)
        .is_err()
    {
        tracing::debug!("the capture has to do with the default receive buffer");
    }
    set_int(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set_int(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    // SAFETY: all fields of sockaddr_ll are integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ETH_P_ALL.to_be();
    address.sll_ifindex = index.cast_signed();
    // SAFETY: the address is a whole sockaddr_ll, and its size is given.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if bound != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// IPv4 ICMP, UDP to the encapsulation's ports whose inner packet is ICMP, and our datagrams to any port.
fn filter(recogniser: &Recogniser) -> Vec<SockFilter> {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE_X: u16 = 0x50;
    const LOAD_HALF_X: u16 = 0x48;
    const LOAD_WORD_X: u16 = 0x40;
    const HEADER_LENGTH_TO_X: u16 = 0xb1;
    const AND: u16 = 0x54;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    // From the UDP header to the inner packet's protocol.
    let inner = if recogniser.bare {
        8 + 9
    } else {
        8 + 8 + 14 + 9
    };
    // From the UDP header to the mark of a datagram to a port, which begins with this.
    let mark = 8 + PORT_HEAD.len() as u32;
    let marked = u32::from_be_bytes([MARK[0], MARK[1], MARK[2], MARK[3]]);
    let mut ports = recogniser.ports.clone();
    ports.truncate(16);
    let count = ports.len() as u8;
    let load = |code, k| SockFilter::new(code, 0, 0, k);
    // Distances are to `accept` and `drop` at the end: after the ports come two instructions, then those.
    let mut program = vec![
        load(LOAD_BYTE, 0),
        load(AND, 0xf0),
        SockFilter::new(JUMP_EQUAL, 0, 12 + count, 0x40),
        load(LOAD_BYTE, 9),
        SockFilter::new(JUMP_EQUAL, 9 + count, 0, 1),
        SockFilter::new(JUMP_EQUAL, 0, 9 + count, 17),
        load(LOAD_HALF, 6),
        SockFilter::new(JUMP_SET, 7 + count, 0, 0x1fff),
        load(HEADER_LENGTH_TO_X, 0),
        load(LOAD_WORD_X, mark),
        SockFilter::new(JUMP_EQUAL, 3 + count, 0, marked),
        load(LOAD_HALF_X, 2),
    ];
    for (n, port) in ports.iter().enumerate() {
        let left = count - n as u8 - 1;
        let otherwise = if left == 0 { 3 } else { 0 };
        program.push(SockFilter::new(
            JUMP_EQUAL,
            left,
            otherwise,
            u32::from(*port),
        ));
    }
    program.extend([
        load(LOAD_BYTE_X, inner),
        SockFilter::new(JUMP_EQUAL, 0, 1, 1),
        load(RETURN, 0x0004_0000),
        load(RETURN, 0),
    ]);
    program
}

/// What the kernel tells of a packet.
pub(super) struct Packet {
    pub length: usize,
    pub outgoing: bool,
    pub otherhost: bool,
    status: u32,
    pub time_us: u64,
    link: libc::sockaddr_ll,
}

impl Packet {
    /// The link layer as the kernel tells it, in the form of LINKTYPE_LINUX_SLL2; without the interface's index,
    /// which a reader on another host would take for one of its own.
    pub fn cooked(&self) -> [u8; COOKED] {
        let link = &self.link;
        let mut header = [0; COOKED];
        // Already in network byte order.
        header[..2].copy_from_slice(&link.sll_protocol.to_ne_bytes());
        header[8..10].copy_from_slice(&link.sll_hatype.to_be_bytes());
        header[10] = link.sll_pkttype;
        header[11] = link.sll_halen;
        header[12..].copy_from_slice(&link.sll_addr);
        header
    }

    /// Whether its UDP checksum can be judged.
    pub fn judge(&self) -> Judge {
        if self.outgoing || self.status & TP_STATUS_CSUMNOTREADY != 0 {
            Judge::Unfinished
        } else if self.status & TP_STATUS_CSUM_VALID != 0 {
            Judge::Valid
        } else {
            Judge::Compute
        }
    }
}

/// One packet with its type, checksum state and time.
pub(super) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Packet> {
    // SAFETY: all fields of sockaddr_ll are integers, for which zero is a value.
    let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut control = [0_u64; 32];
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: zero is a value for all of msghdr's integers and pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in `message` is to a live object of the length that is given beside it.
    let received =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let mut packet = Packet {
        length,
        outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
        otherhost: from.sll_pkttype == libc::PACKET_OTHERHOST,
        status: 0,
        time_us: 0,
        link: from,
    };
    // SAFETY: the kernel filled `control`, which is aligned for cmsghdr and lives on; CMSG_FIRSTHDR and
    // CMSG_NXTHDR stay within msg_controllen.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: not null, so it is a whole header within `control`.
        let (level, kind, data) = unsafe {
            (
                (*header).cmsg_level,
                (*header).cmsg_type,
                libc::CMSG_DATA(header),
            )
        };
        match (level, kind) {
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                // SAFETY: the kernel puts a tpacket_auxdata here; the read asks no alignment.
                let aux = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
                packet.status = aux.tp_status;
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: the kernel puts a timespec here; the read asks no alignment.
                let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
                let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
                packet.time_us = seconds
                    .saturating_mul(1_000_000)
                    .saturating_add(nanos / 1000);
            }
            _ => {}
        }
        // SAFETY: `header` is one of this message's, as above.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(packet)
}

/// Packets that did not fit into the socket's buffer.
pub(super) fn lost(socket: &Socket) -> u32 {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `statistics`, which is that long.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if got == 0 { statistics.tp_drops } else { 0 }
}
