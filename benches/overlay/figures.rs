//! The figures, their samples, and what follows from them: medians, spread, ratios. Pure.

use std::collections::BTreeMap;

use crate::options::Route;

/// What is measured of each data path. The order is the tables'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    Tcp1,
    Tcp4,
    TcpBoth,
    SmallOffered,
    SmallDelivered,
    SmallLost,
    LargeOffered,
    LargeDelivered,
    LargeLost,
    IdleMean,
    IdleP99,
    LoadMean,
    LoadP99,
    Cpu,
}

impl Figure {
    pub const ALL: [Self; 14] = [
        Self::Tcp1,
        Self::Tcp4,
        Self::TcpBoth,
        Self::SmallOffered,
        Self::SmallDelivered,
        Self::SmallLost,
        Self::LargeOffered,
        Self::LargeDelivered,
        Self::LargeLost,
        Self::IdleMean,
        Self::IdleP99,
        Self::LoadMean,
        Self::LoadP99,
        Self::Cpu,
    ];

    /// As JSON names it.
    pub fn key(self) -> &'static str {
        self.words().0
    }

    /// As tables name it.
    pub fn title(self) -> &'static str {
        self.words().1
    }

    /// Of a sample: bit/s, packets/s, µs or s/GiB.
    pub fn unit(self) -> &'static str {
        self.words().2
    }

    /// A sample in the unit that tables show.
    pub fn shown(self, sample: f64) -> String {
        match self {
            Self::Tcp1 | Self::Tcp4 | Self::TcpBoth => format!("{:.2}", sample / 1e9),
            Self::IdleMean | Self::IdleP99 | Self::LoadMean | Self::LoadP99 => {
                format!("{sample:.0}")
            }
            Self::Cpu => format!("{sample:.2}"),
            _ => format!("{:.1}", sample / 1e3),
        }
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Tcp1 => ("tcp_1", "TCP 1 stream, Gbit/s", "bit/s"),
            Self::Tcp4 => ("tcp_4", "TCP 4 streams, Gbit/s", "bit/s"),
            Self::TcpBoth => ("tcp_both", "TCP both ways, Gbit/s", "bit/s"),
            Self::SmallOffered => ("udp_64_offered", "UDP 64 offered, k/s", "packets/s"),
            Self::SmallDelivered => ("udp_64_delivered", "UDP 64 delivered, k/s", "packets/s"),
            Self::SmallLost => ("udp_64_lost", "UDP 64 lost, k/s", "packets/s"),
            Self::LargeOffered => ("udp_1400_offered", "UDP 1400 offered, k/s", "packets/s"),
            Self::LargeDelivered => ("udp_1400_delivered", "UDP 1400 delivered, k/s", "packets/s"),
            Self::LargeLost => ("udp_1400_lost", "UDP 1400 lost, k/s", "packets/s"),
            Self::IdleMean => ("ping_idle_mean", "ping idle, mean, us", "us"),
            Self::IdleP99 => ("ping_idle_p99", "ping idle, p99, us", "us"),
            Self::LoadMean => ("ping_load_mean", "ping under TCP, mean, us", "us"),
            Self::LoadP99 => ("ping_load_p99", "ping under TCP, p99, us", "us"),
            Self::Cpu => ("cpu_per_gib", "CPU (TCP 1 stream), s/GiB", "s/GiB"),
        }
    }
}

/// A middle and its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
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
}

/// All samples of one underlay: at most one a round, figure and data path.
#[derive(Debug, Default)]
pub struct Samples {
    values: BTreeMap<(Figure, &'static str), BTreeMap<u32, f64>>,
}

impl Samples {
    pub fn add(&mut self, round: u32, figure: Figure, route: Route, value: f64) {
        let rounds = self.values.entry((figure, route.name())).or_default();
        rounds.insert(round, value);
    }

    /// In the order of the rounds.
    pub fn values(&self, figure: Figure, route: Route) -> Vec<f64> {
        let rounds = self.values.get(&(figure, route.name()));
        rounds.into_iter().flatten().map(|(_, v)| *v).collect()
    }

    pub fn summary(&self, figure: Figure, route: Route) -> Option<Summary> {
        Summary::of(self.values(figure, route))
    }

    /// The ratios within each round in which both were measured.
    pub fn ratio(&self, figure: Figure, route: Route, base: Route) -> Option<Summary> {
        let route = self.values.get(&(figure, route.name()))?;
        let base = self.values.get(&(figure, base.name()))?;
        let ratios = route.iter().filter_map(|(round, value)| {
            let base = base.get(round).filter(|base| **base > 0.0)?;
            Some(value / base)
        });
        Summary::of(ratios)
    }
}
