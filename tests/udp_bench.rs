//! A benchmark, not a test: the udp data path beside kernel routing (host-gw) and kernel vxlan, on one
//! lab, over veth as it is and over a wire (no offload on the cables).
//!
//! `cargo test --release --test udp_bench -- --ignored --nocapture`; `BENCH_SECONDS` per figure.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod lab;
mod udp;

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use flannelctl::kernel::tun::TunWish;
use lab::{Host, Lab, until};
use serde_json::Value;
use udp::Node;

/// How packets get from host to host.
#[derive(Clone, Copy, PartialEq)]
enum Path {
    HostGw,
    Vxlan,
    Udp { offload: bool },
}

const PATHS: [(&str, Path); 4] = [
    ("host-gw", Path::HostGw),
    ("vxlan", Path::Vxlan),
    ("udp", Path::Udp { offload: true }),
    ("udp, offload off", Path::Udp { offload: false }),
];

#[test]
#[ignore = "a benchmark; needs root, iperf3 and ethtool"]
fn bench() {
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    for wire in [false, true] {
        println!("\nunderlay: {}", if wire { "wire" } else { "veth" });
        println!(
            "{:<18}{:>10}{:>10}{:>10}{:>12}{:>12}{:>10}{:>10}",
            "path", "TCP 1", "TCP 4", "TCP both", "UDP 64", "UDP 1400", "RTT", "CPU s/GiB"
        );
        println!(
            "{:<18}{:>10}{:>10}{:>10}{:>12}{:>12}{:>10}{:>10}",
            "", "Gbit/s", "Gbit/s", "Gbit/s", "delivered/s", "delivered/s", "us", ""
        );
        for (name, path) in PATHS.iter().filter(|(name, _)| name.starts_with(&only)) {
            measure(name, *path, wire);
        }
    }
}

fn measure(name: &str, path: Path, wire: bool) {
    let lab = Lab::new(2);
    let queues = std::env::var("BENCH_QUEUES").map_or(1, |text| text.parse().unwrap());
    let offload = path == Path::Udp { offload: true };
    let (mut a, mut b) = udp::pair(&lab, TunWish { offload, queues });
    if wire {
        for (i, host) in lab.nodes().iter().enumerate() {
            slow_cable(host, "eth0");
            slow_cable(&lab.switch, &format!("p{i}"));
        }
    }
    if !matches!(path, Path::Udp { .. }) {
        for node in [&mut a, &mut b] {
            drop(node.pump.take());
        }
        kernel_path(&a, &b, path);
        kernel_path(&b, &a, path);
    }
    let to = b.container_address();
    let server = server(&b.container);
    until("a first answer", Duration::from_secs(5), || {
        a.container.reaches(to).then_some(())
    });
    let busy = busy_seconds(&server);
    let (tcp1, bytes) = tcp(&a.container, to, &[]);
    let busy = (busy_seconds(&server) - busy) / (bytes / f64::from(1 << 30));
    let (tcp4, _) = tcp(&a.container, to, &["-P", "4"]);
    let (both, _) = tcp(&a.container, to, &["--bidir"]);
    let small = datagrams(&a.container, to, "64");
    let large = datagrams(&a.container, to, "1400");
    let rtt = flood(&a.container, to);
    println!(
        "{name:<18}{tcp1:>10.2}{tcp4:>10.2}{both:>10.2}{small:>12.0}{large:>12.0}{rtt:>10.0}{busy:>10.2}"
    );
    if std::env::var_os("BENCH_COUNTERS").is_some() {
        println!("{:#?}\n{:#?}", a.counters, b.counters);
    }
}

fn slow_cable(host: &Host, device: &str) {
    host.run(
        "ethtool",
        &[
            "-K", device, "gso", "off", "tso", "off", "tx", "off", "gro", "on",
        ],
    );
}

