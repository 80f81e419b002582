//! Blocking until a descriptor has data or the wait is called off: no timer, no spinning.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// There is something to read.
    Data,
    /// The descriptor reports an error and nothing to read.
    Error,
    /// The wait was called off.
    Stop,
}

/// Calls off all waits, for good.
#[derive(Debug)]
pub struct Stop {
    bell: PipeWriter,
    ear: PipeReader,
    called: AtomicBool,
}

impl Stop {
    /// A stop that is not yet called.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let (ear, bell) = io::pipe()?;
        Ok(Self {
            bell,
            ear,
            called: AtomicBool::new(false),
        })
    }

    /// Calls it. The byte is never read, so every wait sees it.
    pub fn call(&self) {
        self.called.store(true, Ordering::Relaxed);
        // A full pipe is a stop that was called before.
        drop((&self.bell).write(&[1]));
    }

    /// True once it was called.
    pub fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// Sleeps, unless the stop is called before; tells whether it is.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.is_called() || left.is_zero() {
                return self.is_called();
            }
            let mut fds = [PollFd::new(self.ear.as_fd(), PollFlags::POLLIN)];
            // Woken early, by a signal or an error, it sleeps for the rest.
            ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None).ok();
        }
    }

    /// Waits for data on `fd`, or for the stop.
    ///
    /// # Errors
    /// The kernel's; interruptions are not among them.
    pub fn wait(&self, fd: BorrowedFd<'_>) -> io::Result<Ready> {
        let mut fds = [
            PollFd::new(self.ear.as_fd(), PollFlags::POLLIN),
            PollFd::new(fd, PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let [stop, data] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(if !stop.is_empty() {
            Ready::Stop
        } else if data.contains(PollFlags::POLLIN) {
            Ready::Data
        } else {
            Ready::Error
        })
    }
}
