//! Packets that the kernel drops, with the reason: the tracepoint `skb:kfree_skb` in a tracefs instance of our
//! own. tracefs is mounted in the private mount namespace of one thread, so no mount is left behind.
//!
//! The tracepoint tells of the whole machine, all network namespaces. What happens within a moment of a
//! probe's sighting is taken for the probe's; that still holds other traffic of a busy host.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

use super::sweep::NAME;
use crate::diagnose::evidence::DropFact;

/// Where the thread mounts tracefs: a folder that every host has and the thread does not need.
const MOUNT: &str = "/sys";
/// Trace buffer of each CPU, KiB.
const BUFFER: &str = "1024";
/// Drops remembered at most.
const MOST: usize = 200_000;
/// How long arming may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A drop belongs to a probe when it comes at most so long after a sighting (a busy CPU handles a packet later
/// than it is stamped), or before (clocks are read one after the other), microseconds.
const AFTER_US: u64 = 8_000;
const BEFORE_US: u64 = 200;
/// Neighbour resolution gives up after three seconds, so these are no matter of a moment.
const LATE: &str = "NEIGH_";
const IPV4: u16 = 0x0800;

/// One drop.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Drop {
    /// Microseconds since the epoch.
    time_us: u64,
    reason: String,
    location: String,
    protocol: u16,
}

/// A running trace. Dropping it ends it and removes the instance.
#[derive(Debug)]
pub(super) struct Trace {
    bell: Option<PipeWriter>,
    thread: Option<JoinHandle<Vec<Drop>>>,
}

impl Trace {
    /// Starts.
    ///
    /// # Errors
    /// In words: no permission, no tracefs in this kernel, no such tracepoint.
    pub fn start(number: u32) -> Result<Self, String> {
        let words = |error: io::Error| error.to_string();
        let (stop, bell) = io::pipe().map_err(words)?;
        let (ready, armed) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("drops".into())
            .spawn(move || {
                match Instance::create(&format!("{NAME}{}-{number}", std::process::id())) {
                    Ok(instance) => {
                        drop(ready.send(Ok(())));
                        read(&instance, &stop)
                    }
                    Err(error) => {
                        drop(ready.send(Err(error)));
                        Vec::new()
                    }
                }
            })
            .map_err(words)?;
        match armed.recv_timeout(PATIENCE) {
            Ok(Ok(())) => Ok(Self {
                bell: Some(bell),
                thread: Some(thread),
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err("tracefs does not answer".into()),
        }
    }

    /// Ends; returns drops by reason and place, those at most `AFTER_US` after one of `moments` (sightings,
    /// microseconds since the epoch, in order).
    pub fn stop(mut self, moments: &[u64]) -> Vec<DropFact> {
        drop(self.bell.take());
        let drops = self.thread.take().and_then(|thread| thread.join().ok());
        let mut counts = BTreeMap::<(String, String, u16), u32>::new();
        for drop in drops.unwrap_or_default() {
            if drop.reason.starts_with(LATE) || is_near(drop.time_us, moments) {
                let key = (drop.reason, drop.location, drop.protocol);
                let count = counts.entry(key).or_default();
                *count = count.saturating_add(1);
            }
        }
        counts
            .into_iter()
            .map(|((reason, location, protocol), count)| DropFact {
                reason,
                location,
                protocol,
                count,
            })
            .collect()
    }
}

impl std::ops::Drop for Trace {
    fn drop(&mut self) {
        drop(self.bell.take());
        // The thread removes the instance, which must not outlive the process.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::debug!("the thread that reads drops panicked");
        }
    }
}

fn is_near(time: u64, moments: &[u64]) -> bool {
    let next = moments.partition_point(|moment| *moment <= time);
    let before = next.checked_sub(1).and_then(|n| moments.get(n));
    before.is_some_and(|moment| time - moment <= AFTER_US)
        || moments
            .get(next)
            .is_some_and(|moment| moment - time <= BEFORE_US)
}

/// A tracefs instance; removed when dropped.
struct Instance {
    path: PathBuf,
    pipe: File,
}

impl Instance {
    /// In the calling thread, which gets a mount namespace of its own.
    fn create(name: &str) -> Result<Self, String> {
        mount_tracefs()?;
        let path = Path::new(MOUNT).join("instances").join(name);
        fs::create_dir(&path).map_err(|error| format!("no tracefs instance: {error}"))?;
        let open = || {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path.join("trace_pipe"))
        };
        let pipe = match open() {
            Ok(pipe) => pipe,
            Err(error) => {
                drop(fs::remove_dir(&path));
                return Err(error.to_string());
            }
        };
        let instance = Self { path, pipe };
        instance.set("buffer_size_kb", BUFFER)?;
        instance.set("trace_clock", "mono")?;
        // The reasons' names come with the text of each event.
        instance.set(
            "events/skb/kfree_skb/filter",
            &format!("protocol == {IPV4}"),
        )?;
        instance.set("events/skb/kfree_skb/enable", "1")?;
        Ok(instance)
    }

