//! Makes evidence small enough for etcd. What is least telling goes first, and each cut is told in `missing`.

use crate::diagnose::NodeEvidence;
use crate::diagnose::evidence::FirewallFact;
use crate::diagnose::request::{Answer, Packed};
use crate::registry::rendezvous::{self, WRITE_LIMIT};

/// Entries that are kept of a long table.
const TABLE: usize = 300;
/// Runs of packets that are kept.
const RUNS: usize = 300;

type Cut = (&'static str, fn(&mut Parcel) -> bool);

/// What is sent.
struct Parcel {
    e: NodeEvidence,
    packed: Vec<Packed>,
}

/// In this order.
const CUTS: [Cut; 9] = [
    ("a part of the packets for --write", |p| {
        let before = p.e.packets.len();
        while !fits(p) && !p.e.packets.is_empty() {
            // The first of them tell most.
            p.e.packets.truncate(p.e.packets.len() * 3 / 4);
        }
        p.e.packets.len() < before
    }),
    ("the listing of nft", |p| {
        listing(&mut p.e, |f| f.program == "nft")
    }),
    (
        "the forwarding entries and neighbours beyond the first",
        |p| shorten(&mut p.e.fdb, TABLE) | shorten(&mut p.e.neighbours, TABLE),
    ),
    ("the routes and containers beyond the first", |p| {
        shorten(&mut p.e.routes, TABLE) | shorten(&mut p.e.containers, TABLE)
    }),
    ("the listing of iptables-legacy", |p| {
        listing(&mut p.e, |f| f.program == "iptables-legacy")
    }),
    ("interfaces beyond the first", |p| {
        shorten(&mut p.e.links, TABLE)
    }),
    ("all firewall listings", |p| listing(&mut p.e, |_| true)),
    ("a part of the packets seen", |p| {
        shorten(&mut p.packed, RUNS)
    }),
    ("the packets seen", |p| shorten(&mut p.packed, 0)),
];

/// The evidence as an answer that etcd takes; a refusal where even the cut evidence is too long.
pub fn fit(mut e: NodeEvidence) -> Answer {
    let packed = Packed::pack(std::mem::take(&mut e.seen));
    let mut parcel = Parcel { e, packed };
    for (what, cut) in CUTS {
        if fits(&parcel) {
            break;
        }
        if cut(&mut parcel) {
            let node = parcel
                .e
                .node
                .map_or_else(String::new, |ip| format!("{ip}: "));
            let sentence = format!("{node}{what} did not fit into etcd and was left out");
            parcel.e.missing.push(sentence);
        }
    }
    match fits(&parcel) {
        true => Answer::Evidence {
            evidence: Box::new(parcel.e),
            packed: parcel.packed,
        },
        false => Answer::Refused {
            reason: format!("the evidence is longer than {WRITE_LIMIT} bytes"),
        },
    }
}

fn fits(parcel: &Parcel) -> bool {
    // The answer's own words around it.
    const FRAME: usize = 256;
    let sizes = [
        rendezvous::size(&parcel.e),
        rendezvous::size(&parcel.packed),
    ];
    let total: Result<usize, _> = sizes.into_iter().sum();
    total.is_ok_and(|size| size + FRAME <= WRITE_LIMIT)
}

fn shorten<T>(list: &mut Vec<T>, length: usize) -> bool {
    let long = list.len() > length;
    list.truncate(length);
    long
}

fn listing(evidence: &mut NodeEvidence, which: fn(&FirewallFact) -> bool) -> bool {
    let before = evidence.firewall.len();
    evidence.firewall.retain(|fact| !which(fact));
    evidence.firewall.len() < before
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::diagnose::evidence::NeighbourFact;

    fn firewall(program: &str, size: usize) -> FirewallFact {
        FirewallFact {
            program: program.into(),
            before: "x".repeat(size),
            after: String::new(),
        }
    }

    fn programs(answer: &Answer) -> (Vec<&str>, usize) {
        let Answer::Evidence { evidence, .. } = answer else {
            panic!("{answer:?}");
        };
        let programs = evidence.firewall.iter().map(|f| f.program.as_str());
        (programs.collect(), evidence.missing.len())
    }

    #[test]
    fn small_evidence_is_left_alone() {
        let mut evidence = NodeEvidence::default();
        evidence.firewall.push(firewall("nft", 1000));
        assert_eq!(programs(&fit(evidence)), (vec!["nft"], 0));
    }

    #[test]
    fn the_least_telling_goes_first_and_is_named() {
        let mut evidence = NodeEvidence::default();
        evidence.firewall.push(firewall("nft", WRITE_LIMIT / 2));
        evidence
            .firewall
            .push(firewall("iptables-nft", WRITE_LIMIT / 2));
        assert_eq!(programs(&fit(evidence.clone())), (vec!["iptables-nft"], 1));
        evidence
            .firewall
            .push(firewall("iptables-legacy", WRITE_LIMIT));
        assert_eq!(programs(&fit(evidence.clone())), (vec!["iptables-nft"], 2));
        evidence
            .firewall
            .push(firewall("iptables-nft", WRITE_LIMIT));
        assert_eq!(programs(&fit(evidence.clone())), (vec![], 3));
        let neighbour = NeighbourFact {
            device: "flannel.1".into(),
            address: [10, 5, 1, 0].into(),
            mac: "02:00:00:00:00:01".into(),
            state: "permanent".into(),
        };
        evidence.firewall.clear();
        evidence.neighbours = vec![neighbour; 10_000];
        let Answer::Evidence { evidence, .. } = fit(evidence) else {
            panic!("it fits");
        };
        assert_eq!(evidence.neighbours.len(), TABLE);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let evidence = NodeEvidence {
            hostname: "h".repeat(WRITE_LIMIT),
            ..NodeEvidence::default()
        };
        assert!(matches!(fit(evidence), Answer::Refused { .. }));
    }
}
