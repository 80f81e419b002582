//! What the fast udp path has to reach, beside what was measured.

use super::{DataPath, Figure, Samples, Underlay};

/// A figure of our udp backend compared with another path's.
struct Goal {
    figure: Figure,
    underlay: Underlay,
    base: DataPath,
    required: f64,
    aim: Aim,
}

enum Aim {
    Ratio(f64),
    Microseconds(f64),
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    /// Which figure on which underlay, compared with what.
    pub title: String,
    /// The least.
    pub required: String,
    /// The best that one can hope for.
    pub aim: String,
    /// Empty if it could not be measured.
    pub measured: String,
    /// Whether what is required is reached.
    pub reached: Option<bool>,
}

const fn goal(figure: Figure, underlay: Underlay, base: DataPath, required: f64, aim: Aim) -> Goal {
    Goal {
        figure,
        underlay,
        base,
        required,
        aim,
    }
}

const GOALS: [Goal; 7] = {
    use Underlay::{Veth, Wire};
    let (tcp, small, ping) = (Figure::Tcp1, Figure::SmallDelivered, Figure::PingIdleMean);
    let (vxlan, peer) = (DataPath::Vxlan, DataPath::PeerUdp);
    [
        goal(tcp, Veth, vxlan, 0.6, Aim::Ratio(1.0)),
        goal(tcp, Wire, vxlan, 1.0, Aim::Ratio(1.3)),
        goal(tcp, Veth, peer, 20.0, Aim::Ratio(40.0)),
        goal(small, Veth, vxlan, 1.0, Aim::Ratio(1.3)),
        goal(small, Wire, vxlan, 1.0, Aim::Ratio(1.3)),
        goal(ping, Veth, peer, 0.7, Aim::Microseconds(40.0)),
        goal(ping, Wire, peer, 0.7, Aim::Microseconds(40.0)),
    ]
};

/// One row a goal. What was not measured is said to be so.
pub fn rows(samples: &Samples) -> Vec<Row> {
    GOALS.iter().map(|goal| row(goal, samples)).collect()
}

fn row(goal: &Goal, samples: &Samples) -> Row {
    let ratio = samples.ratio(goal.underlay, goal.figure, DataPath::Udp, goal.base);
    let absolute = samples.summary(goal.underlay, goal.figure, DataPath::Udp);
    let lower_is_better = matches!(goal.aim, Aim::Microseconds(_));
    let sign = if lower_is_better { "<=" } else { ">=" };
    let mut measured: Vec<String> = ratio
        .iter()
        .map(|ratio| format!("{:.2}", ratio.median))
        .collect();
    let aim = match goal.aim {
        Aim::Ratio(aim) => format!("{aim:.1}"),
        Aim::Microseconds(aim) => {
            measured.extend(absolute.map(|absolute| format!("{:.0} µs", absolute.median)));
            format!("<= {aim:.0} µs")
        }
    };
    Row {
        title: format!(
            "{}: udp / {}, {}",
            goal.figure.title(),
            goal.base.name(),
            goal.underlay.name()
        ),
        required: format!("{sign} {:.1}", goal.required),
        aim,
        measured: measured.join(", "),
        reached: ratio.map(|ratio| {
            if lower_is_better {
                ratio.median <= goal.required
            } else {
                ratio.median >= goal.required
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reached_missed_or_not_measured() {
        let mut samples = Samples::default();
        let mut add = |figure, path, value| samples.add(Underlay::Veth, figure, path, 0, value);
        for (path, rate, rtt) in [(DataPath::Vxlan, 10e9, 20.0), (DataPath::Udp, 7e9, 60.0)] {
            add(Figure::Tcp1, path, rate);
            add(Figure::PingIdleMean, path, rtt);
            add(Figure::SmallDelivered, path, rate);
        }
        add(Figure::PingIdleMean, DataPath::PeerUdp, 100.0);
        let rows = rows(&samples);
        let row = |title: &str| rows.iter().find(|row| row.title == title).unwrap();
        let tcp = row("TCP, 1 stream: udp / vxlan, veth");
        assert_eq!((tcp.measured.as_str(), tcp.reached), ("0.70", Some(true)));
        let small = row("UDP 64 bytes, delivered: udp / vxlan, veth");
        assert_eq!(small.reached, Some(false));
        let ping = row("ping, mean: udp / peer-udp, veth");
        assert_eq!(ping.measured, "0.60, 60 µs");
        assert_eq!(ping.reached, Some(true));
        // Without a peer, without that underlay.
        assert_eq!(row("TCP, 1 stream: udp / peer-udp, veth").reached, None);
        assert_eq!(row("TCP, 1 stream: udp / vxlan, wire").measured, "");
    }
}
