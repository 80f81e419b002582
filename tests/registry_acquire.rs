//! Taking, keeping and losing a subnet on a real etcd and on the embedded store: never two nodes on overlapping subnets,
//! never a record of somebody else's written over.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[macro_use]
#[path = "support/both.rs"]
mod both;
#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/registry.rs"]
mod support;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use etcd::ctl::Ctl;
use flannelctl::registry::{AcquireError, Held, KeepAlive, PutOutcome, Registry, Renewal};
use flannelctl::subnet::envfile::PreviousSubnets;
use flannelctl::subnet::{LeaseAttrs, NetworkConfig, Record};
use proxy::{Mode, Proxy};
use support::registry;

const FOLDER: &str = "/coreos.com/network/subnets";
const DAY: i64 = 86_400;

fn network(text: &str) -> NetworkConfig {
    NetworkConfig::parse(text.as_bytes()).unwrap()
}

fn wide() -> NetworkConfig {
    network(r#"{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}"#)
}

fn attrs(ip: Ipv4Addr) -> LeaseAttrs {
    LeaseAttrs {
        public_ip: ip,
        public_ipv6: None,
        backend_type: "host-gw".to_owned(),
        backend_data: None,
        backend_v6_data: None,
    }
}

fn node(last: u8) -> LeaseAttrs {
    attrs(Ipv4Addr::new(192, 0, 2, last))
}

async fn take(registry: &Registry, config: &NetworkConfig, attrs: &LeaseAttrs) -> Held {
    registry
        .acquire(config, attrs, &PreviousSubnets::default(), DAY)
        .await
        .unwrap()
}

fn leases(etcd: &Ctl) -> usize {
    let out = etcd.ctl(&["lease", "list"]);
    out.lines().count() - 1
}

/// Pairwise: neither the IPv4 nor the IPv6 halves of all records in etcd overlap.
async fn nothing_overlaps(registry: &Registry) {
    let snapshot = registry.snapshot().await.unwrap();
    let keys: Vec<_> = snapshot.records.values().filter_map(Record::key).collect();
    for (i, a) in keys.iter().enumerate() {
        for b in &keys[i + 1..] {
            let four = a.v4.contains(&b.v4) || b.v4.contains(&a.v4);
            assert!(!four, "{a} and {b}");
            if let (Some(a6), Some(b6)) = (a.v6, b.v6) {
                assert!(!a6.contains(&b6) && !b6.contains(&a6), "{a} and {b}");
            }
        }
    }
}

async fn a_subnet_is_created_and_taken_again(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let first = take(&registry, &wide(), &node(1)).await;
    assert_eq!(first.ttl, Some(DAY));
    assert_eq!(
        etcd.get(&format!("{FOLDER}/{}", first.name)).unwrap(),
        node(1).encode()
    );
    let snapshot = registry.snapshot().await.unwrap();
    assert_eq!(snapshot.records[&first.name].origin(), first.origin);
    let ttls = registry.ttls(&[first.origin.lease_id]).await.unwrap();
    assert!(ttls[&first.origin.lease_id].unwrap() > DAY - 60);

    // The next run finds it, takes a fresh etcd lease and leaves none behind.
    let again = take(&registry, &wide(), &node(1)).await;
    assert_eq!((&again.name, &again.key), (&first.name, &first.key));
    assert_ne!(again.origin.lease_id, first.origin.lease_id);
    assert_eq!(again.origin.create_revision, first.origin.create_revision);
    assert_eq!(leases(etcd), 1);
    let snapshot = registry.snapshot().await.unwrap();
    assert_eq!(snapshot.records.len(), 1);
    assert_eq!(snapshot.records[&again.name].origin(), again.origin);
    assert!(matches!(
        registry.keep_alive(again.origin.lease_id).await.unwrap(),
        KeepAlive::Alive { ttl: DAY }
    ));
}

async fn a_reservation_stays_one(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let key = format!("{FOLDER}/10.5.77.0-24");
    etcd.put(&key, r#"{"PublicIP":"192.0.2.1"}"#);
    let held = take(&registry, &wide(), &node(1)).await;
    assert_eq!((held.name.as_str(), held.ttl), ("10.5.77.0-24", None));
    assert_eq!(held.origin.lease_id, 0);
    assert_eq!(etcd.get(&key).unwrap(), node(1).encode());
    let snapshot = registry.snapshot().await.unwrap();
    assert_eq!(snapshot.records[&held.name].origin().lease_id, 0);
    assert_eq!(leases(etcd), 0);

    let mut changed = node(1);
    changed.backend_type = "vxlan".to_owned();
    let Renewal::Renewed(held) = registry.renew(&held, &changed, DAY).await.unwrap() else {
        panic!("nobody else wrote");
    };
    assert_eq!(held.origin.lease_id, 0);
    assert_eq!(etcd.get(&key).unwrap(), changed.encode());
    assert!(!registry.release(&held).await.unwrap());
    assert!(etcd.get(&key).is_some());
    assert_eq!(leases(etcd), 0);
}

async fn a_record_that_no_longer_fits_is_replaced(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let old = take(&registry, &wide(), &node(1)).await;
    let other = network(r#"{"Network":"10.6.0.0/16","Backend":{"Type":"host-gw"}}"#);
    let new = take(&registry, &other, &node(1)).await;
    assert!(new.name.starts_with("10.6."));
    assert_eq!(etcd.get(&format!("{FOLDER}/{}", old.name)), None);
    assert_eq!(leases(etcd), 1);
}

async fn turning_ipv6_on_or_off_keeps_the_ipv4_subnet(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let dual = network(
        r#"{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48","Backend":{"Type":"host-gw"}}"#,
    );
    let both = take(&registry, &dual, &node(1)).await;
    let four = take(&registry, &wide(), &node(1)).await;
    assert_eq!((four.key.v4, four.key.v6), (both.key.v4, None));
    let both = take(&registry, &dual, &node(1)).await;
    assert_eq!(both.key.v4, four.key.v4);
    assert_eq!(registry.snapshot().await.unwrap().records.len(), 1);
    assert_eq!(leases(etcd), 1);
}

async fn the_previous_subnet_is_taken_when_it_is_free(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let previous = PreviousSubnets {
        v4: Some("10.5.99.0/24".parse().unwrap()),
        v6: None,
    };
    let first = registry.acquire(&wide(), &node(1), &previous, DAY).await;
    assert_eq!(first.unwrap().name, "10.5.99.0-24");
    let second = registry.acquire(&wide(), &node(2), &previous, DAY).await;
    assert_ne!(second.unwrap().name, "10.5.99.0-24");
}

/// All at once; each with a registry of its own, as on as many hosts.
async fn crowd(etcd: &Ctl, configs: &[NetworkConfig]) -> Vec<Result<Held, AcquireError>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (i, config) in configs.iter().cloned().enumerate() {
        let registry = registry(&[&etcd.url]);
        let ip =
            Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 0, 1)) + u32::try_from(i).unwrap());
        tasks.spawn(async move {
            registry
                .acquire(&config, &attrs(ip), &PreviousSubnets::default(), DAY)
                .await
        });
    }
    tasks.join_all().await
}

