//! The keeper of the own lease against a real etcd: whatever happens to the record, the node has its subnet
//! and peers can read how to reach it.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/follower.rs"]
mod follower;
#[path = "support/registry.rs"]
mod support;

use std::time::{Duration, Instant};

use etcd::Etcd;
use flannelctl::agent::keep::{Keeper, LEASE_TTL, LeaseStatus, Lost};
use flannelctl::registry::{Followed, Held, Registry};
use flannelctl::subnet::envfile::PreviousSubnets;
use flannelctl::subnet::{LeaseAttrs, NetworkConfig, Record, Vtep};
use follower::{FOLDER, Follower, del};
use support::registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(20);

/// A node with a keeper that runs.
struct Node {
    registry: Registry,
    follower: Follower,
    held: Held,
    attrs: LeaseAttrs,
    status: watch::Receiver<LeaseStatus>,
    keeper: JoinHandle<Result<(), Lost>>,
}

fn attrs() -> LeaseAttrs {
    let vtep = Vtep {
        vni: 1,
        mac: [2, 0, 0, 0, 0, 1],
    };
    LeaseAttrs {
        public_ip: [192, 0, 2, 1].into(),
        public_ipv6: None,
        backend_type: "vxlan".to_owned(),
        backend_data: Some(vtep.to_json()),
        backend_v6_data: None,
    }
}

impl Node {
    /// Takes a subnet; `meanwhile` happens before the first list is read.
    async fn start(etcd: &Etcd, meanwhile: impl FnOnce(&str)) -> Self {
        let registry = registry(&[&etcd.url]);
        let config =
            NetworkConfig::parse(br#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#)
                .unwrap();
        let held = registry
            .acquire(&config, &attrs(), &PreviousSubnets::default(), LEASE_TTL)
            .await
            .unwrap();
        meanwhile(&held.name);
        let mut follower = Follower::start(registry.clone());
        follower.until("listed", Followed::is_known).await;
        // As the agent does, which looks at the first list before the keeper runs.
        let mut followed = follower.rx.clone();
        drop(followed.borrow_and_update());
        let keeper = Keeper {
            registry: registry.clone(),
            config,
            attrs: attrs(),
            held: held.clone(),
            margin: Duration::from_secs(3600),
        };
        let (status_in, status) = watch::channel(keeper.status(std::time::Instant::now()));
        Self {
            registry,
            follower,
            held,
            attrs: attrs(),
            status,
            keeper: tokio::spawn(keeper.run(followed, status_in)),
        }
    }

    /// Waits until etcd (not what is remembered of it) says what the node wants it to say, with (or without)
    /// an etcd lease.
    async fn holds(&mut self, what: &str, leased: bool) {
        let begin = Instant::now();
        loop {
            let snapshot = self.registry.snapshot().await;
            let records = snapshot.as_ref().map(|snapshot| &snapshot.records);
            match records.map(|records| records.get(&self.held.name)) {
                Ok(Some(Record::Lease(lease)))
                    if lease.attrs == self.attrs && (lease.origin.lease_id != 0) == leased =>
                {
                    break;
                }
                _ => assert!(
                    begin.elapsed() < SOON,
                    "{what}: still {snapshot:?}\n{:?} {:?} {:?}",
                    self.follower.now(),
                    *self.status.borrow(),
                    self.keeper.is_finished()
                ),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!self.keeper.is_finished(), "{what}: the keeper gave up");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_before_the_first_list_counts() {
    let etcd = Etcd::start();
    let mut node = Node::start(&etcd, |name| del(&etcd, name)).await;
    node.holds("taken again", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_was_set_back_gets_the_lease_again() {
    let mut etcd = Etcd::start();
    let backup = etcd.backup();
    for step in 0..20 {
        etcd.put("/elsewhere", &step.to_string());
    }
    let mut node = Node::start(&etcd, |_| {}).await;
    node.holds("held", true).await;
    etcd.restart_empty();
    node.holds("after a new etcd", true).await;
    etcd.restart_from(backup.path());
    node.holds("after an old backup", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_made_and_unmade_while_the_agent_runs() {
    let etcd = Etcd::start();
    let mut node = Node::start(&etcd, |_| {}).await;
    let key = format!("{FOLDER}/{}", node.held.name);
    etcd.put(&key, r#"{"PublicIP":"192.0.2.1"}"#);
    node.holds("made a reservation", false).await;
    let mut status = node.status.clone();
    let endless = status.wait_for(|status| status.expires.is_none());
    let endless = tokio::time::timeout(Duration::from_secs(5), endless).await;
    // Nobody else uses this node's address: no alarm.
    assert_eq!(endless.unwrap().unwrap().trouble, None);
    del(&etcd, &node.held.name);
    node.holds("an ordinary lease again", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_value_is_put_right_and_stays_a_lease() {
    let etcd = Etcd::start();
    let mut node = Node::start(&etcd, |_| {}).await;
    let key = format!("{FOLDER}/{}", node.held.name);
    for junk in ["junk", "{}", "", r#"{"PublicIP":null}"#] {
        // The keeper may answer before anything else is asked of etcd.
        let revision = etcd.revision() + 1;
        etcd.put(&key, junk);
        node.follower
            .until(junk, |f| f.snapshot.revision > revision)
            .await;
        node.holds(junk, true).await;
    }
    let snapshot = node.registry.snapshot().await.unwrap();
    let id = snapshot.records[&node.held.name].origin().lease_id;
    let left = node.registry.ttls(&[id]).await.unwrap()[&id].unwrap();
    assert!(left > LEASE_TTL - 60);
}
