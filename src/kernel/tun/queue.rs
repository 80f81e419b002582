//! Reading and writing packets on one queue of a TUN device.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::packet::Span;
use crate::packet::vnet::Vnet;

/// One queue; packets are read and written by one thread each.
pub struct TunQueue {
    device: tun::Device,
    header: bool,
}

/// Memory for `TunQueue::write`, kept between calls.
#[derive(Default)]
pub struct WriteMemory {
    parts: Vec<libc::iovec>,
}

impl TunQueue {
    pub(super) fn new(device: tun::Device, header: bool) -> Self {
        Self { device, header }
    }

    /// Reads one packet, behind its offload header if the device has them. A longer one is cut to
    /// the buffer and its full length is not told, so the buffer should hold the largest.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; else the kernel's, see `is_gone`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        nix::unistd::read(self, buffer).map_err(io::Error::from)
    }

    /// Writes one packet made of `parts` of `buffer`, behind its offload header if the device has them.
    ///
    /// # Errors
    /// The kernel's; see `is_gone`. `InvalidInput` for a part beyond the buffer.
    pub fn write(
        &self,
        memory: &mut WriteMemory,
        vnet: &Vnet,
        buffer: &[u8],
        parts: &[Span],
    ) -> io::Result<usize> {
        let header = vnet.bytes();
        memory.parts.clear();
        if self.header {
            memory.parts.push(iovec(&header));
        }
        for part in parts {
            let bytes = part.of(buffer).ok_or(io::ErrorKind::InvalidInput)?;
            memory.parts.push(iovec(bytes));
        }
        // The crate's own vectored write sends the first part only.
        // SAFETY: the parts point to `header` and into `buffer`, both borrowed until the call ends;
        // the kernel only reads them.
        let written = unsafe {
            libc::writev(
                self.device.as_raw_fd(),
                memory.parts.as_ptr(),
                memory.parts.len() as libc::c_int,
            )
        };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }
}

impl AsFd for TunQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the device's and stays open while `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.device.as_raw_fd()) }
    }
}

fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}
