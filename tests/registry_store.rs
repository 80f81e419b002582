//! Config, list and etcd leases on a real etcd and on the embedded store.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[macro_use]
#[path = "support/both.rs"]
mod both;
#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/registry.rs"]
mod support;

use etcd::ctl::Ctl;
use flannelctl::registry::{KeepAlive, PutOutcome};
use flannelctl::subnet::key::KeyError;
use flannelctl::subnet::{Record, RecordError};
use support::{lease, options, registry};

async fn config_is_written_by_compare_and_swap(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    assert_eq!(registry.config().await.unwrap(), None);

    let PutOutcome::Done { revision: first } = registry.put_config("one", 0).await.unwrap() else {
        panic!("there was none");
    };
    let now = registry.config().await.unwrap().unwrap();
    assert_eq!(
        (now.bytes.as_slice(), now.mod_revision),
        (&b"one"[..], first)
    );
    assert_eq!(
        etcd.get("/coreos.com/network/config").as_deref(),
        Some("one")
    );

    let PutOutcome::Conflict { current } = registry.put_config("two", 0).await.unwrap() else {
        panic!("0 means that there must be none");
    };
    assert_eq!(current.unwrap().bytes, b"one");
    let PutOutcome::Done { revision } = registry.put_config("two", first).await.unwrap() else {
        panic!("nobody else wrote");
    };
    assert!(revision > first);
    assert!(matches!(
        registry.put_config("three", first).await.unwrap(),
        PutOutcome::Conflict { current: Some(_) }
    ));
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"two");
}

async fn a_prefix_is_used_as_flanneld_cleans_it(etcd: &Ctl) {
    let mut options = options(&[&etcd.url]);
    options.prefix = "my//net/".to_owned();
    let registry = flannelctl::registry::Registry::new(options).unwrap();
    registry.put_config("x", 0).await.unwrap();
    assert_eq!(etcd.get("my/net/config").as_deref(), Some("x"));
}

async fn a_list_holds_every_key_of_flannelds_range(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let empty = registry.snapshot().await.unwrap();
    assert!(empty.records.is_empty() && empty.revision > 0);

    let folder = "/coreos.com/network/subnets";
    etcd.put(&format!("{folder}/10.5.1.0-24"), &lease("192.0.2.1"));
    etcd.put(&format!("{folder}/10.5.2.0-24"), "no json");
    etcd.put(&format!("{folder}/foo"), &lease("192.0.2.3"));
    etcd.put(&format!("{folder}-old/10.5.4.0-24"), &lease("192.0.2.4"));
    etcd.put("/coreos.com/network/other", "x");
    let snapshot = registry.snapshot().await.unwrap();
    assert_eq!(snapshot.revision, etcd.revision());

    let names: Vec<&str> = snapshot.records.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "10.5.1.0-24",
            "10.5.2.0-24",
            "foo",
            "subnets-old/10.5.4.0-24"
        ]
    );
    assert!(
        matches!(&snapshot.records["10.5.1.0-24"], Record::Lease(lease)
        if lease.origin.lease_id == 0 && lease.origin.mod_revision > 0)
    );
    assert!(
        matches!(&snapshot.records["10.5.2.0-24"], Record::Unreadable(junk)
        if junk.key.is_some() && matches!(junk.reason, RecordError::Value(_)))
    );
    assert!(matches!(&snapshot.records["foo"], Record::Unreadable(junk)
        if junk.key.is_none() && junk.reason == RecordError::Key(KeyError::Form)));
    assert!(
        matches!(&snapshot.records["subnets-old/10.5.4.0-24"], Record::Unreadable(junk)
        if junk.key.is_some() && junk.reason == RecordError::Key(KeyError::Folder))
    );
}

async fn ten_thousand_leases_come_in_pages(etcd: &Ctl) {
    let mut client = etcd_client::Client::connect([etcd.url.as_str()], None)
        .await
        .unwrap();
    let value = lease("192.0.2.1") + &" ".repeat(600);
    for high in 0..100_u32 {
        let puts: Vec<_> = (0..100_u32)
            .map(|low| {
                let key = format!("/coreos.com/network/subnets/10.{high}.{low}.0-24");
                etcd_client::TxnOp::put(key, value.as_str(), None)
            })
            .collect();
        client
            .txn(etcd_client::Txn::new().and_then(puts))
            .await
            .unwrap();
    }
    let begin = std::time::Instant::now();
    let snapshot = registry(&[&etcd.url]).snapshot().await.unwrap();
    eprintln!("10,000 leases of 650 bytes listed in {:?}", begin.elapsed());
    assert_eq!(snapshot.records.len(), 10_000);
}

async fn etcd_leases_are_refreshed_and_asked_for(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let mut client = etcd_client::Client::connect([etcd.url.as_str()], None)
        .await
        .unwrap();
    let lives = client.lease_grant(1000, None).await.unwrap().id();
    let gone = client.lease_grant(1000, None).await.unwrap().id();
    client.lease_revoke(gone).await.unwrap();

    let ttls = registry.ttls(&[lives, gone, 0, lives, gone]).await.unwrap();
    assert_eq!(ttls.len(), 2);
    assert!(ttls[&lives].is_some_and(|ttl| (900..=1000).contains(&ttl)));
    assert_eq!(ttls[&gone], None);

    assert_eq!(
        registry.keep_alive(lives).await.unwrap(),
        KeepAlive::Alive { ttl: 1000 }
    );
    assert_eq!(registry.keep_alive(gone).await.unwrap(), KeepAlive::Gone);
}

on_both!(
    config_is_written_by_compare_and_swap,
    a_prefix_is_used_as_flanneld_cleans_it,
    a_list_holds_every_key_of_flannelds_range,
    ten_thousand_leases_come_in_pages,
    etcd_leases_are_refreshed_and_asked_for,
);
