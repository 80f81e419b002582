//! Faults to be watched: what breaks, how it is put in, how it is taken out.

use std::io;
use std::process::Command;

use super::LabError;
use super::plan::{CONTAINER_PORT, MTU, UPLINK};
use super::record::Place;
use crate::kernel::construct::Builder;

/// The table of all firewall faults, so that taking one out takes nothing else.
const TABLE: &str = "flannelctl_lab_fault";

/// A fault that can be put into a host and taken out again.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// As typed.
    pub name: &'static str,
    /// What breaks.
    pub about: &'static str,
    /// The programs it needs; without one, everything is done by the kernel's own interfaces.
    pub needs: Option<&'static str>,
    work: Work,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Nft {
        chain: &'static str,
    },
    Sysctl {
        name: &'static str,
        bad: &'static str,
        good: &'static str,
    },
    Mtu {
        device: &'static str,
        bad: u32,
        good: u32,
    },
    Down {
        device: &'static str,
    },
}

/// All faults.
pub const FAULTS: [Fault; 6] = [
    Fault {
        name: "forward-drop",
        about: "the host's firewall drops what it should forward to its containers",
        needs: Some("nft"),
        work: Work::Nft {
            chain: "forward { type filter hook forward priority -5; policy drop; }",
        },
    },
    Fault {
        name: "encap-drop",
        about: "the host's firewall drops the overlay's packets (UDP 8472 and 8285)",
        needs: Some("nft"),
        work: Work::Nft {
            chain: "input { type filter hook input priority -5; policy accept; }; add rule inet flannelctl_lab_fault input udp dport { 8285, 8472 } drop",
        },
    },
    Fault {
        name: "forwarding-off",
        about: "the kernel does not forward (net.ipv4.ip_forward=0), as after hardening",
        needs: None,
        work: Work::Sysctl {
            name: "net/ipv4/ip_forward",
            bad: "0",
            good: "1",
        },
    },
    Fault {
        name: "narrow-underlay",
        about: "the host's interface carries 1300 bytes where the network says 1500",
        needs: None,
        work: Work::Mtu {
            device: UPLINK,
            bad: 1300,
            good: MTU,
        },
    },
    Fault {
        name: "unplugged",
        about: "the host's interface is down, as with the cable pulled",
        needs: None,
        work: Work::Down { device: UPLINK },
    },
    Fault {
        name: "container-cut",
        about: "the container's cable at the bridge is down",
        needs: None,
        work: Work::Down {
            device: CONTAINER_PORT,
        },
    },
];

impl Fault {
    /// The fault of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.name == name)
    }

    /// Puts it into a host.
    ///
    /// # Errors
    /// A program is missing, or the kernel refuses.
    pub fn put(&self, place: &Place) -> Result<(), LabError> {
        match self.work {
            Work::Nft { chain } => nft(
                place,
                &format!("add table inet {TABLE}; add chain inet {TABLE} {chain}"),
            ),
            Work::Sysctl { name, bad, .. } => set_sysctl(place, name, bad),
            Work::Mtu { device, bad, .. } => build(place, |builder| builder.set_mtu(device, bad)),
            Work::Down { device } => build(place, |builder| builder.set_up(device, false)),
        }
    }

    /// Takes it out of a host.
    ///
    /// # Errors
    /// A program is missing, or the kernel refuses.
    pub fn take(&self, place: &Place) -> Result<(), LabError> {
        match self.work {
            // Deleted by name after it was made sure that it is there.
            Work::Nft { .. } => nft(
                place,
                &format!("add table inet {TABLE}; delete table inet {TABLE}"),
            ),
            Work::Sysctl { name, good, .. } => set_sysctl(place, name, good),
            Work::Mtu { device, good, .. } => build(place, |builder| builder.set_mtu(device, good)),
            Work::Down { device } => build(place, |builder| builder.set_up(device, true)),
        }
    }
}

fn nft(place: &Place, text: &str) -> Result<(), LabError> {
    let failed = |source: io::Error| LabError::Start {
        host: place.name.clone(),
        program: "nft".into(),
        source,
    };
    let output = place
        .namespace
        .run(|| Command::new("nft").arg(text).output())
        .flatten()
        .map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Ended {
        host: place.name.clone(),
        program: "nft".to_owned(),
        status: output.status,
        log: said,
    })
}

fn set_sysctl(place: &Place, name: &str, value: &str) -> Result<(), LabError> {
    super::host::set_sysctl(&place.name, &place.namespace, name, value)
}

fn build(
    place: &Place,
    work: impl FnOnce(&mut Builder) -> Result<(), crate::kernel::Error>,
) -> Result<(), LabError> {
    super::host::build(&place.name, &place.namespace, work)
}
