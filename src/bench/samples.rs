//! The samples and what follows from them: medians, spread, ratios within a round.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DataPath, Figure, Underlay};

/// A middle and its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// Of nothing there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Some(Self { median, min, max })
    }

    /// Half of the range, as a part of the median: the `±` of the tables.
    pub fn spread(self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        (self.max - self.min) / 2.0 / self.median
    }

    /// Of a ratio: whether the rounds disagree about which of the two has more.
    pub fn is_open(self) -> bool {
        self.min <= 1.0 && self.max >= 1.0
    }
}

/// Round trips, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trips {
    /// Their sum by their number.
    pub mean: f64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
}

impl Trips {
    /// Of none there is nothing to tell.
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort();
        let last = times.len().checked_sub(1)?;
        let micros = |time: &Duration| time.as_secs_f64() * 1e6;
        Some(Self {
            mean: times.iter().map(micros).sum::<f64>() / times.len() as f64,
            p50: micros(&times[last * 50 / 100]),
            p99: micros(&times[last * 99 / 100]),
        })
    }
}

/// All samples: at most one an underlay, figure, data path and round.
#[derive(Debug, Clone, Default)]
pub struct Samples(BTreeMap<(Underlay, Figure, DataPath), BTreeMap<u32, f64>>);

impl Samples {
    /// Takes one in.
    pub fn add(
        &mut self,
        underlay: Underlay,
        figure: Figure,
        path: DataPath,
        round: u32,
        value: f64,
    ) {
        let rounds = self.0.entry((underlay, figure, path)).or_default();
        rounds.insert(round, value);
    }

    /// Whether there is not one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the rounds.
    pub fn values(&self, underlay: Underlay, figure: Figure, path: DataPath) -> Vec<f64> {
        let rounds = self.0.get(&(underlay, figure, path));
        rounds.into_iter().flatten().map(|(_, v)| *v).collect()
    }

    /// Of all rounds.
    pub fn summary(&self, underlay: Underlay, figure: Figure, path: DataPath) -> Option<Summary> {
        Summary::of(self.values(underlay, figure, path))
    }

    /// The ratios to `base` within each round in which both were measured.
    pub fn ratio(
        &self,
        underlay: Underlay,
        figure: Figure,
        path: DataPath,
        base: DataPath,
    ) -> Option<Summary> {
        let rounds = self.0.get(&(underlay, figure, path))?;
        let base = self.0.get(&(underlay, figure, base))?;
        let ratios = rounds.iter().filter_map(|(round, value)| {
            let base = base.get(round).filter(|base| **base > 0.0)?;
            Some(value / base)
        });
        Summary::of(ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spread() {
        assert_eq!(Summary::of([]), None);
        let odd = Summary::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!((odd.spread(), odd.is_open()), (0.5, true));
        assert_eq!(Summary::of([4.0, 1.0]).unwrap().median, 2.5);
        let clear = Summary::of([1.2, 1.3]).unwrap();
        assert!(!clear.is_open());
        assert_eq!(Summary::of([0.0]).unwrap().spread(), 0.0);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut samples = Samples::default();
        let mut add = |path, round, value| {
            samples.add(Underlay::Wire, Figure::Tcp1, path, round, value);
        };
        for (round, base, ours) in [(0, 10.0, 5.0), (1, 20.0, 20.0), (2, 40.0, 30.0)] {
            add(DataPath::Vxlan, round, base);
            add(DataPath::Udp, round, ours);
        }
        // Rounds with a gap, or with nothing to compare with, count for nothing.
        add(DataPath::Udp, 3, 1000.0);
        add(DataPath::Udp, 4, 1000.0);
        add(DataPath::Vxlan, 4, 0.0);
        let ratio = |underlay, path| samples.ratio(underlay, Figure::Tcp1, path, DataPath::Vxlan);
        let found = ratio(Underlay::Wire, DataPath::Udp).unwrap();
        assert_eq!((found.median, found.min, found.max), (0.75, 0.5, 1.0));
        assert_eq!(ratio(Underlay::Wire, DataPath::PeerUdp), None);
        assert_eq!(ratio(Underlay::Veth, DataPath::Udp), None);
        let values = samples.values(Underlay::Wire, Figure::Tcp1, DataPath::Vxlan);
        assert_eq!(values, [10.0, 20.0, 40.0, 0.0]);
    }

    #[test]
    fn percentiles_of_trips() {
        assert_eq!(Trips::of(Vec::new()), None);
        let times = (1..=1000).rev().map(Duration::from_micros).collect();
        let trips = Trips::of(times).unwrap();
        assert!((trips.mean - 500.5).abs() < 1e-6);
        assert!((trips.p50 - 500.0).abs() < 1e-6);
        assert!((trips.p99 - 990.0).abs() < 1e-6);
    }
}
