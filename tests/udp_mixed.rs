//! All kinds of traffic at once over the udp data path, compared byte for byte at the far end: streams both ways,
//! datagrams from nothing to 64 KiB (fragments), datagrams cut by the kernel (USO), pings up to the MTU and beyond.
//!
//! 20 s; `FLANNELCTL_MIXED_SECONDS=3600` makes it an hour.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod lab;
mod udp;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use flannelctl::forward::Reason;
use lab::Lab;
use nix::sys::socket::{setsockopt, sockopt};
use udp::{FAST, Node, PLAIN, pair};

/// No piece of a packet has a length that divides it, so that a lost, doubled or swapped one shows.
const PERIOD: usize = 1_000_003;
/// What never happens to honest traffic (the device's own IPv6 neighbour discovery is dropped as `NotIpv4`).
const NEVER: [Reason; 8] = [
    Reason::Short,
    Reason::HeaderLength,
    Reason::TotalLength,
    Reason::Truncated,
    Reason::TtlExceeded,
    Reason::BadOffload,
    Reason::UnknownSender,
    Reason::ForeignSource,
];
const WAIT: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn mixed_traffic_arrives_unchanged() {
    let seconds = std::env::var("FLANNELCTL_MIXED_SECONDS").map_or(20, |text| {
        text.parse()
            .expect("FLANNELCTL_MIXED_SECONDS is a number of seconds")
    });
    let data = data();
    // Most of the time for the path that can go wrong in more ways.
    for (name, path, share) in [("offload", FAST, 4), ("plain", PLAIN, 1)] {
        let lab = Lab::new(2);
        let (a, b) = pair(&lab, path);
        let end = Instant::now() + Duration::from_secs(seconds) * share / 5;
        let (streams, datagrams) = traffic(&a, &b, &data, end);
        println!(
            "measured: mixed traffic, {name}: {streams} bytes of TCP and {datagrams} datagrams unchanged in {} s",
            seconds * u64::from(share) / 5
        );
        for direction in [&a, &b].map(|node| [&node.counters.sent, &node.counters.received]) {
            for (reason, numbers) in NEVER.iter().flat_map(|r| direction.map(|d| (r, d))) {
                assert_eq!(numbers.dropped(*reason), 0, "{}", reason.name());
            }
        }
    }
}

/// Everything at once until the end; bytes of streams and datagrams that came.
fn traffic(a: &Node, b: &Node, data: &[u8], end: Instant) -> (u64, u64) {
    let pings = [
        pinging(a, b, end, &["-s", "1444", "-M", "do"]),
        pinging(b, a, end, &["-s", "20000", "-i", "0.05"]),
    ];
    let sums = std::thread::scope(|scope| {
        let streams = [
            (a, b, 5000, 1_448),
            (b, a, 5000, 65_536),
            (a, b, 5001, 300_007),
        ]
        .map(|(from, to, port, chunk)| {
            scope.spawn(move || stream(from, to, port, chunk, data, end))
        });
        let datagrams = [
            (a, b, 6000, None),
            (b, a, 6002, None),
            (a, b, 6001, Some(1000)),
        ]
        .map(|(from, to, port, cut)| {
            scope.spawn(move || datagrams(from, to, port, cut, data, end))
        });
        let streams: u64 = streams
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        let datagrams: u64 = datagrams
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        (streams, datagrams)
    });
    for ping in pings {
        let text = ping.join().unwrap();
        assert!(!text.contains("wrong data byte"), "{text}");
        assert!(!text.contains(" 0 received"), "{text}");
    }
    sums
}

fn data() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    // Long enough to take the longest piece at any offset of the period.
    let mut data: Vec<u8> = bytes.take(PERIOD).collect();
    data.extend_from_within(..PERIOD / 2);
    data
}

/// Sends the data over and over in chunks of this size until the end; bytes that came, all compared.
fn stream(from: &Node, to: &Node, port: u16, chunk: usize, data: &[u8], end: Instant) -> u64 {
    let address = SocketAddrV4::new(to.container_address(), port);
    let listener = to.container.within(|| TcpListener::bind(address).unwrap());
    let mut near = from
        .container
        .within(|| TcpStream::connect(address).unwrap());
    near.set_write_timeout(Some(WAIT)).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(WAIT)).unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let mut sent = 0;
            while Instant::now() < end {
                let at = sent % PERIOD;
                near.write_all(&data[at..at + chunk]).unwrap();
                sent += chunk;
            }
            near.shutdown(Shutdown::Write).unwrap();
            sent
        });
        let mut buffer = vec![0; 1 << 18];
        let mut got = 0;
        loop {
            let len = far.read(&mut buffer).unwrap();
            if len == 0 {
                break;
            }
            let at = got % PERIOD;
            assert!(buffer[..len] == data[at..at + len], "changed at byte {got}");
            got += len;
        }
        assert_eq!(sender.join().unwrap(), got);
        got as u64
    })
}

/// Sends datagrams until the end, each begun by its number, which says what follows; those that came, all compared.
/// `cut`: many of this size a send, cut by the kernel.
fn datagrams(
    from: &Node,
    to: &Node,
    port: u16,
    cut: Option<usize>,
    data: &[u8],
    end: Instant,
) -> u64 {
    const SIZES: [usize; 10] = [8, 9, 36, 100, 1443, 1444, 1445, 3000, 9000, 65_507];
    let bind = |node: &Node| {
        let address = SocketAddrV4::new(node.container_address(), port);
        node.container.within(|| UdpSocket::bind(address).unwrap())
    };
    let (near, far) = (bind(from), bind(to));
    if let Some(cut) = cut {
        setsockopt(&near, sockopt::UdpGsoSegment, &(cut as i32)).unwrap();
    }
    near.connect((to.container_address(), port)).unwrap();
    far.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let (mut packet, mut came) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let fill = |packet: &mut [u8], number: u64| {
        packet[..8].copy_from_slice(&number.to_be_bytes());
        let at = (number as usize).wrapping_mul(7919) % PERIOD;
        let rest = &mut packet[8..];
        rest.copy_from_slice(&data[at..at + rest.len()]);
    };
    let (mut sent, mut got) = (0_u64, 0_u64);
    while Instant::now() < end {
        let burst = if cut.is_some() { 30 } else { 1 };
        let size = cut.unwrap_or(SIZES[sent as usize % SIZES.len()]);
        for piece in packet[..burst * size].chunks_mut(size) {
            fill(piece, sent);
            sent += 1;
        }
        near.send(&packet[..burst * size]).unwrap();
        // Beside streams at full speed some are lost; those that come are whole.
        for _ in 0..burst {
            match far.recv(&mut came) {
                Ok(len) => {
                    assert!(len >= 8, "{len} bytes");
                    let number = u64::from_be_bytes(came[..8].try_into().unwrap());
                    let right = cut.unwrap_or(SIZES[number as usize % SIZES.len()]);
                    assert_eq!(len, right, "datagram {number}");
                    fill(&mut packet[..len], number);
                    assert!(came[..len] == packet[..len], "datagram {number} changed");
                    got += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(got > sent / 10, "only {got} of {sent} came");
    got
}

/// ping compares what comes back itself.
fn pinging(from: &Node, to: &Node, end: Instant, args: &[&str]) -> std::thread::JoinHandle<String> {
    let left = end
        .saturating_duration_since(Instant::now())
        .as_secs()
        .max(1);
    let mut command = from.container.command("ping");
    command.args(["-n", "-i", "0.01", "-w", &left.to_string()]);
    command.args(args).arg(to.container_address().to_string());
    std::thread::spawn(move || {
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}
