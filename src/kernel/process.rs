//! What a process asks the kernel about itself.

#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, raise, signal};

/// A capability that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Network namespaces.
    SysAdmin,
    /// Links, addresses, routes, TUN devices, firewall.
    NetAdmin,
    /// Raw sockets, which iptables opens.
    NetRaw,
}

impl Capability {
    /// Its name as in capabilities(7).
    pub fn name(self) -> &'static str {
        match self {
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
        }
    }

    /// Bit number in linux/capability.h.
    fn bit(self) -> u32 {
        match self {
            Self::SysAdmin => 21,
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
        }
    }
}

/// Which of `wanted` this process lacks; none when /proc cannot tell.
pub fn missing_capabilities(wanted: &[Capability]) -> Vec<Capability> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let Some(effective) = effective_set(&status) else {
        return Vec::new();
    };
    wanted
        .iter()
        .copied()
        .filter(|c| effective & (1 << c.bit()) == 0)
        .collect()
}

fn effective_set(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// When a process began, in the kernel's ticks since the machine's start (field 22 of proc_pid_stat(5));
/// `None` when there is no such process or it is a zombie.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (state != "Z").then_some(started)
}

/// Ends the process by SIGPIPE like every Unix tool whose reader left, so that `flannelctl leases | head` is no
/// error. Only for that pipe: a socket whose peer is gone must stay an error of its connection.
pub fn die_of_broken_pipe() {
    // SAFETY: the default disposition is installed, no handler code of ours runs.
    let result = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    if let Err(error) = result.and_then(|_| raise(Signal::SIGPIPE)) {
        tracing::debug!("no end by SIGPIPE: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_start() {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        assert!(start_time(own).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_time(own), start_time(own));
        assert_eq!(start_time(-1), None);
    }

    #[test]
    fn reads_the_effective_set() {
        assert_eq!(
            effective_set("Name:\tx\nCapEff:\t0000000000003000\n"),
            Some(0x3000)
        );
        assert_eq!(effective_set("Name:\tx\n"), None);
    }
}
