//! Every fault that is made here is named: right cause, right host, right direction, in time; a healthy network
//! has no findings.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use faults::Patient;
use faults::table::{Fault, HEALED, LASTING};
use lab::Overlay;

/// What differs from what must be said; empty = right.
fn judge(patient: &Patient, fault: &Fault, broken: usize) -> Option<String> {
    let diagnosed = patient.diagnose(&[]);
    let node = patient.node(broken).address;
    let direction = fault.directions[1 - broken];
    let confidence = if fault.proven { "proven" } else { "" };
    let findings = diagnosed.findings();
    // The other direction of a fault that cuts a host off both ways is as right.
    let begin = match direction {
        "" => format!("{} {node}", fault.id),
        _ => format!("{} {node} {direction} {confidence}", fault.id),
    };
    let named = findings
        .iter()
        .any(|finding| finding.starts_with(begin.trim_end()));
    let code = if fault.works {
        [0, 1].contains(&diagnosed.code)
    } else {
        diagnosed.code == 1
    };
    (!named || !code).then(|| {
        format!(
            "{} on host {broken}: wanted {begin:?}, exit {}, found {findings:#?}\n{}\n{:#}",
            fault.name, diagnosed.code, diagnosed.stderr, diagnosed.json
        )
    })
}

fn score(kind: &str, outcomes: Vec<Option<String>>) {
    let all = outcomes.len();
    let wrong: Vec<_> = outcomes.into_iter().flatten().collect();
    println!(
        "measured: diagnose: {} of {all} {kind} named",
        all - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn healthy_networks_have_no_findings() {
    for backend in ["vxlan", "host-gw", "udp"] {
        let patient = Patient::new(backend, &[]);
        let diagnosed = patient.diagnose(&[]);
        assert_eq!(
            diagnosed.findings(),
            [""; 0],
            "{backend}: {:#}",
            diagnosed.json
        );
        assert_eq!(
            (diagnosed.status(), diagnosed.code),
            ("healthy", 0),
            "{backend}"
        );
        println!(
            "measured: diagnose of a healthy {backend} network took {:?}",
            diagnosed.took
        );
    }
}

/// Docker leaves its bridge at 1500 until the first container: no fault, and neither are our own endpoints on it.
#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn hosts_without_containers_are_healthy() {
    let overlay = Overlay::new(2, "vxlan");
    for host in overlay.lab.nodes() {
        host.sysctl("net/ipv4/ip_forward", "1");
    }
    let url = overlay.etcd.url();
    let file = overlay.node(0).subnet_file().display().to_string();
    let target = overlay.node(1).address.to_string();
    let args = [
        "--etcd-endpoints",
        &url,
        "diagnose",
        "--subnet-file",
        &file,
        &target,
    ];
    let finished = overlay.node(0).flannelctl(&args).expect(0);
    assert!(!finished.stdout.contains("FL302"), "{finished:#?}");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn lasting_faults_are_named() {
    let patient = Patient::new("vxlan", &["--iptables-forward-rules=false"]);
    let mut outcomes = Vec::new();
    for fault in LASTING {
        for broken in [1, 0] {
            (fault.make)(&patient, broken);
            outcomes.push(judge(&patient, fault, broken));
            (fault.mend)(&patient, broken);
            patient.well();
        }
    }
    score("lasting faults", outcomes);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn faults_that_an_agent_would_heal_are_named_where_it_is_dead() {
    let mut patient = Patient::new("vxlan", &[]);
    let mut outcomes = Vec::new();
    for fault in HEALED {
        patient.overlay.agents[0].process.kill9();
        (fault.make)(&patient, 0);
        outcomes.push(judge(&patient, fault, 0));
        patient.overlay.restart(0);
        patient.well();
    }
    score("faults of a host without its agent", outcomes);
}

/// From one side alone some faults of the other cannot be told apart; they must not be called healthy.
#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn faults_of_a_silent_host_are_never_called_healthy() {
    let mut patient = Patient::new("vxlan", &[]);
    for fault in HEALED {
        patient.overlay.agents[1].process.kill9();
        (fault.make)(&patient, 1);
        let diagnosed = patient.diagnose(&[]);
        assert!(
            [1, 4].contains(&diagnosed.code),
            "{}: {:#}",
            fault.name,
            diagnosed.json
        );
        patient.overlay.restart(1);
        patient.well();
    }
}
