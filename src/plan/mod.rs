//! What this host's kernel should hold, and what must change to get there. Pure: a [`Goal`] (what the
//! agent wants) and an [`Observed`] (what the kernel holds) go in, a [`Desired`] and a list of
//! [`Change`]s come out. It keeps no record of what was installed before: a start, a new lease, a
//! lost device, a foreign hand and a restart all take this one path.

pub mod change;
pub mod diff;
mod diff_routes;
pub mod firewall;
pub mod goal;
pub mod host_gw;
pub mod interface;
pub mod problem;
pub mod state;
pub mod udp;
pub mod underlay;
pub mod vxlan;

use crate::subnet::network::Backend;

pub use change::Change;
pub use diff::{cleanup, diff};
pub use diff_routes::BLACKHOLE_METRIC;
pub use goal::{External, Former, Goal, Host, Peer, mtu};
pub use problem::Problem;
pub use state::{Desired, Mac, Observed};
pub use underlay::host_nets;

/// The state that `goal` asks for on a kernel that holds `observed` (which decides what is on-link,
/// and under which index the interfaces are found).
pub fn desired(goal: &Goal, observed: &Observed) -> Desired {
    match &goal.backend {
        Backend::Vxlan(options) => vxlan::desired(goal, options, observed),
        Backend::HostGw => host_gw::desired(goal, observed),
        Backend::Udp { .. } => udp::desired(goal, observed),
    }
}
