//! What the benchmark makes of its samples: medians, ratios within a round, goals reached or missed.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(dead_code, reason = "the rest of the modules is the benchmark's")]

#[path = "../benches/overlay/figures.rs"]
mod figures;
#[path = "../benches/overlay/interrupt.rs"]
mod interrupt;
#[path = "../benches/overlay/load.rs"]
mod load;
#[path = "../benches/overlay/options.rs"]
mod options;
#[path = "../benches/overlay/required.rs"]
mod required;

use clap::{CommandFactory, Parser};
use figures::{Figure, Samples, Summary};
use options::{Options, Route, Underlay};

#[test]
fn medians() {
    assert_eq!(Summary::of([]), None);
    let odd = Summary::of([3.0, 1.0, 2.0]).unwrap();
    assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
    assert_eq!(Summary::of([4.0, 1.0]).unwrap().median, 2.5);
}

#[test]
fn ratios_are_of_the_same_round() {
    let mut samples = Samples::default();
    for (round, base, ours) in [(0, 10.0, 5.0), (1, 20.0, 20.0), (2, 40.0, 30.0)] {
        samples.add(round, Figure::Tcp1, Route::Vxlan, base);
        samples.add(round, Figure::Tcp1, Route::Udp, ours);
    }
    // A round with a gap counts for nothing.
    samples.add(3, Figure::Tcp1, Route::Udp, 1000.0);
    let ratio = samples
        .ratio(Figure::Tcp1, Route::Udp, Route::Vxlan)
        .unwrap();
    assert_eq!((ratio.median, ratio.min, ratio.max), (0.75, 0.5, 1.0));
    assert_eq!(samples.ratio(Figure::Tcp1, Route::Peer, Route::Vxlan), None);
    assert_eq!(samples.summary(Figure::Tcp4, Route::Udp), None);
}

#[test]
fn goals() {
    let mut samples = Samples::default();
    for (route, rate, rtt) in [(Route::Vxlan, 10e9, 20.0), (Route::Udp, 7e9, 60.0)] {
        samples.add(0, Figure::Tcp1, route, rate);
        samples.add(0, Figure::IdleMean, route, rtt);
    }
    samples.add(0, Figure::IdleMean, Route::Peer, 100.0);
    let rows = required::rows(&[(Underlay::Veth, samples)]);
    let row = |title: &str| rows.iter().find(|row| row.title == title).unwrap();
    let tcp = row("TCP 1 stream: udp / vxlan, veth");
    assert_eq!((tcp.measured.as_str(), tcp.reached), ("0.70", Some(true)));
    let ping = row("ping idle: udp / peer, veth");
    assert_eq!(ping.measured, "0.60, 60 us");
    assert_eq!(ping.reached, Some(true));
    // Without a peer, without that underlay.
    assert_eq!(row("TCP 1 stream: udp / peer, veth").reached, None);
    assert_eq!(row("TCP 1 stream: udp / vxlan, wire").measured, "");
}

#[test]
fn pings_are_read() {
    let text = "PING 10.5.2.2 (10.5.2.2) 56(84) bytes of data.\n\
        64 bytes from 10.5.2.2: icmp_seq=1 ttl=62 time=0.080 ms\n\
        64 bytes from 10.5.2.2: icmp_seq=2 ttl=62 time=0.100 ms\n\
        64 bytes from 10.5.2.2: icmp_seq=3 ttl=62 time=1.02 ms\n";
    let trips = load::round_trips(text).unwrap();
    assert!((trips.mean - 400.0).abs() < 0.001);
    assert!((trips.p99 - 100.0).abs() < 0.001, "the second of three");
    assert_eq!(
        load::round_trips("From 10.5.1.1 icmp_seq=1 Time to live exceeded"),
        None
    );
}

#[test]
fn options_that_make_no_sense() {
    Options::command().debug_assert();
    let parse = |line: &str| Options::try_parse_from(line.split(' '));
    assert!(parse("bench --rounds 0").is_err());
    assert!(parse("bench --underlay air").is_err());
    assert!(parse("bench --path peer").unwrap().problem().is_some());
    let options = parse("bench --path udp --underlay wire").unwrap();
    assert_eq!(options.routes(), [Route::Vxlan, Route::Udp]);
    assert_eq!(options.underlay, [Underlay::Wire]);
}
