//! Reading and writing packets on one queue of a TUN device.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::packet::Span;
use crate::packet::vnet::Vnet;

/// One queue; at any time one thread reads packets and one writes them.
pub struct TunQueue {
    device: tun::Device,
    header: bool,
    /// One read alone may be asked not to wait (`RWF_NOWAIT`, Linux 5.11); before, the descriptor never waits.
    nowait: bool,
}

/// Memory for `TunQueue::write`, allocated once.
pub struct WriteMemory {
    parts: Vec<libc::iovec>,
}

impl WriteMemory {
    /// Room for a packet of so many parts before it grows.
    pub fn new(parts: usize) -> Self {
        Self {
            parts: Vec::with_capacity(1 + parts),
        }
    }
}

impl TunQueue {
    /// Finds out how it can be read.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn new(device: tun::Device, header: bool) -> io::Result<Self> {
        let mut queue = Self {
            device,
            header,
            nowait: false,
        };
        queue.set_waiting(false)?;
        // There is nothing to read before the device is up.
        let nowait = !matches!(
            queue
                .read_nowait(&mut [0])
                .map_err(|error| error.raw_os_error()),
            Err(Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
        );
        queue.set_waiting(nowait)?;
        queue.nowait = nowait;
        Ok(queue)
    }

    /// Whether a plain read waits.
    fn set_waiting(&self, waiting: bool) -> io::Result<()> {
        let mut flags = OFlag::from_bits_retain(fcntl(self, FcntlArg::F_GETFL)?);
        flags.set(OFlag::O_NONBLOCK, !waiting);
        fcntl(self, FcntlArg::F_SETFL(flags))?;
        Ok(())
    }

    /// A queue as an older kernel has it.
    #[cfg(test)]
    fn without_nowait(mut self) -> io::Result<Self> {
        self.set_waiting(false)?;
        self.nowait = false;
        Ok(self)
    }

    /// Reads one packet, behind its offload header if the device has them. A longer one is cut to
    /// the buffer and its full length is not told, so the buffer should hold the largest.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; else the kernel's, see `is_gone`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.nowait {
            true => self.read_nowait(buffer),
            false => Ok(nix::unistd::read(self, buffer)?),
        }
    }

    /// As `read`, but waits until there is a packet.
    ///
    /// # Errors
    /// `Interrupted` by a signal; else the kernel's, see `is_gone`.
    pub fn read_or_wait(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.nowait {
            let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            // What it reports beside data, a read tells better.
            poll(&mut fds, PollTimeout::NONE)?;
        }
        Ok(nix::unistd::read(self, buffer)?)
    }

    fn read_nowait(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: the part is `buffer`, which is borrowed until the call ends.
        let read =
            unsafe { libc::preadv2(self.device.as_raw_fd(), &part, 1, -1, libc::RWF_NOWAIT) };
        usize::try_from(read).map_err(|_| io::Error::last_os_error())
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::kernel::interrupt;
    use crate::kernel::tun::{Tun, TunWish, is_gone};

    fn ip(command: &str) {
        let done = Command::new("ip").args(command.split(' ')).status();
        assert!(done.unwrap().success(), "ip {command}");
    }

    /// Reads until the device is gone or the wait is interrupted, and says how it ended.
    fn reads_until(gone: bool, nowait: bool) {
        let work = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            interrupt::prepare().unwrap();
            let wish = TunWish {
                offload: false,
                queues: 1,
            };
            let mut tun = Tun::open(wish).unwrap();
            let mut queue = tun.queues.remove(0);
            assert!(queue.nowait, "this kernel has it");
            if !nowait {
                queue = queue.without_nowait().unwrap();
            }
            let mut buffer = [0; 2048];
            let dry = queue.read(&mut buffer).unwrap_err();
            assert_eq!(dry.kind(), io::ErrorKind::WouldBlock, "{dry}");
            let (tell, told) = mpsc::channel();
            let reader = std::thread::spawn(move || {
                // A device that comes up asks for IPv6 routers.
                assert!(queue.read_or_wait(&mut buffer).unwrap() >= 40);
                tell.send(None).unwrap();
                let error = loop {
                    match queue.read_or_wait(&mut buffer) {
                        Ok(_) => {}
                        Err(error) => break error,
                    }
                };
                tell.send(Some(error)).unwrap();
            });
            let deadline = Duration::from_secs(10);
            ip(&format!("link set {} up", tun.name()));
            assert!(told.recv_timeout(deadline).unwrap().is_none());
            match gone {
                true => ip(&format!("link delete {}", tun.name())),
                false => interrupt::join(vec![reader]),
            }
            let error = told.recv_timeout(deadline).unwrap().unwrap();
            match gone {
                true => assert!(is_gone(&error), "{error}"),
                false => assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}"),
            }
        };
        std::thread::spawn(work).join().unwrap();
    }

    #[test]
    #[ignore = "needs root: a network namespace and a TUN device"]
    fn a_wait_ends_with_a_packet_an_interruption_or_the_device() {
        for gone in [true, false] {
            for nowait in [true, false] {
                reads_until(gone, nowait);
            }
        }
    }
}
