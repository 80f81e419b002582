//! Lets a client in that sends a URL as `:authority`. etcdctl 3.4 does so for `endpoint status`,
//! `endpoint hashkv` and `defrag` of an endpoint with `http://`; etcd takes it, the HTTP/2 library here
//! refuses the whole connection. So the bytes on their way in are read frame by frame, and the
//! `http://` of an authority becomes a host name's letters.
//!
//! Nothing changes its length, neither in the frame nor decoded: `://` has as many bits in HPACK's Huffman
//! code as the letters that take its place. Else the two ends' header tables would come apart.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// What an HTTP/2 client says first.
const PREFACE: usize = 24;
/// A frame's header.
const FRAME: usize = 9;
/// The largest frame that a client may send to a server that did not ask for larger ones.
const LARGEST: usize = 16_384;
/// The type of a frame with headers, and the flags of what comes before them.
const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// The place of `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

/// `http://` and what takes its place.
const PLAIN: ([u8; 7], [u8; 7]) = (*b"http://", *b"httpB--");
/// The same in HPACK's Huffman code (RFC 7541, appendix B), from the highest of 48 bits on: 22 bits
/// `http`, 7 bits `:` or `B`, twice 6 bits `/` or `-`, 7 bits of what follows.
const HUFFMAN: (u64, u64) = (huffman(0x5c, 0x18), huffman(0x5d, 0x16));
const HUFFMAN_MASK: u64 = 0xffff_ffff_ff80;

const fn huffman(colon: u64, slash: u64) -> u64 {
    let http = 0x27 << 16 | 0x09 << 11 | 0x09 << 6 | 0x2b;
    (http << 19 | colon << 12 | slash << 6 | slash) << 7
}

/// A connection whose incoming bytes are put right.
pub(super) struct Tolerant<C> {
    connection: C,
    frames: Frames,
    /// Bytes put right, and how many of them were read.
    ready: Vec<u8>,
    read: usize,
}

impl<C> Tolerant<C> {
    /// In front of a new connection.
    pub(super) fn new(connection: C) -> Self {
        Self {
            connection,
            frames: Frames {
                through: PREFACE,
                held: Vec::new(),
            },
            ready: Vec::new(),
            read: 0,
        }
    }
}

/// Where in the stream of frames the next byte is.
struct Frames {
    /// This many bytes more are nobody's business.
    through: usize,
    /// What is there of a frame's header, and of a whole frame with headers.
    held: Vec<u8>,
}

impl Frames {
    /// Takes bytes in, gives those out that are put right.
    fn pass(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let through;
            (through, bytes) = bytes.split_at(self.through.min(bytes.len()));
            out.extend_from_slice(through);
            self.through -= through.len();
            if bytes.is_empty() {
                return;
            }
            let missing = self.needs() - self.held.len();
            let taken;
            (taken, bytes) = bytes.split_at(missing.min(bytes.len()));
            self.held.extend_from_slice(taken);
            if self.held.len() < self.needs() {
                continue;
            }
            if self.held.len() == FRAME {
                self.through = length(&self.held);
            } else {
                put_right(&mut self.held);
            }
            out.append(&mut self.held);
        }
    }

    /// How many bytes must be held to go on.
    fn needs(&self) -> usize {
        match self.held.get(3) {
            Some(&HEADERS) if length(&self.held) <= LARGEST => FRAME + length(&self.held),
            _ => FRAME,
        }
    }
}

/// A frame's length without its header.
fn length(frame: &[u8]) -> usize {
    frame[..3]
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// Puts the authority right in a frame with headers.
fn put_right(frame: &mut [u8]) {
    let flags = frame[4];
    let before = usize::from(flags & PADDED != 0) + 5 * usize::from(flags & PRIORITY != 0);
    let Some(block) = frame.get_mut(FRAME + before..) else {
        return;
    };
    let Some(Text { huffman, from, to }) = authority(block) else {
        return;
    };
    let value = &mut block[from..to];
    if !huffman {
        if let Some(start) = value.first_chunk_mut().filter(|start| **start == PLAIN.0) {
            *start = PLAIN.1;
        }
        return;
    }
    let Some(start) = value.first_chunk_mut::<6>() else {
        return;
    };
    let bits = start
        .iter()
        .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    if bits & HUFFMAN_MASK == HUFFMAN.0 {
        let bits = HUFFMAN.1 | (bits & !HUFFMAN_MASK);
        start.copy_from_slice(&bits.to_be_bytes()[2..]);
    }
}

/// Where a string is in a block of headers.
struct Text {
    huffman: bool,
    from: usize,
    to: usize,
}

/// The authority, if it is spelled out.
fn authority(block: &[u8]) -> Option<Text> {
    let mut at = 0;
    loop {
        let (bits, spelled) = match block.get(at)? {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let (name, next) = integer(block, at, bits)?;
        at = next;
        if spelled {
            if name == 0 {
                at = text(block, at)?.to;
            }
            let value = text(block, at)?;
            if name == AUTHORITY {
                return Some(value);
            }
            at = value.to;
        }
    }
}

fn text(block: &[u8], at: usize) -> Option<Text> {
    let huffman = block.get(at)? & 0x80 != 0;
    let (length, from) = integer(block, at, 7)?;
    let to = from.checked_add(length).filter(|to| *to <= block.len())?;
    Some(Text { huffman, from, to })
}

/// A number that begins in the last bits of a byte, and where it ends.
fn integer(block: &[u8], mut at: usize, bits: u32) -> Option<(usize, usize)> {
    let most = (1 << bits) - 1;
    let mut number = usize::from(*block.get(at)?) & most;
    at += 1;
    if number < most {
        return Some((number, at));
    }
    // More than three further bytes are larger than any frame.
    for shift in [0, 7, 14] {
        let byte = *block.get(at)?;
        at += 1;
        number += usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((number, at));
        }
    }
    None
}

impl<C: AsyncRead + Unpin> AsyncRead for Tolerant<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut chunk = [0; LARGEST];
        while this.read == this.ready.len() {
            this.ready.clear();
            this.read = 0;
            let mut fresh = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.connection).poll_read(context, &mut fresh))?;
            if fresh.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.frames.pass(fresh.filled(), &mut this.ready);
        }
        let rest = &this.ready[this.read..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Tolerant<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<C: Connected> Connected for Tolerant<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}
