//! Who reaches whom: pings from every container to every other.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::diagnose::probe::{Origin, Path, PathResult, Target};
use crate::exit::Failure;
use crate::kernel::echo::{Sending, send};
use crate::lab::record::Record;
use crate::report::table::{Field, Tone, render};

const COUNT: u16 = 3;

/// The matrix as a table, and whether all is reached. Blocks.
///
/// # Errors
/// A container's namespace cannot be entered.
pub(super) fn table(record: &Record, colour: bool) -> Result<(String, bool), Failure> {
    let mut namespaces = BTreeMap::new();
    for node in &record.nodes {
        let place = super::place(record, &format!("{}/container", node.name))?;
        namespaces.insert(node.container, place.namespace);
    }
    let results = send(
        &paths(record),
        &Sending {
            namespaces,
            ..Sending::default()
        },
    );
    let result = |from: Ipv4Addr, to: Ipv4Addr| {
        let mut found = results.iter();
        found.find(|result| (result.path.from, result.path.to) == (from, to))
    };
    let rows = record.nodes.iter().map(|from| {
        let cells = record
            .nodes
            .iter()
            .map(|to| match result(from.container, to.container) {
                Some(result) => cell(result),
                None => Field::from("·"),
            });
        [Field::from(format!("{} {}", from.name, from.container))]
            .into_iter()
            .chain(cells)
            .collect()
    });
    let mut headers = vec!["from \\ to"];
    headers.extend(record.nodes.iter().map(|node| node.name.as_str()));
    let all = results
        .iter()
        .all(|result| result.received() == usize::from(COUNT));
    Ok((render(&headers, rows.collect(), colour), all))
}

fn paths(record: &Record) -> Vec<Path> {
    let nodes = || record.nodes.iter();
    let pairs = nodes().flat_map(|from| nodes().map(move |to| (from, to)));
    let different = pairs.filter(|(from, to)| from.container != to.container);
    different
        .zip(1_u16..)
        .map(|((from, to), number)| Path {
            index: (number % 256) as u8,
            source_node: from.address,
            target_node: to.address,
            origin: Origin::Container,
            target: Target::Container,
            from: from.container,
            to: to.container,
            icmp_id: number,
            count: COUNT,
            interval_ms: 10,
            payload: 57,
            ttl: 64,
            df: false,
        })
        .collect()
}

fn cell(result: &PathResult) -> Field {
    match (result.received(), result.mean_rtt_ms()) {
        (0, _) | (_, None) => Field::new("✗ lost", Tone::Bad),
        (received, Some(ms)) if received == usize::from(COUNT) => {
            Field::new(format!("✓ {ms:.2} ms"), Tone::Good)
        }
        (received, Some(_)) => Field::new(format!("! {received} of {COUNT}"), Tone::Notable),
    }
}
