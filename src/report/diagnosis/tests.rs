//! Every form of one problem and of one healthy network.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::diagnose::finding::{Between, LostAt, Observation};
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
            pairs: Vec::new(),
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
            between: None,
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
    let keys = |value: &serde_json::Value| {
        let keys = value.as_object().unwrap().keys();
        keys.cloned().collect::<Vec<_>>().join(" ")
    };
    let path = &value["paths"][0];
    assert_eq!(
        keys(path),
        "from to sent received rttMs lostAt observations"
    );
    assert_eq!(keys(&path["lostAt"]), "node after direction");
    let point = &path["observations"][0];
    assert_eq!(keys(point), "node interface direction phase seen line note");
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

/// Panics where tags do not match, or where text has what XML forbids in it.
fn well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
        .unwrap();
    while let Some((text, after)) = rest.split_once('<') {
        assert!(
            !text.contains('>') && !text.contains(|c: char| c < ' ' && c != '\n'),
            "{text:?}"
        );
        let (tag, after) = after.split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = |tag: &str| tag.split([' ', '\n']).next().unwrap_or_default().to_owned();
        match tag.strip_prefix('/') {
            Some(end) => assert_eq!(open.pop().as_deref(), Some(end)),
            None if tag.ends_with('/') => {}
            None => open.push(name(tag)),
        }
        for part in [tag, text] {
            let entities = part.split('&').skip(1);
            assert!(
                entities.clone().all(|entity| entity.contains(';')),
                "{part}"
            );
        }
        rest = after;
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn junit_is_well_formed_whatever_the_text() {
    let mut wild = problem();
    let text = "a <b> & \"c\" ]]> \u{0}\u{1b}[2J \u{fffe} 'd'";
    wild.findings[0].summary = text.into();
    wild.findings[0].place = text.into();
    wild.findings[0].evidence = vec![text.into(), "two\nlines".into()];
    for diagnosis in [wild, healthy()] {
        let xml = junit(&diagnosis, &Selection::default());
        well_formed(&xml);
        assert!(!xml.contains('\u{fffe}'));
        assert_eq!(
            xml.matches("<testcase ").count().to_string(),
            number(&xml, "tests")
        );
        assert_eq!(
            xml.matches("<failure ").count().to_string(),
            number(&xml, "failures")
        );
    }
}

fn number(xml: &str, attribute: &str) -> String {
    let (_, after) = xml.split_once(&format!(" {attribute}=\"")).unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[test]
fn a_mesh_is_a_matrix_with_its_causes() {
    let mut diagnosis = problem();
    let node = |n: u8| std::net::Ipv4Addr::new(192, 0, 2, n);
    let path = |from: u8, to: u8, received: u16, reply: bool| {
        let mut path = diagnosis.paths[0].clone();
        path.received = received;
        if received >= path.sent {
            path.lost_at = None;
        }
        path.between = Some(Between {
            source: node(from),
            target: node(to),
            reply,
        });
        path
    };
    let paths = vec![
        path(11, 12, 0, false),
        path(12, 11, 0, true),
        path(11, 13, 5, false),
        path(13, 12, 4, false),
    ];
    diagnosis.paths = paths;
    diagnosis.findings[0].pairs = vec![
        (node(11), node(12)),
        (node(12), node(11)),
        (node(13), node(12)),
    ];
    let text = table(&diagnosis, &Selection::default(), 3, false);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = text.lines().map(words).collect();
    for row in [
        "1 192.0.2.11 · ✗a ✓",
        "2 192.0.2.12 ✗ra · ?",
        "3 192.0.2.13 ? 20%a ·",
    ] {
        assert!(lines.iter().any(|line| line == row), "{row}: {text}");
    }
    assert!(
        text.contains("1 of 4 pairs of 3 nodes answer in full"),
        "{text}"
    );
    assert!(
        text.contains("  a  FL101 on 192.0.2.12: 3 pairs\n"),
        "{text}"
    );
}
