//! When a lane's threads wait for the next packet awake (`--udp-busy-poll`), and when one of them does the work of both: to
//! be woken costs more than to look again, on a virtual machine ten times more. Pure: the caller brings the time.

use std::time::{Duration, Instant};

use super::load::Load;

/// Asleep, packets are close together within so many limits: what wakes a thread is forwarded later for it.
const CLOSE: u32 = 4;
/// Good signs that a first try takes. After one in vain the next takes twice as many, up to the second number.
const TRIES: (u32, u32) = (4, 64);
/// How much (packets, or looks that brought some) makes a try worth its end, in which nothing came.
const WORTH: u32 = 16;
/// What a bad sign adds to the strain, of which a good one takes away 1, and where it is too much: more than one bad
/// sign of five.
const STRAIN: u32 = 4;
const TOO_MUCH: u32 = 8;
/// Without the processor for so long: a quota is used up (`cpu.max`), which waiting awake does by itself. Then a thread
/// sleeps as others do, for so long.
const THROTTLED: Duration = Duration::from_millis(50);
const REST: Duration = Duration::from_secs(10);
/// A look both ways that takes so long waited for room to send, and the other way with it.
const HELD_UP: Duration = Duration::from_millis(5);

/// What a thread does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look again at once.
    Look,
    /// Let others work, then look again.
    Yield,
    /// Sleep until a packet comes.
    Sleep,
}

/// When something that costs time is tried: after some good signs in a row.
#[derive(Debug)]
struct Tries {
    needed: u32,
    signs: u32,
    hits: u32,
    strain: u32,
}

impl Tries {
    const fn new() -> Self {
        Self {
            needed: TRIES.0,
            signs: 0,
            hits: 0,
            strain: 0,
        }
    }

    /// So many signs more, or a bad one; true when it is to be tried.
    fn sign(&mut self, good: bool, count: u32) -> bool {
        self.signs = match good {
            true => self.signs.saturating_add(count),
            false => 0,
        };
        self.signs >= self.needed
    }

    /// While it is tried: so many packets more. False when too many came with bad signs.
    fn hit(&mut self, good: bool, count: u32) -> bool {
        self.hits = self.hits.saturating_add(count);
        self.strain = match good {
            true => self.strain.saturating_sub(1),
            false => self.strain + STRAIN,
        };
        self.strain < TOO_MUCH
    }

    fn ended(&mut self) {
        let needed = match self.hits < WORTH {
            true => (self.needed * 2).min(TRIES.1),
            false => TRIES.0,
        };
        *self = Self {
            needed,
            ..Self::new()
        };
    }
}

/// One thread, awake or asleep: stays awake while packets come close together.
#[derive(Debug)]
pub struct Pace {
    limit: Duration,
    awake: bool,
    tries: Tries,
    /// When the last good packet came.
    last: Instant,
    /// When the last look ended.
    looked: Instant,
    /// Until then it sleeps.
    rest: Instant,
}

impl Pace {
    /// Stays awake `limit` long at most where nothing comes; zero: never.
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            awake: false,
            tries: Tries::new(),
            last: now,
            looked: now,
            rest: now,
        }
    }

    /// What to do after a look that brought this and took from `begun` to `now`, or after it slept until this came.
    pub fn after(&mut self, load: Load, begun: Instant, now: Instant) -> Next {
        let away = begun.duration_since(self.looked);
        self.looked = now;
        if !self.awake {
            return self.woke(load, now);
        }
        if away >= THROTTLED {
            self.rest = now + REST;
            return self.sleep();
        }
        if load.good == 0 {
            return match now.duration_since(self.last) < self.limit {
                true => Next::Yield,
                false => self.sleep(),
            };
        }
        self.last = now;
        // Others had the processor for long. Who sleeps is let in before them when it wakes.
        let crowded = away >= self.limit;
        match self.tries.hit(!crowded, load.weight()) {
            true => Next::Look,
            false => self.sleep(),
        }
    }

    fn woke(&mut self, load: Load, now: Instant) -> Next {
        if load.good == 0 {
            return Next::Sleep;
        }
        let close = now.duration_since(self.last) < self.limit * CLOSE;
        self.last = now;
        self.awake = now >= self.rest && self.tries.sign(close, load.weight());
        match self.awake {
            true => Next::Look,
            false => Next::Sleep,
        }
    }

    fn sleep(&mut self) -> Next {
        self.awake = false;
        self.tries.ended();
        Next::Sleep
    }

    /// The thread begins again, asleep, after another did its work. With the next packet it is awake.
    pub fn resumed(&mut self, now: Instant) {
        self.awake = false;
        self.tries = Tries {
            signs: TRIES.0 - 1,
            ..Tries::new()
        };
        (self.last, self.looked) = (now, now);
    }
}

