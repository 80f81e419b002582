//! Runs a program to its end within a deadline, and lists the firewall by whatever programs are there.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::firewall::{legacy_in_use, search_path};
use crate::diagnose::evidence::FirewallFact;

/// The longest that a listing may take.
const DEADLINE: Duration = Duration::from_secs(4);
/// The largest output that is read, bytes.
const MOST: u64 = 16 << 20;

/// The absolute path of a program.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let mut folders = search_path().into_iter();
    folders.find_map(|dir| Some(dir.join(name)).filter(|path| path.is_file()))
}

/// Runs a program in the calling thread's network namespace; returns what it printed, or in words why not.
pub(super) fn run(program: &Path, args: &[&str], deadline: Duration) -> Result<String, String> {
    let failed = |error: io::Error| format!("{}: {error}", program.display());
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (tell, told) = mpsc::channel();
    for (n, pipe) in [
        child
            .stdout
            .take()
            .map(|p| Box::new(p) as Box<dyn Read + Send>),
        child
            .stderr
            .take()
            .map(|p| Box::new(p) as Box<dyn Read + Send>),
    ]
    .into_iter()
    .enumerate()
    {
        let tell = tell.clone();
        let Some(pipe) = pipe else { continue };
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = pipe.take(MOST).read_to_end(&mut bytes).map(|_| bytes);
            // Nobody listens any more when the deadline has passed.
            drop(tell.send((n, read)));
        });
    }
    drop(tell);
    let until = std::time::Instant::now() + deadline;
    let mut output = [Vec::new(), Vec::new()];
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match told.recv_timeout(left) {
            Ok((n, Ok(bytes))) => output[n] = bytes,
            Ok((_, Err(error))) => {
                end(&mut child);
                return Err(failed(error));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                end(&mut child);
                let seconds = deadline.as_secs_f32();
                return Err(format!(
                    "{}: no answer within {seconds} s",
                    program.display()
                ));
            }
        }
    }
    let status = child.wait().map_err(failed)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() {
        return Ok(text(&output[0]));
    }
    let said = text(&output[1]);
    let said = said.lines().next().unwrap_or_default().trim();
    Err(format!("{}: {said} ({status})", program.display()))
}

fn end(child: &mut std::process::Child) {
    if child.kill().is_err() || child.wait().is_err() {
        tracing::debug!("a program that was too slow had ended already");
    }
}

/// One program's listing.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    program: &'static str,
    text: Result<String, String>,
}

/// The listings of all firewall programs that are installed, at the same time. iptables-legacy is left out
/// while the kernel has no such table, so that no module is loaded.
pub(super) fn all() -> Vec<Listing> {
    let wanted: [(&'static str, &str, &[&str]); 3] = [
        ("iptables-nft", "iptables-nft-save", &["-c"]),
        ("iptables-legacy", "iptables-legacy-save", &["-c"]),
        ("nft", "nft", &["-j", "list", "ruleset"]),
    ];
    let legacy = legacy_in_use();
    std::thread::scope(|scope| {
        let running: Vec<_> = wanted
            .into_iter()
            .filter(|(program, ..)| legacy || *program != "iptables-legacy")
            .filter_map(|(program, name, args)| Some((program, find(name)?, args)))
            .map(|(program, path, args)| (program, scope.spawn(move || run(&path, args, DEADLINE))))
            .collect();
        running
            .into_iter()
            .map(|(program, thread)| Listing {
                program,
                text: thread
                    .join()
                    .unwrap_or_else(|_| Err(format!("{program}: could not be run"))),
            })
            .collect()
    })
}

/// Before and after, by program. One that appeared meanwhile has an empty "before".
pub(super) fn join(
    before: &[Listing],
    after: Vec<Listing>,
    missing: &mut Vec<String>,
) -> Vec<FirewallFact> {
    let mut facts = Vec::new();
    for listing in after {
        let then = before.iter().find(|b| b.program == listing.program);
        match (then.map(|then| &then.text), listing.text) {
            (_, Err(error)) => missing.push(format!("firewall rules: {error}")),
            (Some(Err(error)), Ok(_)) => missing.push(format!("firewall rules: {error}")),
            (Some(Ok(before)), Ok(after)) => facts.push(FirewallFact {
                program: listing.program.to_owned(),
                before: before.clone(),
                after,
            }),
            (None, Ok(after)) => facts.push(FirewallFact {
                program: listing.program.to_owned(),
                before: String::new(),
                after,
            }),
        }
    }
    facts
}