async fn three_subnets_go_to_three_of_seven(etcd: &Ctl) {
    let small = network(r#"{"Network":"10.5.0.0/28","Backend":{"Type":"host-gw"}}"#);
    let outcome = crowd(etcd, &vec![small; 7]).await;
    let names: BTreeSet<String> = outcome
        .iter()
        .filter_map(|held| held.as_ref().ok().map(|held| held.name.clone()))
        .collect();
    assert_eq!(names.len(), 3, "{outcome:?}");
    for error in outcome.iter().filter_map(|held| held.as_ref().err()) {
        assert!(matches!(error, AcquireError::Allocate(_)), "{error}");
    }
    assert_eq!(outcome.iter().filter(|held| held.is_ok()).count(), 3);
    assert_eq!(leases(etcd), 3, "those who got none leave no etcd lease");
}

async fn a_hundred_nodes_at_once_all_get_one(etcd: &Ctl) {
    let begin = std::time::Instant::now();
    let outcome = crowd(etcd, &vec![wide(); 100]).await;
    eprintln!("100 nodes at once: {:?}", begin.elapsed());
    for held in &outcome {
        assert!(held.is_ok(), "{held:?}");
    }
    nothing_overlaps(&registry(&[&etcd.url])).await;
    assert_eq!(leases(etcd), 100);
}

async fn different_lengths_and_families_never_overlap(etcd: &Ctl) {
    let configs: Vec<NetworkConfig> = (0..24)
        .map(|i| {
            let len = [26, 27, 28][i % 3];
            let six = i % 2 == 0;
            network(&format!(
                r#"{{"Network":"10.5.0.0/23","SubnetLen":{len},"EnableIPv6":{six},
                    "IPv6Network":"fd00::/60","IPv6SubnetLen":{},"Backend":{{"Type":"host-gw"}}}}"#,
                63 + i % 2
            ))
        })
        .collect();
    let outcome = crowd(etcd, &configs).await;
    nothing_overlaps(&registry(&[&etcd.url])).await;
    let taken = outcome.iter().filter(|held| held.is_ok()).count();
    eprintln!("{taken} of 24 found room");
    assert!(taken >= 4);
    assert_eq!(leases(etcd), taken);
}

