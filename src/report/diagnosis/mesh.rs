//! Who reaches whom, as a matrix of nodes.

use std::net::Ipv4Addr;

use super::table::Paint;
use crate::diagnose::mesh::{Mesh, Pair};
use crate::diagnose::{Diagnosis, Finding};
use crate::report::table::{Field, Tone, render};
use crate::report::terminal::clean;

/// Nodes of which all pairs are shown; of more, those with a loss.
const WIDE: usize = 24;

/// The matrix, what its signs mean, and which cause concerns how many pairs.
pub(super) fn render_mesh(mesh: &Mesh, diagnosis: &Diagnosis, paint: Paint) -> String {
    let whole = |pair: &Pair| pair.sent > 0 && pair.received >= pair.sent;
    let good = mesh.pairs.values().filter(|pair| whole(pair)).count();
    let mut text = format!(
        "\n{good} of {} pairs of {} nodes answer in full\n",
        mesh.pairs.len(),
        mesh.nodes.len()
    );
    let concerned = |node: &Ipv4Addr| {
        let mut pairs = mesh.pairs.iter();
        pairs.any(|((a, b), pair)| !whole(pair) && (a == node || b == node))
    };
    let shown: Vec<_> = match mesh.nodes.len() {
        few if few <= WIDE => mesh.nodes.clone(),
        _ => mesh
            .nodes
            .iter()
            .copied()
            .filter(concerned)
            .take(WIDE)
            .collect(),
    };
    if shown.is_empty() {
        return text;
    }
    let numbers: Vec<_> = (1..=shown.len()).map(|n| n.to_string()).collect();
    let headers: Vec<_> = ["", "from \\ to"]
        .into_iter()
        .chain(numbers.iter().map(String::as_str))
        .collect();
    let rows = shown.iter().zip(&numbers).map(|(from, number)| {
        let front = [number.clone().into(), from.to_string().into()];
        let cells = shown
            .iter()
            .map(|to| cell(mesh, &diagnosis.findings, (*from, *to)));
        front.into_iter().chain(cells).collect()
    });
    text.push_str(&render(&headers, rows.collect(), paint.0));
    text.push_str("✓ answered, ✗ lost, r lost on the way back, 3% so much is lost, ? not tried; letters are causes:\n");
    for (letter, finding) in ('a'..='z').zip(&diagnosis.findings) {
        let pairs = match finding.pairs.len() {
            0 => "no pair".to_owned(),
            1 => "1 pair".to_owned(),
            many => format!("{many} pairs"),
        };
        let node = super::on_node(finding);
        text.push_str(&format!(
            "  {letter}  {}{node}: {pairs}\n",
            clean(&finding.id)
        ));
    }
    text
}

fn cell(mesh: &Mesh, findings: &[Finding], key: (Ipv4Addr, Ipv4Addr)) -> Field {
    if key.0 == key.1 {
        return "·".into();
    }
    let Some(pair) = mesh.pairs.get(&key).filter(|pair| pair.sent > 0) else {
        return Field::new("?", Tone::Notable);
    };
    let lost = pair.sent.saturating_sub(pair.received);
    if lost == 0 {
        return Field::new("✓", Tone::Good);
    }
    let causes = ('a'..='z')
        .zip(findings)
        .filter(|(_, one)| one.pairs.contains(&key));
    let letters: String = causes.map(|(letter, _)| letter).collect();
    let back = if pair.reply { "r" } else { "" };
    match pair.received {
        0 => Field::new(format!("✗{back}{letters}"), Tone::Bad),
        _ => {
            let percent = (100 * lost).div_ceil(pair.sent);
            Field::new(format!("{percent}%{back}{letters}"), Tone::Notable)
        }
    }
}
