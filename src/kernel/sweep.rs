//! Removes what killed runs left behind: whatever carries the pid of a process that is no more.

use std::path::Path;
use std::time::Duration;

use super::netlink::Netlink;
use super::{drops, endpoint, listing, observe};

/// Tables and tracefs instances are called this and the pid.
pub(super) const NAME: &str = "flannelctl-diag-";

/// How long `nft` may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// Removes leftovers: nftables tables and tracefs instances `flannelctl-diag-<pid>-…`, devices
/// `fctdp<pid>-…`. Says what it removed, one line each. Without the permission it removes nothing.
pub fn leftovers() -> Vec<String> {
    let mut removed = Vec::new();
    if let Ok(links) = Netlink::open().and_then(|mut netlink| observe::links(&mut netlink)) {
        for link in links {
            let pid = link.name.strip_prefix(endpoint::PREFIX);
            let pid = pid.and_then(|rest| rest.split('-').next());
            let pid = pid.and_then(|hex| u32::from_str_radix(hex, 16).ok());
            if pid.is_some_and(|pid| !is_alive(pid)) && endpoint::remove(&link.name).is_ok() {
                removed.push(format!("device {}", link.name));
            }
        }
    }
    removed.extend(tables());
    let stale = drops::remove_instances(&is_dead);
    removed.extend(
        stale
            .into_iter()
            .map(|name| format!("tracefs instance {name}")),
    );
    removed
}

fn tables() -> Vec<String> {
    let Some(nft) = listing::find("nft") else {
        return Vec::new();
    };
    let Ok(text) = listing::run(&nft, &["list", "tables"], DEADLINE) else {
        return Vec::new();
    };
    let mut removed = Vec::new();
    for line in text.lines() {
        // `table inet flannelctl-diag-4711-0`
        let name = line.strip_prefix("table inet ").unwrap_or_default();
        let delete = ["delete", "table", "inet", name];
        if is_dead(name) && listing::run(&nft, &delete, DEADLINE).is_ok() {
            removed.push(format!("nftables table {name}"));
        }
    }
    removed
}

/// True for one of our names whose process is gone.
fn is_dead(name: &str) -> bool {
    let pid = name
        .strip_prefix(NAME)
        .and_then(|rest| rest.split('-').next());
    let pid = pid.and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid| !is_alive(pid))
}

/// True for a process that runs; a zombie does not.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default();
        !matches!(state.trim_start().chars().next(), Some('Z' | 'X'))
    })
}
