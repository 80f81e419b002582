//! Which peer holds an address: longest prefix first, whole table replaced at once.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

/// A subnet and where its packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The subnet of the peer's lease; host bits do not matter.
    pub subnet: Ipv4Net,
    /// The peer's public address and the port that all nodes of the network share.
    pub address: SocketAddrV4,
}

/// All peers, ready for lookup.
///
/// Nested subnets are flattened into ranges that do not overlap, so that a lookup is one binary search over
/// an array of numbers, whatever the prefix lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// First addresses of the ranges, ascending; the first is 0.
    starts: Vec<u32>,
    /// The peer of each range, as an index, or `NOBODY`.
    holders: Vec<u32>,
    /// Where the packets of each peer go.
    addresses: Vec<SocketAddrV4>,
    /// All public addresses, ascending.
    senders: Vec<Ipv4Addr>,
}

const NOBODY: u32 = u32::MAX;

impl Default for Table {
    fn default() -> Self {
        Self::new([])
    }
}

impl Table {
    /// Makes the table. Of two entries for the same subnet the later one counts.
    pub fn new(peers: impl IntoIterator<Item = Peer>) -> Self {
        let mut peers: Vec<Peer> = peers.into_iter().collect();
        // The sort is stable: later entries of one subnet come behind the earlier and cover them.
        peers.sort_by_key(|peer| (peer.subnet.network(), peer.subnet.prefix_len()));

        let mut starts = vec![0];
        let mut holders = vec![NOBODY];
        let mut begin = |at: u32, holder: u32| {
            if starts.last() == Some(&at) {
                holders.pop();
            } else {
                starts.push(at);
            }
            holders.push(holder);
        };
        // Subnets around the current address, outermost first: (last address, holder).
        let mut around: Vec<(u32, u32)> = Vec::new();
        let leave =
            |around: &mut Vec<(u32, u32)>, before: Option<u32>, begin: &mut dyn FnMut(u32, u32)| {
                while let Some(&(last, _)) = around.last() {
                    if before.is_some_and(|before| last >= before) {
                        break;
                    }
                    around.pop();
                    if let Some(next) = last.checked_add(1) {
                        begin(next, around.last().map_or(NOBODY, |&(_, holder)| holder));
                    }
                }
            };
        for (index, peer) in (0_u32..).zip(&peers) {
            let first = u32::from(peer.subnet.network());
            leave(&mut around, Some(first), &mut begin);
            begin(first, index);
            around.push((u32::from(peer.subnet.broadcast()), index));
        }
        leave(&mut around, None, &mut begin);

        let mut senders: Vec<Ipv4Addr> = peers.iter().map(|peer| *peer.address.ip()).collect();
        senders.sort_unstable();
        senders.dedup();
        Self {
            starts,
            holders,
            addresses: peers.iter().map(|peer| peer.address).collect(),
            senders,
        }
    }

    /// Where packets for `destination` go: the peer with the longest prefix around it.
    pub fn lookup(&self, destination: Ipv4Addr) -> Option<SocketAddrV4> {
        let destination = u32::from(destination);
        let range = self.starts.partition_point(|&start| start <= destination);
        let holder = *self.holders.get(range.checked_sub(1)?)?;
        self.addresses.get(holder as usize).copied()
    }

    /// True when some peer has this public address.
    pub fn knows_sender(&self, sender: Ipv4Addr) -> bool {
        self.senders.binary_search(&sender).is_ok()
    }

    /// Number of entries given.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// True when there is no peer.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}
