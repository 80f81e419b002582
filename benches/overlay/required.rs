//! What the fast udp path has to reach, beside what was measured.

use crate::figures::{Figure, Samples};
use crate::options::{Route, Underlay};

/// A figure of our udp backend compared with another path's.
struct Goal {
    figure: Figure,
    underlay: Underlay,
    base: Route,
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
    pub title: String,
    pub required: String,
    pub aim: String,
    /// Empty if it could not be measured.
    pub measured: String,
    /// Whether what is required is reached.
    pub reached: Option<bool>,
}

const fn goal(figure: Figure, underlay: Underlay, base: Route, required: f64, aim: Aim) -> Goal {
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
    let (tcp, small, ping) = (Figure::Tcp1, Figure::SmallDelivered, Figure::IdleMean);
    let (vxlan, peer) = (Route::Vxlan, Route::Peer);
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
pub fn rows(results: &[(Underlay, Samples)]) -> Vec<Row> {
    let allocations = Row {
        title: "allocations per packet (tests/udp_cost.rs)".to_owned(),
        required: "0".to_owned(),
        aim: "0".to_owned(),
        measured: String::new(),
        reached: None,
    };
    let goals = GOALS.iter().map(|goal| row(goal, results));
    goals.chain([allocations]).collect()
}

fn row(goal: &Goal, results: &[(Underlay, Samples)]) -> Row {
    let samples = results
        .iter()
        .find(|(underlay, _)| *underlay == goal.underlay)
        .map(|(_, samples)| samples);
    let ratio = samples.and_then(|samples| samples.ratio(goal.figure, Route::Udp, goal.base));
    let absolute = samples.and_then(|samples| samples.summary(goal.figure, Route::Udp));
    let lower_is_better = matches!(goal.aim, Aim::Microseconds(_));
    let sign = if lower_is_better { "<=" } else { ">=" };
    let mut measured: Vec<String> = ratio
        .iter()
        .map(|ratio| format!("{:.2}", ratio.median))
        .collect();
    let aim = match goal.aim {
        Aim::Ratio(aim) => format!("{aim:.1}"),
        Aim::Microseconds(aim) => {
            measured.extend(absolute.map(|absolute| format!("{:.0} us", absolute.median)));
            format!("<= {aim:.0} us")
        }
    };
    Row {
        title: format!(
            "{}: udp / {}, {}",
            goal.figure.title().split(", ").next().unwrap_or_default(),
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
