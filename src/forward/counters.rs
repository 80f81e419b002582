//! What the data path has done, as numbers that anybody may read while it runs.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet or datagram was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All reasons, in the order of the counters.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The reason's name in metrics and reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Fewer bytes than an IPv4 header.
    Short = "short",
    /// The version field is not 4.
    NotIpv4 = "not_ipv4",
    /// The header length field lies.
    HeaderLength = "header_length",
    /// The total length field lies.
    TotalLength = "total_length",
    /// Longer than the buffer; never forwarded in part.
    Truncated = "truncated",
    /// No subnet of a peer holds the destination.
    NoPeer = "no_peer",
    /// The TTL ended here.
    TtlExceeded = "ttl_exceeded",
    /// Packet and offload header contradict each other.
    BadOffload = "bad_offload",
    /// The kernel refused to send it.
    SendRefused = "send_refused",
    /// It came from an address that is no peer's.
    UnknownSender = "unknown_sender",
    /// Its inner source belongs neither to the sender's subnet nor to the sender.
    ForeignSource = "foreign_source",
    /// The TUN device did not take it (down, or out of memory).
    DeviceRefused = "device_refused",
}

/// The numbers of one direction. Each has one writer, which adds once a batch.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Direction {
    /// Inner packets forwarded.
    pub packets: AtomicU64,
    /// Bytes of those.
    pub bytes: AtomicU64,
    /// System calls that moved them.
    pub calls: AtomicU64,
    /// ICMP errors sent.
    pub icmp_sent: AtomicU64,
    /// ICMP errors held back by the rate limit or refused by the kernel.
    pub icmp_held: AtomicU64,
    dropped: [AtomicU64; Reason::ALL.len()],
}

impl Direction {
    /// Counts one drop.
    pub fn drop(&self, reason: Reason) {
        self.drop_many(reason, 1);
    }

    /// Counts several drops.
    pub fn drop_many(&self, reason: Reason, count: u64) {
        if let Some(counter) = self.dropped.get(reason as usize) {
            counter.fetch_add(count, Relaxed);
        }
    }

    /// How many were dropped for this reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped
            .get(reason as usize)
            .map_or(0, |counter| counter.load(Relaxed))
    }

    /// Counts a batch of forwarded packets.
    pub fn forwarded(&self, packets: u64, bytes: u64) {
        self.packets.fetch_add(packets, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }
}

/// Which of the kernel's offloads are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    /// TCP comes from the device whole and goes to it whole.
    pub tso: bool,
    /// UDP does (Linux 6.2).
    pub uso: bool,
    /// One send carries many datagrams (`UDP_SEGMENT`, Linux 4.18).
    pub udp_segment: bool,
    /// One receive brings many datagrams (`UDP_GRO`, Linux 5.0).
    pub udp_gro: bool,
}

impl Offload {
    /// Each offload's name, and whether it is in use.
    pub fn each(&self) -> [(&'static str, bool); 4] {
        [
            ("tso", self.tso),
            ("uso", self.uso),
            ("udp_segment", self.udp_segment),
            ("udp_gro", self.udp_gro),
        ]
    }
}

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut used = self
            .each()
            .into_iter()
            .filter(|(_, used)| *used)
            .map(|(name, _)| name);
        f.write_str(used.next().unwrap_or("none"))?;
        used.try_for_each(|name| write!(f, " {name}"))
    }
}

/// The numbers of both directions.
#[derive(Debug, Default)]
pub struct Counters {
    offload: AtomicU8,
    /// TUN → UDP: from this host to peers.
    pub sent: Direction,
    /// UDP → TUN: from peers to this host.
    pub received: Direction,
}

impl Counters {
    /// The offloads in use now.
    pub fn offload(&self) -> Offload {
        let bits = self.offload.load(Relaxed);
        Offload {
            tso: bits & 1 != 0,
            uso: bits & 2 != 0,
            udp_segment: bits & 4 != 0,
            udp_gro: bits & 8 != 0,
        }
    }

    /// Says which offloads are in use.
    pub fn set_offload(&self, offload: Offload) {
        let mut bits = 0;
        for (bit, (_, used)) in (0..).zip(offload.each()) {
            bits |= u8::from(used) << bit;
        }
        self.offload.store(bits, Relaxed);
    }
}
