//! Two hosts of the lab with a udp data path each and a container behind it, made without agent,
//! etcd and Docker: the pump alone is the subject.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flannelctl::agent::pump::{Pump, PumpConfig};
use flannelctl::forward::{Accept, BUSY_POLL, Counters, Peer, Table};
use flannelctl::kernel::tun::{Tun, TunWish};

use crate::lab::{Host, Lab, Net, Proc};

pub const PORT: u16 = 8285;

/// What a pump is made with.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub wish: TunWish,
    pub busy_poll: Duration,
}

impl Path {
    const fn new(offload: bool, queues: usize, busy_poll: Duration) -> Self {
        Self {
            wish: TunWish { offload, queues },
            busy_poll,
        }
    }
}

/// As on a host with few processors.
pub const FAST: Path = Path::new(true, 1, BUSY_POLL);
/// Each packet alone.
pub const PLAIN: Path = Path::new(false, 1, BUSY_POLL);
/// As with more processors.
pub const QUEUES: Path = Path::new(true, 3, BUSY_POLL);
/// Each packet alone, as with more processors.
pub const PLAIN_QUEUES: Path = Path::new(false, 3, BUSY_POLL);
/// Never waits awake.
pub const ASLEEP: Path = Path::new(true, 1, Duration::ZERO);
/// Waits awake so long that a slow machine makes little difference; on one whose processors are taken away meanwhile each
/// packet may take as long.
pub const AWAKE: Path = Path::new(true, 1, Duration::from_millis(2));

/// A host with a pump.
pub struct Node {
    pub host: Host,
    /// Behind the bridge `docker0` of the host, at `.2` of the subnet.
    pub container: Host,
    pub pump: Option<Pump>,
    pub device: String,
    pub table: Arc<ArcSwap<Table>>,
    pub counters: Arc<Counters>,
    number: u8,
}

impl Node {
    /// Host `number` (from 0) of the lab gets 10.5.(number+1).0/24. No peer is known yet.
    pub fn new(lab: &Lab, number: u8, path: Path) -> Self {
        let host = lab.node(number.into()).clone();
        host.sysctl("net/ipv4/ip_forward", "1");
        let subnet = number + 1;
        let table: Arc<ArcSwap<Table>> = Arc::default();
        let counters: Arc<Counters> = Arc::default();
        let (pump, device) = host.within(|| {
            let tun = Tun::open(path.wish).unwrap();
            let device = tun.name().to_owned();
            let config = PumpConfig {
                tun,
                bind: SocketAddrV4::new(host.address, PORT),
                tunnel_address: Ipv4Addr::new(10, 5, subnet, 0),
                accept: Accept::Peers,
                busy_poll: path.busy_poll,
            };
            let pump = Pump::start(config, Arc::clone(&table), Arc::clone(&counters)).unwrap();
            (pump, device)
        });
        address(&host, &device, subnet);
        let container = container(&host, number);
        Self {
            host,
            container,
            pump: Some(pump),
            device,
            table,
            counters,
            number,
        }
    }

    pub fn subnet(&self) -> u8 {
        self.number + 1
    }

    pub fn tunnel_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 5, self.subnet(), 0)
    }

    pub fn container_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 5, self.subnet(), 2)
    }

    /// Single packets from container to container, close together, until it is dropped.
    pub fn flood(&self, to: &Node) -> Proc {
        let mut ping = self.container.command("ping");
        ping.args(["-n", "-q", "-f", &to.container_address().to_string()]);
        self.container.spawn("flood", ping)
    }

    pub fn peer(&self) -> Peer {
        Peer {
            subnet: format!("10.5.{}.0/24", self.subnet()).parse().unwrap(),
            address: SocketAddrV4::new(self.host.address, PORT),
        }
    }
}

/// What the netlink reconciler does to the device.
pub fn address(host: &Host, device: &str, subnet: u8) {
    host.ip(&format!("address add 10.5.{subnet}.0/32 dev {device}"));
    host.ip(&format!("link set {device} mtu 1472 up"));
    host.ip(&format!("route add 10.5.0.0/16 dev {device}"));
}

/// A namespace behind a bridge, as Docker would make it.
fn container(host: &Host, number: u8) -> Host {
    let subnet = number + 1;
    let inside = Ipv4Addr::new(10, 5, subnet, 2);
    let container = Host::new(host.shared(), &format!("c{number}"), inside);
    host.ip("link add docker0 type bridge");
    host.ip(&format!("address add 10.5.{subnet}.1/24 dev docker0"));
    host.ip("link set docker0 mtu 1472 up");
    host.ip(&format!(
        "link add veth0 mtu 1472 type veth peer name eth0 mtu 1472 netns {}",
        container.name()
    ));
    host.ip("link set veth0 master docker0 up");
    container.ip(&format!("address add {inside}/24 dev eth0"));
    container.ip("link set eth0 up");
    container.ip(&format!("route add default via 10.5.{subnet}.1"));
    container
}

/// Two nodes that know each other.
pub fn pair(lab: &Lab, path: Path) -> (Node, Node) {
    let (a, b) = (Node::new(lab, 0, path), Node::new(lab, 1, path));
    a.table.store(Arc::new(Table::new([b.peer()])));
    b.table.store(Arc::new(Table::new([a.peer()])));
    (a, b)
}

/// Pings once with more arguments and gives what ping said.
pub fn ping(from: &Net, to: Ipv4Addr, args: &[&str]) -> String {
    let to = to.to_string();
    let args = [&["-n", "-c", "1", "-W", "2"], args, &[&to]].concat();
    String::from_utf8_lossy(&from.try_run("ping", &args).stdout).into_owned()
}

/// Processor time of all pumps' threads of this process.
pub fn pump_time() -> Duration {
    let of = |task: PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let pump = name.starts_with("tun-to-udp") || name.starts_with("udp-to-tun");
        let stat = std::fs::read_to_string(task.join("schedstat"))
            .ok()
            .filter(|_| pump)?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks().into_iter().filter_map(of).sum())
}

/// The folders of this process' threads in /proc.
pub fn tasks() -> Vec<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| Some(task.ok()?.path())).collect()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
