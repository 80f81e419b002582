//! Healthy networks in many dresses: `diagnose` has nothing to say of them, and exits with 0.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use faults::table::dresses::DRESSES;
use faults::{Agent, Diagnosed, Looks, Patient, run_diagnose, table};
use lab::{Lab, Overlay};

/// Each dress on both hosts, seen from either.
fn dressed(backend: &'static str) {
    let only = std::env::var("FAULTS").unwrap_or_default();
    let mut patient = Patient::new(backend, &["--iptables-forward-rules=false"]);
    let mut wrong = Vec::new();
    let mut looks = Looks::default();
    let mut runs = 0;
    for dress in DRESSES.iter().filter(|it| it.name.contains(&only)) {
        for b in [0, 1] {
            patient.break_host(b, Agent::Alive, dress.script).unwrap();
        }
        for viewer in [0, 1] {
            let title = format!("{} [{backend}] seen from {viewer}", dress.name);
            let (_, alarm) = looks.at(
                &title,
                || patient.diagnose_from(viewer, &[]),
                Diagnosed::alarm,
            );
            runs += 1;
            wrong.extend(alarm.map(|why| format!("{title}: {why}")));
        }
        patient.mend();
    }
    println!(
        "measured: diagnose: {backend}: {} false alarms in {runs} healthy runs ({} dresses), {looks}",
        wrong.len(),
        DRESSES.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    looks.finish();
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn nothing_is_said_of_a_healthy_vxlan() {
    dressed("vxlan");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn nothing_is_said_of_a_healthy_udp() {
    dressed("udp");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn nothing_is_said_of_a_healthy_host_gw() {
    dressed("host-gw");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn nothing_is_said_of_twenty_healthy_nodes() {
    let overlay = Overlay::with(Lab::new(20), &["--backend", "vxlan"], &[]);
    for host in overlay.lab.nodes() {
        host.sysctl("net/ipv4/ip_forward", "1");
    }
    let last = overlay.node(19).address.to_string();
    let mut looks = Looks::default();
    let runs = [vec!["--all"], vec![last.as_str()]].map(|args| {
        let diagnose = || run_diagnose(overlay.node(0), &overlay.etcd.url(), &args);
        let (_, alarm) = looks.at("20 nodes", diagnose, Diagnosed::alarm);
        alarm
    });
    let wrong: Vec<_> = runs.iter().flatten().collect();
    println!(
        "measured: diagnose: vxlan, 20 nodes: {} false alarms in {} healthy runs, {looks}",
        wrong.len(),
        runs.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    looks.finish();
}

#[test]
fn every_dress_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = DRESSES.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), DRESSES.len());
    assert!(table::of("vxlan").iter().all(|it| !names.contains(it.name)));
}
