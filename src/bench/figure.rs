//! The figures: their names, units and how they are shown.

/// What is measured of each data path. The order is the tables'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "their words are below")]
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
    PingIdleMean,
    PingIdleP50,
    PingIdleP99,
    PingLoadMean,
    PingLoadP50,
    PingLoadP99,
    AskIdleMean,
    AskIdleP50,
    AskIdleP99,
    AskLoadMean,
    AskLoadP50,
    AskLoadP99,
    Cpu,
}

/// Which samples are the good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    Higher,
    /// Times and costs.
    Lower,
    /// It says nothing by itself.
    Neither,
}

impl Figure {
    /// All, in the order of the tables.
    pub const ALL: [Self; 22] = [
        Self::Tcp1,
        Self::Tcp4,
        Self::TcpBoth,
        Self::SmallOffered,
        Self::SmallDelivered,
        Self::SmallLost,
        Self::LargeOffered,
        Self::LargeDelivered,
        Self::LargeLost,
        Self::PingIdleMean,
        Self::PingIdleP50,
        Self::PingIdleP99,
        Self::PingLoadMean,
        Self::PingLoadP50,
        Self::PingLoadP99,
        Self::AskIdleMean,
        Self::AskIdleP50,
        Self::AskIdleP99,
        Self::AskLoadMean,
        Self::AskLoadP50,
        Self::AskLoadP99,
        Self::Cpu,
    ];

    /// As JSON names it.
    pub fn key(self) -> &'static str {
        self.words().0
    }

    /// What it is, without its unit.
    pub fn title(self) -> &'static str {
        self.words().1
    }

    /// The unit that people see.
    pub fn shown_unit(self) -> &'static str {
        self.words().2
    }

    /// The unit of a sample.
    pub fn unit(self) -> &'static str {
        self.words().3
    }

    /// Which samples are the good ones.
    pub fn better(self) -> Better {
        match self {
            Self::Tcp1 | Self::Tcp4 | Self::TcpBoth => Better::Higher,
            Self::SmallDelivered | Self::LargeDelivered => Better::Higher,
            Self::SmallOffered | Self::LargeOffered => Better::Neither,
            _ => Better::Lower,
        }
    }

    /// Whether a ratio of two paths tells anything: a loss that is nearly nothing has none.
    pub fn has_ratio(self) -> bool {
        !matches!(self, Self::SmallLost | Self::LargeLost)
    }

    /// A sample in the unit that people see.
    pub fn in_shown_unit(self, sample: f64) -> f64 {
        match self.unit() {
            "bit/s" => sample / 1e9,
            "packets/s" => sample / 1e3,
            _ => sample,
        }
    }

    /// A sample as people see it.
    pub fn shown(self, sample: f64) -> String {
        let value = self.in_shown_unit(sample);
        match value {
            _ if self.unit() == "us" => format!("{value:.0}"),
            0.0..10.0 => format!("{value:.2}"),
            10.0..100.0 => format!("{value:.1}"),
            _ => format!("{value:.0}"),
        }
    }

    #[rustfmt::skip]
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        let rate = |key, title| (key, title, "Gbit/s", "bit/s");
        let packets = |key, title| (key, title, "k/s", "packets/s");
        let time = |key, title| (key, title, "µs", "us");
        match self {
            Self::Tcp1 => rate("tcp_1", "TCP, 1 stream"),
            Self::Tcp4 => rate("tcp_4", "TCP, 4 streams"),
            Self::TcpBoth => rate("tcp_both", "TCP, both ways at once"),
            Self::SmallOffered => packets("udp_64_offered", "UDP 64 bytes, offered"),
            Self::SmallDelivered => packets("udp_64_delivered", "UDP 64 bytes, delivered"),
            Self::SmallLost => packets("udp_64_lost", "UDP 64 bytes, lost"),
            Self::LargeOffered => packets("udp_1400_offered", "UDP 1400 bytes, offered"),
            Self::LargeDelivered => packets("udp_1400_delivered", "UDP 1400 bytes, delivered"),
            Self::LargeLost => packets("udp_1400_lost", "UDP 1400 bytes, lost"),
            Self::PingIdleMean => time("ping_idle_mean", "ping, mean"),
            Self::PingIdleP50 => time("ping_idle_p50", "ping, p50"),
            Self::PingIdleP99 => time("ping_idle_p99", "ping, p99"),
            Self::PingLoadMean => time("ping_load_mean", "ping under TCP, mean"),
            Self::PingLoadP50 => time("ping_load_p50", "ping under TCP, p50"),
            Self::PingLoadP99 => time("ping_load_p99", "ping under TCP, p99"),
            Self::AskIdleMean => time("request_idle_mean", "request, mean"),
            Self::AskIdleP50 => time("request_idle_p50", "request, p50"),
            Self::AskIdleP99 => time("request_idle_p99", "request, p99"),
            Self::AskLoadMean => time("request_load_mean", "request under TCP, mean"),
            Self::AskLoadP50 => time("request_load_p50", "request under TCP, p50"),
            Self::AskLoadP99 => time("request_load_p99", "request under TCP, p99"),
            Self::Cpu => ("cpu_per_gib", "CPU of TCP, 1 stream", "s/GiB", "s/GiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_three_digits_are_shown() {
        let keys: BTreeSet<_> = Figure::ALL.iter().map(|figure| figure.key()).collect();
        let titles: BTreeSet<_> = Figure::ALL.iter().map(|figure| figure.title()).collect();
        assert_eq!((keys.len(), titles.len()), (22, 22));
        let sorted = Figure::ALL.is_sorted();
        assert!(sorted, "the order of the tables is the order of the enum");
        assert_eq!(Figure::Tcp1.shown(11.974e9), "12.0");
        assert_eq!(Figure::Tcp1.shown(0.3149e9), "0.31");
        assert_eq!(Figure::SmallDelivered.shown(213_456.0), "213");
        assert_eq!(Figure::PingIdleP99.shown(17.6), "18");
        assert_eq!(Figure::Cpu.shown(1.234), "1.23");
    }
}
