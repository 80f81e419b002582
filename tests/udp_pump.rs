//! The udp data path on real devices and sockets: traffic, wire format, hostile datagrams, ICMP
//! errors that arrive, deletion of the device, a stop in time.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;
mod udp;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use flannelctl::agent::pump::{Ended, Pump, PumpConfig, UdpBackend, UdpSettings};
use flannelctl::forward::{Accept, Reason, Table};
use flannelctl::kernel::tun::Tun;
use lab::{Lab, until};
use tokio_util::sync::CancellationToken;
use udp::{Node, PORT, address, pair};

const SECONDS: Duration = Duration::from_secs(5);

/// Pings once with more arguments and gives what ping said.
fn ping(from: &lab::Net, to: Ipv4Addr, args: &[&str]) -> String {
    let to = to.to_string();
    let args = [&["-n", "-c", "1", "-W", "2"], args, &[&to]].concat();
    String::from_utf8_lossy(&from.try_run("ping", &args).stdout).into_owned()
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn containers_and_hosts_reach_each_other() {
    everything_passes(true);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn they_do_so_without_offload() {
    everything_passes(false);
}

fn everything_passes(offload: bool) {
    let lab = Lab::new(2);
    let (a, b) = pair(&lab, offload);
    // Container to container: one hop on each host's stack and one for each end of the tunnel.
    let text = ping(&a.container, b.container_address(), &[]);
    assert!(text.contains("ttl=60"), "{text}");
    let text = ping(&b.container, a.container_address(), &[]);
    assert!(text.contains("ttl=60"), "{text}");
    assert!(ping(&a.host, b.tunnel_address(), &[]).contains("ttl=62"));
    assert!(ping(&a.host, b.container_address(), &[]).contains("ttl=61"));
    // The largest packet that fits, not to be cut; and a much larger one in fragments.
    assert!(
        ping(
            &a.container,
            b.container_address(),
            &["-M", "do", "-s", "1444"]
        )
        .contains("1452 bytes")
    );
    assert!(ping(&a.container, b.container_address(), &["-s", "20000"]).contains("20008 bytes"));
    assert!(a.counters.sent.packets.load(Relaxed) > 0);
    // Counted a moment after the packet is through.
    let same = |sent: &AtomicU64, received: &AtomicU64| {
        until("equal counts", SECONDS, || {
            (sent.load(Relaxed) == received.load(Relaxed)).then_some(())
        });
    };
    same(&a.counters.sent.packets, &b.counters.received.packets);
    same(&a.counters.sent.bytes, &b.counters.received.bytes);

    transfer(&a, &b);
    datagrams(&a, &b);
}

/// Moves a stream from one container to the other and back, and compares every byte.
fn transfer(a: &Node, b: &Node) {
    let to = SocketAddrV4::new(b.container_address(), 5000);
    let listener = b.container.within(|| TcpListener::bind(to).unwrap());
    let data: Vec<u8> = (0..4_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, from) = listener.accept().unwrap();
            assert_eq!(
                from.ip(),
                a.container_address(),
                "the source is seen unchanged"
            );
            let mut got = vec![0; data.len()];
            stream.read_exact(&mut got).unwrap();
            stream.write_all(&got).unwrap();
        });
        let mut stream = a.container.within(|| TcpStream::connect(to).unwrap());
        stream.set_read_timeout(Some(4 * SECONDS)).unwrap();
        stream.write_all(&data).unwrap();
        let mut back = vec![0; data.len()];
        stream.read_exact(&mut back).unwrap();
        assert!(back == data, "the stream came back changed");
    });
}

