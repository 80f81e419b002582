//! The switch, the hosts on it and everything that runs there. Dropping it ends all of it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::LabError;
use super::host::Host;
use super::plan::{Cable, MTU, Plan, SWITCH, SWITCH_ADDRESS, SWITCH_BRIDGE, UNDERLAY, UPLINK};
use crate::kernel::construct::VethEnd;
use crate::kernel::file::FileError;
use crate::kernel::netns::Netns;
use crate::kernel::nursery::Nursery;
use crate::kernel::offload;

/// A lab that stands. The hosts' processes end when it is dropped, whatever becomes of this process; the kernel then
/// removes the namespaces with all that is in them.
#[derive(Debug)]
pub struct Stage {
    switch: Host,
    hosts: Vec<Host>,
}

impl Stage {
    /// Makes switch and hosts. Their files go to folders below `folder`, which must exist.
    ///
    /// # Errors
    /// Names the host and what failed; nothing but empty folders is left behind.
    pub fn build(plan: &Plan, folder: &Path) -> Result<Self, LabError> {
        let nursery = Nursery::new().map_err(|source| LabError::Namespace {
            host: SWITCH.into(),
            source,
        })?;
        let nursery = Arc::new(nursery);
        let host = |name: &str, address| -> Result<Host, LabError> {
            let own = folder.join(name);
            make_folder(&own)?;
            let namespace = Netns::create().map_err(|source| LabError::Namespace {
                host: name.to_owned(),
                source,
            })?;
            Host::new(name, address, namespace, own, Arc::clone(&nursery))
        };
        let switch = host(SWITCH, SWITCH_ADDRESS)?;
        switch.build(|builder| {
            builder.bridge(SWITCH_BRIDGE, MTU)?;
            builder.add_address(SWITCH_BRIDGE, on_underlay(SWITCH_ADDRESS))?;
            builder.set_up(SWITCH_BRIDGE, true)
        })?;
        // A switch is no firewall, which Docker's module makes of every bridge.
        let filter = "net/bridge/bridge-nf-call-iptables";
        match switch.set_sysctl(filter, "0") {
            Err(LabError::Sysctl { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            set => set?,
        }
        let mut hosts = Vec::with_capacity(plan.hosts.len());
        for wanted in &plan.hosts {
            let host = host(&wanted.name, wanted.address)?;
            plug_in(&switch, &host, plan.cable)?;
            // As Docker does it.
            host.set_sysctl("net/ipv4/ip_forward", "1")?;
            hosts.push(host);
        }
        Ok(Self { switch, hosts })
    }

    /// Where the bridge is that joins the hosts, at 192.0.2.1; the place for an etcd.
    pub fn switch(&self) -> &Host {
        &self.switch
    }

    /// The hosts, in the plan's order.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The hosts, to start something on them.
    pub fn hosts_mut(&mut self) -> &mut [Host] {
        &mut self.hosts
    }
}

/// Joins a host and the switch, before any agent looks at what the interface can do.
fn plug_in(switch: &Host, host: &Host, cable: Cable) -> Result<(), LabError> {
    let ends = [
        VethEnd {
            name: host.name(),
            namespace: switch.namespace(),
        },
        VethEnd {
            name: UPLINK,
            namespace: host.namespace(),
        },
    ];
    switch.build(|builder| {
        builder.veth(ends, MTU)?;
        builder.enslave(host.name(), SWITCH_BRIDGE)?;
        builder.set_up(host.name(), true)
    })?;
    host.build(|builder| {
        builder.add_address(UPLINK, on_underlay(host.address()))?;
        builder.set_up(UPLINK, true)?;
        builder.add_default_route(SWITCH_ADDRESS)
    })?;
    if cable == Cable::Wire {
        for (place, device) in [(switch, host.name()), (host, UPLINK)] {
            let done = place.namespace().run(|| offload::make_wire(device));
            done.flatten().map_err(|source| LabError::Offload {
                host: place.name().to_owned(),
                device: device.to_owned(),
                source,
            })?;
        }
    }
    Ok(())
}

fn on_underlay(address: std::net::Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(address, UNDERLAY.prefix_len())
}

fn make_folder(path: &Path) -> Result<(), LabError> {
    let made = fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)));
    Ok(made.map_err(|error| FileError::new("create", path, error))?)
}
