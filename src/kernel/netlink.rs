//! A blocking rtnetlink socket with two operations: dump a table, and carry out a batch of requests in few
//! system calls with one answer each. It knows nothing of flannel.
//!
//! The kernel works on a request while it is being sent, so all answers of a batch lie in the receive
//! buffer when `send` returns; a batch is cut so that they fit.

use std::io;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST,
    NLMSG_DONE, NLMSG_ERROR, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::constants::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use super::error::{Cause, Error, Op};

/// Largest answer that the kernel packs into one datagram is 32 KiB.
const RECEIVE: usize = 64 * 1024;
/// Requests in one system call. Each answer takes some 800 bytes of the receive buffer.
const BATCH: usize = 200;
/// Bytes in one system call, well below the default send buffer of 208 KiB.
const BATCH_BYTES: usize = 96 * 1024;
/// Wished for; without CAP_NET_ADMIN the system's limit holds, for which `BATCH` is chosen.
const BUFFER: usize = 1024 * 1024;
/// The kernel answers at once; this only keeps a broken one from blocking for ever.
const PATIENCE: Duration = Duration::from_secs(5);
/// A table that changes during a dump is read anew, but not for ever.
const DUMP_TRIES: usize = 5;

const HEADER: usize = 16;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A request with its flags (`NLM_F_CREATE`, …; request and ACK are added).
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked.
    pub message: RouteNetlinkMessage,
    /// How it is meant.
    pub flags: u16,
}

/// A rtnetlink socket, bound to the network namespace in which it was opened.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// Where the system refuses the socket.
    pub fn open() -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io(Op::Open, "a netlink socket", &error);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &nix::sys::time::TimeVal::new(PATIENCE.as_secs().cast_signed(), 0),
        )
        .map_err(|errno| failed(errno.into()))?;
        // Comforts: an old kernel or a missing capability does without.
        let comforts = [
            socket.set_cap_ack(true),
            socket.set_ext_ack(true),
            socket.set_netlink_get_strict_chk(true),
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).map_err(Into::into),
        ];
        for refused in comforts.into_iter().filter_map(Result::err) {
            tracing::debug!(%refused, "a netlink socket option is not to be had");
        }
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(RECEIVE),
        })
    }

    /// Reads a table. `pick` keeps what it wants of each entry. A table that changed meanwhile is read
    /// again, a few times.
    ///
    /// # Errors
    /// `what` names the table in the error.
    pub fn dump<T>(
        &mut self,
        what: &str,
        request: &RouteNetlinkMessage,
        mut pick: impl FnMut(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 1..DUMP_TRIES {
            let (entries, whole) = self.dump_once(what, request, NLM_F_DUMP, &mut pick)?;
            if whole {
                return Ok(entries);
            }
        }
        // It never stands still. What is read twice or missed shows at the next look.
        Ok(self.dump_once(what, request, NLM_F_DUMP, &mut pick)?.0)
    }

    /// Asks for one object.
    ///
    /// # Errors
    /// `what` names it in the error.
    pub fn get<T>(
        &mut self,
        what: &str,
        request: &RouteNetlinkMessage,
        mut pick: impl FnMut(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let (found, _) = self.dump_once(what, request, NLM_F_ACK, &mut pick)?;
        Ok(found.into_iter().next())
    }

    fn dump_once<T>(
        &mut self,
        what: &str,
        request: &RouteNetlinkMessage,
        flags: u16,
        pick: &mut impl FnMut(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<(Vec<T>, bool), Error> {
        let failed = |cause| Error {
            op: Op::Read,
            object: what.to_owned(),
            cause,
        };
        let mut out = Vec::with_capacity(64);
        let sequence = self.push(&mut out, request, flags);
        self.send(&out).map_err(failed)?;
        let mut entries = Vec::new();
        let mut whole = true;
        loop {
            self.receive(0).map_err(failed)?;
            for bytes in Datagrams(&self.buffer) {
                let Some(head) = Head::of(bytes) else {
                    return Err(failed(Cause::Garbled));
                };
                if head.sequence != sequence {
                    continue;
                }
                whole &= head.flags & NLM_F_DUMP_INTR == 0;
                match head.code(bytes) {
                    Some(code) if code < 0 => return Err(failed(cause(code, head.words(bytes)))),
                    Some(_) => return Ok((entries, whole)),
                    None => {}
                }
                match NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) {
                    Ok(message) => {
                        if let NetlinkPayload::InnerMessage(inner) = message.payload {
                            entries.extend(pick(inner));
                        }
                    }
                    // An object of a kind that the parser does not know is none of flannel's.
                    Err(error) => tracing::debug!(%error, what, "skipping a netlink message"),
                }
            }
        }
    }

    /// Carries out requests in their order; one that is refused does not stop the others. Returns one
    /// result a request.
    pub fn batch(&mut self, requests: &[Request]) -> Vec<Result<(), Cause>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut rest = requests;
        let mut out = Vec::with_capacity(BATCH_BYTES.min(requests.len() * 128));
        while !rest.is_empty() {
            out.clear();
            let first = self.sequence.wrapping_add(1);
            let mut count = 0;
            for request in rest.iter().take(BATCH) {
                if out.len() > BATCH_BYTES {
                    break;
                }
                self.push(&mut out, &request.message, request.flags | NLM_F_ACK);
                count += 1;
            }
            rest = &rest[count..];
            match self.send(&out) {
                Ok(()) => results.extend(self.answers(first, count)),
                Err(cause) => results.extend(std::iter::repeat_n(Err(cause), count)),
            }
        }
        results
    }

    /// Collects the answers to `count` requests with sequence numbers from `first` on.
    fn answers(&mut self, first: u32, count: usize) -> Vec<Result<(), Cause>> {
        let mut results = vec![Err(Cause::NoAnswer); count];
        let mut open = count;
        let mut flags = 0;
        while open > 0 {
            match self.receive(flags) {
                Ok(()) => {}
                // The buffer ran over: what was lost stays without an answer, the rest is there.
                Err(Cause::Errno(Errno::ENOBUFS, _)) => {
                    flags = libc::MSG_DONTWAIT;
                    continue;
                }
                Err(_) => break,
            }
            for bytes in Datagrams(&self.buffer) {
                let Some(answer) = Head::of(bytes) else { break };
                let position = answer.sequence.wrapping_sub(first) as usize;
                if let Some(code) = answer.code(bytes)
                    && let Some(result @ Err(Cause::NoAnswer)) = results.get_mut(position)
                {
                    *result = match code {
                        0 => Ok(()),
                        code => Err(cause(code, answer.words(bytes))),
                    };
                    open -= 1;
                }
            }
        }
        results
    }

    /// Appends a request to `out`; returns its sequence number.
    fn push(&mut self, out: &mut Vec<u8>, message: &RouteNetlinkMessage, flags: u16) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags | NLM_F_REQUEST;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message.clone()));
        packet.finalize();
        let start = out.len();
        out.resize(start + packet.buffer_len().next_multiple_of(4), 0);
        packet.serialize(&mut out[start..]);
        self.sequence
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Cause> {
        loop {
            match self.socket.send(bytes, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(from_io(&error)),
            }
        }
    }

    fn receive(&mut self, flags: i32) -> Result<(), Cause> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Cause::NoAnswer);
                }
                Err(error) => return Err(from_io(&error)),
            }
        }
    }
}

