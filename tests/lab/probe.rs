//! What a test observes by: deadlines, pings, captures, HTTP.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Net, Proc};

/// Asks `f` until it gives something; `None` when the deadline passes first.
pub fn within_time<T>(deadline: Duration, mut f: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = f() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// As [`within_time`], panicking with `what` when the deadline passes.
pub fn until<T>(what: &str, deadline: Duration, f: impl FnMut() -> Option<T>) -> T {
    within_time(deadline, f).unwrap_or_else(|| panic!("waited {deadline:?} in vain for {what}"))
}

/// A running ping.
pub struct Ping {
    process: Proc,
    target: Ipv4Addr,
}

/// What a ping has seen. A packet counts as lost when a later one was answered.
#[derive(Debug)]
pub struct PingReport {
    /// Numbers of the answered packets, from 1.
    pub received: BTreeSet<u32>,
    /// Numbers of the lost ones.
    pub lost: Vec<u32>,
}

impl Ping {
    pub fn start(net: &Net, target: Ipv4Addr, interval: &str) -> Self {
        let mut command = net.command("stdbuf");
        command.args(["-oL", "ping", "-n", "-D", "-i", interval]);
        command.arg(target.to_string());
        let process = net.spawn("ping", command);
        Self { process, target }
    }

    /// What it has seen so far.
    pub fn report(&self) -> PingReport {
        let log = self.process.log();
        let received: BTreeSet<u32> = log
            .lines()
            .filter(|line| line.contains("bytes from"))
            .filter_map(|line| {
                line.split_once("icmp_seq=")?
                    .1
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
            .collect();
        let last = received.last().copied().unwrap_or(0);
        let lost = (1..last).filter(|n| !received.contains(n)).collect();
        PingReport { received, lost }
    }

    /// Waits until `more` further packets have been answered.
    pub fn answered(&self, more: usize, deadline: Duration) {
        let before = self.report().received.len();
        let what = format!("{more} more answers from {}", self.target);
        until(&what, deadline, || {
            (self.report().received.len() >= before + more).then_some(())
        });
    }

    /// Ends it.
    pub fn stop(mut self) -> PingReport {
        self.process.signal(Signal::SIGINT);
        self.process.wait(Duration::from_secs(5));
        self.report()
    }
}

/// A running capture, one line a packet.
pub struct Capture {
    process: Proc,
}

impl Capture {
    pub fn start(net: &Net, device: &str, filter: &str) -> Self {
        let mut command = net.command("tcpdump");
        command.args([
            "-n",
            "-l",
            "-v",
            "-U",
            "--immediate-mode",
            "-i",
            device,
            filter,
        ]);
        let mut process = net.spawn("tcpdump", command);
        process.says("listening on", Duration::from_secs(10));
        Self { process }
    }

    /// What was captured so far.
    pub fn text(&self) -> String {
        self.process.log()
    }

    /// Waits for a packet whose lines hold `text`.
    pub fn sees(&self, text: &str, deadline: Duration) {
        until(&format!("a packet with {text:?}"), deadline, || {
            self.text().contains(text).then_some(())
        });
    }
}

/// Status and body of a GET in a namespace.
pub fn http_get(net: &Net, address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    net.within(|| {
        let limit = Duration::from_secs(10);
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((status.unwrap_or(0), body.to_owned()))
    })
}
