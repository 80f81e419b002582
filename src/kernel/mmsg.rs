//! Many datagrams a system call: `sendmmsg` and `recvmmsg` over one buffer, addressed by offsets, with the
//! kernel's own cutting (`UDP_SEGMENT`) and merging (`UDP_GRO`) where it is asked for.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use crate::forward::group::Message;
use crate::packet::Span;

/// One control message as the kernel lays it out.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control<T> {
    header: libc::cmsghdr,
    value: T,
}

/// Memory for `sendmmsg`, allocated once.
pub struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_in>,
    controls: Vec<Control<u16>>,
}

// SAFETY: its pointers are made and used within one call of `send`, which has it to itself.
unsafe impl Send for SendBatch {}

impl SendBatch {
    /// Room for `messages` messages of `parts` parts in all before it grows.
    pub fn new(messages: usize, parts: usize) -> Self {
        Self {
            headers: Vec::with_capacity(messages),
            parts: Vec::with_capacity(parts),
            names: Vec::with_capacity(messages),
            controls: Vec::with_capacity(messages),
        }
    }

    /// Sends the messages in order with one call and returns how many the kernel took, at least
    /// one. A message of several datagrams is cut by the kernel. `parts` of `buffer` are what the
    /// messages refer to.
    ///
    /// # Errors
    /// What the kernel said about the first message; none was sent. `InvalidInput` for a part that
    /// does not exist or is beyond the buffer.
    pub fn send(
        &mut self,
        socket: &impl AsFd,
        buffer: &[u8],
        messages: &[Message],
        parts: &[Span],
    ) -> io::Result<usize> {
        self.headers.clear();
        self.parts.clear();
        self.names.clear();
        self.controls.clear();
        for message in messages {
            let first = message.first as usize;
            let spans = parts.get(first..first + message.parts as usize);
            for span in spans.ok_or(io::ErrorKind::InvalidInput)? {
                let bytes = span.of(buffer).ok_or(io::ErrorKind::InvalidInput)?;
                self.parts.push(libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                });
            }
            self.names.push(socket_name(message.to));
            self.controls.push(segment_control(message.size));
        }
        // No list grows from here on: pointers into them stay good.
        let mut rest = self.parts.as_mut_slice();
        let memory = self.names.iter_mut().zip(&mut self.controls);
        for (message, (name, control)) in messages.iter().zip(memory) {
            let (own, others) = rest.split_at_mut(message.parts as usize);
            rest = others;
            let mut header = header(name, own);
            if message.count > 1 {
                attach(&mut header, control);
            }
            self.headers.push(header);
        }
        // SAFETY: the headers point to names, controls and parts that live in `self` and are not
        // moved before the call ends; the parts point into `buffer`, which is borrowed for the call
        // and which the kernel only reads.
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

/// What came from one sender: one datagram, or several of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its sender's address.
    pub from: Ipv4Addr,
    /// The bytes of all its datagrams in the buffer.
    pub span: Span,
    /// Bytes of each datagram but the last; at least 1.
    pub size: usize,
    /// It was longer than its slot; the rest is lost.
    pub truncated: bool,
}

/// Memory for `recvmmsg`, allocated once.
pub struct ReceiveBatch {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_in>,
    controls: Vec<Control<libc::c_int>>,
    slot: usize,
}

