//! The forms of one small result.

use std::time::Duration;

use super::*;
use crate::bench::{Machine, Plan, Samples};

fn result() -> Benchmark {
    let mut samples = Samples::default();
    for (round, vxlan, udp) in [(0, 10e9, 5e9), (1, 20e9, 30e9)] {
        samples.add(Underlay::Veth, Figure::Tcp1, DataPath::Vxlan, round, vxlan);
        samples.add(Underlay::Veth, Figure::Tcp1, DataPath::Udp, round, udp);
    }
    Benchmark {
        date: "2026-01-31T12:00:00Z".to_owned(),
        version: "1.2.3",
        machine: Machine {
            kernel: "6.1".to_owned(),
            processor: "A <&> B\x1b".to_owned(),
            congestion_control: "reno".to_owned(),
            cores: 2,
        },
        load_before: 0.5,
        plan: Plan {
            underlays: vec![Underlay::Veth],
            paths: vec![DataPath::Vxlan, DataPath::Udp],
            rounds: 2,
            window: Duration::from_millis(400),
        },
        peer: None,
        agent_args: Vec::new(),
        samples,
        failures: Vec::new(),
        complete: true,
    }
}

#[test]
fn tables_show_median_spread_and_open_ratios() {
    let text = tables(&result(), false);
    assert!(!text.contains('\x1b'), "{text}");
    let lines: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("TCP, 1 stream "))
        .collect();
    let words = |line: &str| {
        line.split_whitespace()
            .skip(3)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(words(lines[0]), "Gbit/s 15.0 ±33% 17.5 ±71%");
    assert_eq!(words(lines[1]), "Gbit/s 1.00 1.00~");
    assert!(
        text.contains("2 rounds of 0.4 s a load, TCP with reno\n"),
        "{text}"
    );
}

#[test]
fn json_has_all_samples() {
    let value = document(&result());
    assert_eq!(
        (&value["kind"], &value["complete"]),
        (&json!("Benchmark"), &json!(true))
    );
    let results = value["results"].as_array().unwrap();
    assert_eq!(results.len(), 2 * Figure::ALL.len());
    assert_eq!(results[1]["path"], "udp");
    assert_eq!(results[1]["samples"], json!([5e9, 30e9]));
    assert_eq!(results[1]["ratioToVxlan"]["min"], 0.5);
    assert_eq!(results[2]["summary"], Value::Null);
}

#[test]
fn a_chart_has_a_bar_a_path_and_escapes_text() {
    let svg = chart(&result()).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("17.5") && svg.contains("not measured"));
    assert!(svg.contains("A &lt;&amp;&gt; B"), "{svg}");
    assert!(!svg.contains('\x1b'), "no XML, and no good in a terminal");
    assert!(svg.contains("×1.00"), "the ratio to vxlan");
    assert!(svg.contains("TCP with reno"), "{svg}");
    assert!(svg.contains("2 x A ") && svg.contains("Linux 6.1"));
}
