//! The way of one path as tcpdump would show it at each point, with node, interface and direction in front.

use std::fmt::Write;

use super::table::Paint;
use super::word;
use crate::diagnose::PathReport;
use crate::diagnose::finding::Observation;
use crate::report::terminal::clean;

/// Where the packet went missing: the first point after the last one that saw it.
fn lost_before(path: &PathReport) -> Option<usize> {
    let lost = path.lost_at.as_ref()?;
    let phase = word(&lost.direction);
    let last = path.observations.iter().rposition(|point| {
        point.node == lost.node && point.interface == lost.after && point.phase == phase
    });
    Some(last.map_or(0, |last| last + 1))
}

/// The lines.
pub(super) fn render(path: &PathReport, paint: Paint) -> String {
    let mut text = String::new();
    let lost = lost_before(path);
    let rtt = path
        .rtt_ms
        .map_or_else(String::new, |ms| format!(", {ms:.2} ms"));
    let answered = format!("{} of {} answered{rtt}", path.received, path.sent);
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{} > {}  {answered}", path.from, path.to);
    let cells: Vec<_> = path.observations.iter().map(front).collect();
    let width = |column: usize| {
        let widths = cells.iter().map(|cells| cells[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3)];
    for (index, (point, cells)) in path.observations.iter().zip(&cells).enumerate() {
        if lost == Some(index) {
            let _infallible = writeln!(text, "  {}", paint.bad("◄── lost here"));
        }
        let mut line = String::from("  ");
        for (cell, width) in cells.iter().zip(widths) {
            let _infallible = write!(line, "{cell:width$}  ");
        }
        let seen = match point.seen {
            0 => paint.faint("✗ not seen"),
            seen if seen < path.sent => paint.notable(&format!("! {seen} of {}", path.sent)),
            seen => paint.good(&format!("✓ {seen}")),
        };
        let _infallible = write!(line, "{seen}");
        if !point.line.is_empty() {
            let _infallible = write!(line, "  {}", clean(&point.line));
        }
        if !point.note.is_empty() {
            let _infallible = write!(line, "  ({})", clean(&point.note));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if lost.is_some_and(|index| index >= path.observations.len()) {
        let _infallible = writeln!(text, "  {}", paint.bad("◄── lost here"));
    }
    text
}

fn front(point: &Observation) -> [String; 4] {
    let interface = match point.interface.as_str() {
        "" => "?",
        name => name,
    };
    [
        point
            .node
            .map_or_else(|| "?".into(), |node| node.to_string()),
        clean(interface).into_owned(),
        clean(&point.direction).into_owned(),
        clean(&point.phase).into_owned(),
    ]
}
