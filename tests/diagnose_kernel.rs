//! What lies in a host's kernel beside flannel: a device that it cannot make, bridged packets that meet the firewall, a
//! translation that outlives its rule.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use std::path::Path;
use std::time::Duration;

use faults::patient::Inside;
use faults::{Agent, Diagnosed, Patient, Told, judged};
use lab::{Finished, until};

const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn the(diagnosed: &Diagnosed, id: &str) -> Told {
    let told = diagnosed.told();
    let one = told.iter().find(|one| one.id == id);
    one.unwrap_or_else(|| panic!("no {id}: {told:#?}")).clone()
}

/// Executes the command that was printed for host `b`.
#[track_caller]
fn mend(patient: &Patient, b: usize, told: &Told) {
    let here = patient.node(b).address.to_string();
    let mut commands = told.commands().into_iter();
    let (_, command) = commands
        .find(|(node, _)| *node == here)
        .unwrap_or_else(|| panic!("no command: {told:#?}"));
    let output = patient.try_sh(b, &command);
    assert!(output.status.success(), "{command}: {output:?}");
}

/// `diagnose` on the first host while `hide` has changed what it sees of the machine.
fn diagnose_where(patient: &Patient, hide: &str) -> Diagnosed {
    let script = format!(
        "{hide}; exec {} --etcd-endpoints {} diagnose -o json --subnet-file {} {}",
        env!("CARGO_BIN_EXE_flannelctl"),
        patient.overlay.etcd.url(),
        patient.node(0).subnet_file().display(),
        patient.containers[1].address
    );
    let args = ["-m", "sh", "-euc", &script];
    judged(|| Finished::from(patient.node(0).try_run("unshare", &args)))
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_kernel_without_the_backends_device_is_named() {
    let mut udp = Patient::new("udp", &[]);
    udp.break_host(0, Agent::Dead, "true").unwrap();
    let with = udp.diagnose(&[]);
    assert_eq!(the(&with, "FL722").severity, "error");
    let without = diagnose_where(&udp, "mount -t tmpfs none /dev/net");
    let told = the(&without, "FL720");
    assert_eq!(
        (told.node, told.confidence.as_str()),
        (udp.node(0).address.to_string(), "proven")
    );
    assert!(
        without.told().iter().all(|one| one.id != "FL722"),
        "{:#?}",
        without.told()
    );
    udp.mend();

    let mut vxlan = Patient::new("vxlan", &[]);
    vxlan
        .break_host(0, Agent::Dead, "ip link del $DEV")
        .unwrap();
    the(&vxlan.diagnose(&[]), "FL520");
    let listed = Path::new("/lib/modules").exists();
    let hide = match listed {
        true => {
            "mount -t tmpfs none /sys/module; mount -t tmpfs none /lib/modules; \
                 mkdir /lib/modules/$(uname -r); : >/lib/modules/$(uname -r)/modules.dep"
        }
        false => "mount -t tmpfs none /sys/module",
    };
    let without = diagnose_where(&vxlan, hide);
    let told = the(&without, "FL720");
    // Without a list of modules it may still be loaded when it is asked for.
    let sure = if listed { "proven" } else { "likely" };
    assert_eq!(told.confidence, sure);
    assert!(
        without.told().iter().all(|one| one.id != "FL520"),
        "{:#?}",
        without.told()
    );
    vxlan.mend();
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn containers_of_one_host_that_a_policy_cuts_apart_are_told() {
    let mut patient = Patient::new("vxlan", &["--iptables-forward-rules=false"]);
    // Rules for the overlay alone, and a second container.
    patient.sh(
        0,
        "iptables-nft -A FORWARD -i $DEV -o docker0 -j ACCEPT; iptables-nft -A FORWARD -i docker0 -o $DEV -j ACCEPT; \
         iptables-nft -P FORWARD DROP; echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; \
         ip link add vethd mtu $MTU type veth peer name eth1 mtu $MTU; ip link set vethd master docker0 up",
    );
    let second = format!("{}-d", patient.node(0).name());
    let address = std::net::Ipv4Addr::from(u32::from(patient.containers[0].address) + 1);
    patient.node(0).run("ip", &["netns", "add", &second]);
    // It ends with the patient, whatever happens.
    let netns = second.clone();
    patient.containers.push(Inside { netns, address });
    let host = patient.node(0);
    host.ip(&format!("link set eth1 netns {second}"));
    for command in [
        format!("address add {address}/24 dev eth1"),
        "link set eth1 up".to_owned(),
        format!("route add default via {}", host.inside()),
    ] {
        host.ip(&format!("-n {second} {command}"));
    }
    let inside = format!("--net=/run/netns/{second}");
    let pings = |to: String| {
        let args = [inside.as_str(), "ping", "-c1", "-W1", &to];
        patient.node(0).try_run("nsenter", &args).status.success()
    };
    let (neighbour, far) = (patient.containers[0].address, patient.containers[1].address);
    until("the second container to reach the other host", SOON, || {
        pings(far.to_string()).then_some(())
    });
    assert!(!pings(neighbour.to_string()), "the policy has no effect");
    let told = the(&patient.diagnose(&[]), "FL703");
    assert_eq!(
        (told.severity.as_str(), &told.node),
        ("warning", &patient.node(0).address.to_string())
    );
    mend(&patient, 0, &told);
    assert!(pings(neighbour.to_string()), "the remedy has no effect");
    let after = patient.diagnose(&[]);
    assert_eq!(after.findings(), Vec::<String>::new());
}

#[test]
#[ignore = "needs root: network namespaces, etcd, conntrack"]
fn a_translation_that_outlives_its_rule_is_told() {
    let mut patient = Patient::new("udp", &["--iptables-forward-rules=false"]);
    patient.sh(
        0,
        "nft add table ip old; nft 'add chain ip old post { type nat hook postrouting priority 100; }'; \
         nft add rule ip old post udp dport $PORT snat to 192.0.2.88; $IN ping -c2 -W1 -i0.2 $PEERCTR || true",
    );
    // The rule is there.
    let ruled = patient.diagnose(&[]);
    assert_eq!(
        the(&ruled, "FL205").node,
        patient.node(0).address.to_string()
    );
    patient.sh(
        0,
        "nft flush chain ip old post; $IN ping -c2 -W1 -i0.2 $PEERCTR || true",
    );
    let told = the(&patient.diagnose(&[]), "FL904");
    assert_eq!(
        (
            told.node.clone(),
            told.severity.as_str(),
            told.confidence.as_str()
        ),
        (patient.node(0).address.to_string(), "warning", "proven")
    );
    mend(&patient, 0, &told);
    patient.well();
    let after = patient.diagnose(&[]);
    assert_eq!(after.findings(), Vec::<String>::new());
}