/// What flannel's kernel backends program, for one peer.
fn kernel_path(own: &Node, peer: &Node, path: Path) {
    let (host, there, subnet) = (&own.host, peer.host.address, peer.subnet());
    if path == Path::HostGw {
        host.ip(&format!("route add 10.5.{subnet}.0/24 via {there}"));
        return;
    }
    let device = "flannel.1";
    let mac = |subnet: u8| format!("02:00:00:00:00:{subnet:02x}");
    host.ip(&format!(
        "link add {device} address {} type vxlan id 1 dstport 8472 local {} dev eth0 nolearning",
        mac(own.subnet()),
        host.address
    ));
    host.ip(&format!(
        "address add {}/32 dev {device}",
        own.tunnel_address()
    ));
    host.ip(&format!("link set {device} up"));
    host.ip(&format!(
        "neighbour add 10.5.{subnet}.0 lladdr {} dev {device}",
        mac(subnet)
    ));
    host.bridge(&format!("fdb add {} dst {there} dev {device}", mac(subnet)));
    host.ip(&format!(
        "route add 10.5.{subnet}.0/24 via 10.5.{subnet}.0 dev {device} onlink"
    ));
    for (namespace, device) in [(host, "docker0"), (host, "veth0"), (&own.container, "eth0")] {
        namespace.ip(&format!("link set {device} mtu 1450"));
    }
}

fn server(host: &Host) -> lab::Proc {
    let mut command = host.command("iperf3");
    command.args(["-s", "-p", "5201"]);
    let server = host.spawn("iperf3", command);
    until("iperf3", Duration::from_secs(5), || {
        host.run("ss", &["-ltn"]).contains(":5201").then_some(())
    });
    server
}

fn iperf(host: &Host, to: Ipv4Addr, args: &[&str]) -> Value {
    let seconds = std::env::var("BENCH_SECONDS").unwrap_or_else(|_| "3".to_owned());
    let mut command = host.short_command("iperf3");
    command.args(["-c", &to.to_string(), "-p", "5201", "-J", "-t", &seconds]);
    let output = command.args(args).stderr(Stdio::null()).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Gbit/s received, and bytes.
fn tcp(host: &Host, to: Ipv4Addr, args: &[&str]) -> (f64, f64) {
    let report = iperf(host, to, args);
    let figure = |name: &str| {
        ["sum_received", "sum_received_bidir_reverse"]
            .iter()
            .filter_map(|sum| report["end"][sum][name].as_f64())
            .sum::<f64>()
    };
    (figure("bits_per_second") / 1e9, figure("bytes"))
}

/// Datagrams delivered a second when as many as possible are sent.
fn datagrams(host: &Host, to: Ipv4Addr, len: &str) -> f64 {
    let report = iperf(host, to, &["-u", "-b", "0", "-l", len]);
    let sum = &report["end"]["sum_received"];
    let received =
        sum["packets"].as_f64().unwrap_or(0.0) - sum["lost_packets"].as_f64().unwrap_or(0.0);
    received / sum["seconds"].as_f64().unwrap_or(1.0)
}

/// Mean round-trip time of a flood ping in microseconds.
fn flood(host: &Host, to: Ipv4Addr) -> f64 {
    let text = host.run("ping", &["-n", "-q", "-f", "-c", "20000", &to.to_string()]);
    let figures = text.split("mdev = ").nth(1).unwrap();
    figures.split('/').nth(1).unwrap().parse::<f64>().unwrap() * 1000.0
}

/// Processor seconds of this process (its pumps), of its finished children (iperf3's client) and of the
/// server; what the kernel does for them in interrupts that hit others is not seen.
fn busy_seconds(server: &lab::Proc) -> f64 {
    let ticks = |process: &str, fields: std::ops::Range<usize>| -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // Behind the name in brackets: state is field 3, utime and stime 14 and 15, the children's 16 and 17.
        let rest = stat.rsplit(')').next().unwrap();
        let numbers: Vec<&str> = rest.split_whitespace().collect();
        numbers[fields]
            .iter()
            .map(|text| text.parse::<f64>().unwrap())
            .sum()
    };
    (ticks("self", 11..15) + ticks(&server.pid().to_string(), 11..13)) / 100.0
}
