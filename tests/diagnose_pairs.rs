//! Two faults at once are both named, and a fault that begins half-way is.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use std::time::Duration;

use faults::{Agent, Diagnosed, Looks, Patient, Told};
use lab::until;

/// A fault on a host: which, what must be named, how it is made.
type Half = (usize, &'static str, &'static str);

const DROP: &str = "iptables-nft -P FORWARD DROP";
const WALL: &str = "iptables-nft -A INPUT -p udp --dport $PORT -j DROP";

const PAIRS: &[(&[&str], Half, Half)] = &[
    // On different hosts.
    (&["vxlan", "udp"], (1, "FL101", DROP), (0, "FL110", WALL)),
    (
        &["vxlan", "udp", "host-gw"],
        (1, "FL101", "iptables-legacy -P FORWARD DROP"),
        (0, "FL701", "echo 0 >/proc/sys/net/ipv4/ip_forward"),
    ),
    (
        &["vxlan", "host-gw"],
        (
            1,
            "FL102",
            "iptables-nft -t raw -A PREROUTING -d $CTR ! -i docker0 -j DROP",
        ),
        (0, "FL311", "$IN ip route replace default via ${GW%.1}.77"),
    ),
    // On one host.
    (
        &["vxlan", "udp", "host-gw"],
        (1, "FL101", DROP),
        (
            1,
            "FL423",
            "sed -i 's/^FLANNEL_SUBNET=.*/FLANNEL_SUBNET='$FREE'.1\\/24/' $ENV",
        ),
    ),
    (
        &["vxlan", "udp", "host-gw"],
        (
            1,
            "FL220",
            "ip route add 10.1.248.0/21 via 192.0.2.1 proto static",
        ),
        (1, "FL133", "iptables-nft -A FORWARD -d $NET -j DROP"),
    ),
    (
        &["vxlan", "udp"],
        (
            0,
            "FL120",
            "iptables-nft -t nat -A POSTROUTING -s $SUBNET ! -o docker0 -j MASQUERADE",
        ),
        (
            1,
            "FL302",
            "ip link set vethc mtu 1500; $IN ip link set eth0 mtu 1500",
        ),
    ),
    (
        &["vxlan"],
        (1, "FL110", WALL),
        (
            1,
            "FL301",
            "ip address del $GW/24 dev docker0; ip address add 192.168.99.1/24 dev docker0",
        ),
    ),
];

fn both_are_named(backend: &'static str) {
    let mut patient = Patient::new(backend, &["--iptables-forward-rules=false"]);
    let mut wrong = Vec::new();
    let mut looks = Looks::default();
    let mut made = 0;
    for (_, one, other) in PAIRS.iter().filter(|pair| pair.0.contains(&backend)) {
        for (host, _, script) in [one, other] {
            patient.break_host(*host, Agent::Alive, script).unwrap();
        }
        made += 1;
        let title = format!("{} with {} [{backend}]", one.1, other.1);
        let (_, why) = looks.at(
            &title,
            || patient.diagnose(&[]),
            |diagnosed| unlike(&patient, diagnosed, [one, other]),
        );
        wrong.extend(why.map(|why| format!("{title}: {why}")));
        patient.mend();
    }
    println!(
        "measured: diagnose: {backend}: both named in {} of {made} pairs of faults, {looks}",
        made - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    looks.finish();
}

/// What is missing in it, or said beside both.
fn unlike(patient: &Patient, diagnosed: &Diagnosed, both: [&Half; 2]) -> Option<String> {
    let told = diagnosed.told();
    for (host, id, _) in both {
        let node = patient.node(*host).address.to_string();
        if !told.iter().any(|it| it.id == *id && it.node == node) {
            return Some(format!("no {id} on {node}: {told:#?}"));
        }
    }
    let strange = told
        .iter()
        .find(|it| it.severity != "info" && both.iter().all(|(_, id, _)| it.id != *id))?;
    Some(format!("{} is said as well: {told:#?}", strange.id))
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn two_faults_of_vxlan_are_both_named() {
    both_are_named("vxlan");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn two_faults_of_udp_are_both_named() {
    both_are_named("udp");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn two_faults_of_host_gw_are_both_named() {
    both_are_named("host-gw");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_fault_that_begins_half_way_is_named() {
    let mut patient = Patient::new("vxlan", &["--iptables-forward-rules=false"]);
    let sent = |patient: &Patient| -> u64 {
        let text = patient.node(0).ip("-j -s link show docker0");
        let link: serde_json::Value = serde_json::from_str(&text).unwrap();
        link[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
    };
    let before = sent(&patient);
    let diagnosed = std::thread::scope(|scope| {
        let patient = &patient;
        let diagnosis = scope.spawn(move || patient.diagnose(&["--count", "100"]));
        until("its sending", Duration::from_secs(10), || {
            (sent(patient) > before + 60).then_some(())
        });
        patient.try_sh(1, DROP);
        diagnosis.join().unwrap()
    });
    let node = patient.node(1).address.to_string();
    let named = |it: &Told| it.id == "FL101" && it.node == node;
    assert!(
        diagnosed.told().iter().any(named),
        "{:#?}",
        diagnosed.finished
    );
    let paths = diagnosed.json["paths"].as_array().unwrap().clone();
    let some = paths.iter().any(|path| {
        let (sent, received) = (path["sent"].as_u64(), path["received"].as_u64());
        received > Some(0) && received < sent
    });
    assert!(some, "{:#?}", diagnosed.finished);
    patient.mend();
}
