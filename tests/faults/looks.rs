//! A machine that stands still for seconds makes a diagnosis that waits for answers wrong, or late. So what is wrong is
//! looked at once more, which is counted, told, and allowed for one in twenty.

use std::fmt::{self, Display, Formatter};

use super::told::Diagnosed;

/// How often a diagnosis was right at the second look alone.
#[derive(Default)]
pub struct Looks {
    first: usize,
    second: usize,
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
        let diagnosed = diagnose();
        let Some(why) = wrong(&diagnosed) else {
            return (diagnosed, None);
        };
        println!("measured: looked at again: {title}: {why}");
        self.second += 1;
        let diagnosed = diagnose();
        let why = wrong(&diagnosed);
        (diagnosed, why)
    }

    /// Adds what another lab counted.
    pub fn add(&mut self, other: &Self) {
        self.first += other.first;
        self.second += other.second;
    }

    /// Fails when the second look was more than an exception.
    #[track_caller]
    pub fn finish(&self) {
        assert!(self.second <= 1 + self.first / 20, "{self}");
    }
}

impl Display for Looks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} looked at twice", self.second, self.first)
    }
}
