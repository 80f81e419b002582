//! Networks mixed with the real flanneld, in both directions, with restarts of either side and the
//! replacement of one by the other; streams and datagrams compared byte for byte, diagnosed as healthy. Needs
//! `FLANNELD=/path/to/flanneld` (0.20 or later).
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use lab::{Agent, Etcd, Host, Lab, init_network, until};

const SOON: Duration = Duration::from_secs(8);

fn flanneld(host: &Host, etcd: &Etcd) -> Agent {
    let program = std::env::var("FLANNELD").expect("FLANNELD=/path/to/flanneld");
    host.flanneld(&program, etcd, &["--ip-masq"])
}

#[track_caller]
fn connected(lab: &Lab) {
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (lab.node(from), lab.node(to).inside());
        let what = format!("{} to reach {to}", from.name());
        until(&what, SOON, || from.reaches(to).then_some(()));
    }
}

/// `diagnose` and `leases` take a node of the other kind for what it is: nothing is wrong with it.
#[track_caller]
fn healthy(host: &Host, etcd: &Etcd) {
    let (url, env) = (etcd.url(), host.subnet_file());
    let env = env.to_str().unwrap();
    let command = ["--etcd-endpoints", &url, "diagnose", "--subnet-file", env];
    let report = host.flannelctl(&command).expect(0);
    assert!(report.stdout.contains("healthy"), "{report:#?}");
    let leases = host
        .flannelctl(&["--etcd-endpoints", &url, "leases"])
        .expect(0);
    let fine = leases.stdout.lines().filter(|line| line.ends_with(" ok"));
    assert_eq!(fine.count(), 2, "{leases:#?}");
}

/// What a host of either kind shows to others: its lease without the random MAC, its subnet file, its firewall rules;
/// `OWN` stands for its subnet and address.
fn shown(host: &Host, etcd: &Etcd) -> Vec<String> {
    let (address, base) = (host.address.to_string(), host.base().to_string());
    let leases = etcd.subnets().into_iter().map(|(_, lease)| lease);
    let mut lines: Vec<String> = leases.filter(|lease| lease.contains(&address)).collect();
    let file = std::fs::read_to_string(host.subnet_file()).unwrap();
    lines.extend(file.lines().map(str::to_owned));
    let rules = host.run::<&str>("iptables-save", &[]);
    lines.extend(
        rules
            .lines()
            .filter(|line| line.starts_with("-A"))
            .map(str::to_owned),
    );
    let inside = host.inside().to_string();
    for line in &mut lines {
        for own in [&address, &base, &inside] {
            *line = line.replace(own, "OWN");
        }
        if let Some((before, _)) = line.split_once("\"VtepMAC\"") {
            *line = before.to_owned();
        }
    }
    lines
}

/// Bytes of a stream, which takes whole packets of 64 KiB where the data path has them.
const STREAM: usize = 20 << 20;
/// Datagrams as small as can be, of the udp backend's MTU and one more, and in many fragments.
const SIZES: [usize; 6] = [0, 1, 1400, 1444, 1445, 60_000];

/// A stream and datagrams of all sizes, compared byte for byte at the far end.
#[track_caller]
fn unchanged(from: &Host, to: &Host) {
    let data: Vec<u8> = (0..STREAM).map(|at| (at * 31 + at / 251) as u8).collect();
    let address = (to.inside(), 7000);
    let listener = to.within(|| TcpListener::bind(address).unwrap());
    let mut near = from.within(|| TcpStream::connect(address).unwrap());
    near.set_write_timeout(Some(SOON)).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(SOON)).unwrap();
    let mut came = Vec::with_capacity(STREAM);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            near.write_all(&data).unwrap();
            near.shutdown(Shutdown::Write).unwrap();
        });
        far.read_to_end(&mut came).unwrap();
    });
    assert!(came == data, "{} bytes came, or others", came.len());

    let far = to.within(|| UdpSocket::bind(address).unwrap());
    far.set_read_timeout(Some(SOON)).unwrap();
    let near = from.within(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    near.connect(address).unwrap();
    let mut buffer = vec![0; 1 << 16];
    for (round, size) in (0..20).flat_map(|round| SIZES.map(|size| (round, size))) {
        let sent = &data[round..round + size];
        near.send(sent).unwrap();
        let len = far.recv(&mut buffer).unwrap();
        assert!(&buffer[..len] == sent, "{len} of {size} bytes, or others");
    }
}

fn mixed(backend: &str, survives: bool) {
    let lab = Lab::new(2);
    let etcd = lab.etcd();
    init_network(&lab.switch, &etcd, &["--backend", backend]);
    let (ours, theirs) = (lab.node(0), lab.node(1));
    let mut agent = ours.agent(&etcd, &["--ip-masq"]);
    let mut daemon = flanneld(theirs, &etcd);
    agent.ready();
    daemon.ready();
    for host in [ours, theirs] {
        host.stand_in_for_docker();
        // Docker does that.
        host.sysctl("net/ipv4/ip_forward", "1");
    }
    connected(&lab);
    let subnets = [ours.subnet(), theirs.subnet()];
    for host in [ours, theirs] {
        healthy(host, &etcd);
    }
    until("the same from both kinds", SOON, || {
        let both = [ours, theirs].map(|host| shown(host, &etcd));
        // A lease, 4 lines of the file, 10 rules.
        (both[0] == both[1] && both[0].len() == 15).then_some(())
    });
    unchanged(ours, theirs);
    unchanged(theirs, ours);

    let ping = ours.ping(theirs.inside());
    ping.answered(5, SOON);
    agent.process.kill9();
    agent = ours.agent(&etcd, &["--ip-masq"]);
    agent.ready();
    ping.answered(5, SOON);
    daemon.process.kill9();
    daemon = flanneld(theirs, &etcd);
    daemon.ready();
    ping.answered(5, SOON);
    connected(&lab);

    // One takes the other's place on a running host, and back.
    daemon.process.kill9();
    daemon = theirs.agent(&etcd, &["--ip-masq"]);
    daemon.ready();
    connected(&lab);
    agent.process.kill9();
    agent = flanneld(ours, &etcd);
    agent.ready();
    connected(&lab);
    assert_eq!(
        [ours.subnet(), theirs.subnet()],
        subnets,
        "everybody keeps its subnet"
    );
    let report = ping.stop();
    if survives {
        assert!(report.lost.is_empty(), "{report:?}");
    }
    drop((agent, daemon));
}

#[test]
#[ignore = "needs root and FLANNELD=/path/to/flanneld"]
fn with_flanneld_on_vxlan() {
    mixed("vxlan", true);
}

#[test]
#[ignore = "needs root and FLANNELD=/path/to/flanneld"]
fn with_flanneld_on_host_gw() {
    mixed("host-gw", true);
}

#[test]
#[ignore = "needs root and FLANNELD=/path/to/flanneld"]
fn with_flanneld_on_udp() {
    mixed("udp", false);
}
