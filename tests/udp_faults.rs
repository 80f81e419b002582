//! The udp data path when something is wrong: hostile datagrams, ICMP errors that arrive, deletion of the
//! device, a stop in time, what is in the way at the start.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;
mod udp;

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use flannelctl::agent::pump::{Ended, Pump, PumpConfig, UdpBackend, UdpSettings};
use flannelctl::forward::{Accept, Reason, Table, UdpOptions};
use flannelctl::kernel::tun::Tun;
use lab::{Lab, until};
use tokio_util::sync::CancellationToken;
use udp::{FAST, Node, PORT, address, pair, ping, runtime};

const SECONDS: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn hostile_datagrams_are_dropped_and_counted() {
    let lab = Lab::new(3);
    let (a, b) = pair(&lab, FAST);
    let to = SocketAddrV4::new(a.host.address, PORT);
    // From the peer's address, but by hand: its pump's place is taken. (Programs that other tests start may
    // hold the closed socket for a moment.)
    drop(b.pump);
    let own = SocketAddrV4::new(b.host.address, PORT);
    let peer = until("the peer's port", SECONDS, || {
        b.host.within(|| UdpSocket::bind(own).ok())
    });
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
    // A fragment of somebody else's packet, and a flood of strangers' best imitations.
    let mut fragment = packet([10, 5, 1, 2], 64, b"part");
    fragment[6..8].copy_from_slice(&[0x20, 0x05]);
    expect(Reason::ForeignSource, &fragment, &peer);
    let unknown = received.dropped(Reason::UnknownSender);
    for _ in 0..20_000 {
        // A full queue on the way is no failure of the flood.
        drop(stranger.send_to(&good, to));
    }
    until("most of the flood", SECONDS, || {
        (received.dropped(Reason::UnknownSender) > unknown + 1000).then_some(())
    });
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
    let (a, b) = pair(&lab, FAST);
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
    let sent = |count: &AtomicU64, want| {
        until("the count", SECONDS, || {
            (count.load(Relaxed) == want).then_some(())
        })
    };
    sent(&a.counters.sent.icmp_sent, 3);
    sent(&b.counters.received.icmp_sent, 2);
    // A flood gets a bounded number of answers.
    let args = ["-n", "-q", "-f", "-c", "3000", &nowhere.to_string()];
    a.host.try_run("ping", &args);
    assert!(a.counters.sent.icmp_held.load(Relaxed) > 0);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn a_stop_takes_less_than_a_second_and_says_why() {
    let lab = Lab::new(2);
    let (mut a, mut b) = pair(&lab, FAST);
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
    until("the device's end", SECONDS, || {
        (!a.host.ip("-o link").contains("flannel0")).then_some(())
    });

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
    let b = Node::new(&lab, 1, FAST);
    let host = lab.node(0).clone();
    let cancel = CancellationToken::new();
    let (mut device, table, counters, thread) = host.within(|| {
        // flannel0 is taken: the next free number is.
        host.ip("link add flannel0 type bridge");
        let backend = UdpBackend::open(UdpOptions::default()).unwrap();
        let seen = (backend.device(), backend.table(), backend.counters());
        let settings = UdpSettings {
            bind: SocketAddrV4::new(host.address, PORT),
            tunnel_address: Ipv4Addr::new(10, 5, 1, 0),
            accept: Accept::Peers,
            busy_poll: FAST.busy_poll,
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
        until("the device's return", SECONDS, || {
            (device.borrow().generation == generation).then_some(())
        });
        assert_eq!(device.borrow_and_update().name, "flannel1");
        address(&host, "flannel1", 1);
        until("an answer", SECONDS, || {
            ping(&host, b.tunnel_address(), &[])
                .contains("ttl=62")
                .then_some(())
        });
    }
    // The last answer may be here before the thread has counted its question.
    until("three packets to be counted", SECONDS, || {
        (counters.sent.packets.load(Relaxed) >= 3).then_some(())
    });
    cancel.cancel();
    thread.join().unwrap();
    until("the device's end", SECONDS, || {
        (!host.ip("-o link").contains("flannel1")).then_some(())
    });
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn what_is_in_the_way_is_named() {
    let lab = Lab::new(1);
    let a = Node::new(&lab, 0, FAST);
    a.host.within(|| {
        let start = |bind: SocketAddrV4| {
            let config = PumpConfig {
                tun: Tun::open(FAST.wish).unwrap(),
                bind,
                tunnel_address: Ipv4Addr::new(10, 5, 1, 0),
                accept: Accept::Peers,
                busy_poll: FAST.busy_poll,
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
        let text = Tun::open_named("flannel0", FAST.wish)
            .err()
            .unwrap()
            .to_string();
        assert!(text.contains("flannel0 is taken"), "{text}");
        let text = Tun::open_named("eth0", FAST.wish)
            .err()
            .unwrap()
            .to_string();
        assert!(text.contains("eth0 is taken"), "{text}");
        let text = Tun::open_named("a-name-that-is-too-long", FAST.wish)
            .err()
            .unwrap()
            .to_string();
        assert!(text.contains("is no name for a device"), "{text}");
    });
}