async fn junk_in_the_way_is_walked_around(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    // Three subnets; two hold junk.
    let small = network(r#"{"Network":"10.5.0.0/28","Backend":{"Type":"host-gw"}}"#);
    etcd.put(&format!("{FOLDER}/10.5.0.4-30"), "junk");
    etcd.put(&format!("{FOLDER}/10.5.0.8-30&nonsense"), "junk");
    let held = take(&registry, &small, &node(1)).await;
    assert_eq!(held.name, "10.5.0.12-30");
}

async fn a_node_back_from_a_partition_overwrites_nothing(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let ours = take(&registry, &wide(), &node(1)).await;
    let key = format!("{FOLDER}/{}", ours.name);

    // While we were away our etcd lease expired and another node got the subnet.
    etcd.ctl(&["lease", "revoke", &format!("{:x}", ours.origin.lease_id)]);
    assert_eq!(etcd.get(&key), None);
    assert!(matches!(
        registry.renew(&ours, &node(1), DAY).await.unwrap(),
        Renewal::Lost { current: None }
    ));
    etcd.put(&key, &node(2).encode());

    assert_eq!(
        registry.keep_alive(ours.origin.lease_id).await.unwrap(),
        KeepAlive::Gone
    );
    let Renewal::Lost { current } = registry.renew(&ours, &node(1), DAY).await.unwrap() else {
        panic!("written over another node's record");
    };
    assert!(matches!(current, Some(Record::Lease(lease))
        if lease.attrs.public_ip == Ipv4Addr::new(192, 0, 2, 2)));
    assert!(!registry.release(&ours).await.unwrap());
    assert_eq!(etcd.get(&key).unwrap(), node(2).encode());
    assert_eq!(leases(etcd), 0);

    let new = take(&registry, &wide(), &node(1)).await;
    assert_ne!(new.name, ours.name);
}

async fn a_changed_mac_is_published_and_a_released_subnet_is_free(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let held = take(&registry, &wide(), &node(1)).await;
    let mut changed = node(1);
    changed.backend_data = Some(serde_json::json!({"VNI": 1, "VtepMAC": "02:00:00:00:00:01"}));
    let Renewal::Renewed(renewed) = registry.renew(&held, &changed, DAY).await.unwrap() else {
        panic!("nobody else wrote");
    };
    let key = format!("{FOLDER}/{}", held.name);
    assert_eq!(etcd.get(&key).unwrap(), changed.encode());
    assert_eq!(leases(etcd), 1);
    assert!(!registry.release(&held).await.unwrap(), "held is outdated");
    assert!(registry.release(&renewed).await.unwrap());
    assert_eq!(etcd.get(&key), None);
    assert_eq!(leases(etcd), 0);
}

async fn a_write_whose_answer_was_lost_is_recognised_as_ours(etcd: &Ctl) {
    let proxy = Proxy::start(&etcd.url).await;
    let registry = registry(&[&proxy.url]);

    // Written, but the answer never comes; the repetition then finds "somebody's" config.
    proxy.set(Mode::Mute);
    let (outcome, ()) = tokio::join!(registry.put_config("text", 0), async {
        while etcd.get("/coreos.com/network/config").is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        proxy.set(Mode::Open);
    });
    assert!(matches!(outcome.unwrap(), PutOutcome::Done { .. }));
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"text");

    let held = take(&registry, &wide(), &node(1)).await;
    let key = format!("{FOLDER}/{}", held.name);
    let mut changed = node(1);
    changed.backend_type = "vxlan".to_owned();
    let before = leases(etcd);
    proxy.set(Mode::Mute);
    let (outcome, ()) = tokio::join!(registry.renew(&held, &changed, DAY), async {
        // First the grant reaches etcd unheard, then, heard, it is repeated.
        while leases(etcd) == before {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        proxy.set(Mode::Open);
    });
    assert!(matches!(outcome.unwrap(), Renewal::Renewed(_)));
    assert_eq!(etcd.get(&key).unwrap(), changed.encode());
    assert_eq!(leases(etcd), 1, "the repeated grant made no second lease");
}

on_both!(
    a_subnet_is_created_and_taken_again,
    a_reservation_stays_one,
    a_record_that_no_longer_fits_is_replaced,
    turning_ipv6_on_or_off_keeps_the_ipv4_subnet,
    the_previous_subnet_is_taken_when_it_is_free,
    three_subnets_go_to_three_of_seven,
    a_hundred_nodes_at_once_all_get_one,
    different_lengths_and_families_never_overlap,
    junk_in_the_way_is_walked_around,
    a_node_back_from_a_partition_overwrites_nothing,
    a_changed_mac_is_published_and_a_released_subnet_is_free,
    a_write_whose_answer_was_lost_is_recognised_as_ours,
);
