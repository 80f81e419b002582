//! The fault lab: every fault of the table is named, on the hosts and with the backends of its row: right cause, right host,
//! right direction, proven, in time, and nothing else is said; the printed remedy works.
//!
//! `FAULTS=text` runs the rows alone whose name or id holds the text; `FAULTS_VERBOSE=1` prints the diagnoses that
//! were wrong in full; `FAULTS_SAVE=folder` keeps each case there, to be judged again or to become a scenario.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use std::sync::atomic::{AtomicUsize, Ordering};

use faults::{Patient, Score, judge, table};

/// Networks of a backend that are broken at the same time: a diagnosis of lost packets mostly waits.
const LABS: usize = 3;

/// All rows for a backend; the labs take them in turns.
fn all_faults(backend: &'static str) {
    let only = std::env::var("FAULTS").unwrap_or_default();
    let rows: Vec<_> = table::of(backend)
        .into_iter()
        .filter(|fault| fault.name.contains(&only) || fault.id.contains(&only))
        .flat_map(|fault| fault.seen.iter().map(move |seen| (fault, *seen)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut patient = Patient::new(backend, &["--iptables-forward-rules=false"]);
        let mut score = Score::default();
        while let Some((fault, (broken, viewer))) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            judge(&mut patient, fault, *broken, *viewer, &mut score);
        }
        score
    };
    let mut whole = Score::default();
    std::thread::scope(|scope| {
        let labs: Vec<_> = (0..LABS).map(|_| scope.spawn(work)).collect();
        for lab in labs {
            whole.add(lab.join().expect("a lab that panics has told why"));
        }
    });
    whole.finish(backend);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
// It has the most rows: by its name it begins first.
fn every_fault_of_a_vxlan_is_named() {
    all_faults("vxlan");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn every_fault_of_udp_is_named() {
    all_faults("udp");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn every_fault_of_host_gw_is_named() {
    all_faults("host-gw");
}
