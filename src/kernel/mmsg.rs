//! Many datagrams a system call: `sendmmsg` and `recvmmsg` over one buffer, addressed by offsets.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use crate::packet::Span;

/// One send: some parts of the buffer, put together, to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub to: SocketAddrV4,
    /// Index of its first part.
    pub first: u32,
    /// Number of its parts.
    pub parts: u32,
}

/// Memory for `sendmmsg`, allocated once.
pub struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_in>,
}

impl SendBatch {
    /// Room for `messages` messages of `parts` parts in all; larger batches are sent in several
    /// calls or grow it once.
    pub fn new(messages: usize, parts: usize) -> Self {
        Self {
            headers: Vec::with_capacity(messages),
            parts: Vec::with_capacity(parts),
            names: Vec::with_capacity(messages),
        }
    }

    /// Sends the messages in order with one call and returns how many the kernel took, at least one.
    /// A message with a part beyond the buffer is `InvalidInput`.
    ///
    /// # Errors
    /// What the kernel said about the first message; none was sent.
    pub fn send(
        &mut self,
        socket: &impl AsFd,
        buffer: &[u8],
        messages: &[Message],
        parts: &[Span],
    ) -> io::Result<usize> {
        self.headers.clear();
        self.names.clear();
        self.parts.clear();
        for span in parts {
            let bytes = span.of(buffer).ok_or(io::ErrorKind::InvalidInput)?;
            self.parts.push(libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
        }
        self.names
            .extend(messages.iter().map(|message| socket_name(message.to)));
        for (message, name) in messages.iter().zip(&mut self.names) {
            let first = message.first as usize;
            let parts = self
                .parts
                .get_mut(first..first + message.parts as usize)
                .ok_or(io::ErrorKind::InvalidInput)?;
            self.headers.push(header(name, parts, &mut []));
        }
        // SAFETY: the headers point to names and parts that were filled above and are not moved
        // before the call ends; the parts point into `buffer`, which is borrowed for the call and
        // which the kernel only reads.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                0,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// One datagram that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its sender's address.
    pub from: Ipv4Addr,
    /// Its bytes in the buffer.
    pub span: Span,
    /// It was longer than its slot; the rest is lost.
    pub truncated: bool,
}

/// Memory for `recvmmsg`, allocated once.
pub struct ReceiveBatch {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_in>,
    slot: usize,
}

impl ReceiveBatch {
    /// Up to `messages` messages a call, each into a slot of `slot` bytes.
    pub fn new(messages: usize, slot: usize) -> Self {
        let empty = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            headers: Vec::with_capacity(messages),
            parts: vec![empty; messages],
            names: vec![socket_name(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)); messages],
            slot,
        }
    }

    /// Bytes that the buffer must have.
    pub fn buffer_len(&self) -> usize {
        self.parts.len() * self.slot
    }

    /// Receives what is there, without waiting, and returns how many messages came.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; else what the kernel said.
    pub fn receive(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
        self.headers.clear();
        let slots = buffer.chunks_exact_mut(self.slot);
        for ((slot, part), name) in slots.zip(&mut self.parts).zip(&mut self.names) {
            part.iov_base = slot.as_mut_ptr().cast();
            part.iov_len = slot.len();
            self.headers
                .push(header(name, std::slice::from_mut(part), &mut []));
        }
        // SAFETY: each header points to its own name and part, which stay where they are until the
        // call ends; the parts point to disjoint slots of `buffer`, which is borrowed mutably.
        let came = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(came).map_err(|_| io::Error::last_os_error())
    }

    /// The message of this number of the last `receive`.
    pub fn message(&self, index: usize) -> Option<Received> {
        let header = self.headers.get(index)?;
        let name = self.names.get(index)?;
        Some(Received {
            from: Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)),
            span: Span::new(index * self.slot, header.msg_len as usize),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

fn socket_name(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn header(
    name: &mut libc::sockaddr_in,
    parts: &mut [libc::iovec],
    control: &mut [u64],
) -> libc::mmsghdr {
    // SAFETY: msghdr is plain C data for which all zeroes is a valid value (and the only way to
    // set its private padding on all targets).
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_name = ptr::from_mut(name).cast();
    header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    header.msg_hdr.msg_iov = parts.as_mut_ptr();
    header.msg_hdr.msg_iovlen = parts.len() as _;
    if !control.is_empty() {
        header.msg_hdr.msg_control = control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = mem::size_of_val(control) as _;
    }
    header
}
