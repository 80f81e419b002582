//! Compares what is there with what should be, and decides whose an object is. Everything on flannel's
//! device is flannel's; beside it, only routes in exactly the form that host-gw and DirectRouting make,
//! inside the network; never a route that the kernel made from an address.

use std::collections::{HashMap, HashSet};

use ipnet::Ipv4Net;

use super::change::{Change, Reason};
use super::diff_routes;
use super::goal::Goal;
use super::state::{
    Content, Desired, Device, Link, LinkKind, Mac, Observed, VXLAN_PORT, Vxlan, VxlanDevice,
};

/// The steps from `observed` to `desired`, in the order in which they are safe: device, address, up,
/// neighbours, forwarding entries, routes (so that the kernel never asks for a neighbour), and what
/// has to go last of all.
///
/// A missing device comes alone: what goes onto it needs its index, which the next look brings.
pub fn diff(observed: &Observed, desired: &Desired) -> Vec<Change> {
    let mut changes = Vec::new();
    let settled = match &desired.device {
        Device::None => None,
        Device::Vxlan(device) => vxlan(observed, device, &mut changes),
        Device::Tun { name, .. } => observed.link(name),
    };
    if desired.device != Device::None && settled.is_none() {
        return changes;
    }
    if let (Some(link), Some(mtu)) = (settled, desired.device.mtu())
        && link.mtu != mtu
    {
        changes.push(Change::SetMtu {
            index: link.index,
            name: link.name.clone(),
            mtu,
        });
    }
    let Some(content) = &desired.content else {
        return changes;
    };
    let mut removals = Vec::new();
    let mut stale = Vec::new();
    if let Some(link) = settled {
        address(observed, link, content, &mut changes, &mut stale);
        if !link.up {
            changes.push(Change::SetUp {
                index: link.index,
                name: link.name.clone(),
            });
        }
        if !content.hold {
            entries(observed, link, content, &mut changes, &mut stale);
        }
    }
    diff_routes::routes(
        observed,
        content,
        settled.map(|link| link.index),
        &mut changes,
        &mut removals,
    );
    removals.append(&mut stale);
    let kept = desired.device.name();
    for network in [Some(content.network), former(content)]
        .into_iter()
        .flatten()
    {
        for leftover in leftovers(observed, network, kept, Reason::Leftover) {
            if !removals.contains(&leftover) {
                removals.push(leftover);
            }
        }
    }
    changes.append(&mut removals);
    changes
}

/// The steps that take away what `goal` put there, and what earlier runs left inside its network.
pub fn cleanup(observed: &Observed, goal: &Goal) -> Vec<Change> {
    let device = goal
        .device_name()
        .and_then(|name| observed.link(&name))
        .filter(|link| matches!(link.kind, LinkKind::Vxlan(_)));
    let mut changes = Vec::new();
    diff_routes::cleanup(observed, goal, device.map(|link| link.index), &mut changes);
    changes.extend(device.map(|link| delete(link, Reason::Cleanup)));
    let kept = device.map(|link| link.name.as_str());
    changes.extend(leftovers(observed, goal.network, kept, Reason::Cleanup));
    changes
}

fn former(content: &Content) -> Option<Ipv4Net> {
    content.former.map(|former| former.network)
}

/// Brings the vxlan device into its form. Returns the link when it is there and can stay.
fn vxlan<'a>(
    observed: &'a Observed,
    device: &VxlanDevice,
    changes: &mut Vec<Change>,
) -> Option<&'a Link> {
    let Some(link) = observed.link(&device.name) else {
        changes.push(Change::CreateVxlan(device.clone()));
        return None;
    };
    let default_port = observed.vxlan_default_port.unwrap_or(VXLAN_PORT);
    let there = match unfit(link, device, default_port) {
        Ok(there) => there,
        Err(reason) => {
            changes.push(delete(link, reason));
            changes.push(Change::CreateVxlan(VxlanDevice {
                mac: device.mac.or(link.mac),
                ..device.clone()
            }));
            return None;
        }
    };
    if there.learning != device.learning {
        changes.push(Change::SetLearning {
            index: link.index,
            name: link.name.clone(),
            learning: device.learning,
        });
    }
    if let Some(mac) = device.mac
        && link.mac != Some(mac)
    {
        changes.push(Change::SetMac {
            index: link.index,
            name: link.name.clone(),
            mac,
        });
    }
    Some(link)
}

