//! The udp backend's state (flannel-compat 5.2): address, MTU and the network's route on the TUN
//! device, which the forwarder opens and closes. Peers are its table, not the kernel's.

use super::goal::Goal;
use super::state::{Desired, Device, Observed};

/// What `goal` asks for.
pub fn desired(_goal: &Goal, _observed: &Observed) -> Desired {
    Desired {
        device: Device::None,
        content: None,
        problems: Vec::new(),
    }
}
