//! The follower against a real etcd that dies, compacts, is restored from a backup; and what it follows in the
//! embedded store.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[macro_use]
#[path = "support/both.rs"]
mod both;
#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/follower.rs"]
mod follower;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/registry.rs"]
mod support;

use std::time::{Duration, Instant};

use etcd::Etcd;
use etcd::ctl::Ctl;
use flannelctl::registry::Followed;
use flannelctl::subnet::Record;
use follower::{FOLDER, Follower, del, has, put};
use proxy::{Mode, Proxy};
use support::{lease, registry};

const CONFIG: &str = "/coreos.com/network/config";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_list_is_tried_until_it_works() {
    let mut etcd = Etcd::start();
    put(&etcd, "10.5.1.0-24", "192.0.2.1");
    etcd.kill();
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower
        .until("an error is told", |f| f.contact.last_error.is_some())
        .await;
    assert!(!follower.now().is_known());
    etcd.restart();
    follower.until("listed", Followed::is_known).await;
    let now = follower.now();
    assert!(has("10.5.1.0-24", [192, 0, 2, 1])(&now));
    assert!(now.contact.last_error.is_none() && now.contact.last_ok.is_some());
}

async fn changes_are_followed_and_junk_harms_nothing(etcd: &Ctl) {
    put(etcd, "10.5.1.0-24", "192.0.2.1");
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower.until("listed", Followed::is_known).await;
    assert_eq!(follower.now().config, None);

    etcd.put(CONFIG, "{}");
    follower
        .until("config", |f| {
            f.config.as_ref().is_some_and(|c| c.bytes == b"{}")
        })
        .await;
    put(etcd, "10.5.2.0-24", "192.0.2.2");
    follower
        .until("new", has("10.5.2.0-24", [192, 0, 2, 2]))
        .await;
    put(etcd, "10.5.2.0-24", "192.0.2.22");
    follower
        .until("changed", has("10.5.2.0-24", [192, 0, 2, 22]))
        .await;

    // W1: each of these empties every flanneld.
    etcd.put(&format!("{FOLDER}/foo"), "bar");
    etcd.put(&format!("{FOLDER}/10.5.3.0-24"), "no json");
    etcd.put(&format!("{FOLDER}/10.5.4.0-32"), &lease("192.0.2.4"));
    etcd.put(&format!("{FOLDER}-old/10.5.5.0-24"), &lease("192.0.2.5"));
    follower
        .until("junk", |f| f.snapshot.records.len() == 6)
        .await;
    let now = follower.now();
    assert!(has("10.5.1.0-24", [192, 0, 2, 1])(&now));
    assert!(has("10.5.2.0-24", [192, 0, 2, 22])(&now));
    for junk in [
        "foo",
        "10.5.3.0-24",
        "10.5.4.0-32",
        "subnets-old/10.5.5.0-24",
    ] {
        assert!(matches!(now.snapshot.records[junk], Record::Unreadable(_)));
    }

    // A record that turns unreadable is not removed; one that is deleted is.
    etcd.put(&format!("{FOLDER}/10.5.1.0-24"), "no json");
    follower
        .until("unreadable", |f| {
            matches!(
                f.snapshot.records.get("10.5.1.0-24"),
                Some(Record::Unreadable(_))
            )
        })
        .await;
    del(etcd, "10.5.2.0-24");
    etcd.ctl(&["del", CONFIG]);
    follower
        .until("deleted", |f| {
            !f.snapshot.records.contains_key("10.5.2.0-24") && f.config.is_none()
        })
        .await;
    assert_eq!(follower.now().snapshot.records.len(), 5);
    assert_eq!(
        follower.now().snapshot.records,
        registry(&[&etcd.url]).snapshot().await.unwrap().records
    );
}

