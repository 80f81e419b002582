//! Every form of one problem and of one healthy network.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::diagnose::finding::{LostAt, Observation};
use crate::diagnose::{Confidence, Direction};

fn problem() -> Diagnosis {
    let node = Some([192, 0, 2, 12].into());
    let point = |interface: &str, direction: &str, seen: u16| Observation {
        node,
        interface: interface.into(),
        direction: direction.into(),
        phase: "request".into(),
        seen,
        line: if seen > 0 {
            "01:57:55.680586 IP 10.1.77.2 > 10.1.97.2: ICMP echo request".into()
        } else {
            String::new()
        },
        note: String::new(),
    };
    Diagnosis {
        status: Status::Problem,
        findings: vec![Finding {
            id: "FL101".into(),
            name: "forward-policy-drop".into(),
            severity: Severity::Error,
            node,
            place: "ip filter FORWARD policy".into(),
            direction: Direction::Request,
            confidence: Confidence::Proven,
            summary: "requests are lost on 192.0.2.12: FORWARD's policy drops them\u{1b}[2J".into(),
            evidence: vec!["5 of 5 <entered> flannel.1".into()],
            fix: vec!["iptables -I DOCKER-USER -d 10.1.0.0/16 -j ACCEPT".into()],
        }],
        paths: vec![PathReport {
            from: [10, 1, 77, 2].into(),
            to: [10, 1, 97, 2].into(),
            sent: 5,
            received: 0,
            rtt_ms: None,
            lost_at: Some(LostAt {
                node,
                after: "flannel.1".into(),
                direction: Direction::Request,
            }),
            observations: vec![point("flannel.1", "in", 5), point("docker0", "out", 0)],
        }],
        not_observed: vec!["no tracefs".into()],
    }
}

fn healthy() -> Diagnosis {
    let mut diagnosis = problem();
    diagnosis.status = Status::Healthy;
    diagnosis.findings.clear();
    let path = &mut diagnosis.paths[0];
    (path.received, path.rtt_ms, path.lost_at) = (5, Some(0.31), None);
    path.observations[1].seen = 5;
    diagnosis
}

#[test]
fn the_json_contract() {
    let value: serde_json::Value = serde_json::from_str(&json(&problem()).unwrap()).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "apiVersion",
            "kind",
            "status",
            "findings",
            "paths",
            "notObserved"
        ]
    );
    assert_eq!(value["apiVersion"], "flannelctl/v1");
    assert_eq!(value["kind"], "Diagnosis");
    assert_eq!(value["status"], "problem");
    let finding: Vec<_> = value["findings"][0].as_object().unwrap().keys().collect();
    assert_eq!(
        finding,
        [
            "id",
            "name",
            "severity",
            "node",
            "where",
            "direction",
            "confidence",
            "summary",
            "evidence",
            "fix"
        ]
    );
    let path = &value["paths"][0];
    assert_eq!(path["rttMs"], serde_json::Value::Null);
    assert_eq!(path["lostAt"]["after"], "flannel.1");
    assert_eq!(path["lostAt"]["direction"], "request");
    assert_eq!(path["observations"][0]["seen"], 5);
}

#[test]
fn the_verdict_comes_first_and_the_place_of_loss_is_marked() {
    let text = table(&problem(), &Selection::default(), 2, false);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "✗ requests are lost on 192.0.2.12: FORWARD's policy drops them\\u{1b}[2J",
            "  WHY    FL101 forward-policy-drop on 192.0.2.12: ip filter FORWARD policy, request; error, proven",
            "  PROOF  5 of 5 <entered> flannel.1",
            "  FIX    iptables -I DOCKER-USER -d 10.1.0.0/16 -j ACCEPT",
            "  MORE   flannelctl diagnose explain FL101",
        ]
    );
    assert_eq!(lines[6], "10.1.77.2 > 10.1.97.2  0 of 5 answered");
    assert!(lines[7].starts_with("  192.0.2.12  flannel.1  in   request  ✓ 5  01:57:55.680586 IP"));
    assert_eq!(lines[8], "  ◄── lost here");
    assert_eq!(
        lines[9],
        "  192.0.2.12  docker0    out  request  ✗ not seen"
    );
    assert!(text.contains("Not observed:\n  no tracefs\n"));
    assert!(!text.contains('\u{1b}'));
    assert!(table(&problem(), &Selection::default(), 2, true).contains("\u{1b}[31;1m"));
}

#[test]
fn healthy_is_said_in_one_line() {
    let text = table(&healthy(), &Selection::default(), 2, false);
    assert!(
        text.starts_with("✓ healthy: 1 path tried, nothing is wrong\n"),
        "{text}"
    );
    assert!(!text.contains("lost here"));
    assert_eq!(
        short(&healthy()),
        "✓ healthy: 1 path tried, nothing is wrong\n5 of 5 packets answered on 1 paths; 1 things not observed\n"
    );
}

#[test]
fn the_short_form_names_cause_and_remedy() {
    let text = short(&problem());
    assert!(
        text.starts_with("✗ FL101 forward-policy-drop on 192.0.2.12 (error, proven): requests")
    );
    assert!(text.contains("\n  fix: iptables -I DOCKER-USER"));
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn junit_counts_and_escapes() {
    let text = junit(&problem(), &Selection::default());
    assert!(text.contains("failures=\"2\""), "{text}");
    assert!(text.contains("proof: 5 of 5 &lt;entered&gt; flannel.1"));
    assert!(text.contains("<testcase classname=\"path\" name=\"10.1.77.2 to 10.1.97.2\">"));
    let text = junit(&healthy(), &Selection::default());
    assert!(text.contains("failures=\"0\""));
}
