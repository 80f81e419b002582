//! The benchmark's own load generator between two namespaces: every load gives figures that can be true, a
//! stop ends it at once, and a path that carries nothing is an error, not a zero.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::path::Path;
use std::time::{Duration, Instant};

use flannelctl::kernel::load::{self, Ends, Error, Streams, Timing};
use flannelctl::kernel::netns::Netns;
use flannelctl::kernel::wait::Stop;
use lab::Lab;

const TIMING: Timing = Timing {
    warm_up: Duration::from_millis(50),
    window: Duration::from_millis(400),
};

fn ends(lab: &Lab) -> Ends {
    let open = |i: usize| Netns::open(&Path::new("/run/netns").join(lab.node(i).name())).unwrap();
    Ends {
        from: open(0),
        to: open(1),
        address: lab.node(1).address,
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn every_load_gives_figures() {
    let lab = Lab::new(2);
    let (ends, stop) = (ends(&lab), Stop::new().unwrap());
    for (there, back) in [(1, 0), (4, 0), (1, 1)] {
        let streams = Streams { there, back };
        let tcp = load::transfer(&ends, streams, TIMING, &stop).unwrap();
        assert!(tcp.rate > 1e6 && tcp.cpu_per_gib > 0.0, "{tcp:?}");
    }
    for payload in [64, 1400] {
        let udp = load::datagrams(&ends, payload, TIMING, &stop).unwrap();
        assert!(udp.offered > 1e3 && udp.delivered > 0.0, "{udp:?}");
        assert!(udp.lost < udp.offered, "{udp:?}");
    }
    for latency in [load::idle, load::loaded] {
        let latency = latency(&ends, TIMING, &stop).unwrap();
        for trips in [latency.ping, latency.request] {
            assert!(trips.mean > 0.0 && trips.p50 > 0.0, "{trips:?}");
            assert!(trips.p50 <= trips.p99, "{trips:?}");
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_stop_ends_every_load() {
    let lab = Lab::new(2);
    let ends = ends(&lab);
    let endless = Timing {
        warm_up: Duration::ZERO,
        window: Duration::from_secs(3600),
    };
    let streams = Streams { there: 1, back: 1 };
    type Load<'a> = &'a (dyn Fn(&Stop) -> Option<Error> + Sync);
    let loads: [Load<'_>; 4] = [
        &|stop| load::transfer(&ends, streams, endless, stop).err(),
        &|stop| load::datagrams(&ends, 64, endless, stop).err(),
        &|stop| load::idle(&ends, endless, stop).err(),
        &|stop| load::loaded(&ends, endless, stop).err(),
    ];
    for load in loads {
        let stop = Stop::new().unwrap();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| load(&stop));
            // Whether it already sends or still connects, it has to end.
            std::thread::sleep(Duration::from_millis(100));
            let called = Instant::now();
            stop.call();
            let error = running.join().unwrap();
            assert!(matches!(error, Some(Error::Interrupted)), "{error:?}");
            assert!(called.elapsed() < Duration::from_secs(10));
        });
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_path_that_carries_nothing_is_an_error() {
    let lab = Lab::new(2);
    lab.cut(1, true);
    let (ends, stop) = (ends(&lab), Stop::new().unwrap());
    let streams = Streams { there: 1, back: 0 };
    let tcp = load::transfer(&ends, streams, TIMING, &stop).unwrap_err();
    let text = tcp.to_string();
    assert!(text.starts_with("cannot connect to 192.0.2.11: "), "{text}");
    let udp = load::datagrams(&ends, 64, TIMING, &stop).unwrap_err();
    assert_eq!(udp.to_string(), "192.0.2.11 received nothing");
    load::idle(&ends, TIMING, &stop).unwrap_err();
}
