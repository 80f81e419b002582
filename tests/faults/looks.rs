//! A machine that stands still for seconds makes a diagnosis that waits for answers wrong. So what is wrong is looked at
//! once more, which is counted, told, and allowed for one in fifty.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::told::Diagnosed;

/// How often was diagnosed, how often once more, and the longest of all.
#[derive(Default)]
pub struct Looks {
    first: usize,
    second: usize,
    slowest: Duration,
}

impl Looks {
    /// Diagnoses, and once more where `wrong` says why the diagnosis is; with what is still wrong then.
    pub fn at(
        &mut self,
        title: &str,
        diagnose: impl Fn() -> Diagnosed,
        wrong: impl Fn(&Diagnosed) -> Option<String>,
    ) -> (Diagnosed, Option<String>) {
        self.first += 1;
        let diagnosed = self.timed(&diagnose);
        let Some(why) = wrong(&diagnosed) else {
            return (diagnosed, None);
        };
        println!("measured: looked at again: {title}: {why}");
        self.second += 1;
        let diagnosed = self.timed(&diagnose);
        let why = wrong(&diagnosed);
        (diagnosed, why)
    }

    fn timed(&mut self, diagnose: impl Fn() -> Diagnosed) -> Diagnosed {
        let diagnosed = diagnose();
        self.slowest = self.slowest.max(diagnosed.took);
        diagnosed
    }

    /// Adds what another lab counted.
    pub fn add(&mut self, other: &Self) {
        self.first += other.first;
        self.second += other.second;
        self.slowest = self.slowest.max(other.slowest);
    }

    /// Fails when the second look was more than an exception.
    #[track_caller]
    pub fn finish(&self) {
        assert!(self.second <= self.first.div_ceil(50), "{self}");
    }
}

impl Display for Looks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (first, second, slowest) = (self.first, self.second, self.slowest.as_secs_f32());
        write!(
            f,
            "slowest diagnosis {slowest:.1} s, {second} of {first} looked at twice"
        )
    }
}
