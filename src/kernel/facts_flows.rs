//! Which flows of the overlay connection tracking translates: `/proc/net/nf_conntrack`, as far as it is worth reading.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;

use super::witness::WitnessSpec;
use crate::diagnose::evidence::FlowFact;

/// Lines read at most: the table of a busy host has a million.
const MOST_LINES: usize = 50_000;
/// Flows told at most.
const MOST: usize = 50;
/// A flow whose entry was renewed so many seconds ago at most is one that goes on; an idle one ends by itself.
const RECENT: u64 = 10;

/// Flows within the network, and of the encapsulation to the other nodes, with a translated source. A table that cannot
/// be read has none.
pub(super) fn translated(spec: &WitnessSpec) -> Vec<FlowFact> {
    let Ok(file) = File::open("/proc/thread-self/net/nf_conntrack") else {
        return Vec::new();
    };
    let lines = BufReader::new(file).lines().take(MOST_LINES);
    let lifetimes = Lifetimes::read();
    let live = lines
        .map_while(Result::ok)
        .filter(|line| lifetimes.is_recent(line));
    let flows = live.filter_map(|line| flow(&line));
    flows.filter(|one| concerns(spec, one)).take(MOST).collect()
}

/// Seconds that an entry lives after its last packet.
struct Lifetimes {
    udp: [u64; 2],
    tcp: [u64; 1],
}

impl Lifetimes {
    fn read() -> Self {
        let value = |name: &str| {
            let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.trim().parse().unwrap_or(u64::MAX)
        };
        Self {
            udp: [value("udp_timeout"), value("udp_timeout_stream")],
            tcp: [value("tcp_timeout_established")],
        }
    }

    /// `ipv4 2 udp 17 29 …`: 29 seconds are left.
    fn is_recent(&self, line: &str) -> bool {
        let mut words = line.split_whitespace().skip(2);
        let all = match words.next() {
            Some("udp") => &self.udp[..],
            Some("tcp") => &self.tcp[..],
            _ => return false,
        };
        let left: Option<u64> = words.nth(1).and_then(|it| it.parse().ok());
        left.is_some_and(|left| {
            all.iter()
                .any(|all| (all.saturating_sub(RECENT)..=*all).contains(&left))
        })
    }
}

fn concerns(spec: &WitnessSpec, one: &FlowFact) -> bool {
    let inner = spec.network.contains(&one.from) && spec.network.contains(&one.to);
    let outer = one.protocol == "udp" && one.port == spec.port && spec.peers.contains(&one.to);
    (inner || outer) && one.translated != one.from
}

/// `ipv4 2 udp 17 29 src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… …`: the second half is what answers look like.
fn flow(line: &str) -> Option<FlowFact> {
    let protocol = line.split_whitespace().nth(2)?;
    let values = |name: &str| {
        let name = format!("{name}=");
        let words = line.split_whitespace();
        words.filter_map(move |word| word.strip_prefix(&name).map(str::to_owned))
    };
    let addresses = |name: &str| values(name).filter_map(|it| it.parse::<Ipv4Addr>().ok());
    Some(FlowFact {
        protocol: protocol.to_owned(),
        from: addresses("src").next()?,
        to: addresses("dst").next()?,
        port: values("dport")
            .next()
            .and_then(|it| it.parse().ok())
            .unwrap_or(0),
        translated: addresses("dst").nth(1)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = "ipv4     2 udp      17 29 src=192.0.2.10 dst=192.0.2.11 sport=8285 dport=8285 [UNREPLIED] \
                    src=192.0.2.11 dst=192.0.2.88 sport=8285 dport=8285 mark=0 zone=0 use=2";
        let one = flow(line).unwrap();
        assert_eq!((one.protocol.as_str(), one.port), ("udp", 8285));
        assert_eq!(one.translated, Ipv4Addr::new(192, 0, 2, 88));
        let lifetimes = Lifetimes {
            udp: [30, 120],
            tcp: [432_000],
        };
        assert!(lifetimes.is_recent(line));
        for idle in [
            line.replace(" 29 ", " 15 "),
            line.replace(" 29 ", " 100 "),
            line.replace("udp ", "icmp"),
        ] {
            assert!(!lifetimes.is_recent(&idle), "{idle}");
        }
        let icmp = "ipv4     2 icmp     1 29 src=10.5.1.2 dst=10.5.2.2 type=8 code=0 id=7 src=10.5.2.2 dst=10.5.1.2 type=0 code=0 id=7 mark=0 use=2";
        let one = flow(icmp).unwrap();
        assert_eq!((one.port, one.translated), (0, one.from));
        for bad in [
            "",
            "ipv6 10 udp 17 29 src=::1 dst=::1",
            "ipv4 2 udp 17 29 src=1.2.3.4",
        ] {
            assert_eq!(flow(bad), None);
        }
    }
}
