//! What the udp data path costs: once warm it allocates nothing (a counting allocator watches while another
//! process makes traffic), and when idle it takes no processor time.
#![allow(clippy::unwrap_used, unsafe_code, missing_docs)]

mod lab;
mod udp;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use lab::{Lab, until};
use udp::{ASLEEP, AWAKE, FAST, Node, PLAIN, pair, ping, pump_time};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is the system allocator's own; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The tests count what the whole process does.
static ALONE: Mutex<()> = Mutex::new(());

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
#[ignore = "needs root: network namespaces and a TUN device; iperf3"]
fn no_packet_costs_an_allocation() {
    let _alone = ALONE.lock();
    for path in [FAST, PLAIN, ASLEEP] {
        let lab = Lab::new(2);
        let (a, b) = pair(&lab, path);
        let kinds = [&["-P", "3", "--bidir"][..], &["-u", "-b", "0", "-l", "100"]];
        for (port, kind) in ["5201", "5202"].into_iter().zip(kinds) {
            let mut server = b.container.command("iperf3");
            server.args(["-s", "-p", port]);
            let _server = b.container.spawn("iperf3-server", server);
            until("iperf3", Duration::from_secs(5), || {
                b.container
                    .run("ss", &["-ltn"])
                    .contains(port)
                    .then_some(())
            });
            let mut client = a.container.command("iperf3");
            client.args([
                "-t",
                "30",
                "-p",
                port,
                "-c",
                &b.container_address().to_string(),
            ]);
            client.args(kind);
            let _client = a.container.spawn("iperf3-client", client);
            wait_for(&b, 20_000);
            let before = ALLOCATIONS.load(Relaxed);
            wait_for(&b, 50_000);
            assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0, "{kind:?}");
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn nor_do_threads_that_take_turns() {
    let _alone = ALONE.lock();
    let lab = Lab::new(2);
    let (a, b) = pair(&lab, AWAKE);
    let _flood = a.flood(&b);
    wait_for(&b, 2_000);
    let before = ALLOCATIONS.load(Relaxed);
    wait_for(&b, 5_000);
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0);
}

/// Waits until so many more packets came, without an allocation of its own.
fn wait_for(node: &Node, more: u64) {
    let packets = &node.counters.received.packets;
    let end = Instant::now() + Duration::from_secs(120);
    let want = packets.load(Relaxed) + more;
    while packets.load(Relaxed) < want {
        assert!(Instant::now() < end, "too few packets");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs root: network namespaces and a TUN device"]
fn an_idle_path_costs_no_processor_and_a_downed_device_comes_up_again() {
    let _alone = ALONE.lock();
    for path in [FAST, ASLEEP, AWAKE] {
        let lab = Lab::new(2);
        let (a, b) = pair(&lab, path);
        assert!(ping(&a.host, b.tunnel_address(), &[]).contains("ttl=62"));
        // So close together that a thread that may waits awake.
        let args = [
            "-n",
            "-q",
            "-f",
            "-c",
            "500",
            &b.tunnel_address().to_string(),
        ];
        let told = a.host.run("ping", &args);
        // It does not wait for the last answer longer than for any before.
        let lost = told.split("% packet loss").next().unwrap();
        let lost: f64 = lost.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(lost <= 0.2, "{told}");
        let mut before = pump_time();
        until("the threads' sleep", Duration::from_secs(5), || {
            let now = pump_time();
            (std::mem::replace(&mut before, now) == now).then_some(())
        });
        for state in ["up", "down"] {
            a.host.ip(&format!("link set {} {state}", a.device));
            let (before, begin) = (pump_time(), Instant::now());
            until("a second", Duration::from_secs(5), || {
                (begin.elapsed() > Duration::from_secs(1)).then_some(())
            });
            let spent = pump_time() - before;
            assert!(spent < Duration::from_millis(20), "{state}: {spent:?}");
        }
        a.host.ip(&format!("link set {} up", a.device));
        a.host
            .ip(&format!("route add 10.5.0.0/16 dev {}", a.device));
        assert!(ping(&a.host, b.tunnel_address(), &[]).contains("ttl=62"));
    }
}
