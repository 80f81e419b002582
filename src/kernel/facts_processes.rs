//! Processes that matter to the overlay: the agent, and programs that think the network is theirs. Only reads.

use std::fs;
use std::path::Path;

use super::netns::Netns;
use crate::diagnose::evidence::ProcessFact;

/// Names as `/proc/PID/comm` has them (15 bytes), and in full.
const MANAGERS: [(&str, &str); 6] = [
    ("NetworkManager", "NetworkManager"),
    ("nm-cloud-setup", "nm-cloud-setup"),
    ("systemd-network", "systemd-networkd"),
    ("connmand", "connmand"),
    ("dhcpcd", "dhcpcd"),
    ("wicked", "wicked"),
];
/// Beside `subnet.env`; holds the pid of our agent while it runs.
const LOCK: &str = "flannelctl-agent.lock";

/// The agent of this network namespace, if it runs, and the network managers in it.
pub(super) fn read(subnet_file: &Path) -> (Option<ProcessFact>, Vec<String>) {
    let own = Netns::own().ok();
    let here = |pid: u32| {
        let other = Netns::open(Path::new(&format!("/proc/{pid}/ns/net"))).ok();
        other.is_some() && other == own
    };
    let mut agent = locked(subnet_file).filter(|process| here(process.pid));
    let mut managers = Vec::new();
    for process in all() {
        let manager = MANAGERS.iter().find(|(short, _)| *short == process.name);
        if let Some((_, name)) = manager.filter(|_| here(process.pid)) {
            managers.push((*name).to_owned());
        }
        if agent.is_none() && process.name == "flanneld" && here(process.pid) {
            agent = Some(process);
        }
    }
    managers.sort();
    managers.dedup();
    (agent, managers)
}

/// The process in the agent's lock file, if it is (still) ours.
fn locked(subnet_file: &Path) -> Option<ProcessFact> {
    let text = fs::read_to_string(subnet_file.with_file_name(LOCK)).ok()?;
    let process = process(text.trim().parse().ok()?)?;
    process.name.starts_with("flannel").then_some(process)
}

fn all() -> impl Iterator<Item = ProcessFact> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
}

/// `PID (NAME) STATE …`; the name may hold blanks and parentheses.
fn process(pid: u32) -> Option<ProcessFact> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (begin, rest) = text.rsplit_once(')')?;
    let (_, name) = begin.split_once('(')?;
    let state = rest.trim_start().chars().next()?;
    Some(ProcessFact {
        pid,
        name: name.to_owned(),
        stopped: "TtZX".contains(state),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_process_is_found_and_runs() {
        let me = process(std::process::id()).unwrap();
        assert!(!me.stopped && !me.name.is_empty(), "{me:?}");
        assert!(all().any(|one| one.pid == me.pid));
    }
}
