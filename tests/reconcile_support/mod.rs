//! A network namespace for one test thread, a goal to start from, and words to look at the kernel with the
//! tools an admin would use.
#![allow(dead_code, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flannelctl::agent::reconcile::{ReconcileStatus, Reconciler};
use flannelctl::plan::{External, Goal, Host, Peer};
use flannelctl::subnet::network::{Backend, VxlanOptions};
use nix::sched::{CloneFlags, unshare};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Runs `test` on a thread with a network namespace of its own, which ends with the thread. It holds `eth0`
/// (192.0.2.1/24, MTU 1500) with its other end `wire`.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set lo up");
        ip("link add eth0 type veth peer name wire");
        ip("address add 192.0.2.1/24 dev eth0");
        ip("link set eth0 up");
        ip("link set wire up");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip ARGUMENTS`; panics when it fails.
pub fn ip(arguments: &str) -> String {
    run(&format!("ip {arguments}"))
}

/// Runs a command line split at blanks; panics when it fails.
pub fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{line}: {out}{err}");
    out
}

pub fn vxlan_options() -> VxlanOptions {
    VxlanOptions {
        vni: 1,
        port: None,
        mtu: None,
        gbp: false,
        learning: false,
        direct_routing: false,
    }
}

/// A goal with `count` peers: 10.5.1.0/24 … at 192.0.2.101 … .
pub fn goal(backend: Backend, count: u16) -> Goal {
    let index = ip("-o link show eth0")
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    Goal {
        host: Host {
            ext: External {
                index,
                name: "eth0".into(),
                mtu: 1500,
                address: "192.0.2.1".parse().unwrap(),
            },
            public_ip: "192.0.2.1".parse().unwrap(),
            mac: None,
            tun: None,
        },
        backend,
        own: Some("10.5.0.0/24".parse().unwrap()),
        network: "10.5.0.0/16".parse().unwrap(),
        peers: (1..=count).map(peer).collect(),
        blackhole: false,
        former: None,
    }
}

pub fn vxlan_goal(count: u16) -> Goal {
    goal(Backend::Vxlan(vxlan_options()), count)
}

/// Peer number `n`: up to 150 they are on eth0's link, and below 256 their subnets are /24 in 10.5/16.
pub fn peer(n: u16) -> Peer {
    let [high, low] = n.to_be_bytes();
    let subnet = format!("10.{}.{low}.0/24", 5 + u32::from(high));
    let public_ip = if n <= 150 {
        format!("192.0.2.{}", 100 + n)
    } else {
        format!("198.51.{}.{low}", 100 + u32::from(high))
    };
    Peer {
        subnet: subnet.parse().unwrap(),
        public_ip: public_ip.parse().unwrap(),
        vtep_mac: Some([0x02, 0xaa, 0, 0, high, low]),
    }
}

/// One round; panics when anything fails.
pub fn reach(reconciler: &mut Reconciler, goal: &Goal) -> ReconcileStatus {
    let status = reconciler.once(&Arc::new(goal.clone()));
    assert!(status.failures.is_empty(), "{:?}", status.failures);
    assert!(status.last_ok.is_some(), "{status:?}");
    status
}

/// A running reconciler.
pub struct Running {
    pub runtime: tokio::runtime::Runtime,
    pub goals: watch::Sender<Arc<Goal>>,
    pub status: watch::Receiver<ReconcileStatus>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Starts one on `goal`, and waits until the goal is reached.
    pub fn start(goal: &Goal) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (goals, receiver) = watch::channel(Arc::new(goal.clone()));
        let (sender, status) = watch::channel(ReconcileStatus::default());
        let cancel = CancellationToken::new();
        let reconciler = Reconciler::open().unwrap();
        let task = runtime.spawn(reconciler.run(receiver, sender, cancel.clone()));
        let running = Self {
            runtime,
            goals,
            status,
            cancel,
            task,
        };
        running.until(|status| status.last_ok.is_some());
        running
    }

    /// Waits, at most 5 s, for a status.
    pub fn until(&self, wanted: impl FnMut(&ReconcileStatus) -> bool) -> ReconcileStatus {
        let mut status = self.status.clone();
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(5), status.wait_for(wanted))
                .await
                .expect("the status does not come")
                .unwrap()
                .clone()
        })
    }

    pub fn stop(self) {
        self.cancel.cancel();
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(2), self.task)
                .await
                .expect("the reconciler does not stop")
                .unwrap();
        });
    }
}

/// How long healing may take: 2 s where nobody else uses the machine, and less than the timer's 10 s, which begin anew
/// with each healing.
const HEAL: Duration = Duration::from_secs(8);

/// Waits until `see` returns true; tells how long it took.
pub fn heals(what: &str, mut see: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !see() {
        assert!(begun.elapsed() < HEAL, "not within {HEAL:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    println!("{what}: healed after {} ms", took.as_millis());
    took
}

pub fn mac_of(device: &str) -> String {
    let shown = ip(&format!("link show {device}"));
    let mut words = shown
        .split_whitespace()
        .skip_while(|word| *word != "link/ether");
    words.nth(1).unwrap().to_owned()
}

pub fn index_of(device: &str) -> String {
    ip(&format!("-o link show {device}"))
        .split(':')
        .next()
        .unwrap()
        .to_owned()
}

/// True when device, address and all entries of `count` peers are there.
pub fn complete(count: usize) -> bool {
    let lines = |line: &str, word: &str| {
        let out = std::process::Command::new(line.split_whitespace().next().unwrap())
            .args(line.split_whitespace().skip(1))
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .filter(|l| l.contains(word))
            .count()
    };
    lines("ip route show dev flannel.1", "onlink") == count
        && lines("ip neigh show dev flannel.1", "PERMANENT") == count
        && lines("bridge fdb show dev flannel.1", "dst") == count
        && lines("ip address show dev flannel.1", "inet 10.5.0.0/32") == 1
}