/// The netlink messages in a datagram, each with its header. Ends at one whose length cannot be.
pub(super) struct Datagrams<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Datagrams<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_ne_bytes(*self.0.first_chunk::<4>()?) as usize;
        if length < HEADER || length > self.0.len() {
            return None;
        }
        let (message, _) = self.0.split_at(length);
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// A message's header, and what an answer says.
struct Head {
    kind: u16,
    flags: u16,
    sequence: u32,
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            kind: u16::from_ne_bytes([head[4], head[5]]),
            flags: u16::from_ne_bytes([head[6], head[7]]),
            sequence: u32::from_ne_bytes([head[8], head[9], head[10], head[11]]),
        })
    }

    /// The result (0 or a negative errno), if this message ends a dump or answers a request.
    fn code(&self, bytes: &[u8]) -> Option<i32> {
        if self.kind != NLMSG_DONE && self.kind != NLMSG_ERROR {
            return None;
        }
        let code = bytes.get(HEADER..)?.first_chunk::<4>();
        Some(code.map_or(0, |code| i32::from_ne_bytes(*code)))
    }

    /// The kernel's own words on a refusal, where it gives some.
    fn words(&self, bytes: &[u8]) -> String {
        let request = HEADER + 4;
        let skip = match self.kind {
            _ if self.flags & NLM_F_ACK_TLVS == 0 => return String::new(),
            NLMSG_ERROR if self.flags & NLM_F_CAPPED != 0 => request + HEADER,
            NLMSG_ERROR => {
                let length = bytes.get(request..).and_then(<[u8]>::first_chunk::<4>);
                request + length.map_or(0, |l| u32::from_ne_bytes(*l) as usize)
            }
            _ => request,
        };
        let said = NlasIterator::new(bytes.get(skip..).unwrap_or_default())
            .map_while(Result::ok)
            .find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)
            .map(|attribute| String::from_utf8_lossy(attribute.value()).into_owned());
        said.unwrap_or_default().trim_end_matches('\0').to_owned()
    }
}

fn cause(code: i32, words: String) -> Cause {
    Cause::from_errno(Errno::from_raw(code.saturating_neg()), words)
}

fn from_io(error: &io::Error) -> Cause {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    Cause::from_errno(errno, String::new())
}

#[cfg(test)]
mod tests;