impl ReceiveBatch {
    /// Up to `messages` messages a call, each into a slot of `slot` bytes.
    pub fn new(messages: usize, slot: usize) -> Self {
        let empty = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        let nobody = socket_name(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        Self {
            headers: Vec::with_capacity(messages),
            parts: vec![empty; messages],
            names: vec![nobody; messages],
            controls: vec![empty_control(0); messages],
            slot,
        }
    }

    /// Bytes that the buffer must have.
    pub fn buffer_len(&self) -> usize {
        self.parts.len() * self.slot
    }

    /// Receives what is there, `most` messages at most, and returns how many came; where there is none, waits
    /// for one if it is to.
    ///
    /// # Errors
    /// `WouldBlock` when there is none and it is not to wait; `Interrupted` by a signal; else what the kernel said.
    pub fn receive(
        &mut self,
        socket: &impl AsFd,
        buffer: &mut [u8],
        most: usize,
        wait: bool,
    ) -> io::Result<usize> {
        self.headers.clear();
        let flags = match wait {
            true => libc::MSG_WAITFORONE,
            false => libc::MSG_DONTWAIT,
        };
        self.call(socket, buffer, most, flags)
    }

    /// Receives what is there, `most` messages at most, behind those that came since `receive`, and returns how
    /// many came.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; else what the kernel said. What came before stays.
    pub fn receive_more(
        &mut self,
        socket: &impl AsFd,
        buffer: &mut [u8],
        most: usize,
    ) -> io::Result<usize> {
        self.call(socket, buffer, most, libc::MSG_DONTWAIT)
    }

    fn call(
        &mut self,
        socket: &impl AsFd,
        buffer: &mut [u8],
        most: usize,
        flags: libc::c_int,
    ) -> io::Result<usize> {
        let before = self.headers.len();
        let slots = buffer.chunks_exact_mut(self.slot);
        let memory = self.names.iter_mut().zip(&mut self.controls);
        let free = { slots.zip(&mut self.parts).zip(memory) }.skip(before);
        for ((slot, part), (name, control)) in free.take(most) {
            part.iov_base = slot.as_mut_ptr().cast();
            part.iov_len = slot.len();
            *control = empty_control(0);
            let mut header = header(name, std::slice::from_mut(part));
            attach(&mut header, control);
            self.headers.push(header);
        }
        let fresh = self.headers.get_mut(before..).unwrap_or_default();
        // SAFETY: each header points to its own name, control and part, which stay where they are until
        // the call ends; the parts point to disjoint slots of `buffer`, which is borrowed mutably.
        let came = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                fresh.as_mut_ptr(),
                fresh.len() as libc::c_uint,
                flags,
                ptr::null_mut(),
            )
        };
        let came = usize::try_from(came).map_err(|_| io::Error::last_os_error());
        self.headers
            .truncate(before + came.as_ref().copied().unwrap_or(0));
        came
    }

    /// The message of this number since the last `receive`.
    pub fn message(&self, index: usize) -> Option<Received> {
        let header = self.headers.get(index)?;
        let name = self.names.get(index)?;
        let control = self.controls.get(index)?;
        let len = header.msg_len as usize;
        let merged =
            control.header.cmsg_level == libc::SOL_UDP && control.header.cmsg_type == libc::UDP_GRO;
        let size = usize::try_from(control.value).ok().filter(|_| merged);
        Some(Received {
            from: Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)),
            span: Span::new(index * self.slot, len),
            size: size.unwrap_or(len).max(1),
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

fn header(name: &mut libc::sockaddr_in, parts: &mut [libc::iovec]) -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain C data for which all zeroes is a valid value (and the only way to
    // set its private padding on all targets).
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_name = ptr::from_mut(name).cast();
    header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    header.msg_hdr.msg_iov = parts.as_mut_ptr();
    header.msg_hdr.msg_iovlen = parts.len() as _;
    header
}

fn attach<T>(header: &mut libc::mmsghdr, control: &mut Control<T>) {
    header.msg_hdr.msg_control = ptr::from_mut(control).cast();
    header.msg_hdr.msg_controllen = mem::size_of::<Control<T>>() as _;
}

fn empty_control<T>(value: T) -> Control<T> {
    // SAFETY: cmsghdr is plain C data for which all zeroes is a valid value.
    let header: libc::cmsghdr = unsafe { mem::zeroed() };
    Control { header, value }
}

fn segment_control(size: u16) -> Control<u16> {
    let mut control = empty_control(size);
    control.header.cmsg_len = (mem::offset_of!(Control<u16>, value) + mem::size_of::<u16>()) as _;
    control.header.cmsg_level = libc::SOL_UDP;
    control.header.cmsg_type = libc::UDP_SEGMENT;
    control
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn more_comes_behind_what_came() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |text: &str| sender.send_to(text.as_bytes(), receiver.local_addr().unwrap());
        let mut batch = ReceiveBatch::new(4, 16);
        let mut buffer = vec![0; batch.buffer_len()];
        for round in ["first", "second"] {
            for text in ["one", "three", round, "more than a slot holds", "the fifth"] {
                send(text).unwrap();
            }
            assert_eq!(batch.receive(&receiver, &mut buffer, 2, true).unwrap(), 2);
            assert!(batch.message(2).is_none());
            assert_eq!(batch.receive_more(&receiver, &mut buffer, 1).unwrap(), 1);
            assert_eq!(batch.receive_more(&receiver, &mut buffer, 9).unwrap(), 1);
            // No slot is left: nothing comes and nothing is lost.
            assert_eq!(batch.receive_more(&receiver, &mut buffer, 1).unwrap(), 0);
            let texts: Vec<_> = (0..4)
                .map(|index| batch.message(index).unwrap())
                .map(|message| (message.span.of(&buffer).unwrap(), message.truncated))
                .collect();
            let want: [(&[u8], bool); 4] = [
                (b"one", false),
                (b"three", false),
                (round.as_bytes(), false),
                (b"more than a slot", true),
            ];
            assert_eq!(texts, want);
            assert_eq!(batch.receive(&receiver, &mut buffer, 4, false).unwrap(), 1);
            let none = batch.receive_more(&receiver, &mut buffer, 1).unwrap_err();
            assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
            let last = batch.message(0).unwrap();
            assert_eq!(last.span.of(&buffer).unwrap(), b"the fifth");
            assert!(batch.message(1).is_none());
            let none = batch.receive(&receiver, &mut buffer, 4, false).unwrap_err();
            assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
            assert!(batch.message(0).is_none());
        }
    }
}
