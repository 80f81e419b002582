//! The machine that is measured on.

use std::fs::read_to_string;

/// What a figure is worth nothing without.
#[derive(Debug)]
pub struct Machine {
    /// UTC, `2026-01-31 12:00`.
    pub date: String,
    pub kernel: String,
    pub processor: String,
    pub cores: usize,
    /// Processes that wanted a core during the last minute.
    pub load: f64,
}

impl Machine {
    pub fn look() -> Self {
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let processor = model.and_then(|line| line.split_once(": "));
        let date = std::process::Command::new("date")
            .args(["-u", "+%Y-%m-%d %H:%M"])
            .output();
        let date = date.map(|output| output.stdout).unwrap_or_default();
        Self {
            date: String::from_utf8_lossy(&date).trim().to_owned(),
            kernel: kernel.trim().to_owned(),
            processor: processor.map_or("unknown", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load(),
        }
    }
}

/// The load average of the last minute.
pub fn load() -> f64 {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|load| load.parse().ok());
    first.unwrap_or(f64::NAN)
}

/// Processor seconds that the whole machine has been busy since its start: data paths of the kernel work
/// in whatever process was interrupted.
pub fn busy_seconds() -> f64 {
    let text = read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = text
        .lines()
        .next()
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system (idle iowait) irq softirq, in USER_HZ.
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|i| ticks.get(*i));
    busy.sum::<f64>() / 100.0
}

/// True if the program is in PATH.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
