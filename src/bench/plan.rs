//! What is measured, in which order, and how long that takes.

use std::time::Duration;

use super::Figure;

/// The cables between the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Underlay {
    /// veth as it is: packets of 64 KiB cross whole.
    Veth,
    /// No segmentation or checksum offload, GRO: datagrams of at most 1500 bytes cross.
    Wire,
}

impl Underlay {
    /// As tables and JSON name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Wire => "wire",
        }
    }

    /// What it is, for those who see it for the first time.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Veth => "as it is, 64 KiB packets cross whole",
            Self::Wire => "as between machines, packets of 1500 bytes at most",
        }
    }
}

/// How packets get from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataPath {
    /// Node to node: no overlay, no container.
    Bare,
    /// The kernel's routing between containers, no encapsulation.
    HostGw,
    /// The kernel's vxlan; what the others are compared with.
    Vxlan,
    /// Our udp backend.
    Udp,
    /// Our udp backend with `--udp-offload=off`.
    UdpPlain,
    /// The vxlan backend of another daemon.
    PeerVxlan,
    /// The udp backend of another daemon.
    PeerUdp,
}

impl DataPath {
    /// All, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Bare,
        Self::HostGw,
        Self::Vxlan,
        Self::Udp,
        Self::UdpPlain,
        Self::PeerVxlan,
        Self::PeerUdp,
    ];

    /// As tables and JSON name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::HostGw => "host-gw",
            Self::Vxlan => "vxlan",
            Self::Udp => "udp",
            Self::UdpPlain => "udp-plain",
            Self::PeerVxlan => "peer-vxlan",
            Self::PeerUdp => "peer-udp",
        }
    }
}

/// One kind of traffic; gives one figure or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One TCP stream, and what it costs.
    Tcp1,
    /// Four TCP streams.
    Tcp4,
    /// A TCP stream each way at once.
    TcpBoth,
    /// Datagrams with 64 bytes of payload, as many as the sender can.
    Small,
    /// Datagrams with 1400 bytes of payload, as many as the sender can.
    Large,
    /// Pings, then requests, one at a time, nothing else on the way.
    Idle,
    /// The same beside a TCP stream.
    Loaded,
}

impl Load {
    /// All, in the order in which a round has them.
    pub const ALL: [Self; 7] = [
        Self::Tcp1,
        Self::Tcp4,
        Self::TcpBoth,
        Self::Small,
        Self::Large,
        Self::Idle,
        Self::Loaded,
    ];

    /// For progress and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp1 => "TCP, 1 stream",
            Self::Tcp4 => "TCP, 4 streams",
            Self::TcpBoth => "TCP both ways",
            Self::Small => "UDP 64 bytes",
            Self::Large => "UDP 1400 bytes",
            Self::Idle => "latency",
            Self::Loaded => "latency under TCP",
        }
    }

    /// What it gives.
    pub fn figures(self) -> Vec<Figure> {
        use Figure::{AskIdleMean, AskIdleP50, AskIdleP99, AskLoadMean, AskLoadP50, AskLoadP99};
        use Figure::{PingIdleMean, PingIdleP50, PingIdleP99};
        use Figure::{PingLoadMean, PingLoadP50, PingLoadP99};
        match self {
            Self::Tcp1 => vec![Figure::Tcp1, Figure::Cpu],
            Self::Tcp4 => vec![Figure::Tcp4],
            Self::TcpBoth => vec![Figure::TcpBoth],
            Self::Small => vec![
                Figure::SmallOffered,
                Figure::SmallDelivered,
                Figure::SmallLost,
            ],
            Self::Large => vec![
                Figure::LargeOffered,
                Figure::LargeDelivered,
                Figure::LargeLost,
            ],
            Self::Idle => vec![
                PingIdleMean,
                PingIdleP50,
                PingIdleP99,
                AskIdleMean,
                AskIdleP50,
                AskIdleP99,
            ],
            Self::Loaded => vec![
                PingLoadMean,
                PingLoadP50,
                PingLoadP99,
                AskLoadMean,
                AskLoadP50,
                AskLoadP99,
            ],
        }
    }
}

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the tables.
    pub underlays: Vec<Underlay>,
    /// In the order of the tables; vxlan is among them.
    pub paths: Vec<DataPath>,
    /// How often everything is measured.
    pub rounds: u32,
    /// How long one load is measured.
    pub window: Duration,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// From 0.
    pub round: u32,
    /// What is sent.
    pub load: Load,
    /// Over which cables.
    pub underlay: Underlay,
    /// By which path.
    pub path: DataPath,
}

impl Plan {
    /// Before the measured time of each load: connections open up, the other path's packets are gone.
    pub const WARM_UP: Duration = Duration::from_millis(100);
    /// Making sockets and threads, and ending them.
    const AROUND: Duration = Duration::from_millis(30);
    /// Making one data path: two hosts with agents and containers.
    const SETUP: Duration = Duration::from_millis(500);

    /// All measurements in order. The paths take turns at every load, and every other round has them the other
    /// way round, so that a machine that slows down is unjust to none.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for round in 0..self.rounds {
            for load in Load::ALL {
                let places = self
                    .underlays
                    .iter()
                    .flat_map(|underlay| self.paths.iter().map(move |path| (*underlay, *path)));
                let mut turn: Vec<Step> = places
                    .map(|(underlay, path)| Step {
                        round,
                        load,
                        underlay,
                        path,
                    })
                    .collect();
                if round % 2 == 1 {
                    turn.reverse();
                }
                steps.extend(turn);
            }
        }
        steps
    }

    /// How long all of it takes, about.
    pub fn estimate(&self) -> Duration {
        let steps = u32::try_from(self.steps().len()).unwrap_or(u32::MAX);
        let stages = u32::try_from(self.underlays.len() * self.paths.len()).unwrap_or(u32::MAX);
        let step = self.window + Self::WARM_UP + Self::AROUND;
        step.saturating_mul(steps)
            .saturating_add(Self::SETUP.saturating_mul(stages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            underlays: vec![Underlay::Veth, Underlay::Wire],
            paths: vec![DataPath::Vxlan, DataPath::Udp],
            rounds: 2,
            window: Duration::from_millis(370),
        }
    }

    #[test]
    fn paths_take_turns_and_change_their_order() {
        let steps = plan().steps();
        assert_eq!(steps.len(), 2 * 7 * 4);
        let turn = |from: usize| -> Vec<_> {
            let turn = steps.iter().skip(from).take(4);
            turn.map(|step| (step.load, step.underlay.name(), step.path.name()))
                .collect()
        };
        let mut first = turn(0);
        assert_eq!(first[0], (Load::Tcp1, "veth", "vxlan"));
        assert_eq!(first[3], (Load::Tcp1, "wire", "udp"));
        first.reverse();
        assert_eq!(turn(28), first, "the second round begins with the last");
        assert!(steps.iter().skip(28).all(|step| step.round == 1));
    }

    #[test]
    fn every_figure_comes_from_one_load() {
        let mut figures: Vec<_> = Load::ALL.iter().flat_map(|load| load.figures()).collect();
        figures.sort();
        assert_eq!(figures, Figure::ALL);
    }

    #[test]
    fn the_estimate_grows_with_the_steps() {
        assert_eq!(plan().estimate(), Duration::from_secs(2 + 28));
        let endless = Plan {
            window: Duration::MAX / 2,
            ..plan()
        };
        assert!(endless.estimate() > Duration::from_secs(1 << 40));
    }
}
