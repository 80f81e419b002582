//! Puts packets for one peer of one size together, so that one send carries them all (`UDP_SEGMENT`).
//! The order of what goes to one peer never changes.

use std::net::SocketAddrV4;

use crate::packet::Span;

/// Most payload of one send: the largest UDP datagram over IPv4.
const MAX_BYTES: usize = 65_507;
/// Most datagrams of one send that every kernel with `UDP_SEGMENT` takes.
const MAX_COUNT: u16 = 64;
/// How many groups back a peer's latest is looked for.
const LOOK_BACK: usize = 16;
const NONE: u32 = u32::MAX;

/// One send: parts put together, cut by the kernel into datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub to: SocketAddrV4,
    /// Bytes of each datagram but the last, which may be shorter.
    pub size: u16,
    /// Number of datagrams.
    pub count: u16,
    /// Bytes of all datagrams.
    pub bytes: u32,
    /// Index of its first part.
    pub first: u32,
    /// Number of its parts.
    pub parts: u32,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    message: Message,
    open: bool,
    head: u32,
    tail: u32,
}

/// Collects a batch of packets. All its memory is allocated at the start and kept.
#[derive(Debug)]
pub struct Grouper {
    together: bool,
    groups: Vec<Group>,
    /// Parts as they were pushed, each with the number of the next of its group.
    parts: Vec<(Span, u32)>,
    messages: Vec<Message>,
    spans: Vec<Span>,
}

impl Grouper {
    /// With room for this many packets and parts before it grows.
    pub fn new(packets: usize, parts: usize) -> Self {
        Self {
            together: true,
            groups: Vec::with_capacity(packets),
            parts: Vec::with_capacity(parts),
            messages: Vec::with_capacity(packets),
            spans: Vec::with_capacity(parts),
        }
    }

    /// False: every packet is sent by itself.
    pub fn set_together(&mut self, together: bool) {
        self.together = together;
    }

    /// True when nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Number of parts pushed.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Adds one packet, made of `parts` (at least one, 65,507 bytes at most).
    pub fn push(&mut self, to: SocketAddrV4, parts: &[Span]) {
        let len: usize = parts.iter().map(|part| part.len as usize).sum();
        let found = self.find(to, len);
        let index = match found {
            Some(index) => index,
            None => {
                self.groups.push(Group {
                    message: Message {
                        to,
                        size: len as u16,
                        count: 0,
                        bytes: 0,
                        first: 0,
                        parts: 0,
                    },
                    open: self.together,
                    head: NONE,
                    tail: NONE,
                });
                self.groups.len() - 1
            }
        };
        let Some(group) = self.groups.get_mut(index) else {
            return;
        };
        group.message.count += 1;
        group.message.bytes += len as u32;
        group.open &= len == usize::from(group.message.size);
        for part in parts {
            let number = self.parts.len() as u32;
            match self.parts.get_mut(group.tail as usize) {
                Some((_, next)) => *next = number,
                None => group.head = number,
            }
            group.tail = number;
            group.message.parts += 1;
            self.parts.push((*part, NONE));
        }
    }

    /// The group that a packet of this length may join: the peer's latest, if it may.
    fn find(&self, to: SocketAddrV4, len: usize) -> Option<usize> {
        let recent = self.groups.iter().enumerate().rev().take(LOOK_BACK);
        let (index, group) = { recent }.find(|(_, group)| group.message.to == to)?;
        let message = &group.message;
        let fits = group.open
            && (1..=usize::from(message.size)).contains(&len)
            && message.count < MAX_COUNT
            && message.bytes as usize + len <= MAX_BYTES;
        fits.then_some(index)
    }

    /// The sends in order, and the parts that they refer to.
    pub fn finish(&mut self) -> (&[Message], &[Span]) {
        self.messages.clear();
        self.spans.clear();
        for group in &self.groups {
            let first = self.spans.len() as u32;
            let mut next = group.head;
            while let Some(&(span, after)) = self.parts.get(next as usize) {
                self.spans.push(span);
                next = after;
            }
            self.messages.push(Message {
                first,
                ..group.message
            });
        }
        (&self.messages, &self.spans)
    }

    /// Forgets all packets and keeps the memory.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.parts.clear();
    }
}
