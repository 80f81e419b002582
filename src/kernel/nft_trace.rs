//! What nftables decides on probe packets: a table of our own marks them for tracing, and the kernel tells the
//! verdicts by netlink. Covers iptables-nft and nft; x_tables (iptables-legacy) has no such thing.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use netlink_packet_core::NlasIterator;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::listing;
use super::netlink::Datagrams;
use super::netns::Netns;
use super::sight::Recogniser;
use super::sweep::NAME;
use crate::diagnose::evidence::TraceFact;
use crate::packet::ipv4::UDP;

/// Multicast group of traces (`NFNLGRP_NFTRACE`) as a bit of the bind mask.
const GROUP: u32 = 1 << (9 - 1);
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE`.
const MESSAGE: u16 = 0x0a11;
/// Netlink and nfnetlink header, bytes.
const HEADERS: usize = 16 + 4;
/// How long `nft` may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// Different verdicts kept at most.
const MOST: usize = 4096;

/// Before everything else, conntrack (-200) and raw (-300) included.
const PRIORITY: i32 = -350;

// linux/netfilter/nf_tables.h: NFTA_TRACE_…, NFT_TRACETYPE_…, NFTA_VERDICT_CODE.
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const TYPE: u16 = 4;
const VERDICT: u16 = 5;
const ID: u16 = 6;
const NETWORK_HEADER: u16 = 8;
const NFPROTO: u16 = 15;
const POLICY: u16 = 16;
const TYPE_POLICY: u32 = 1;
const TYPE_RULE: u32 = 3;

/// What tells one verdict from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    family: &'static str,
    table: String,
    chain: String,
    /// `None` for a chain's policy.
    handle: Option<u64>,
    code: u32,
    outer: bool,
}

/// A running trace. Dropping it removes the table.
#[derive(Debug)]
pub(super) struct NftTrace {
    nft: PathBuf,
    table: String,
    host: Netns,
    bell: Option<PipeWriter>,
    thread: Option<JoinHandle<BTreeMap<Verdict, u32>>>,
}

impl NftTrace {
    /// Starts.
    ///
    /// # Errors
    /// In words: no `nft`, no permission, a kernel without nftables.
    pub fn start(recogniser: &Recogniser, number: u32) -> Result<Self, String> {
        let words = |error: io::Error| error.to_string();
        let nft = listing::find("nft").ok_or("the program nft is not installed")?;
        let table = format!("{NAME}{}-{number}", std::process::id());
        let mut socket = Socket::new(NETLINK_NETFILTER).map_err(words)?;
        socket.bind(&SocketAddr::new(0, GROUP)).map_err(words)?;
        socket.set_non_blocking(true).map_err(words)?;
        if socket.set_rx_buf_sz(2_u32 << 20).is_err() {
            tracing::debug!("the trace has to do with the default receive buffer");
        }
        let host = Netns::own().map_err(words)?;
        feed(&nft, &script(&table, recogniser))?;
        let mut trace = Self {
            nft,
            table,
            host,
            bell: None,
            thread: None,
        };
        let (stop, bell) = io::pipe().map_err(words)?;
        let own = trace.table.clone();
        let thread = std::thread::Builder::new()
            .name("nft trace".into())
            .spawn(move || read(&socket, &stop, &own))
            .map_err(words)?;
        trace.bell = Some(bell);
        trace.thread = Some(thread);
        Ok(trace)
    }

    /// Removes the table and tells the verdicts, with the text of the rules.
    pub fn stop(mut self) -> Vec<TraceFact> {
        drop(self.bell.take());
        let verdicts = self.thread.take().and_then(|thread| thread.join().ok());
        let mut texts = Texts::default();
        let facts = verdicts
            .unwrap_or_default()
            .into_iter()
            .map(|(verdict, count)| {
                let rule = verdict.handle.map_or_else(String::new, |handle| {
                    texts.rule(&self.nft, &verdict, handle)
                });
                TraceFact {
                    family: verdict.family.to_owned(),
                    verdict: word(verdict.code, &rule),
                    table: verdict.table,
                    chain: verdict.chain,
                    rule,
                    outer: verdict.outer,
                    count,
                }
            })
            .collect();
        drop(self);
        facts
    }
}

impl Drop for NftTrace {
    fn drop(&mut self) {
        let delete = ["delete", "table", "inet", &self.table];
        let removed = self.host.run(|| listing::run(&self.nft, &delete, DEADLINE));
        if !matches!(removed, Ok(Ok(_))) {
            tracing::warn!(table = self.table, "an nftables table of ours stays");
        }
    }
}

/// Marks inner packets by ICMP identifier, and outer ones by that of the packet inside.
fn script(table: &str, recogniser: &Recogniser) -> String {
    let set = |numbers: &mut dyn Iterator<Item = String>| numbers.collect::<Vec<_>>().join(", ");
    let ids = set(&mut recogniser.paths.keys().map(u16::to_string));
    let ports = set(&mut recogniser.ports.iter().map(u16::to_string));
    // From the UDP header on, bits.
    let inner = if recogniser.bare { 8 } else { 8 + 8 + 14 } * 8;
    let mut rules = Vec::new();
    if !ids.is_empty() {
        rules.push(format!(
            "icmp type {{ echo-request, echo-reply }} icmp id {{ {ids} }} meta nftrace set 1"
        ));
        if !ports.is_empty() {
            rules.push(format!(
                "meta nfproto ipv4 udp dport {{ {ports} }} @th,{},8 1 @th,{},16 {{ {ids} }} meta nftrace set 1",
                inner + 9 * 8,
                inner + 24 * 8,
            ));
        }
    }
    let rules = rules.join("\n    ");
    let chain = |hook: &str| {
        format!(
            "  chain {hook} {{\n    type filter hook {hook} priority {PRIORITY}; policy accept;\n    {rules}\n  }}\n"
        )
    };
    format!(
        "table inet {table} {{\n{}{}}}\n",
        chain("prerouting"),
        chain("output")
    )
}

/// Gives a script to `nft`.
fn feed(nft: &Path, script: &str) -> Result<(), String> {
    let words = |error: io::Error| format!("{}: {error}", nft.display());
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(words)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).map_err(words)?;
    }
    let output = child.wait_with_output().map_err(words)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(format!("{}: {said}", nft.display()))
}

/// Reads traces until the other end of `stop` is closed.
fn read(socket: &Socket, stop: &PipeReader, own: &str) -> BTreeMap<Verdict, u32> {
    let mut verdicts = BTreeMap::new();
    let mut outer = BTreeMap::new();
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let mut fds = [
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
        ];
        let polled = poll(&mut fds, PollTimeout::NONE);
        let ended = fds[0].revents().is_some_and(|events| !events.is_empty());
        loop {
            buffer.clear();
            match socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                // Some were lost; the next ones are there.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                Err(_) => break,
            }
            for verdict in Datagrams(&buffer).filter_map(|bytes| verdict(bytes, &mut outer)) {
                if verdict.table != own
                    && (verdicts.len() < MOST || verdicts.contains_key(&verdict))
                {
                    let count = verdicts.entry(verdict).or_insert(0_u32);
                    *count = count.saturating_add(1);
                }
            }
        }
        match polled {
            Ok(_) | Err(nix::errno::Errno::EINTR) if !ended => {}
            _ => return verdicts,
        }
    }
}

/// The final verdict in a trace message; `None` for anything else. Only the first message of a packet in a chain
/// holds its header: `outer` remembers by trace identifier.
fn verdict(message: &[u8], outer: &mut BTreeMap<u32, bool>) -> Option<Verdict> {
    let kind = u16::from_ne_bytes([*message.get(4)?, *message.get(5)?]);
    if kind != MESSAGE {
        return None;
    }
    let mut verdict = Verdict {
        family: family(*message.get(16)?),
        table: String::new(),
        chain: String::new(),
        handle: None,
        code: u32::MAX,
        outer: false,
    };
    let (mut kind, mut id) = (0, 0);
    let mut protocol = None;
    for attribute in NlasIterator::new(message.get(HEADERS..)?).map_while(Result::ok) {
        let value = attribute.value();
        let number = || value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let text = || {
            String::from_utf8_lossy(value)
                .trim_end_matches('\0')
                .to_owned()
        };
        match attribute.kind() {
            TABLE => verdict.table = text(),
            CHAIN => verdict.chain = text(),
            HANDLE => verdict.handle = value.first_chunk().map(|b| u64::from_be_bytes(*b)),
            TYPE => kind = number()?,
            VERDICT => {
                let mut inner = NlasIterator::new(value).map_while(Result::ok);
                let code = inner.find(|attribute| attribute.kind() == 1)?;
                verdict.code = u32::from_be_bytes(*code.value().first_chunk()?);
            }
            POLICY => verdict.code = number()?,
            // The protocol of the IPv4 header; UDP is the outer packet.
            NETWORK_HEADER => protocol = value.get(9).copied(),
            ID => id = number()?,
            NFPROTO if number()? != 2 => return None,
            _ => {}
        }
    }
    if outer.len() > MOST {
        outer.clear();
    }
    if let Some(protocol) = protocol {
        outer.insert(id, protocol == UDP);
    }
    verdict.outer = outer.get(&id).copied().unwrap_or(false);
    match kind {
        TYPE_POLICY => verdict.handle = None,
        // 0 is drop, 1 accept, 2 to 4 stolen, queue, repeat; what is negative goes on elsewhere.
        TYPE_RULE if verdict.code & 0xff <= 4 && verdict.code < 0x8000_0000 => {}
        _ => return None,
    }
    Some(verdict)
}

/// linux/netfilter.h, NFPROTO_….
fn family(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}

fn word(code: u32, rule: &str) -> String {
    match code & 0xff {
        0 if rule.split_whitespace().any(|word| word == "reject") || rule.contains("REJECT") => {
            "reject".into()
        }
        0 => "drop".into(),
        1 => "accept".into(),
        3 => "queue".into(),
        other => format!("verdict {other}"),
    }
}

/// Texts of rules, read table by table.
#[derive(Debug, Default)]
struct Texts(BTreeMap<(String, String), String>);

impl Texts {
    /// The rule as nft prints it, without its counters' numbers; its handle where the text is not to be had.
    fn rule(&mut self, nft: &Path, verdict: &Verdict, handle: u64) -> String {
        let key = (verdict.family.to_owned(), verdict.table.clone());
        let listing = self.0.entry(key).or_insert_with(|| {
            let list = ["-a", "list", "table", verdict.family, &verdict.table];
            listing::run(nft, &list, DEADLINE).unwrap_or_default()
        });
        let end = format!(" # handle {handle}");
        let line = listing
            .lines()
            .filter_map(|line| line.strip_suffix(&end))
            .map(str::trim)
            // Chains have handles too.
            .find(|line| !line.ends_with('{'));
        line.map_or_else(|| format!("handle {handle}"), str::to_owned)
    }
}
