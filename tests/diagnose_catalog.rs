//! The catalog is complete and in order; the verdict survives any evidence; saved cases give what they say.
#![allow(clippy::unwrap_used, missing_docs)]

mod diagnose_world;

use diagnose_world::{A, B, World};
use flannelctl::diagnose::evidence::Point;
use flannelctl::diagnose::{Case, Selection, catalog, verdict};
use proptest::prelude::*;

#[test]
fn ids_and_names_are_unique_and_sorted() {
    let ids: Vec<_> = catalog::all().map(|check| check.id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted);
    let mut names: Vec<_> = catalog::all().map(|check| check.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ids.len());
    assert!(catalog::explain(catalog::find("fl101").unwrap()).contains("DOCKER-USER"));
    assert_eq!(catalog::find("MTU-chain").unwrap().id, "FL601");
}

/// `tests/scenarios/*.json`: `{"case": …, "expect": [{"id": …, "node": …, "direction": …, "confidence": …}]}`.
/// Most were saved by the fault lab (`FAULTS_SAVE`); then paths, drops, rules and counters were taken out as long as the
/// verdict stayed the same.
#[test]
fn saved_cases_give_what_they_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let case: Case = serde_json::from_value(file["case"].clone()).unwrap();
        let it = serde_json::to_value(verdict(&case, &Selection::default())).unwrap();
        let found: Vec<_> = it["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                serde_json::json!({"id": one["id"], "node": one["node"],
                    "direction": one["direction"], "confidence": one["confidence"]})
            })
            .collect();
        assert_eq!(
            serde_json::Value::from(found),
            file["expect"],
            "{}: {it:#}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 17);
}

/// Parts of worlds thrown together: every value is one that a node could send.
fn shaken(seed: &[u8], backend: &str) -> Case {
    let mut world = World::new(backend);
    let points = [
        Point::Container,
        Point::Bridge,
        Point::Overlay,
        Point::Underlay,
    ];
    for chunk in seed.chunks(3) {
        let [what, which, value] = [
            chunk[0],
            *chunk.get(1).unwrap_or(&0),
            *chunk.get(2).unwrap_or(&0),
        ];
        let node = if which & 1 == 0 { A } else { B };
        let at = world.case.nodes.iter().position(|it| it.node == Some(node));
        let Some(at) = at else { continue };
        let n = &mut world.case.nodes[at];
        match what % 18 {
            0 => n.links.truncate(usize::from(value % 4)),
            1 => n.routes.truncate(usize::from(value % 4)),
            2 => n.seen.retain(|one| one.sequence != u16::from(value % 6)),
            3 => n
                .seen
                .retain(|one| one.point != points[usize::from(value % 4)]),
            4 => n
                .points
                .retain(|one| one.point != points[usize::from(value % 4)]),
            5 => n.device = None,
            6 => n.bridge = None,
            7 => n.external = Some(format!("x{value}")),
            8 => n.node = None,
            9 => {
                world.case.nodes.remove(at);
            }
            10 => world.case.network = None,
            11 => world.case.leases.truncate(usize::from(value % 2)),
            12 => {
                for path in &mut world.case.paths {
                    path.replies.truncate(usize::from(value % 6));
                }
            }
            13 => {
                for path in &mut world.case.paths {
                    path.path.count = u16::from(value);
                    path.sent = u16::from(which) * 257;
                }
            }
            14 => {
                for path in &mut world.case.paths {
                    path.path.target_node = path.path.source_node;
                }
            }
            15 => {
                if let Some(network) = &mut world.case.network {
                    network.subnet_len = value % 33;
                }
            }
            16 => {
                for (_, counter) in n.counters.iter_mut() {
                    *counter = (u64::MAX, 0);
                }
            }
            _ => {
                n.seen.reverse();
                n.rules.push(format!("{value}: from all to x lookup"));
            }
        }
    }
    world.case
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_case_panics(seed in proptest::collection::vec(any::<u8>(), 0..40), backend in 0_usize..3, listing in ".{0,200}") {
        let mut case = shaken(&seed, ["vxlan", "udp", "host-gw"][backend]);
        for (node, program) in case.nodes.iter_mut().zip(["iptables-nft", "nft"]) {
            node.firewall.push(flannelctl::diagnose::evidence::FirewallFact {
                program: program.to_owned(), before: listing.clone(), after: format!("*filter\n:FORWARD DROP {listing}\n-A {listing}"),
            });
        }
        let it = verdict(&case, &Selection::default());
        prop_assert_eq!(it.paths.len(), case.paths.len());
        // Findings do not depend on the order in which packets were told of.
        prop_assert!(it.findings.iter().all(|one| catalog::find(&one.id).is_some()));
    }

    #[test]
    fn rules_of_any_words_are_read(words in proptest::collection::vec("(-[a-z]|--[a-z]{1,9}|!|[0-9./]{1,9}|DROP|\"|[A-Z]{1,6})", 0..12)) {
        let text = format!("*filter\n:FORWARD DROP [1:2]\n:X - [0:0]\n[3:4] -A FORWARD {}\n-A X -j X\n-A FORWARD -j X\nCOMMIT\n", words.join(" "));
        let fact = flannelctl::diagnose::evidence::FirewallFact { program: "iptables-nft".to_owned(), before: text.clone(), after: text };
        let chains = flannelctl::diagnose::listing::read(&[fact]);
        prop_assert_eq!(chains.len(), 2);
    }
}

/// The scenario files are what the builder gives: a saved case of today is read tomorrow.
#[test]
fn scenario_files_are_what_the_builder_gives() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let check = |name: &str, world: &World, expect: serde_json::Value| {
        // Two packets a path are enough to tell; a TTL probe and the paths to a container and the bridge.
        let mut world = World {
            case: world.case.clone(),
            backend: world.backend.clone(),
        };
        world.case.paths.retain(|it| it.path.index != 3);
        for path in &mut world.case.paths {
            (path.sent, path.path.count) = (2, 2);
            path.replies.retain(|one| one.0 <= 2);
        }
        for node in &mut world.case.nodes {
            node.seen.retain(|one| one.sequence <= 2 && one.path != 3);
        }
        let written = std::fs::read(format!("{folder}/{name}.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        // A fact that was not known then is absent: it has its default.
        let case: Case = serde_json::from_value(written["case"].clone()).unwrap();
        assert_eq!(case, world.case, "{name}");
        assert_eq!(written["expect"], expect, "{name}");
    };
    let one = |id: &str, node: std::net::Ipv4Addr, confidence: &str| serde_json::json!([{"id": id, "node": node, "direction": "request", "confidence": confidence}]);
    check("healthy-vxlan", &World::new("vxlan"), serde_json::json!([]));
    let mut world = World::new("vxlan");
    let policy = |n: u64| format!("*filter\n:FORWARD DROP [{n}:{}]\nCOMMIT\n", n * 211);
    world.cut_containers((B, Point::Overlay, false)).firewall(
        B,
        "iptables-legacy",
        &policy(0),
        &policy(4),
    );
    check(
        "forward-policy-drop-legacy",
        &world,
        one("FL101", B, "proven"),
    );
    let mut world = World::new("udp");
    world
        .cut_containers((A, Point::Underlay, false))
        .silence_b();
    check(
        "flanneld-beyond-drops-in-forward",
        &world,
        one("FL101", B, "likely"),
    );
}
