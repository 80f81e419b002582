//! `diagnose --write`: the packets of both hosts in one file that other programs read.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod diagnose_lab;
mod lab;

use std::path::Path;

use diagnose_lab::{diagnose, network};
use lab::Overlay;

/// Comments of the packets and names of the interfaces in a file: option 1 of enhanced packet blocks, option 2 of
/// interface blocks.
fn texts(file: &Path) -> (Vec<String>, Vec<String>) {
    let file = std::fs::read(file).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let short = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().unwrap());
    let (mut at, mut comments, mut names) = (0, Vec::new(), Vec::new());
    while at < file.len() {
        let (kind, end) = (word(at), at + word(at + 4) as usize);
        let mut option = match kind {
            1 => at + 16,
            6 => at + 28 + (word(at + 20) as usize).next_multiple_of(4),
            _ => end - 4,
        };
        while option < end - 4 && short(option) != 0 {
            let size = usize::from(short(option + 2));
            let text = || String::from_utf8(file[option + 4..option + 4 + size].to_vec()).unwrap();
            match (kind, short(option)) {
                (1, 2) => names.push(text()),
                (6, 1) => comments.push(text()),
                _ => {}
            }
            option += 4 + size.next_multiple_of(4);
        }
        at = end;
    }
    (comments, names)
}

/// What tcpdump prints of a file, a line a packet.
fn tcpdump(overlay: &Overlay, file: &Path) -> Vec<String> {
    let path = file.to_str().unwrap();
    let node = overlay.node(0);
    let text = node.run("tcpdump", &["-nn", "-r", path]);
    text.lines().map(str::to_owned).collect()
}

fn write(backend: &str) {
    let overlay = network(2, backend, &[]);
    let (here, there) = (overlay.node(0).address, overlay.node(1).address);
    let file = overlay.node(0).dir().join("way.pcapng");
    let path = file.to_str().unwrap();
    let target = there.to_string();
    let (finished, case) = diagnose(&overlay, 0, &[&target, "-o", "json", "--write", path]);
    finished.expect(0);
    let nodes = case["nodes"].as_array().unwrap();
    let seen: Vec<_> = nodes
        .iter()
        .flat_map(|node| node["seen"].as_array().unwrap())
        .collect();
    let paths = case["paths"].as_array().unwrap().iter();
    let to_ports = paths.filter(|one| one["path"]["target"]["port"].is_number());
    let to_ports: Vec<_> = to_ports.map(|one| &one["path"]["index"]).collect();
    let pings = seen.iter().filter(|one| !to_ports.contains(&&one["path"]));
    let (seen, pings) = (seen.len(), pings.count());
    let (comments, names) = texts(&file);
    // Of several probes in one segmentation-offload packet each is named.
    let named: usize = comments
        .iter()
        .map(|one| one.matches(", path ").count())
        .sum();
    assert_eq!(named, seen, "{comments:#?}");
    assert!(seen > 100, "{comments:#?}");
    let lines = tcpdump(&overlay, &file);
    // An inner packet has a line of its own, without a time.
    let packets = lines
        .iter()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(packets.count(), comments.len(), "{lines:#?}");
    let probes = lines.iter().filter(|line| line.contains("ICMP echo re"));
    // tcpdump does not know what is in the udp backend's packets.
    assert!(probes.count() >= pings || backend == "udp", "{lines:#?}");
    for node in [here, there] {
        for interface in ["eth0", "docker0"] {
            let name = format!("{node} {interface}");
            assert_eq!(
                names.iter().filter(|one| **one == name).count(),
                1,
                "{names:?}"
            );
        }
        for phase in ["request 1 of 5", "reply 5 of 5"] {
            let said = |one: &&String| one.starts_with(&node.to_string()) && one.contains(phase);
            assert!(
                comments.iter().any(|one| said(&one)),
                "{phase} {comments:#?}"
            );
        }
    }
    assert!(
        !comments.iter().any(|one| one.contains("LOST")),
        "{comments:#?}"
    );
    // What is lost is marked where it was seen last.
    let other = overlay.node(1);
    let table = "table ip stop { chain c { type filter hook forward priority -5; ip protocol icmp drop; }; }";
    other.run("nft", &[table]);
    let (finished, _) = diagnose(&overlay, 0, &[&target, "-o", "json", "--write", path]);
    finished.expect(1);
    let (comments, _) = texts(&file);
    let last = match backend {
        "vxlan" => "flannel.1",
        "udp" => "flannel0",
        _ => "eth0",
    };
    let front = format!("{there} {last} in: request 3 of 5");
    let lost = comments
        .iter()
        .find(|one| one.starts_with(&front) && one.ends_with("LOST after this"));
    assert!(lost.is_some(), "{comments:#?}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn packets_of_both_hosts_are_in_one_file_with_vxlan() {
    write("vxlan");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn packets_of_both_hosts_are_in_one_file_with_udp() {
    write("udp");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn packets_of_both_hosts_are_in_one_file_with_host_gw() {
    write("host-gw");
}
