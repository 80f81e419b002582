//! `diagnose` of a node that is far away: 200 ms for a round trip, its way to etcd too. As sure as of a near one.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod faults;
mod lab;

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use faults::Patient;
use lab::{Host, Lab};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

/// Each way.
const DELAY: Duration = Duration::from_millis(100);

/// A cable between two devices of a namespace on which frames are on their way for a while.
struct LongCable {
    cut: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<()>>,
}

impl LongCable {
    fn between(host: &Host, one: &str, other: &str) -> Self {
        let cut = Arc::new(AtomicBool::new(false));
        let carriers = host.within(|| {
            let ends = [plug(one), plug(other)].map(Arc::new);
            [(0, 1), (1, 0)].map(|(from, to)| {
                let (from, to) = (Arc::clone(&ends[from]), Arc::clone(&ends[to]));
                let cut = Arc::clone(&cut);
                spawn(move || carry(&*from, &*to, &cut))
            })
        });
        let carriers = carriers.into();
        Self { cut, carriers }
    }
}

impl Drop for LongCable {
    fn drop(&mut self) {
        self.cut.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            drop(carrier.join());
        }
    }
}

/// All frames that come out of a device, but for what is put in by the same socket.
fn plug(device: &str) -> std::os::fd::OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let family = AddressFamily::Packet;
    let end = socket(family, SockType::Raw, flags, SockProtocol::EthAll).unwrap();
    let mut all = getifaddrs().unwrap();
    let address = all.find_map(|one| {
        let link = *one.address?.as_link_addr()?;
        (one.interface_name == device).then_some(link)
    });
    let address: LinkAddr = address.unwrap_or_else(|| panic!("no {device}"));
    bind(end.as_raw_fd(), &address).unwrap();
    end
}

fn carry(from: &impl AsRawFd, to: &impl AsRawFd, cut: &AtomicBool) {
    let mut under_way = VecDeque::new();
    let mut buffer = vec![0; 65536];
    while !cut.load(Ordering::Relaxed) {
        while let Ok(length) = recv(from.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            under_way.push_back((Instant::now() + DELAY, buffer[..length].to_vec()));
        }
        while let Some((_, frame)) = under_way.pop_front_if(|(due, _)| *due <= Instant::now()) {
            // A queue that is full loses frames, as cables do.
            let _full = send(to.as_raw_fd(), &frame, MsgFlags::empty());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Two hosts, the second of them far away.
fn far_apart() -> (LongCable, Lab) {
    let lab = Lab::new(2);
    let switch = &lab.switch;
    switch.ip("link add d0 type veth peer name d1");
    switch.ip("link set d0 master br0 up");
    switch.ip("link set d1 up");
    switch.ip("link set p1 nomaster");
    // Frames go on as they are: nobody completes or cuts them on the way.
    for device in ["d0", "d1", "p0", "p1"] {
        switch.run(
            "ethtool",
            &["-K", device, "tx", "off", "gso", "off", "gro", "off"],
        );
    }
    for host in [switch, lab.node(0), lab.node(1)] {
        for device in ["eth0", "br0"] {
            drop(host.try_run("ethtool", &["-K", device, "tx", "off", "gso", "off"]));
        }
    }
    let cable = LongCable::between(switch, "d1", "p1");
    (cable, lab)
}

#[test]
#[ignore = "needs root: network namespaces, etcd"]
fn a_far_node_is_diagnosed_as_surely_as_a_near_one() {
    let (cable, lab) = far_apart();
    let mut patient = Patient::on(lab, "vxlan", &["--iptables-forward-rules=false"]);
    let healthy = patient.diagnose(&[]);
    assert!(healthy.findings().is_empty(), "{:#?}", healthy.finished);
    assert_eq!(healthy.code(), 0, "{:#?}", healthy.finished);
    let slow = healthy.json["paths"].as_array().unwrap().iter();
    let slow = slow.filter_map(|path| path["rttMs"].as_f64());
    assert!(
        slow.min_by(f64::total_cmp).unwrap() >= 200.0,
        "{:#?}",
        healthy.json
    );

    for b in [1, 0] {
        patient.sh(b, "iptables-nft -P FORWARD DROP");
        let diagnosed = patient.diagnose(&[]);
        let wanted = format!("FL101 {} request proven", patient.node(b).address);
        assert_eq!(diagnosed.findings(), [wanted], "{:#?}", diagnosed.finished);
        println!("a fault of host {b}: {:?}", diagnosed.took);
        patient.sh(b, "iptables-nft -P FORWARD ACCEPT");
    }
    drop(patient);
    drop(cable);
}
