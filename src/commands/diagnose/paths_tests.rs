//! Paths of legs, rounds of a mesh, and what agents accept.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::agent::respond::check::{Known, check};
use crate::diagnose::request::Request;

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn leg(extent: Extent) -> Leg {
    Leg {
        source: A,
        target: B,
        container: None,
        extent,
        sources: Sources {
            host: true,
            container: true,
        },
    }
}

fn manner() -> Manner {
    Manner {
        count: 5,
        first_id: 65_530,
        mtu: Some(1450),
        extra_hops: 0,
        has_device: true,
        ports: Some((8472, 63_000)),
    }
}

fn sides() -> Sides {
    let side = |n: u8| Side {
        subnet: Some(Ipv4Net::new([10, 5, n, 0].into(), 24).unwrap()),
        inner: Some(([10, 5, n, 254].into(), false)),
        host: Some([10, 5, n, 0].into()),
    };
    [(A, side(1)), (B, side(2))].into()
}

#[test]
fn a_full_leg_is_the_truth_tables_columns() {
    let paths = draft(&[leg(Extent::Full)], &manner());
    assert_eq!(paths.len(), size(Extent::Full));
    let filled: Vec<_> = paths.into_iter().map(|p| fill(p, &sides())).collect();
    let ways: Vec<_> = filled
        .iter()
        .map(|p| format!("{} {} {}", p.from, p.to, p.ttl))
        .collect();
    assert_eq!(
        ways,
        [
            "192.0.2.1 192.0.2.2 64",
            "10.5.1.0 10.5.2.0 64",
            "10.5.1.0 10.5.2.1 64",
            "10.5.1.0 10.5.2.254 64",
            "10.5.1.254 10.5.2.1 64",
            "10.5.1.254 10.5.2.254 64",
            "10.5.1.254 10.5.2.254 2",
            "10.5.1.254 10.5.2.254 64",
            "192.0.2.1 192.0.2.2 64",
            "192.0.2.1 192.0.2.2 64",
        ]
    );
    assert!(filled.iter().all(is_complete));
    assert_eq!(filled[7].payload + HEADERS, 1450);
}

#[test]
fn what_a_side_does_not_have_stays_open() {
    let mut sides = sides();
    sides.get_mut(&B).unwrap().inner = None;
    let paths = draft(&[leg(Extent::Full)], &manner());
    let complete = paths
        .into_iter()
        .map(|p| fill(p, &sides))
        .filter(is_complete);
    assert_eq!(complete.count(), 6);
}

#[test]
fn a_mesh_asks_no_node_for_too_much() {
    for count in [0, 1, 2, 3, 20, 70, 200] {
        let nodes: Vec<_> = (0..count).map(|n| Ipv4Addr::new(192, 0, 2, n)).collect();
        let rounds = mesh(&nodes);
        let mut pairs: Vec<_> = rounds.concat();
        pairs.sort_unstable();
        pairs.dedup();
        let (all, n) = (rounds.concat().len(), usize::from(count));
        assert_eq!(
            (pairs.len(), all),
            (n * n.saturating_sub(1), all),
            "{count}"
        );
        assert!(pairs.iter().all(|(from, to)| from != to));
        for (round, node) in rounds
            .iter()
            .flat_map(|r| nodes.iter().map(move |n| (r, n)))
        {
            let asked = round.iter().filter(|(from, to)| from == node || to == node);
            assert!(
                asked.count() <= crate::agent::respond::check::PATHS,
                "{count}"
            );
        }
    }
}

#[test]
fn a_bridge_stands_for_containers_that_nobody_knows() {
    let mut sides = sides();
    sides.get_mut(&B).unwrap().inner = None;
    let stand_in = |extent| {
        let draft = draft(&[leg(extent)], &manner());
        let filled = draft
            .iter()
            .map(|p| or_bridge(fill(p.clone(), &sides), &draft, &sides));
        let bridges = filled.filter(|p| p.target == Target::Bridge && is_complete(p));
        bridges.map(|p| p.to).collect::<Vec<_>>()
    };
    let bridge = Ipv4Addr::new(10, 5, 2, 1);
    assert_eq!(stand_in(Extent::Least), [bridge]);
    assert_eq!(stand_in(Extent::Brief), [bridge; 2]);
    // Those of the full extent alone.
    assert_eq!(stand_in(Extent::Full), [bridge; 2]);
}

#[test]
fn sources_narrow_and_a_named_container_stays() {
    let mut leg = leg(Extent::Full);
    leg.sources.container = false;
    leg.container = Some([10, 5, 2, 9].into());
    let paths = draft(&[leg], &manner());
    assert!(paths.iter().all(|p| p.origin == Origin::Host));
    let filled = fill(paths[3].clone(), &sides());
    assert_eq!(filled.to, Ipv4Addr::new(10, 5, 2, 9));
}

#[test]
fn agents_do_what_is_asked_of_them() {
    let known = Known {
        network: "10.5.0.0/16".parse().unwrap(),
        node: A,
        nodes: [A, B].into(),
    };
    for count in [1, 5, 1000] {
        let manner = Manner { count, ..manner() };
        let legs = [
            vec![leg(Extent::Full); 5],
            vec![leg(Extent::Back); 2],
            vec![leg(Extent::Brief); 2],
        ];
        let paths = draft(&legs.concat(), &manner);
        assert_eq!(paths.len(), 64);
        let paths = paths.into_iter().map(|p| fill(p, &sides())).collect();
        let watching = Vec::new();
        assert_eq!(
            check(&Request::Send { paths, watching }, &known),
            Ok(()),
            "{count}"
        );
    }
}