/// Sends datagrams of many sizes and compares them at the far end.
fn datagrams(a: &Node, b: &Node) {
    let to = SocketAddrV4::new(b.container_address(), 5001);
    let far = b.container.within(|| UdpSocket::bind(to).unwrap());
    far.set_read_timeout(Some(SECONDS)).unwrap();
    let near = a
        .container
        .within(|| UdpSocket::bind(SocketAddrV4::new(a.container_address(), 5001)).unwrap());
    let mut buffer = vec![0; 65536];
    for len in [0, 1, 27, 28, 500, 1443, 1444, 1445, 3000, 9000, 65507] {
        let data: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
        near.send_to(&data, to).unwrap();
        let (came, from) = far.recv_from(&mut buffer).unwrap();
        assert_eq!(from.ip(), a.container_address());
        assert!(
            buffer[..came] == data,
            "{len} bytes came as {came}, or changed"
        );
    }
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn the_wire_carries_one_raw_packet_a_datagram() {
    let lab = Lab::new(2);
    let a = Node::new(&lab, 0, true);
    let far = lab.node(1);
    let socket = far.within(|| UdpSocket::bind(SocketAddrV4::new(far.address, PORT)).unwrap());
    socket.set_read_timeout(Some(SECONDS)).unwrap();
    let peer = flannelctl::forward::Peer {
        subnet: "10.5.26.0/24".parse().unwrap(),
        address: SocketAddrV4::new(far.address, PORT),
    };
    a.table.store(Arc::new(Table::new([peer])));

    let outer = far.capture("eth0", "udp port 8285");
    let mut ping = a.host.command("ping");
    ping.args(["-n", "-c", "20", "-i", "0.2", "10.5.26.0"]);
    let _ping = a.host.spawn("ping", ping);
    let mut buffer = [0; 2000];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, SocketAddrV4::new(a.host.address, PORT).into());
    // flannel-compat 5.2: 45 00 00 54 … 40 00 3f 01 … 0a 05 39 00 0a 05 1a 00 08 00
    assert_eq!(len, 84);
    assert_eq!(buffer[..4], [0x45, 0, 0, 84]);
    assert_eq!(buffer[6..10], [0x40, 0, 63, 1]);
    assert_eq!(buffer[12..22], [10, 5, 1, 0, 10, 5, 26, 0, 8, 0]);
    let (header, _) = etherparse::Ipv4Header::from_slice(&buffer[..len]).unwrap();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    outer.sees("ttl 64", SECONDS);
    outer.sees("flags [DF]", SECONDS);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn hostile_datagrams_are_dropped_and_counted() {
    let lab = Lab::new(3);
    let (a, b) = pair(&lab, true);
    let to = SocketAddrV4::new(a.host.address, PORT);
    // From the peer's address, but by hand: its pump's place is taken.
    drop(b.pump);
    let peer = b
        .host
        .within(|| UdpSocket::bind(SocketAddrV4::new(b.host.address, PORT)).unwrap());
    let stranger = lab
        .node(2)
        .within(|| UdpSocket::bind("0.0.0.0:8285").unwrap());
    let victim = a
        .container
        .within(|| UdpSocket::bind(SocketAddrV4::new(a.container_address(), 7000)).unwrap());
    victim.set_read_timeout(Some(SECONDS)).unwrap();

    let packet = |source: [u8; 4], ttl, text: &[u8]| {
        let mut bytes = Vec::new();
        let builder = etherparse::PacketBuilder::ipv4(source, a.container_address().octets(), ttl);
        builder.udp(7000, 7000).write(&mut bytes, text).unwrap();
        bytes
    };
    let good = packet([10, 5, 2, 2], 64, b"good");
    let spoilt = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let received = &a.counters.received;
    let expect = |reason, bytes: &[u8], socket: &UdpSocket| {
        let before = received.dropped(reason);
        socket.send_to(bytes, to).unwrap();
        until(reason.name(), SECONDS, || {
            (received.dropped(reason) > before).then_some(())
        });
    };
    expect(Reason::UnknownSender, &good, &stranger);
    expect(Reason::UnknownSender, b"", &stranger);
    expect(Reason::Short, b"", &peer);
    expect(Reason::Short, &good[..19], &peer);
    expect(Reason::NotIpv4, &spoilt(0, 0x65), &peer);
    expect(Reason::NotIpv4, &[0; 40], &peer);
    expect(Reason::HeaderLength, &spoilt(0, 0x44), &peer);
    expect(Reason::HeaderLength, &spoilt(0, 0x4f), &peer);
    expect(Reason::TotalLength, &spoilt(2, 0xff), &peer);
    expect(Reason::TotalLength, &good[..good.len() - 1], &peer);
    expect(Reason::TotalLength, &[&good[..], b"x"].concat(), &peer);
    expect(
        Reason::TotalLength,
        &[&good[..], &[0; 60000]].concat(),
        &peer,
    );
    expect(
        Reason::ForeignSource,
        &packet([10, 5, 1, 1], 64, b"own"),
        &peer,
    );
    expect(
        Reason::ForeignSource,
        &packet([203, 0, 113, 1], 64, b"far"),
        &peer,
    );
    expect(
        Reason::TtlExceeded,
        &packet([10, 5, 2, 2], 1, b"old"),
        &peer,
    );
    expect(
        Reason::TtlExceeded,
        &packet([10, 5, 2, 2], 0, b"older"),
        &peer,
    );
    assert_eq!(received.packets.load(Relaxed), 0);

    // Only the honest one arrives.
    peer.send_to(&good, to).unwrap();
    let mut buffer = [0; 100];
    let (len, _) = victim.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"good");
    until("the count", SECONDS, || {
        (received.packets.load(Relaxed) == 1).then_some(())
    });
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn icmp_errors_reach_the_sender() {
    let lab = Lab::new(2);
    let (a, b) = pair(&lab, true);
    // As strict as hosts come.
    for host in [&a.host, &b.host, &a.container] {
        host.sysctl("net/ipv4/conf/all/rp_filter", "1");
    }
    let nowhere = Ipv4Addr::new(10, 5, 99, 9);
    for sender in [&a.container, &a.host] {
        let text = ping(sender, nowhere, &[]);
        assert!(
            text.contains("From 10.5.1.0 icmp_seq=1 Destination Net Unreachable"),
            "{text}"
        );
    }
    // Hop 2 is this end of the tunnel, hop 3 the other: flanneld stays silent at both.
    let text = ping(&a.container, b.container_address(), &["-t", "2"]);
    assert!(
        text.contains("From 10.5.1.0 icmp_seq=1 Time to live exceeded"),
        "{text}"
    );
    let text = ping(&a.container, b.container_address(), &["-t", "3"]);
    assert!(
        text.contains("From 10.5.2.0 icmp_seq=1 Time to live exceeded"),
        "{text}"
    );
    let text = ping(&a.host, b.container_address(), &["-t", "2"]);
    assert!(
        text.contains("From 10.5.2.0 icmp_seq=1 Time to live exceeded"),
        "{text}"
    );
    assert_eq!(a.counters.sent.icmp_sent.load(Relaxed), 3);
    assert_eq!(b.counters.received.icmp_sent.load(Relaxed), 2);
    // A flood gets a bounded number of answers.
    let args = ["-n", "-q", "-f", "-c", "3000", &nowhere.to_string()];
    a.host.try_run("ping", &args);
    assert!(a.counters.sent.icmp_held.load(Relaxed) > 0);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn a_stop_takes_less_than_a_second_and_says_why() {
    let lab = Lab::new(2);
    let (mut a, mut b) = pair(&lab, true);
    let flood = a.container.ping(b.container_address());
    flood.answered(5, SECONDS);
    let pump = a.pump.take().unwrap();
    let begin = Instant::now();
    let why = pump.stop();
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    assert!(matches!(why, Ended::Asked), "{why:?}");
    let links = a.host.ip("-o link");
    assert!(!links.contains("flannel0"), "{links}");

    // The device deleted by someone else.
    b.host.ip("link delete flannel0");
    let pump = b.pump.take().unwrap();
    let why =
        runtime().block_on(async { tokio::time::timeout(SECONDS, pump.stopped()).await.unwrap() });
    assert!(matches!(why, Ended::DeviceGone), "{why:?}");
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn a_deleted_device_comes_back_under_its_name() {
    let lab = Lab::new(2);
    let b = Node::new(&lab, 1, true);
    let host = lab.node(0).clone();
    let cancel = CancellationToken::new();
    let (mut device, table, counters, thread) = host.within(|| {
        // flannel0 is taken: the next free number is.
        host.ip("link add flannel0 type bridge");
        let backend = UdpBackend::open(true).unwrap();
        let seen = (backend.device(), backend.table(), backend.counters());
        let settings = UdpSettings {
            bind: SocketAddrV4::new(host.address, PORT),
            tunnel_address: Ipv4Addr::new(10, 5, 1, 0),
            accept: Accept::Peers,
        };
        let cancel = cancel.clone();
        // A thread that is born here stays in this namespace.
        let thread =
            std::thread::spawn(move || runtime().block_on(backend.run(settings, cancel)).unwrap());
        (seen.0, seen.1, seen.2, thread)
    });
    table.store(Arc::new(Table::new([b.peer()])));
    let a = flannelctl::forward::Peer {
        subnet: "10.5.1.0/24".parse().unwrap(),
        address: SocketAddrV4::new(host.address, PORT),
    };
    b.table.store(Arc::new(Table::new([a])));
    assert_eq!(device.borrow_and_update().name, "flannel1");
    address(&host, "flannel1", 1);
    assert!(ping(&host, b.tunnel_address(), &[]).contains("ttl=62"));

    for generation in 2..4 {
        host.ip("link delete flannel1");
        let begin = Instant::now();
        until("the device's return", SECONDS, || {
            (device.borrow().generation == generation).then_some(())
        });
        assert!(begin.elapsed() < Duration::from_secs(2));
        assert_eq!(device.borrow_and_update().name, "flannel1");
        address(&host, "flannel1", 1);
        until("an answer", SECONDS, || {
            ping(&host, b.tunnel_address(), &[])
                .contains("ttl=62")
                .then_some(())
        });
    }
    assert!(counters.sent.packets.load(Relaxed) >= 3);
    cancel.cancel();
    thread.join().unwrap();
    assert!(!host.ip("-o link").contains("flannel1"));
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn what_is_in_the_way_is_named() {
    let lab = Lab::new(1);
    let a = Node::new(&lab, 0, true);
    a.host.within(|| {
        let start = |bind: SocketAddrV4| {
            let config = PumpConfig {
                tun: Tun::open(true).unwrap(),
                bind,
                tunnel_address: Ipv4Addr::new(10, 5, 1, 0),
                accept: Accept::Peers,
            };
            Pump::start(config, Arc::default(), Arc::default())
                .err()
                .unwrap()
                .to_string()
        };
        let text = start(SocketAddrV4::new(a.host.address, PORT));
        assert!(
            text.contains("UDP port 8285 is in use on 192.0.2.10"),
            "{text}"
        );
        let text = start("203.0.113.1:8285".parse().unwrap());
        assert!(
            text.contains("203.0.113.1:8285: the address is not on this host"),
            "{text}"
        );
        let text = Tun::open_named("flannel0", true).err().unwrap().to_string();
        assert!(text.contains("flannel0 is taken"), "{text}");
        let text = Tun::open_named("eth0", true).err().unwrap().to_string();
        assert!(text.contains("eth0 is taken"), "{text}");
        let text = Tun::open_named("a-name-that-is-too-long", true)
            .err()
            .unwrap()
            .to_string();
        assert!(text.contains("is no name for a device"), "{text}");
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
