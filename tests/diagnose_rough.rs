//! `diagnose` when things are rough: a slow etcd, an agent that dies meanwhile, a fault that begins meanwhile, no root.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod diagnose_lab;
mod lab;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use diagnose_lab::{LIMIT, diagnose_keys, leavings, network};
use lab::{Finished, Host, Overlay, until};
use nix::sys::socket::{Shutdown, shutdown};
use serde_json::Value;

/// `diagnose` on the first host, to be run.
fn command(overlay: &Overlay, etcd: &str, args: &[&str]) -> std::process::Command {
    let host = overlay.node(0);
    let mut command = host.short_command(lab::flannelctl());
    command.args(["--etcd-endpoints", etcd, "diagnose", "-o", "json"]);
    command
        .arg("--subnet-file")
        .arg(host.subnet_file())
        .args(args);
    command
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:#?}"))
}

fn not_observed(value: &Value) -> String {
    let all = value["notObserved"].as_array().unwrap();
    let lines: Vec<_> = all.iter().map(|one| one.as_str().unwrap()).collect();
    lines.join("\n")
}

/// Passes bytes on, each portion after a pause: a long way to etcd.
fn far_away(mut from: TcpStream, mut to: TcpStream, pause: Duration) {
    let mut buffer = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        sleep(pause);
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// An address on the switch behind which etcd is far away.
struct SlowEtcd {
    url: String,
    listener: TcpListener,
    accepting: Option<JoinHandle<()>>,
}

impl SlowEtcd {
    fn new(switch: &Host, etcd: &str, pause: Duration) -> Self {
        let etcd: SocketAddr = etcd.trim_start_matches("http://").parse().unwrap();
        let listener = switch.within(|| TcpListener::bind((switch.address, 0)).unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (switch, clients) = (switch.clone(), listener.try_clone().unwrap());
        let accepting = spawn(move || {
            for client in clients.incoming().map_while(Result::ok) {
                let server = switch.within(|| TcpStream::connect(etcd).unwrap());
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                spawn(move || far_away(up, server, pause));
                spawn(move || far_away(down, client, pause));
            }
        });
        Self {
            url,
            listener,
            accepting: Some(accepting),
        }
    }
}

impl Drop for SlowEtcd {
    /// The thread that accepts holds the lab: it ends with this.
    fn drop(&mut self) {
        shutdown(self.listener.as_raw_fd(), Shutdown::Both).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_slow_etcd_is_told_and_costs_no_answer() {
    let overlay = network(2, "vxlan", &[]);
    let pause = Duration::from_millis(200);
    let etcd = SlowEtcd::new(&overlay.lab.switch, &overlay.etcd.url(), pause);
    let started = Instant::now();
    let finished: Finished = command(&overlay, &etcd.url, &["--timeout", "20s"])
        .output()
        .unwrap()
        .into();
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    let value = json(&finished);
    assert!(
        not_observed(&value).contains("etcd is slow ("),
        "{finished:#?}"
    );
    let there = overlay.node(1).address.to_string();
    assert!(!not_observed(&value).contains(&there), "{finished:#?}");
    assert_eq!(
        value["findings"].as_array().unwrap().len(),
        0,
        "{finished:#?}"
    );
    finished.expect(0);
}

/// Starts a diagnosis of some seconds, and waits until its packets are under way.
fn long(overlay: &Overlay) -> std::process::Child {
    let before = leavings(overlay.node(1));
    let mut command = command(overlay, &overlay.etcd.url(), &["--count", "300"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let capture = overlay.node(1).capture("docker0", "icmp");
    let child = command.spawn().unwrap();
    until("its endpoint on the other host", LIMIT, || {
        (leavings(overlay.node(1)) != before).then_some(())
    });
    capture.sees("seq 5,", LIMIT);
    child
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_fault_that_begins_meanwhile_is_told_as_such() {
    let overlay = network(2, "vxlan", &[]);
    let child = long(&overlay);
    let chain = "type filter hook forward priority -5;";
    let table =
        format!("table ip stop {{ chain c {{ {chain} ip protocol icmp counter drop; }}; }}");
    overlay.node(1).run("nft", &[table]);
    let finished: Finished = child.wait_with_output().unwrap().into();
    let value = json(&finished);
    let finding = &value["findings"][0];
    assert_eq!(finding["id"], "FL133", "{finished:#?}");
    assert_eq!(finding["node"], overlay.node(1).address.to_string());
    let evidence = finding["evidence"].to_string();
    assert!(evidence.contains("it began meanwhile"), "{finished:#?}");
    finished.expect(1);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_agent_that_dies_meanwhile_leaves_an_answer_and_nothing_else() {
    let mut overlay = network(2, "vxlan", &[]);
    let before = leavings(overlay.node(1));
    let child = long(&overlay);
    overlay.agents[1].process.kill9();
    let finished: Finished = child.wait_with_output().unwrap().into();
    let there = overlay.node(1).address.to_string();
    let value = json(&finished);
    assert!(
        not_observed(&value).contains(&format!("{there}: its agent went silent")),
        "{finished:#?}"
    );
    // Its endpoint ended with it, so packets were lost; that is no fault of the network.
    let ids = value["findings"].as_array().unwrap().len();
    assert_eq!(ids, 0, "{finished:#?}");
    assert_eq!(diagnose_keys(&overlay), 0);
    overlay.restart(1);
    let finished: Finished = command(&overlay, &overlay.etcd.url(), &[])
        .output()
        .unwrap()
        .into();
    finished.expect(0);
    assert_eq!(leavings(overlay.node(1)), before);
}

#[test]
#[ignore = "needs root: it becomes another user"]
fn without_root_it_does_what_it_can() {
    let overlay = network(2, "vxlan", &[]);
    let host = overlay.node(0);
    host.sysctl("net/ipv4/ping_group_range", "0 2147483647");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("flannelctl");
    std::fs::copy(lab::flannelctl(), &copy).unwrap();
    host.run("chmod", &["755", folder.path().to_str().unwrap()]);
    let url = overlay.etcd.url();
    let args = [
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--",
    ];
    let target = overlay.node(1).address.to_string();
    let mut command = host.short_command("setpriv");
    command
        .args(args)
        .arg(&copy)
        .args(["--etcd-endpoints", &url, "diagnose", &target]);
    command
        .args(["-o", "json", "--subnet-file"])
        .arg(host.subnet_file());
    command.current_dir("/");
    let finished: Finished = command.output().unwrap().into();
    let value = json(&finished);
    let paths = value["paths"].as_array().unwrap();
    let host_paths = paths
        .iter()
        .filter(|path| path["sent"] == 5 && path["received"] == 5);
    // The node, and through the overlay its device, its bridge and an endpoint there.
    assert!(host_paths.count() >= 4, "{finished:#?}");
    let missing = not_observed(&value);
    for word in [
        "temporary endpoint",
        "packets on",
        "nftrace",
        "skb:kfree_skb",
    ] {
        assert!(missing.contains(word), "{word}: {finished:#?}");
    }
    assert_eq!(
        value["findings"].as_array().unwrap().len(),
        0,
        "{finished:#?}"
    );
    // Where not even that is allowed, it says so.
    host.sysctl("net/ipv4/ping_group_range", "1 0");
    let finished: Finished = command.output().unwrap().into();
    let value = json(&finished);
    assert!(
        not_observed(&value).contains("run it as root"),
        "{finished:#?}"
    );
}
