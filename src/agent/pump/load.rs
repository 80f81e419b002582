//! How much came at once.

/// Most packets of a light load: what one thread forwards in passing.
const LIGHT: u32 = 8;
/// What the kernel left whole counts as so many bytes a packet.
const PACKET: usize = 1500;

/// What one look at the device or the socket brought.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// All packets, and their bytes.
    pub packets: usize,
    pub bytes: usize,
    /// Packets that were not dropped: for others nobody stays awake.
    pub good: usize,
}

impl Load {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            good: self.good + other.good,
        }
    }

    /// One thread has time for both ways of it.
    pub fn is_light(self) -> bool {
        self.weight() <= LIGHT
    }

    /// As packets.
    pub fn weight(self) -> u32 {
        let packets = self.packets.max(self.bytes / PACKET);
        u32::try_from(packets).unwrap_or(u32::MAX)
    }
}
