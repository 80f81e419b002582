//! How a thread waits for the next packet: asleep, or for a while awake (`--udp-busy-poll`).

use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// Stays awake while packets come closer together than the limit, because to be woken costs a round trip more
/// than to look again, and sleeps as soon as one did not. So an idle thread costs nothing.
#[derive(Debug)]
pub struct BusyPoll {
    limit: Duration,
    /// The packet before came within the limit.
    awake: bool,
}

impl BusyPoll {
    /// Zero: always asleep.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            awake: false,
        }
    }

    /// Calls `receive` until it has something. `receive(false)` must return `WouldBlock` where there is
    /// nothing, `receive(true)` wait.
    ///
    /// # Errors
    /// Those of `receive`, but for `WouldBlock` of a call that did not wait.
    pub fn next<T>(&mut self, mut receive: impl FnMut(bool) -> io::Result<T>) -> io::Result<T> {
        if self.limit.is_zero() {
            return receive(true);
        }
        let begin = Instant::now();
        while self.awake {
            match receive(false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            self.awake = begin.elapsed() < self.limit;
            // Whoever has work goes first.
            thread::yield_now();
        }
        let done = receive(true);
        self.awake = begin.elapsed() < self.limit;
        done
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);

    /// What `next` called, where nothing comes unless it waits, which takes `gap` then.
    fn calls(next: &mut BusyPoll, gap: Duration) -> (usize, usize) {
        let (mut looked, mut waited) = (0, 0);
        let came = next.next(|wait| {
            if !wait {
                looked += 1;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            waited += 1;
            thread::sleep(gap);
            Ok(7)
        });
        assert_eq!(came.unwrap(), 7);
        (looked, waited)
    }

    #[test]
    fn without_a_limit_it_sleeps() {
        let mut next = BusyPoll::new(Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(calls(&mut next, Duration::ZERO), (0, 1));
        }
    }

    #[test]
    fn a_packet_that_came_late_lets_it_sleep() {
        let mut next = BusyPoll::new(LIMIT);
        assert_eq!(calls(&mut next, 2 * LIMIT), (0, 1));
        assert_eq!(calls(&mut next, 2 * LIMIT), (0, 1));
        let mut next = BusyPoll {
            limit: LIMIT,
            awake: true,
        };
        // Looks for as long as the limit, and then sleeps this time and the next.
        let begin = Instant::now();
        let (looked, waited) = calls(&mut next, Duration::ZERO);
        assert!(looked > 0 && waited == 1 && begin.elapsed() >= LIMIT);
        assert_eq!(calls(&mut next, 2 * LIMIT), (0, 1));
    }

    #[test]
    fn after_a_packet_that_came_soon_it_takes_what_comes_and_tells_errors() {
        let mut next = BusyPoll::new(Duration::from_secs(60));
        let first = next.next(|wait| {
            assert!(wait);
            Ok(())
        });
        first.unwrap();
        let mut left = 3;
        let came = next.next(|wait| {
            assert!(!wait);
            left -= 1;
            match left {
                0 => Ok(()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        came.unwrap();
        let failed = next.next(|_| Err::<(), _>(io::ErrorKind::NotFound.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
