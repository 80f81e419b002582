//! Puts packets for one peer of one size together, so that one send carries them all (`UDP_SEGMENT`).
//! The order of what goes to one peer never changes.

use std::net::SocketAddrV4;

use crate::packet::Span;

/// Most payload of one send: the largest UDP datagram over IPv4.
const MAX_BYTES: usize = 65_507;
/// Most datagrams of one send that every kernel with `UDP_SEGMENT` takes.
pub const MAX_COUNT: u16 = 64;
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
    /// Number of its parts, each of one datagram or of several.
    pub parts: u32,
}

impl Message {
    /// Puts its datagrams into `singles`, each a message of its own, and where they lie into `parts`. `spans` is what
    /// `Grouper::finish` gave.
    pub fn singles(&self, spans: &[Span], singles: &mut Vec<Message>, parts: &mut Vec<Span>) {
        singles.clear();
        parts.clear();
        let own = spans.iter().skip(self.first as usize);
        for part in own.take(self.parts as usize) {
            let mut rest = *part;
            while rest.len > 0 {
                let (datagram, behind) = rest.split(usize::from(self.size.max(1)));
                rest = behind;
                singles.push(Self {
                    count: 1,
                    bytes: datagram.len,
                    first: parts.len() as u32,
                    parts: 1,
                    ..*self
                });
                parts.push(datagram);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Group {
    message: Message,
    open: bool,
    head: u32,
    tail: u32,
}

impl Group {
    /// How many packets of this length one send still has room for.
    fn room(&self, len: usize) -> usize {
        let bytes = MAX_BYTES.saturating_sub(self.message.bytes as usize);
        let count = usize::from(MAX_COUNT.saturating_sub(self.message.count));
        count.min(bytes / len)
    }
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
    /// With room for this many parts before it grows.
    pub fn new(parts: usize) -> Self {
        Self {
            together: true,
            groups: Vec::with_capacity(parts),
            parts: Vec::with_capacity(parts),
            messages: Vec::with_capacity(parts),
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

    /// Adds packets that lie one behind the other in `row`: `size` bytes each but the last, which may be shorter. One
    /// that is longer than a datagram can be goes alone, for the kernel to refuse it.
    pub fn push(&mut self, to: SocketAddrV4, row: Span, size: usize) {
        let mut rest = row;
        while rest.len > 0 {
            let len = size.clamp(1, rest.len as usize);
            let index = self.find(to, len).unwrap_or_else(|| self.begin(to, len));
            let Some(group) = self.groups.get_mut(index) else {
                return;
            };
            // One that is shorter than the group's is its last.
            let most = match self.together && len == usize::from(group.message.size) {
                true => group.room(len).max(1),
                false => 1,
            };
            let (part, behind) = rest.split(most * len);
            rest = behind;
            group.message.count += (part.len as usize).div_ceil(len) as u16;
            group.message.bytes += part.len;
            group.open &= (part.len as usize).is_multiple_of(usize::from(group.message.size));
            let number = self.parts.len() as u32;
            match self.parts.get_mut(group.tail as usize) {
                Some((_, next)) => *next = number,
                None => group.head = number,
            }
            group.tail = number;
            group.message.parts += 1;
            self.parts.push((part, NONE));
        }
    }

    /// Begins a group of packets of this length.
    fn begin(&mut self, to: SocketAddrV4, len: usize) -> usize {
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

    /// The group that a packet of this length may join: the peer's latest, if it may.
    fn find(&self, to: SocketAddrV4, len: usize) -> Option<usize> {
        let recent = self.groups.iter().enumerate().rev().take(LOOK_BACK);
        let (index, group) = { recent }.find(|(_, group)| group.message.to == to)?;
        let size = usize::from(group.message.size);
        let fits = group.open && (1..=size).contains(&len) && group.room(len) > 0;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn peer(number: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, number), 8285)
    }

    /// Length and place of every datagram to one peer, in order.
    fn datagrams(messages: &[Message], spans: &[Span], to: SocketAddrV4) -> Vec<Span> {
        let mut all = Vec::new();
        let (mut singles, mut parts) = (Vec::new(), Vec::new());
        for message in messages.iter().filter(|message| message.to == to) {
            message.singles(spans, &mut singles, &mut parts);
            assert_eq!(singles.len(), usize::from(message.count));
            for (number, (single, part)) in singles.iter().zip(&parts).enumerate() {
                assert_eq!((single.first as usize, single.parts), (number, 1));
                assert_eq!((single.count, single.bytes), (1, part.len));
                let whole = part.len == u32::from(message.size);
                assert!(
                    whole || number + 1 == parts.len(),
                    "shorter: the last alone"
                );
            }
            all.append(&mut parts);
        }
        all
    }

    proptest! {
        #[test]
        fn each_peer_gets_its_packets_in_order_and_each_message_is_one_that_the_kernel_cuts(
            rows in proptest::collection::vec((0_u8..3, 28_usize..3000, 1_usize..100, 0_usize..3000), 1..30),
            together: bool,
        ) {
            let mut grouper = Grouper::new(8);
            grouper.set_together(together);
            let mut want = vec![Vec::new(); 3];
            let mut at = 0;
            for (to, size, count, last) in rows {
                let row = Span::new(at, size * count + last.min(size - 1));
                at = row.end() + 5;
                grouper.push(peer(to), row, size);
                let mut rest = row;
                while rest.len > 0 {
                    let (packet, behind) = rest.split(size);
                    want[usize::from(to)].push(packet);
                    rest = behind;
                }
            }
            let (messages, spans) = grouper.finish();
            for (to, want) in (0..).zip(want) {
                prop_assert_eq!(datagrams(messages, spans, peer(to)), want);
            }
            for message in messages {
                let (size, count, bytes) = (u32::from(message.size), u32::from(message.count), message.bytes);
                let first = message.first as usize;
                let parts = &spans[first..first + message.parts as usize];
                prop_assert_eq!(parts.iter().map(|part| part.len).sum::<u32>(), bytes);
                prop_assert_eq!(bytes.div_ceil(size), count);
                prop_assert!(count <= 64 && bytes <= 65_507);
                prop_assert!(together || count == 1);
            }
        }
    }

    #[test]
    fn rows_of_one_size_fill_messages_and_a_shorter_packet_ends_one() {
        let mut grouper = Grouper::new(8);
        // Twice the largest packet of TCP, whose last piece is shorter.
        grouper.push(peer(1), Span::new(0, 46 * 1472), 1472);
        grouper.push(peer(1), Span::new(46 * 1472, 45 * 1472 + 99), 1472);
        grouper.push(peer(1), Span::new(200_000, 1472), 1472);
        let (messages, spans) = grouper.finish();
        let counts: Vec<_> = messages.iter().map(|m| (m.count, m.parts)).collect();
        assert_eq!(counts, [(44, 1), (44, 2), (4, 1), (1, 1)]);
        assert_eq!(spans.len(), 5);
    }
}
