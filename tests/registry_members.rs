//! The follower on a cluster of three: a dead or frozen member is left for another.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/follower.rs"]
mod follower;
#[path = "support/registry.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd::{Config, Etcd, cluster};
use follower::{FOLDER, Follower, has, put};
use support::{lease, registry};

/// The member that the follower hangs on.
fn used(follower: &Follower, members: &[Etcd]) -> usize {
    let endpoint: Arc<str> = follower.now().contact.endpoint.unwrap();
    members.iter().position(|m| *m.url == *endpoint).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_or_frozen_member_is_left_for_another() {
    let mut members = cluster(3, &Config::default());
    let urls: Vec<String> = members.iter().map(|m| m.url.clone()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    put(&members[0], "10.5.1.0-24", "192.0.2.1");
    let mut follower = Follower::start(registry(&urls));
    follower
        .until("listed", |f| f.contact.endpoint.is_some() && f.is_known())
        .await;

    let dead = used(&follower, &members);
    members[dead].kill();
    let begin = Instant::now();
    let alive = &members[(dead + 1) % 3];
    while !alive
        .try_ctl(&["put", &format!("{FOLDER}/10.5.2.0-24"), &lease("192.0.2.2")])
        .status
        .success()
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "no new leader");
    }
    let took = follower
        .until("killed", has("10.5.2.0-24", [192, 0, 2, 2]))
        .await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    members[dead].restart();

    follower
        .until("in contact", |f| f.contact.endpoint.is_some())
        .await;
    let frozen = used(&follower, &members);
    members[frozen].freeze();
    let begin = Instant::now();
    let alive = &members[(frozen + 1) % 3];
    while !alive
        .try_ctl(&["put", &format!("{FOLDER}/10.5.3.0-24"), &lease("192.0.2.3")])
        .status
        .success()
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "no new leader");
    }
    follower
        .until("frozen", has("10.5.3.0-24", [192, 0, 2, 3]))
        .await;
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    members[frozen].thaw();
}
