//! The Internet checksum (RFC 1071), wide and incremental (RFC 1624).

/// A ones' complement sum in the making.
///
/// Pieces are added in the order of the packet; each piece but the last must have an even length.
/// Words are summed as they stand in memory, so the result is bytes, not a number: no byte order
/// to get wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub fn new() -> Self {
        Self(0)
    }

    /// Adds a piece of the packet. An odd last byte counts as the high half of a word.
    #[must_use]
    pub fn bytes(self, data: &[u8]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some((sum, rest)) = super::avx2::sum(data) {
            return Self(add(self.0, sum)).plainly(rest);
        }
        self.plainly(data)
    }

    fn plainly(self, data: &[u8]) -> Self {
        // Four sums of 64-bit words, which keep their carries in the upper half: an add and an add with
        // carry for eight bytes, faster than widened vectors of SSE2.
        let mut lanes = [0_u128; 4];
        let mut chunks = data.chunks_exact(32);
        for chunk in &mut chunks {
            for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
                *lane += u128::from(u64::from_ne_bytes([
                    word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
                ]));
            }
        }
        let total: u128 = lanes.iter().sum();
        let mut sum = add(self.0, total as u64);
        sum = add(sum, (total >> 64) as u64);
        let mut words = chunks.remainder().chunks_exact(2);
        let mut rest = 0_u64;
        for word in &mut words {
            rest += u64::from(u16::from_ne_bytes([word[0], word[1]]));
        }
        if let [odd] = words.remainder() {
            rest += u64::from(u16::from_ne_bytes([*odd, 0]));
        }
        Self(add(sum, rest))
    }

    /// Adds one 16-bit number.
    #[must_use]
    pub fn word(self, value: u16) -> Self {
        Self(add(
            self.0,
            u64::from(u16::from_ne_bytes(value.to_be_bytes())),
        ))
    }

    /// Adds another sum of a piece that starts at an even offset.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(add(self.0, other.0))
    }

    /// The sum folded to 16 bits and not complemented, as bytes in the packet's order: what a
    /// partly made checksum field holds.
    pub fn folded(self) -> [u8; 2] {
        fold(self.0).to_ne_bytes()
    }

    /// The checksum, as bytes in the packet's order.
    pub fn finish(self) -> [u8; 2] {
        (!fold(self.0)).to_ne_bytes()
    }

    /// True when the summed bytes contained their own checksum and it was right.
    pub fn is_valid(self) -> bool {
        fold(self.0) == 0xffff
    }
}

/// The checksum after one 16-bit word under it changed from `old` to `new` (RFC 1624, equation 3).
#[must_use]
pub fn updated(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u64::from(carry)
}

fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn plainly(data: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in data.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_largest_words_lose_no_carry() {
        for len in [256, 319, 1420, 65_535, 1 << 20] {
            let data = vec![0xff; len];
            assert_eq!(
                Sum::new().bytes(&data).finish(),
                plainly(&data).to_be_bytes()
            );
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_textbook(data in proptest::collection::vec(any::<u8>(), 0..3000), cut in 0_usize..1500) {
            let want = plainly(&data).to_be_bytes();
            prop_assert_eq!(Sum::new().bytes(&data).finish(), want);
            let cut = (cut * 2).min(data.len());
            prop_assert_eq!(Sum::new().bytes(&data[..cut]).bytes(&data[cut..]).finish(), want);
            prop_assert_eq!(Sum::new().plainly(&data).finish(), want);
            let other = Sum::new().bytes(&data[cut..]);
            prop_assert_eq!(Sum::new().bytes(&data[..cut]).and(other).finish(), want);
        }

        #[test]
        fn an_update_equals_a_new_sum(mut data in proptest::collection::vec(any::<u8>(), 20..64), new in any::<u16>()) {
            data[10..12].fill(0);
            data[0] = 0x45; // a sum of all zeroes has two representations; no IPv4 header is one
            let check = plainly(&data);
            let old = u16::from_be_bytes([data[8], data[9]]);
            data[8..10].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(updated(check, old, new), plainly(&data));
        }

        #[test]
        fn a_packet_with_its_checksum_is_valid(mut data in proptest::collection::vec(any::<u8>(), 20..64)) {
            data[10..12].fill(0);
            let check = Sum::new().bytes(&data).finish();
            data[10..12].copy_from_slice(&check);
            prop_assert!(Sum::new().bytes(&data).is_valid());
        }
    }
}