/// Whether one thread, awake, does the work of both.
#[derive(Debug)]
pub struct Division(Tries);

impl Division {
    pub fn new() -> Self {
        Self(Tries::new())
    }

    /// What came for one's own half. True when one thread may be enough for both.
    pub fn is_light(&mut self, load: Load) -> bool {
        load.packets > 0 && self.0.sign(load.is_light(), 1)
    }

    /// What came for both halves, which one thread has, in a look that took so long. False when it is too much.
    pub fn stays_light(&mut self, loads: [Load; 2], took: Duration) -> bool {
        if took >= HELD_UP {
            (self.0.needed, self.0.hits) = (TRIES.1, 0);
            return false;
        }
        loads.iter().all(|load| load.packets == 0)
            || self.0.hit(loads.iter().all(|load| load.is_light()), 1)
    }

    /// It was refused, or each has its half again.
    pub fn ended(&mut self) {
        self.0.ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(200);
    const NONE: Load = load(0, 0);
    const ONE: Load = load(1, 84);
    const DROPPED: Load = Load { good: 0, ..ONE };
    /// One read of a packet that the kernel left whole.
    const LARGE: Load = load(1, 65_000);
    const MANY: Load = load(9, 9 * 84);

    const fn load(packets: usize, bytes: usize) -> Load {
        Load {
            packets,
            bytes,
            good: packets,
        }
    }

    struct Clock {
        pace: Pace,
        now: Instant,
    }

    impl Clock {
        fn new(limit: Duration) -> Self {
            let now = Instant::now();
            Self {
                pace: Pace::new(limit, now),
                now,
            }
        }

        fn after(&mut self, micros: u64, load: Load) -> Next {
            self.now += Duration::from_micros(micros);
            self.pace.after(load, self.now, self.now)
        }

        /// Loads so far apart until it stays awake.
        fn needed(&mut self, apart: u64, load: Load) -> Option<u32> {
            (1..=5000).find(|_| self.after(apart, load) == Next::Look)
        }
    }

    #[test]
    fn packets_close_together_keep_it_awake() {
        assert_eq!(Clock::new(LIMIT).needed(799, ONE), Some(4));
        assert_eq!(Clock::new(LIMIT).needed(799, LARGE), Some(1));
        assert_eq!(Clock::new(LIMIT).needed(799, MANY), Some(1));
        assert_eq!(Clock::new(LIMIT).needed(800, LARGE), None);
        assert_eq!(Clock::new(LIMIT).needed(1, DROPPED), None);
        assert_eq!(Clock::new(Duration::ZERO).needed(0, LARGE), None);
        let mut interrupted = Clock::new(LIMIT);
        for _ in 0..10 {
            assert_eq!(interrupted.after(1, NONE), Next::Sleep);
        }
        // Few at a time are not worth it.
        let mut bursts = Clock::new(LIMIT);
        for _ in 0..100 {
            assert_eq!(bursts.after(10_000, ONE), Next::Sleep);
            for _ in 0..3 {
                assert_eq!(bursts.after(1, ONE), Next::Sleep);
            }
        }
    }

    #[test]
    fn it_sleeps_after_the_limit_without_a_packet() {
        let mut clock = Clock::new(LIMIT);
        clock.needed(1, ONE);
        for _ in 0..100 {
            assert_eq!(clock.after(150, NONE), Next::Yield);
            assert_eq!(clock.after(40, ONE), Next::Look);
            assert_eq!(clock.after(40, LARGE), Next::Look);
        }
        assert_eq!(clock.after(199, DROPPED), Next::Yield);
        assert_eq!(clock.after(1, DROPPED), Next::Sleep);
        assert_eq!(clock.needed(1, ONE), Some(4));
    }

    #[test]
    fn what_was_in_vain_takes_twice_as_much_until_it_was_worth_it() {
        let mut clock = Clock::new(LIMIT);
        for needed in [4, 8, 16, 32, 64, 64] {
            assert_eq!(clock.needed(1, ONE), Some(needed));
            // One less than is worth it.
            for _ in 0..15 {
                assert_eq!(clock.after(1, ONE), Next::Look);
            }
            assert_eq!(clock.after(200, NONE), Next::Sleep);
        }
        assert_eq!(clock.needed(1, ONE), Some(64));
        assert_eq!(clock.after(1, LARGE), Next::Look);
        assert_eq!(clock.after(200, NONE), Next::Sleep);
        assert_eq!(clock.needed(1, ONE), Some(4));
    }

    #[test]
    fn where_others_need_the_processor_it_sleeps() {
        let mut clock = Clock::new(LIMIT);
        clock.needed(1, ONE);
        // Seldom is no matter.
        for _ in 0..10 {
            assert_eq!(clock.after(3000, ONE), Next::Look);
            for _ in 0..4 {
                assert_eq!(clock.after(199, ONE), Next::Look);
            }
        }
        assert_eq!(clock.after(3000, ONE), Next::Look);
        assert_eq!(clock.after(200, LARGE), Next::Sleep);
        // Its own work is not others'.
        clock.needed(1, ONE);
        for _ in 0..10 {
            let begun = clock.now;
            clock.now += Duration::from_millis(60);
            assert_eq!(clock.pace.after(MANY, begun, clock.now), Next::Look);
        }
    }

    #[test]
    fn where_a_quota_is_used_up_it_sleeps_for_long() {
        for load in [NONE, LARGE] {
            let mut clock = Clock::new(LIMIT);
            clock.needed(1, ONE);
            assert_eq!(clock.after(50_000, load), Next::Sleep);
            for _ in 0..9999 {
                assert_eq!(clock.after(500, LARGE), Next::Sleep);
                assert_eq!(clock.after(500, LARGE), Next::Sleep);
            }
            clock.after(500, ONE);
            assert_eq!(clock.after(500, LARGE), Next::Look);
        }
    }

    #[test]
    fn after_another_did_its_work_the_next_packet_keeps_it_awake() {
        let mut clock = Clock::new(LIMIT);
        clock.needed(1, ONE);
        clock.now += Duration::from_secs(1);
        clock.pace.resumed(clock.now);
        assert_eq!(clock.after(799, ONE), Next::Look);
        clock.pace.resumed(clock.now);
        assert_eq!(clock.after(800, ONE), Next::Sleep);
    }

    #[test]
    fn one_thread_has_both_halves_while_loads_are_light() {
        let soon = Duration::from_millis(4);
        let mut division = Division::new();
        let light = |division: &mut Division| {
            (1..=5000).find(|_| {
                assert!(!division.is_light(NONE), "nothing is no sign");
                division.is_light(ONE)
            })
        };
        assert_eq!(light(&mut division), Some(4));
        for heavy in [LARGE, MANY] {
            assert!(!division.is_light(heavy));
            assert_eq!(light(&mut division), Some(4));
        }
        for loads in [[LARGE, NONE], [NONE, MANY], [MANY, ONE]] {
            // One of five passes.
            for _ in 0..20 {
                assert!(division.stays_light(loads, soon));
                for _ in 0..4 {
                    assert!(division.stays_light([ONE, NONE], soon));
                }
            }
            assert!(division.stays_light(loads, soon));
            assert!(division.stays_light([NONE, NONE], soon));
            assert!(!division.stays_light(loads, soon));
            division.ended();
            assert_eq!(light(&mut division), Some(4), "it was worth it");
        }
        division.ended();
        assert_eq!(light(&mut division), Some(8), "it was refused");
        for _ in 0..20 {
            assert!(division.stays_light([ONE, ONE], soon));
        }
        assert!(!division.stays_light([ONE, ONE], Duration::from_millis(5)));
        division.ended();
        assert_eq!(light(&mut division), Some(64), "a send waited");
    }
}
