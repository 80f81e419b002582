//! What a failing test prints of a host.

use std::path::Path;
use std::process::Command;

const LOG_LINES: usize = 80;

/// Prints kernel state, subnet file and the ends of all logs of one host.
pub fn host(netns: &str, dir: &Path) {
    eprintln!("==== {netns}");
    for line in [
        "ip address",
        "ip route",
        "ip neigh",
        "bridge fdb",
        "iptables-save",
        "nft list ruleset",
    ] {
        let mut words = vec!["--net=/run/netns/".to_owned() + netns, "--".to_owned()];
        words.extend(line.split(' ').map(str::to_owned));
        match Command::new("nsenter").args(&words).output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                if !text.trim().is_empty() {
                    eprintln!("-- {line}\n{text}");
                }
            }
            Err(error) => eprintln!("-- {line}: {error}"),
        }
    }
    if let Ok(text) = std::fs::read_to_string(dir.join("run/subnet.env")) {
        eprintln!("-- subnet.env\n{text}");
    }
    let mut logs: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    for path in logs {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("-- {}\n{}", path.display(), tail.join("\n"));
    }
}