/// Tells what the kernel cannot change on a living device. As in flannel, an underlay or local address
/// that is not set fits any.
fn unfit<'a>(link: &'a Link, wanted: &VxlanDevice, default_port: u16) -> Result<&'a Vxlan, Reason> {
    let LinkKind::Vxlan(there) = &link.kind else {
        return Err(Reason::Kind);
    };
    if there.vni != wanted.vni {
        return Err(Reason::Vni);
    }
    if there.underlay.is_some_and(|index| index != wanted.underlay) {
        return Err(Reason::Underlay);
    }
    if let Some(local) = there.local
        && local != wanted.local
    {
        return Err(Reason::Local(local));
    }
    if let Some(alien) = there.alien {
        return Err(Reason::Alien(alien));
    }
    if there.port != wanted.port.unwrap_or(default_port) {
        return Err(Reason::Port(there.port));
    }
    if there.gbp != wanted.gbp {
        return Err(Reason::Gbp);
    }
    Ok(there)
}

fn address(
    observed: &Observed,
    link: &Link,
    content: &Content,
    changes: &mut Vec<Change>,
    removals: &mut Vec<Change>,
) {
    let Some(wanted) = content.address else {
        return;
    };
    let mut missing = true;
    for address in observed.addresses.iter().filter(|a| a.index == link.index) {
        if address.peer.is_none() && address.net == Ipv4Net::from(wanted) {
            missing = false;
        } else if content.network.contains(&address.net.addr())
            || former(content).is_some_and(|network| network.contains(&address.net.addr()))
        {
            removals.push(Change::DeleteAddress(*address));
        }
    }
    if missing {
        changes.push(Change::AddAddress {
            index: link.index,
            address: wanted,
        });
    }
}

/// Neighbours and forwarding entries of the device.
fn entries(
    observed: &Observed,
    link: &Link,
    content: &Content,
    changes: &mut Vec<Change>,
    removals: &mut Vec<Change>,
) {
    let index = link.index;
    let there: HashMap<_, _> = observed.neighbours.iter().map(|n| (n.address, n)).collect();
    for &(address, mac) in &content.neighbours {
        let fits = |n: &&super::state::Neighbour| n.permanent && n.mac == Some(mac);
        if there.get(&address).is_none_or(|n| !fits(n)) {
            changes.push(Change::SetNeighbour {
                index,
                address,
                mac,
            });
        }
    }
    let wanted: HashSet<_> = content
        .neighbours
        .iter()
        .map(|(address, _)| *address)
        .collect();
    for neighbour in &observed.neighbours {
        if !neighbour.ephemeral && !wanted.contains(&neighbour.address) {
            removals.push(Change::DeleteNeighbour {
                index,
                address: neighbour.address,
            });
        }
    }

    let mut there: HashMap<Mac, Vec<_>> = HashMap::with_capacity(observed.fdb.len());
    for entry in &observed.fdb {
        there.entry(entry.mac).or_default().push(entry);
    }
    for &(mac, remote) in &content.fdb {
        let fits = match there.remove(&mac).as_deref() {
            Some([one]) => one.permanent && !one.special && one.remote == Some(remote),
            _ => false,
        };
        if !fits {
            changes.push(Change::SetFdb { index, mac, remote });
        }
    }
    // Learned entries age by themselves; group and zero entries are the kernel's.
    let mut strangers: Vec<Mac> = there
        .into_iter()
        .filter(|(mac, entries)| mac.is_unicast() && entries.iter().any(|entry| entry.permanent))
        .map(|(mac, _)| mac)
        .collect();
    strangers.sort_unstable();
    removals.extend(
        strangers
            .into_iter()
            .map(|mac| Change::DeleteFdb { index, mac }),
    );
}

/// vxlan devices that an earlier configuration made for this network: named as flannel names them and
/// holding an address inside it.
fn leftovers<'a>(
    observed: &'a Observed,
    network: Ipv4Net,
    kept: Option<&'a str>,
    reason: Reason,
) -> impl Iterator<Item = Change> + use<'a> {
    observed
        .links
        .iter()
        .filter(|link| matches!(link.kind, LinkKind::Vxlan(_)))
        .filter(move |link| Some(link.name.as_str()) != kept && named_by_flannel(&link.name))
        .filter(move |link| {
            observed
                .addresses_of(link.index)
                .any(|net| network.contains(&net.addr()))
        })
        .map(move |link| delete(link, reason))
}

fn named_by_flannel(name: &str) -> bool {
    name.strip_prefix("flannel.")
        .is_some_and(|vni| !vni.is_empty() && vni.bytes().all(|digit| digit.is_ascii_digit()))
}

fn delete(link: &Link, reason: Reason) -> Change {
    Change::DeleteLink {
        index: link.index,
        name: link.name.clone(),
        reason,
    }
}