async fn an_etcd_lease_that_expires_takes_its_record_away(etcd: &Ctl) {
    let mut client = etcd_client::Client::connect([etcd.url.as_str()], None)
        .await
        .unwrap();
    let id = client.lease_grant(6, None).await.unwrap().id();
    let options = etcd_client::PutOptions::new().with_lease(id);
    let key = format!("{FOLDER}/10.5.1.0-24");
    client
        .put(key, lease("192.0.2.1"), Some(options))
        .await
        .unwrap();
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower
        .until("there", has("10.5.1.0-24", [192, 0, 2, 1]))
        .await;
    assert_eq!(
        follower.now().snapshot.records["10.5.1.0-24"]
            .origin()
            .lease_id,
        id
    );
    follower
        .until("expired", |f| f.snapshot.records.is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_etcd_changes_nothing_and_is_followed_on() {
    let mut etcd = Etcd::start();
    put(&etcd, "10.5.1.0-24", "192.0.2.1");
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower.until("listed", Followed::is_known).await;
    let before = follower.now().snapshot;
    for round in 1..=3_u8 {
        etcd.kill();
        follower
            .until("lost", |f| f.contact.last_error.is_some())
            .await;
        assert_eq!(
            follower.now().snapshot.records["10.5.1.0-24"],
            before.records["10.5.1.0-24"]
        );
        etcd.restart();
        put(&etcd, "10.5.2.0-24", &format!("192.0.2.{round}"));
        follower
            .until("followed on", has("10.5.2.0-24", [192, 0, 2, round]))
            .await;
        assert!(follower.now().contact.last_error.is_none());
    }
}

async fn changes_missed_are_made_good_even_when_compacted(etcd: &Ctl) {
    let proxy = Proxy::start(&etcd.url).await;
    for name in ["10.5.1.0-24", "10.5.2.0-24", "10.5.3.0-24"] {
        put(etcd, name, "192.0.2.1");
    }
    let mut follower = Follower::start(registry(&[&proxy.url]));
    follower.until("listed", Followed::is_known).await;
    for compact in [false, true] {
        proxy.set(Mode::Cut);
        follower
            .until("lost", |f| f.contact.last_error.is_some())
            .await;
        put(etcd, "10.5.1.0-24", "192.0.2.11");
        del(etcd, "10.5.2.0-24");
        put(etcd, "10.5.4.0-24", "192.0.2.4");
        etcd.put(CONFIG, if compact { "new" } else { "old" });
        if compact {
            put(etcd, "10.5.1.0-24", "192.0.2.12");
            etcd.ctl(&["compact", &etcd.revision().to_string()]);
        }
        proxy.set(Mode::Open);
        let expected = registry(&[&etcd.url]).snapshot().await.unwrap();
        follower
            .until("made good", |f| {
                f.snapshot.records == expected.records && f.config.is_some()
            })
            .await;
        assert_eq!(
            follower.now().config.unwrap().bytes,
            if compact { b"new" } else { b"old" }
        );
        put(etcd, "10.5.2.0-24", "192.0.2.1");
        follower
            .until("followed on", has("10.5.2.0-24", [192, 0, 2, 1]))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_etcd_is_noticed_and_read_anew() {
    let mut etcd = Etcd::start();
    put(&etcd, "10.5.1.0-24", "192.0.2.1");
    let backup = etcd.backup();
    for last in 0..20 {
        put(&etcd, "10.5.2.0-24", &format!("192.0.2.{last}"));
    }
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower
        .until("listed", |f| f.snapshot.records.len() == 2)
        .await;

    etcd.restart_from(backup.path());
    follower
        .until("restored", |f| f.snapshot.records.len() == 1)
        .await;
    put(&etcd, "10.5.3.0-24", "192.0.2.3");
    follower
        .until("followed on", has("10.5.3.0-24", [192, 0, 2, 3]))
        .await;

    etcd.restart_empty();
    follower
        .until("empty", |f| f.snapshot.records.is_empty())
        .await;
    put(&etcd, "10.5.4.0-24", "192.0.2.4");
    follower
        .until("followed on", has("10.5.4.0-24", [192, 0, 2, 4]))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contact_stays_fresh_without_waking_anybody() {
    let etcd = Etcd::start();
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower
        .until("listed", |f| f.is_known() && f.contact.endpoint.is_some())
        .await;
    let first = follower.now().contact.last_ok.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(7), async {
        let mut count = 0;
        loop {
            follower.rx.changed().await.unwrap();
            count += 1;
            assert!(count < 3, "woken again and again");
        }
    });
    woken.await.unwrap_err();
    assert!(follower.now().contact.last_ok.unwrap() > first);
}

async fn a_burst_is_handed_on_together(etcd: &Ctl) {
    let mut follower = Follower::start(registry(&[&etcd.url]));
    follower.until("listed", Followed::is_known).await;
    let mut rx = follower.rx.clone();
    let woken = tokio::spawn(async move {
        let mut count = 0;
        while rx.changed().await.is_ok() {
            count += 1;
            if rx.borrow_and_update().snapshot.records.len() == 2000 {
                break;
            }
        }
        count
    });
    let client = etcd_client::Client::connect([etcd.url.as_str()], None)
        .await
        .unwrap();
    let value = lease("192.0.2.1");
    let puts = (0..2000_u32).map(|i| {
        let mut kv = client.kv_client();
        let key = format!("{FOLDER}/10.{}.{}.0-24", 10 + i / 250, i % 250);
        let value = value.clone();
        async move { kv.put(key, value, None).await.unwrap() }
    });
    let begin = Instant::now();
    futures_util::future::join_all(puts).await;
    let written = begin.elapsed();
    follower
        .until("all there", |f| f.snapshot.records.len() == 2000)
        .await;
    let woken = tokio::time::timeout(Duration::from_secs(10), woken)
        .await
        .unwrap()
        .unwrap();
    eprintln!(
        "2,000 events written in {written:?}, seen after {:?}, receiver woken {woken} times",
        begin.elapsed()
    );
    assert!(woken < 400, "{woken}");
}

on_both!(
    changes_are_followed_and_junk_harms_nothing,
    an_etcd_lease_that_expires_takes_its_record_away,
    changes_missed_are_made_good_even_when_compacted,
    a_burst_is_handed_on_together,
);
