//! Counters of the kernel by name. Only reads; the difference of two readings is what happened meanwhile.

use std::collections::BTreeMap;

use super::facts_links::Seen;

/// Counters by name.
pub(super) type Counters = BTreeMap<String, u64>;

/// Protocols whose counters always tell; of the rest (TCP) only what moved.
const ALWAYS: &[&str] = &[
    "snmp.Ip.",
    "snmp.Icmp.",
    "snmp.Udp.",
    "netstat.IpExt.",
    "netstat.TcpExt.IPReversePathFilter",
    "link.",
    "softnet.",
    "conntrack.",
    "arp.",
];

/// All counters of the calling thread's network namespace, those of interfaces for `links` alone.
pub(super) fn read(links: &[Seen]) -> Counters {
    let mut all = Counters::new();
    for (file, prefix) in [("snmp", "snmp"), ("netstat", "netstat")] {
        let path = format!("/proc/thread-self/net/{file}");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        pairs(prefix, &text, &mut all);
    }
    let stat = |file: &str| {
        std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default()
    };
    softnet(&stat("softnet_stat"), &mut all);
    columns("conntrack", &stat("stat/nf_conntrack"), &mut all);
    columns("arp", &stat("stat/arp_cache"), &mut all);
    for link in links {
        interface(link, &mut all);
    }
    all
}

/// Before and after, where it tells something.
pub(super) fn join(before: &Counters, after: &Counters) -> BTreeMap<String, (u64, u64)> {
    let told = |name: &str, then: u64, now: u64| {
        then != now || ALWAYS.iter().any(|start| name.starts_with(start))
    };
    after
        .iter()
        .filter_map(|(name, now)| {
            // A counter that is new (a line that appeared, a device that came) began at 0.
            let then = before.get(name).copied().unwrap_or(0);
            told(name, then, *now).then(|| (name.clone(), (then, *now)))
        })
        .collect()
}

/// `Ip: Name Name …` over `Ip: 1 2 …`.
fn pairs(prefix: &str, text: &str, all: &mut Counters) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (Some((group, names)), Some((_, values))) =
            (names.split_once(':'), values.split_once(':'))
        else {
            return;
        };
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            if let Ok(value) = value.parse() {
                all.insert(format!("{prefix}.{group}.{name}"), value);
            }
        }
    }
}

/// A line per CPU, hexadecimal; the second number counts packets that found the backlog full.
fn softnet(text: &str, all: &mut Counters) {
    let dropped = text.lines().filter_map(|line| {
        let number = line.split_whitespace().nth(1)?;
        u64::from_str_radix(number, 16).ok()
    });
    all.insert("softnet.dropped".into(), dropped.sum());
}

/// A line of names, then a line per CPU, hexadecimal. `entries` is the same in each line.
fn columns(prefix: &str, text: &str, all: &mut Counters) {
    let mut lines = text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    for line in lines {
        for (name, value) in names.iter().zip(line.split_whitespace()) {
            let Ok(value) = u64::from_str_radix(value, 16) else {
                continue;
            };
            let total = all.entry(format!("{prefix}.{name}")).or_default();
            *total = match *name {
                "entries" => value,
                _ => total.saturating_add(value),
            };
        }
    }
}

fn interface(link: &Seen, all: &mut Counters) {
    let Some(s) = link.statistics else { return };
    for (name, value) in [
        ("rx_packets", s.rx_packets),
        ("tx_packets", s.tx_packets),
        ("rx_errors", s.rx_errors),
        ("tx_errors", s.tx_errors),
        ("rx_dropped", s.rx_dropped),
        ("tx_dropped", s.tx_dropped),
        ("tx_carrier_errors", s.tx_carrier_errors),
        ("tx_collisions", s.collisions),
        ("tx_aborted_errors", s.tx_aborted_errors),
        ("rx_crc_errors", s.rx_crc_errors),
        ("rx_missed_errors", s.rx_missed_errors),
        ("rx_nohandler", s.rx_nohandler),
        ("rx_otherhost", s.rx_otherhost_dropped),
    ] {
        all.insert(format!("link.{}.{name}", link.fact.name), value);
    }
}
