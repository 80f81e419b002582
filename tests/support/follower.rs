//! A follower in the background with a way to wait for what it should see.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use flannelctl::registry::{Followed, Registry, follow};
use flannelctl::subnet::Record;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::etcd::ctl::Ctl;
use crate::support::lease;

/// Where the leases are.
pub const FOLDER: &str = "/coreos.com/network/subnets";

/// A running follower; ends with it.
pub struct Follower {
    pub rx: watch::Receiver<Followed>,
    _cancel: DropGuard,
}

impl Follower {
    /// Starts it.
    pub fn start(registry: Registry) -> Self {
        let (tx, rx) = watch::channel(Followed::default());
        let cancel = CancellationToken::new();
        tokio::spawn(follow(registry, tx, cancel.clone()));
        Self {
            rx,
            _cancel: cancel.drop_guard(),
        }
    }

    /// Waits until `holds`, and says how long it took.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Followed) -> bool) -> Duration {
        let begin = Instant::now();
        let wait = self.rx.wait_for(|followed| holds(followed));
        let in_time = tokio::time::timeout(Duration::from_secs(30), wait).await;
        let in_time = in_time.map(|outcome| drop(outcome.unwrap())).is_ok();
        assert!(in_time, "{what}: still {:?}", self.now());
        eprintln!("{what}: {:?}", begin.elapsed());
        begin.elapsed()
    }

    /// What it knows.
    pub fn now(&self) -> Followed {
        self.rx.borrow().clone()
    }

    /// The public IP of a record, if it is readable.
    pub fn ip(followed: &Followed, name: &str) -> Option<Ipv4Addr> {
        match followed.snapshot.records.get(name)? {
            Record::Lease(lease) => Some(lease.attrs.public_ip),
            Record::Unreadable(_) => None,
        }
    }
}

/// True for a record with this public IP.
pub fn has(name: &'static str, ip: [u8; 4]) -> impl Fn(&Followed) -> bool {
    move |followed| Follower::ip(followed, name) == Some(Ipv4Addr::from(ip))
}

/// Writes a lease without an etcd lease.
pub fn put(etcd: &Ctl, name: &str, ip: &str) {
    etcd.put(&format!("{FOLDER}/{name}"), &lease(ip));
}

/// Deletes a record.
pub fn del(etcd: &Ctl, name: &str) {
    etcd.ctl(&["del", &format!("{FOLDER}/{name}")]);
}
