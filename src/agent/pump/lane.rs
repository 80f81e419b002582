//! The two threads of a lane. Each has its half, sleeps in its read, and stays awake while packets come close together. While
//! they come one by one, the inward thread has both halves and the outward thread sleeps.

use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use super::busy_poll::{Division, Next, Pace};
use super::inbound::Inbox;
use super::outbound::Outbox;
use super::turn::{Answer, Borrower, Loan, Owner};
use super::{Ended, Shared};
use crate::kernel::tun::TunQueue;
use crate::kernel::udp::UdpSocket;

/// One queue of the device and its socket.
pub(super) struct Lane<'a> {
    pub shared: &'a Shared,
    pub tun: &'a TunQueue,
    pub socket: &'a UdpSocket,
}

impl Deref for Lane<'_> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.shared
    }
}

impl Lane<'_> {
    /// The pump is not being stopped.
    pub fn goes_on(&self) -> bool {
        !self.stopping.load(Relaxed)
    }
}

/// The outward thread, until the pump is stopped.
///
/// # Errors
/// Why it ended else.
pub(super) fn tun_to_udp(lane: &Lane<'_>, outbox: &Owner<Outbox>) -> Result<(), Ended> {
    let mut own = Outbox::new(lane);
    let mut pace = Pace::new(lane.busy_poll, Instant::now());
    let mut next = Next::Sleep;
    while lane.goes_on() {
        let begun = Instant::now();
        let load = own.pass(lane, next == Next::Sleep)?;
        next = pace.after(load, begun, Instant::now());
        if outbox.is_asked() {
            if load.is_light() {
                own = match outbox.lend(own) {
                    Loan::Kept(own) => own,
                    Loan::Back(own) => {
                        pace.resumed(Instant::now());
                        next = Next::Sleep;
                        own
                    }
                    Loan::Over => break,
                };
            } else {
                outbox.refuse();
            }
        }
        if next == Next::Yield {
            thread::yield_now();
        }
    }
    Ok(())
}

/// The inward thread, until the pump is stopped.
///
/// # Errors
/// Why it ended else.
pub(super) fn udp_to_tun(lane: &Lane<'_>, outbox: &Borrower<Outbox>) -> Result<(), Ended> {
    let mut inbox = Inbox::new(lane);
    let mut pace = Pace::new(lane.busy_poll, Instant::now());
    let mut division = Division::new();
    let mut next = Next::Sleep;
    let mut asked = false;
    while lane.goes_on() {
        let begun = Instant::now();
        let load = inbox.pass(next == Next::Sleep)?;
        next = pace.after(load, begun, Instant::now());
        let awake = next != Next::Sleep;
        if awake && !asked && division.is_light(load) {
            outbox.ask();
            asked = true;
        }
        if asked {
            // The owner sees it at its next look; where packets go one way only, that may be never.
            let answer = match awake && load.is_light() {
                true => outbox.answer(),
                false => outbox.withdraw(),
            };
            asked = matches!(answer, Answer::Waiting);
            if let Answer::Lent(mut borrowed) = answer {
                let done = both_ways(lane, &mut inbox, &mut borrowed, &mut pace, &mut division);
                outbox.give_back(borrowed);
                next = done?;
            }
            if !asked {
                division.ended();
            }
        }
        if next == Next::Yield {
            thread::yield_now();
        }
    }
    Ok(())
}

/// Forwards both ways, awake, until packets stay away or are too many for one thread.
fn both_ways(
    lane: &Lane<'_>,
    inbox: &mut Inbox<'_>,
    outbox: &mut Outbox,
    pace: &mut Pace,
    division: &mut Division,
) -> Result<Next, Ended> {
    loop {
        let begun = Instant::now();
        // In this order: what is delivered here may have its answer in the device at once.
        let loads = [inbox.pass(false)?, outbox.pass(lane, false)?];
        let now = Instant::now();
        let next = pace.after(loads[0].and(loads[1]), begun, now);
        let light = division.stays_light(loads, now.duration_since(begun));
        if next == Next::Sleep || !light || !lane.goes_on() {
            return Ok(next);
        }
        if next == Next::Yield {
            thread::yield_now();
        }
    }
}
