//! Packets that come one by one and close together are forwarded by one thread that stays awake; many at once by two. No
//! packet overtakes another while one takes over from the other.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;
mod udp;

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flannelctl::agent::pump::Ended;
use flannelctl::forward::Reason;
use nix::sys::socket::{setsockopt, sockopt};

use lab::{Lab, until};
use udp::{ASLEEP, AWAKE, Node, PORT, pair, pump_time, runtime, tasks};

/// The tests count what all pumps of the process do.
static ALONE: Mutex<()> = Mutex::new(());

const SECONDS: Duration = Duration::from_secs(10);
/// Datagrams up to this length are answered.
const ANSWERED: usize = 100;
const LENGTH: usize = 1400;

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn close_packets_do_not_wake_the_outward_threads() {
    let _alone = ALONE.lock();
    let sleeps = |path| {
        let lab = Lab::new(2);
        let (a, b) = pair(&lab, path);
        let mut talk = Talk::new(&a, &b);
        talk.ask(200);
        let before = outward_sleeps();
        talk.ask(2000);
        outward_sleeps() - before
    };
    // Who sleeps does so before each packet, at both hosts, unless the next is there already.
    let asleep = sleeps(ASLEEP);
    assert!(asleep > 1000, "the threads slept {asleep} times");
    // On a crowded machine they sleep as well: that is no fault, but for all times.
    let mut awake = Vec::new();
    for _ in 0..5 {
        awake.push(sleeps(AWAKE));
        if awake.last() < Some(&400) {
            return;
        }
    }
    panic!("the threads slept {awake:?} times");
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn no_packet_overtakes_another_when_threads_take_turns() {
    let _alone = ALONE.lock();
    let lab = Lab::new(2);
    let (a, b) = pair(&lab, AWAKE);
    let mut talk = Talk::new(&a, &b);
    talk.ask(200);
    let before = outward_sleeps();
    for _ in 0..200 {
        talk.ask(30);
        // Too much for one thread, and so often that it is no exception.
        for _ in 0..5 {
            talk.send_together(20);
            talk.ask(1);
        }
    }
    // Each time they were woken for it, and slept again.
    let sleeps = outward_sleeps() - before;
    assert!(sleeps >= 200, "the threads slept {sleeps} times");
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn a_pump_stops_while_one_thread_does_both_ways() {
    let _alone = ALONE.lock();
    for _ in 0..5 {
        let lab = Lab::new(2);
        let (mut a, mut b) = pair(&lab, AWAKE);
        let mut talk = Talk::new(&a, &b);
        talk.ask(200);
        // So close together that the threads are as they were when it ends.
        let _flood = a.flood(&b);
        talk.ask(200);
        b.host.ip("link delete flannel0");
        let pump = b.pump.take().unwrap();
        let ended = async { tokio::time::timeout(SECONDS, pump.stopped()).await };
        let why = runtime().block_on(ended).unwrap();
        assert!(matches!(why, Ended::DeviceGone), "{why:?}");
        for pump in [a.pump.take().unwrap(), pump] {
            let begin = Instant::now();
            pump.stop();
            let took = begin.elapsed();
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn strangers_keep_nobody_awake() {
    let _alone = ALONE.lock();
    let lab = Lab::new(2);
    let a = Node::new(&lab, 0, AWAKE);
    let stranger = lab.node(1);
    let socket = stranger.within(|| UdpSocket::bind((stranger.address, 0)).unwrap());
    let to = SocketAddrV4::new(a.host.address, PORT);
    let begin = Instant::now();
    let before = pump_time();
    const SENT: u64 = 800;
    for _ in 0..SENT {
        socket.send_to(&[0x45; 60], to).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let (took, whole) = (pump_time() - before, begin.elapsed());
    let unknown = || a.counters.received.dropped(Reason::UnknownSender);
    until("the strangers' datagrams to be counted", SECONDS, || {
        (unknown() > SENT / 3).then_some(())
    });
    assert!(unknown() <= SENT, "{} of {SENT}", unknown());
    // Awake it takes all the time.
    assert!(took < whole / 2, "{took:?} of {whole:?}");
}

/// Numbered datagrams from one container to the other, which checks that none is missing and none out of order.
struct Talk {
    socket: UdpSocket,
    to: SocketAddr,
    number: u32,
    _server: Server,
}

impl Talk {
    fn new(from: &Node, to: &Node) -> Self {
        let open = |node: &Node, port| {
            let address = SocketAddrV4::new(node.container_address(), port);
            let socket = node.container.within(|| UdpSocket::bind(address).unwrap());
            socket.set_read_timeout(Some(SECONDS)).unwrap();
            socket
        };
        let server = open(to, 7000);
        Self {
            socket: open(from, 0),
            to: server.local_addr().unwrap(),
            number: 0,
            _server: Server::new(server),
        }
    }

    fn next(&mut self, len: usize) -> Vec<u8> {
        let mut datagram = vec![0; len];
        datagram[..4].copy_from_slice(&self.number.to_be_bytes());
        self.number += 1;
        datagram
    }

    /// One after the other, each when the one before was answered.
    fn ask(&mut self, count: usize) {
        let mut answer = [0; 4];
        for _ in 0..count {
            let datagram = self.next(ANSWERED);
            self.socket.send_to(&datagram, self.to).unwrap();
            let received = self.socket.recv(&mut answer);
            assert!(
                received.is_ok(),
                "no answer to {}: {received:?}",
                self.number - 1
            );
            assert_eq!(answer, datagram[..4]);
        }
    }

    /// As one packet that is cut on its way.
    fn send_together(&mut self, count: usize) {
        let bytes: Vec<_> = (0..count).flat_map(|_| self.next(LENGTH)).collect();
        setsockopt(&self.socket, sockopt::UdpGsoSegment, &(LENGTH as i32)).unwrap();
        self.socket.send_to(&bytes, self.to).unwrap();
        setsockopt(&self.socket, sockopt::UdpGsoSegment, &0).unwrap();
    }
}

/// Ends with the test: a datagram to itself without a number stops it.
struct Server {
    socket: UdpSocket,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn new(socket: UdpSocket) -> Self {
        let own = socket.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let mut datagram = [0; 2000];
            for number in 0_u32.. {
                let Ok((len @ 4.., from)) = own.recv_from(&mut datagram) else {
                    return;
                };
                assert_eq!(datagram[..4], number.to_be_bytes(), "lost or out of order");
                if len <= ANSWERED {
                    own.send_to(&datagram[..4], from).unwrap();
                }
            }
        });
        Self {
            socket,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let address = self.socket.local_addr().unwrap();
        self.socket.send_to(&[], address).unwrap();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// How often the outward threads of all pumps of this process went to sleep.
fn outward_sleeps() -> u64 {
    let of = |task: PathBuf| {
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let value = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let outward = value("Name:")?.trim().starts_with("tun-to-udp");
        let sleeps = value("voluntary_ctxt_switches:").filter(|_| outward)?;
        sleeps.trim().parse::<u64>().ok()
    };
    tasks().into_iter().filter_map(of).sum()
}
