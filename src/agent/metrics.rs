//! `/metrics` in the OpenMetrics text format, beside `/healthz`: whether the agent is ready, and what the udp data
//! path moved and dropped. Built when it is asked for; the data path knows nothing of it.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::forward::counters::Direction;
use crate::forward::{Counters, Reason};

/// What a scraper has to be told about the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type By<const N: usize> = [(&'static str, &'static str); N];

/// The text. `udp`: the numbers of the udp backend, if that is the backend.
///
/// # Errors
/// None while memory lasts: a `String` takes all text.
pub fn text(ready: bool, udp: Option<&Counters>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("flannelctl");
    let gauge: Gauge = Gauge::default();
    gauge.set(ready.into());
    registry.register("ready", "1 while /readyz says so", gauge);
    if let Some(udp) = udp {
        register(registry.sub_registry_with_prefix("udp"), udp);
    }
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

fn register(registry: &mut Registry, counters: &Counters) {
    let packets = Family::<By<1>, Counter>::default();
    let bytes = Family::<By<1>, Counter>::default();
    let calls = Family::<By<1>, Counter>::default();
    let icmp = Family::<By<2>, Counter>::default();
    let dropped = Family::<By<2>, Counter>::default();
    for (name, numbers) in directions(counters) {
        let direction = ("direction", name);
        let add = |family: &Family<By<1>, Counter>, value| {
            family.get_or_create(&[direction]).inc_by(value);
        };
        add(&packets, numbers.packets.load(Relaxed));
        add(&bytes, numbers.bytes.load(Relaxed));
        add(&calls, numbers.calls.load(Relaxed));
        for (result, number) in [("sent", &numbers.icmp_sent), ("held", &numbers.icmp_held)] {
            let of = [direction, ("result", result)];
            icmp.get_or_create(&of).inc_by(number.load(Relaxed));
        }
        for reason in Reason::ALL {
            let of = [direction, ("reason", reason.name())];
            dropped.get_or_create(&of).inc_by(numbers.dropped(*reason));
        }
    }
    let offload = Family::<By<1>, Gauge>::default();
    for (name, used) in counters.offload().each() {
        offload.get_or_create(&[("offload", name)]).set(used.into());
    }
    registry.register("packets", "Inner packets forwarded", packets);
    registry.register("bytes", "Bytes of the inner packets forwarded", bytes);
    registry.register(
        "system_calls",
        "Sends and receives on the UDP socket",
        calls,
    );
    registry.register(
        "icmp_errors",
        "ICMP errors to senders: sent, or held back by the rate limit",
        icmp,
    );
    registry.register("dropped_packets", "Packets dropped, by reason", dropped);
    registry.register(
        "offload",
        "1 for each offload of the kernel in use",
        offload,
    );
}

fn directions(counters: &Counters) -> [(&'static str, &Direction); 2] {
    [("sent", &counters.sent), ("received", &counters.received)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::forward::Offload;

    #[test]
    fn every_number_has_its_line() {
        let counters = Counters::default();
        counters.sent.forwarded(3, 400);
        counters.received.drop_many(Reason::ForeignSource, 7);
        counters.set_offload(Offload {
            udp_gro: true,
            ..Offload::default()
        });
        let text = text(true, Some(&counters)).unwrap();
        for line in [
            "flannelctl_ready 1",
            "flannelctl_udp_packets_total{direction=\"sent\"} 3",
            "flannelctl_udp_bytes_total{direction=\"sent\"} 400",
            "flannelctl_udp_bytes_total{direction=\"received\"} 0",
            "flannelctl_udp_offload{offload=\"udp_gro\"} 1",
            "flannelctl_udp_offload{offload=\"tso\"} 0",
            "flannelctl_udp_dropped_packets_total{direction=\"received\",reason=\"foreign_source\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        let drops = text.lines().filter(|l| l.contains("reason=")).count();
        assert_eq!(drops, 2 * Reason::ALL.len());
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn other_backends_have_no_udp_numbers() {
        let text = text(false, None).unwrap();
        assert!(text.contains("flannelctl_ready 0") && !text.contains("udp"));
    }
}
