//! What can be wrong at the start or in a command: each has its message and its exit code, nothing is
//! lost, and an agent that can go on later does.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod lab;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::{
    Agent, Etcd, Host, Lab, Overlay, flannelctl, http_get, init_network, until, within_time,
};

const SOON: Duration = Duration::from_secs(8);

/// One host with etcd on the switch and a network with this backend.
fn network(backend: &str) -> (Etcd, Lab) {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", backend]);
    (etcd, lab)
}

/// An agent started through a shell that prepares its surroundings in a mount namespace.
fn agent_after(host: &Host, etcd: &Etcd, preparation: &str) -> Agent {
    let mut command = host.command("unshare");
    command.args(["--mount", "--propagation", "private", "--", "sh", "-ec"]);
    command.arg(format!("{preparation}; exec \"$0\" \"$@\""));
    command.arg(flannelctl());
    wrapped(host, etcd, command)
}

fn wrapped(host: &Host, etcd: &Etcd, command: Command) -> Agent {
    let url = etcd.url();
    host.start_agent_by(
        command,
        &["--etcd-endpoints", &url, "agent", "--iface", "eth0"],
    )
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn an_invalid_or_missing_config_is_said_once_and_waited_out() {
    let lab = Lab::new(1);
    let etcd = lab.etcd();
    let mut agent = lab.node(0).agent(&etcd, &[]);
    agent.process.says("init", SOON);
    for (config, field) in [
        (r#"{"Network":"10.1.0.0/30"}"#, "Network"),
        (r#"{"Network":"10.1.0.0/16","SubnetLen":31}"#, "SubnetLen"),
        (
            r#"{"Network":"10.1.0.0/16","Backend":{"Type":"wireguard"}}"#,
            "wireguard",
        ),
    ] {
        etcd.put("config", config);
        agent.process.says(field, SOON);
    }
    // Nothing more is said while nothing changes.
    let said = agent.log();
    let more = within_time(Duration::from_millis(3500), || {
        (agent.log() != said).then(|| agent.log())
    });
    assert_eq!(more, None);
    assert!(agent.not_ready());
    etcd.put(
        "config",
        r#"{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan"}}"#,
    );
    agent.ready();
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_full_network_is_an_error_that_says_so() {
    let (etcd, lab) = network("vxlan");
    etcd.put(
        "config",
        r#"{"Network":"10.5.0.0/28","Backend":{"Type":"vxlan"}}"#,
    );
    for base in [4, 8, 12] {
        let value = format!(r#"{{"PublicIP":"192.0.2.{}"}}"#, 100 + base);
        etcd.put_leased(&format!("subnets/10.5.0.{base}-30"), &value);
    }
    let before = etcd.subnets();
    lab.node(0)
        .agent(&etcd, &[])
        .finish(SOON)
        .expect(3)
        .says("out of subnets");
    assert_eq!(etcd.subnets(), before);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_duplicate_public_ip_is_noticed() {
    let lab = Lab::new(2);
    let mut overlay = Overlay::bare(lab, &["--backend", "vxlan"], &[]);
    let mut other = overlay
        .node(1)
        .agent(&overlay.etcd, &["--public-ip", "192.0.2.10"]);
    // Its own runtime folder is in use by the ready agent there.
    other.finish(SOON).expect(3).says("another agent");
    overlay.agents[1].process.terminate();
    let _other = overlay
        .node(1)
        .agent(&overlay.etcd, &["--public-ip", "192.0.2.10"]);
    overlay.agents[0].process.says("public IP", SOON);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn an_unreachable_etcd_is_named_by_commands_and_waited_for_by_the_agent() {
    let lab = Lab::new(1);
    let mut etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", "vxlan"]);
    etcd.kill9();
    // Nobody there, nobody listening, and a host that swallows everything.
    let host = lab.node(0);
    let endpoints = "http://192.0.2.1:2379,http://192.0.2.10:1,http://192.0.2.77:2379";
    let begin = Instant::now();
    let leases = host
        .flannelctl(&["--etcd-endpoints", endpoints, "leases"])
        .expect(3);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    leases
        .says("192.0.2.1:2379")
        .says("192.0.2.10:1")
        .says("192.0.2.77:2379");

    let mut agent = host.agent(&etcd, &[]);
    agent
        .process
        .says("192.0.2.1:2379", Duration::from_secs(20));
    assert!(agent.not_ready());
    etcd.resume();
    agent.ready();

    // With two of three dead every command still answers.
    let begin = Instant::now();
    host.flannelctl(&["--etcd-endpoints", &reversed(endpoints), "leases"])
        .expect(0);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    println!("measured: leases with two of three endpoints dead: {took:?}");
}

/// The living one last.
fn reversed(endpoints: &str) -> String {
    endpoints.rsplit(',').collect::<Vec<_>>().join(",")
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_folder_that_cannot_be_written_is_an_error_before_anything_is_changed() {
    let (etcd, lab) = network("vxlan");
    let host = lab.node(0);
    let folder = host.subnet_file().parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.display();
    let read_only = format!("mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}");
    let before = host.kernel();
    let mut agent = agent_after(host, &etcd, &read_only);
    agent.finish(SOON).expect(3).says("run/").says("read-only");
    assert_eq!(host.kernel(), before);
    assert!(etcd.subnets().is_empty());
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn without_root_the_missing_capability_is_named() {
    let (etcd, lab) = network("vxlan");
    let host = lab.node(0);
    // The build folder may be closed to others.
    let program = host.dir().join("flannelctl");
    std::fs::copy(flannelctl(), &program).unwrap();
    let mut command = host.command("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--",
    ]);
    command.arg(&program);
    wrapped(host, &etcd, command)
        .finish(SOON)
        .expect(3)
        .says("CAP_NET_ADMIN");
    assert!(etcd.subnets().is_empty());
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn without_a_tun_device_udp_cannot_run_and_says_so() {
    let (etcd, lab) = network("udp");
    let mut agent = agent_after(lab.node(0), &etcd, "mount -t tmpfs none /dev/net");
    agent.finish(SOON).expect(3).says("/dev/net/tun");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_port_in_use_is_named() {
    let (etcd, lab) = network("udp");
    let host = lab.node(0);
    let socket = host.within(|| UdpSocket::bind("192.0.2.10:8285")).unwrap();
    host.agent(&etcd, &[]).finish(SOON).expect(3).says("8285");
    drop(socket);
    let listener = host
        .within(|| std::net::TcpListener::bind("0.0.0.0:9999"))
        .unwrap();
    host.agent(&etcd, &["--healthz-port", "9999"])
        .finish(SOON)
        .expect(3)
        .says("9999");
    drop(listener);
    host.agent(&etcd, &["--healthz-port", "9999"]).ready();
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn health_tells_the_truth() {
    let (mut etcd, lab) = network("vxlan");
    let config = etcd.get("config").unwrap();
    etcd.delete("config");
    let host = lab.node(0);
    let address = SocketAddr::from(([192, 0, 2, 10], 8471));
    let ask = |path: &str| http_get(host, address, path).map_or(0, |(status, _)| status);
    let mut agent = host.agent(&etcd, &["--healthz-port", "8471"]);
    until("/healthz", SOON, || (ask("/healthz") == 200).then_some(()));
    assert_eq!(ask("/readyz"), 503);
    etcd.put("config", &config);
    agent.ready();
    assert_eq!((ask("/healthz"), ask("/readyz")), (200, 200));
    // Without etcd the network goes on: that is no reason to be restarted.
    etcd.kill9();
    let ill = within_time(Duration::from_secs(3), || {
        (ask("/healthz") != 200).then_some(())
    });
    assert_eq!(ill, None);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn wrong_usage_is_exit_code_two() {
    let (etcd, lab) = network("vxlan");
    let (host, url) = (lab.node(0), etcd.url());
    let before = etcd.get("config");
    for (args, text) in [
        (&["agent", "--no-such-flag"][..], "--no-such-flag"),
        (&["agent", "--healthz-port", "99999999"], "healthz-port"),
        (
            &["agent", "--subnet-lease-renew-margin", "0"],
            "subnet-lease-renew-margin",
        ),
        (&["agent", "--iface-regex", "("], "iface-regex"),
        (&["init", "--network", "10.1.0.0/30", "--yes"], "network"),
        (
            &[
                "init",
                "--network",
                "10.1.0.0/16",
                "--backend",
                "smoke",
                "--yes",
            ],
            "smoke",
        ),
        (&["no-such-command"], "no-such-command"),
    ] {
        let all = [&["--etcd-endpoints", &url], args].concat();
        host.flannelctl(&all).expect(2).says(text);
    }
    assert_eq!(etcd.get("config"), before);
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn an_interface_that_is_not_there_is_named() {
    let (etcd, lab) = network("vxlan");
    let (host, url) = (lab.node(0), etcd.url());
    let args = ["--etcd-endpoints", &url, "agent", "--iface", "eth7"];
    host.start_agent(flannelctl(), &args)
        .finish(SOON)
        .expect(3)
        .says("eth7");
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn init_never_overwrites_unasked() {
    let (etcd, lab) = network("vxlan");
    let (host, url) = (lab.node(0), etcd.url());
    let before = etcd.get("config");
    let init = |args: &[&str]| {
        let all = [
            &["--etcd-endpoints", &url, "init", "--network", "10.9.0.0/16"],
            args,
        ]
        .concat();
        host.flannelctl(&all)
    };
    init(&["--dry-run"]).expect(0);
    assert_eq!(etcd.get("config"), before);
    // No terminal to ask on.
    let unasked = init(&[]).says("--yes");
    assert_ne!(unasked.code, Some(0));
    assert_eq!(etcd.get("config"), before);
    // A live lease would fall outside.
    let mut agent = host.agent(&etcd, &[]);
    agent.ready();
    let refused = init(&["--yes"]).says("--force").says(&host.subnet());
    assert_ne!(refused.code, Some(0));
    assert_eq!(etcd.get("config"), before);
    init(&["--yes", "--force"]).expect(0);
    assert!(etcd.get("config").unwrap().contains("10.9.0.0/16"));
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn the_binary_called_flanneld_is_the_agent() {
    let (etcd, lab) = network("vxlan");
    let (host, url) = (lab.node(0), etcd.url());
    let link: PathBuf = host.dir().join("flanneld");
    std::os::unix::fs::symlink(flannelctl(), &link).unwrap();
    let endpoints = format!("-etcd-endpoints={url}");
    let args = [endpoints.as_str(), "-iface=eth0", "-ip-masq", "-v=1"];
    let mut agent = host.start_agent(link.to_str().unwrap(), &args);
    agent.ready();
    assert_eq!(host.env("FLANNEL_IPMASQ").as_deref(), Some("true"));
}
