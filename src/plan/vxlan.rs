//! The vxlan backend's state (flannel-compat 5.3, 5.4): the device, and per peer a neighbour, a
//! forwarding entry and an on-link route through it; or a plain route where `DirectRouting` finds the
//! peer on the same link.

use super::goal::Goal;
use super::state::{Desired, Device, Observed};
use crate::subnet::network::VxlanOptions;

/// What `goal` asks for.
pub fn desired(_goal: &Goal, _options: &VxlanOptions, _observed: &Observed) -> Desired {
    Desired {
        device: Device::None,
        content: None,
        problems: Vec::new(),
    }
}
