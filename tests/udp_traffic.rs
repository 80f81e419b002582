//! Traffic over the udp data path on real devices and sockets, in each of its ways; its wire format; a narrow
//! path below it.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;
mod udp;

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use flannelctl::forward::{Reason, Table};
use lab::{Lab, until};
use udp::{ASLEEP, AWAKE, FAST, Node, PLAIN, PLAIN_QUEUES, PORT, Path, QUEUES, pair, ping};

const SECONDS: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn containers_and_hosts_reach_each_other() {
    everything_passes(FAST);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn they_do_so_without_offload() {
    everything_passes(PLAIN);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn they_do_so_over_several_queues() {
    for path in [QUEUES, PLAIN_QUEUES] {
        everything_passes(path);
    }
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn they_do_so_asleep_and_awake() {
    for path in [ASLEEP, AWAKE] {
        everything_passes(path);
    }
}

fn everything_passes(path: Path) {
    let lab = Lab::new(2);
    let (a, b) = pair(&lab, path);
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

/// Kernels before 6.11 refuse to cut datagrams for such a device (EIO): each goes by itself from then on. Later
/// ones cut and sum them in software.
#[test]
#[ignore = "needs root: network namespaces and a TUN device; ethtool"]
fn a_device_that_loses_its_checksum_offload_carries_all() {
    let lab = Lab::new(2);
    let (a, b) = pair(&lab, FAST);
    transfer(&a, &b);
    a.host.run("ethtool", &["-K", "eth0", "tx", "off"]);
    let features = a.host.run("ethtool", &["-k", "eth0"]);
    assert!(features.contains("tx-checksumming: off"), "{features}");
    transfer(&a, &b);
    datagrams(&a, &b);
    assert_eq!(a.counters.sent.dropped(Reason::SendRefused), 0);
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn the_wire_carries_one_raw_packet_a_datagram() {
    let lab = Lab::new(2);
    let a = Node::new(&lab, 0, FAST);
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
fn a_narrow_path_fragments_and_is_told() {
    for path in [FAST, PLAIN] {
        let lab = Lab::new(2);
        let (a, b) = pair(&lab, path);
        // As if a router had said so.
        let there = b.host.address;
        a.host.ip(&format!("route add {there} dev eth0 mtu 1300"));
        assert!(
            ping(
                &a.container,
                b.container_address(),
                &["-M", "do", "-s", "1444"]
            )
            .contains("1452 bytes")
        );
        transfer(&a, &b);
        datagrams(&a, &b);
        if path.wish.offload {
            // 1300 without the outer headers: the sender has learnt it.
            let route = a
                .container
                .ip(&format!("route get {}", b.container_address()));
            assert!(route.contains("mtu 1272"), "{route}");
        }
    }
}
