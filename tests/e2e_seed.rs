//! The main job on the real thing: etcd, `init`, two agents, `subnet.env`, `docker-config`, two Docker
//! daemons with exactly those options, a container on each that ping each other; and a crash.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod lab;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use lab::{Container, Etcd, Host, Lab, init_network, until};

const SOON: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn seed_scenario_on_udp() {
    seed_scenario("udp", 1472, false);
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn seed_scenario_on_vxlan() {
    seed_scenario("vxlan", 1450, true);
}

#[test]
#[ignore = "needs root: network namespaces, etcd, dockerd"]
fn seed_scenario_on_host_gw() {
    seed_scenario("host-gw", 1500, true);
}

fn seed_scenario(backend: &str, mtu: usize, survives_crash: bool) {
    let lab = Lab::new(2);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", backend]);
    let start = |host: &Host| host.agent(&etcd, &["--ip-masq"]);
    let mut agents: Vec<_> = lab.nodes().iter().map(start).collect();
    for agent in &mut agents {
        agent.ready();
    }
    for host in lab.nodes() {
        assert_eq!(host.env("FLANNEL_NETWORK").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(host.env("FLANNEL_MTU"), Some(mtu.to_string()));
        assert_eq!(host.env("FLANNEL_IPMASQ").as_deref(), Some("true"));
    }
    leases_are_listed(&lab, &etcd, backend);

    let daemons: Vec<_> = lab
        .nodes()
        .iter()
        .map(|host| host.dockerd(&docker_options(host)))
        .collect();
    let (a, b) = (daemons[0].container("ca"), daemons[1].container("cb"));
    for container in [&a, &b] {
        let inside = container.exec(&["cat", "/sys/class/net/eth0/mtu"]);
        assert_eq!(inside.trim(), mtu.to_string());
    }
    for (from, to) in [(&a, &b), (&b, &a)] {
        reach(from, to, mtu);
        assert_eq!(seen_from(from, &to.net, to.address), from.address);
    }
    // To the world outside, the container speaks with its host's address.
    let world = &lab.switch;
    assert_eq!(seen_from(&a, world, world.address), lab.node(0).address);

    let subnet = lab.node(0).subnet();
    let ping = a.net.ping(b.address);
    ping.answered(5, SOON);
    agents[0].process.kill9();
    if survives_crash {
        ping.answered(25, SOON);
    }
    agents[0] = start(lab.node(0));
    agents[0].ready();
    assert_eq!(lab.node(0).subnet(), subnet, "a restart keeps the subnet");
    ping.answered(25, SOON);
    let report = ping.stop();
    if survives_crash {
        assert_eq!(report.lost, [0; 0], "of {} pings", report.received.len());
    }
    println!(
        "measured: {backend}: {} of {} pings lost over a crash and restart of an agent",
        report.lost.len(),
        report.lost.len() + report.received.len()
    );
    reach(&b, &a, mtu);
}

fn leases_are_listed(lab: &Lab, etcd: &Etcd, backend: &str) {
    let url = etcd.url();
    let args = ["--etcd-endpoints", &url, "leases", "-o", "json"];
    let listed = lab.switch.flannelctl(&args).expect(0);
    let json: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(json["apiVersion"], "flannelctl/v1");
    assert_eq!(json["kind"], "LeaseList");
    assert!(json["revision"].is_i64());
    for host in lab.nodes() {
        let leases = json["leases"].as_array().unwrap();
        let subnet = host.subnet();
        let lease = leases
            .iter()
            .find(|lease| lease["subnet"] == subnet.as_str());
        let lease = lease.unwrap_or_else(|| panic!("no {subnet} in {json}"));
        assert_eq!(lease["publicIP"], host.address.to_string());
        assert_eq!(lease["backend"], backend);
        assert_eq!(lease["type"], "lease");
        assert_eq!(lease["state"], "ok");
        assert!(lease["ttlSeconds"].as_i64().unwrap() > 86_000);
    }
}

/// What `docker-config` prints, in a file.
fn docker_options(host: &Host) -> PathBuf {
    let file = host.subnet_file();
    let args = [
        "docker-config",
        "--subnet-file",
        file.to_str().unwrap(),
        "--format",
        "opts",
    ];
    let options = host.flannelctl(&args).expect(0).stdout;
    let bip = format!("--bip={}", host.env("FLANNEL_SUBNET").unwrap());
    assert!(options.contains(&bip), "{options}");
    let path = host.dir().join("docker-opts");
    std::fs::write(&path, options).unwrap();
    path
}

/// Small and full-size packets pass, the first within a deadline.
fn reach(from: &Container, to: &Container, mtu: usize) {
    let what = format!("{} to reach {}", from.address, to.address);
    until(&what, SOON, || from.net.reaches(to.address).then_some(()));
    let size = (mtu - 28).to_string();
    let target = to.address.to_string();
    let args = [
        "-n", "-c", "2", "-i", "0.1", "-W", "2", "-M", "do", "-s", &size, &target,
    ];
    from.net.run("ping", &args);
}

/// The address that a listener at `address` in `there` sees a connection of the container come from.
fn seen_from(from: &Container, there: &lab::Net, address: Ipv4Addr) -> Ipv4Addr {
    let at = SocketAddr::from((address, 7000));
    let listener = there.within(|| TcpListener::bind(at)).unwrap();
    let mut client = from
        .net
        .within(|| TcpStream::connect_timeout(&at, SOON))
        .unwrap();
    let (server, peer) = listener.accept().unwrap();
    drop(server);
    client.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(
        client.read(&mut [0]).unwrap(),
        0,
        "closed by the other side"
    );
    let std::net::IpAddr::V4(peer) = peer.ip() else {
        panic!("{peer} is not IPv4");
    };
    peer
}