    fn set(&self, file: &str, value: &str) -> Result<(), String> {
        fs::write(self.path.join(file), value).map_err(|error| format!("{file}: {error}"))
    }
}

impl std::ops::Drop for Instance {
    fn drop(&mut self) {
        if self.set("events/skb/kfree_skb/enable", "0").is_err() {
            tracing::debug!("the tracepoint ends with its instance");
        }
        // An open trace_pipe keeps the instance busy.
        if let Ok(null) = File::open("/dev/null") {
            self.pipe = null;
        }
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a tracefs instance stays");
        }
    }
}

fn mount_tracefs() -> Result<(), String> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| {
            let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("tracefs"), MOUNT, Some("tracefs"), quiet, none)
        })
        .map_err(|error| format!("tracefs cannot be mounted: {}", error.desc()))
}

/// Removes the instances whose names `stale` tells; returns them.
pub(super) fn remove_instances(stale: &(dyn Fn(&str) -> bool + Sync)) -> Vec<String> {
    let remove = || {
        let mut removed = Vec::new();
        if mount_tracefs().is_err() {
            return removed;
        }
        let entries = fs::read_dir(Path::new(MOUNT).join("instances"));
        for entry in entries.into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if stale(&name) && fs::remove_dir(entry.path()).is_ok() {
                removed.push(name);
            }
        }
        removed
    };
    std::thread::scope(|scope| scope.spawn(remove).join().unwrap_or_default())
}

/// Reads events until the other end of `stop` is closed.
fn read(instance: &Instance, stop: &PipeReader) -> Vec<Drop> {
    let offset = realtime_less_monotonic();
    let mut drops = Vec::new();
    let mut text = Vec::new();
    let mut pipe = &instance.pipe;
    loop {
        let mut fds = [
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(instance.pipe.as_fd(), PollFlags::POLLIN),
        ];
        // The pipe wakes its reader only when half a buffer is full.
        let polled = poll(&mut fds, PollTimeout::from(100_u8));
        let ended = fds[0].revents().is_some_and(|events| !events.is_empty());
        let mut buffer = [0; 32 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            text.extend_from_slice(buffer.get(..length).unwrap_or_default());
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if drops.len() < MOST {
                    drops.extend(event(&line, offset));
                }
            }
        }
        match polled {
            Ok(_) | Err(nix::errno::Errno::EINTR) if !ended => {}
            _ => return drops,
        }
    }
}

/// What to add to the monotonic clock for the time since the epoch, microseconds.
fn realtime_less_monotonic() -> i64 {
    let mut monotonic = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec.
    let got = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut monotonic) };
    let real = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let real = real.map_or(0, |real| real.as_micros());
    let monotonic = monotonic.tv_sec.saturating_mul(1_000_000) + monotonic.tv_nsec / 1000;
    match i64::try_from(real) {
        Ok(real) if got == 0 => real - monotonic,
        _ => 0,
    }
}

/// `ping-7 [0] ..s21 12.345678: kfree_skb: skbaddr=… protocol=2048 location=f+0x1/0x2 reason: NAME`
fn event(line: &str, offset: i64) -> Option<Drop> {
    let (head, body) = line.split_once(": kfree_skb: ")?;
    let time = head.split_whitespace().next_back()?;
    let (seconds, micros) = time.split_once('.')?;
    let monotonic = seconds
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(micros.parse().ok()?)?;
    let field = |name: &str| {
        let mut words = body.split_whitespace();
        words.find_map(|word| word.strip_prefix(name))
    };
    let location = field("location=")?;
    let (_, reason) = body.split_once("reason: ")?;
    Some(Drop {
        time_us: u64::try_from(monotonic.checked_add(offset)?).ok()?,
        reason: reason.trim().to_owned(),
        location: location.split('+').next().unwrap_or(location).to_owned(),
        protocol: field("protocol=")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_the_kernels_line() {
        let line = "          <idle>-0       [001] ..s2.  5044.004501: kfree_skb: skbaddr=00000000d3b3 \
                    rx_sk=0000000000000000 protocol=2048 location=nft_do_chain+0x5a1/0x620 reason: NETFILTER_DROP\n";
        let drop = event(line, 1_000_000).unwrap();
        assert_eq!(drop.time_us, 5_045_004_501);
        assert_eq!(drop.reason, "NETFILTER_DROP");
        assert_eq!(drop.location, "nft_do_chain");
        assert_eq!(drop.protocol, 0x0800);
        assert_eq!(event("CPU:1 [LOST 12 EVENTS]", 0), None);
    }

    #[test]
    fn a_drop_belongs_to_the_moment_before_it() {
        let moments = [1_000_000, 2_000_000];
        for (time, near) in [
            (999_900, true),
            (999_000, false),
            (1_008_000, true),
            (1_500_000, false),
            (2_000_000, true),
            (2_008_001, false),
        ] {
            assert_eq!(is_near(time, &moments), near, "{time}");
        }
        assert!(!is_near(5, &[]));
    }
}
