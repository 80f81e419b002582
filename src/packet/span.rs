//! A piece of a buffer by offset, so that plans made by pure code can be carried out by the kernel
//! layer without pointers or lifetimes.

/// `len` bytes from `start` of the buffer that the holder agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// `len` bytes from `start`. Buffers of the data path are far below 4 GiB; larger values are
    /// cut to `u32::MAX` and fail the bounds check of whoever uses them.
    pub fn new(start: usize, len: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(len).unwrap_or(u32::MAX),
        }
    }

    /// The bytes, or nothing when the span reaches beyond the buffer.
    pub fn of<'a>(&self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        buffer.get(self.start as usize..self.end())
    }

    /// The bytes for writing, or nothing when the span reaches beyond the buffer.
    pub fn of_mut<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let end = self.end();
        buffer.get_mut(self.start as usize..end)
    }

    /// Offset behind the last byte.
    pub fn end(&self) -> usize {
        self.start as usize + self.len as usize
    }

    /// The first `len` bytes, or fewer where there are no more, and the rest.
    pub fn split(&self, len: usize) -> (Self, Self) {
        let len = self.len.min(u32::try_from(len).unwrap_or(u32::MAX));
        let first = Self { len, ..*self };
        let rest = Self {
            start: self.start.saturating_add(len),
            len: self.len - len,
        };
        (first, rest)
    }
}
