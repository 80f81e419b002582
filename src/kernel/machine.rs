//! The machine as a whole: what it is, and how busy it is.

use std::fs::read_to_string;

use nix::unistd::{SysconfVar, sysconf};

use crate::bench::Machine;

/// What this machine is.
pub fn look() -> Machine {
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    Machine {
        kernel: kernel.trim().to_owned(),
        processor: processor(&cpuinfo).unwrap_or("unknown").to_owned(),
        congestion_control: congestion_control(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// TCP's congestion control in the caller's network namespace. A new namespace takes that of the machine's first one,
/// wherever it was made.
pub fn congestion_control() -> String {
    let text = read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    match text.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

/// Processes that wanted a core during the last minute, on average.
pub fn load_average() -> f64 {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|load| load.parse().ok());
    first.unwrap_or(0.0)
}

/// Processor seconds that the whole machine has been busy since its start: data paths of the kernel work in
/// whatever process was interrupted.
pub fn busy_seconds() -> f64 {
    let text = read_to_string("/proc/stat").unwrap_or_default();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    busy_ticks(&text) / per_second as f64
}

/// x86 names a model; some ARM kernels only an implementer and a part.
fn processor(cpuinfo: &str) -> Option<&str> {
    let fields = || cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let of = |name: &str| {
        let found = fields().find(|(key, _)| key.trim() == name)?;
        Some(found.1.trim())
    };
    of("model name").or_else(|| of("CPU part"))
}

fn busy_ticks(stat: &str) -> f64 {
    let total = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = total
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system (idle iowait) irq softirq
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|i| ticks.get(*i));
    busy.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "cpu  10 2 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), 55.0);
        assert_eq!(busy_ticks(""), 0.0);
        let x86 = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz: fast\n";
        assert_eq!(processor(x86), Some("Some CPU @ 2.0GHz: fast"));
        assert_eq!(processor("CPU part\t: 0xd0c\n"), Some("0xd0c"));
        assert_eq!(processor(""), None);
        assert!(busy_seconds() > 0.0);
        assert!(look().cores > 0);
        assert_ne!(look().congestion_control, "unknown");
    }
}
