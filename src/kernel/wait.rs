//! Sleep that can be called off: no spinning.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

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
}
