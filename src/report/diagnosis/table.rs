//! For people: the verdict first, then the packet's way, then the checks, short when green.

use std::fmt::Write;

use super::mesh::render_mesh;
use super::{ends_early, headline, ladder, made, mark, on_node, status_mark, totals, word};
use crate::diagnose::mesh::mesh;
use crate::diagnose::select::Selection;
use crate::diagnose::{Diagnosis, Finding, PathReport, Severity, Status};
use crate::report::table::{Field, Tone, render};
use crate::report::terminal::clean;

/// Ways that are shown in full.
const LADDERS: usize = 3;
/// Paths that are all listed; of more, those that lose something.
const LISTED: usize = 40;

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("31;1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn notable(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// The text. `nodes`: how many told what they saw.
pub fn table(diagnosis: &Diagnosis, selection: &Selection, nodes: usize, colour: bool) -> String {
    let paint = Paint(colour);
    let mut text = String::new();
    let first = format!("{} {}", status_mark(diagnosis.status), headline(diagnosis));
    text.push_str(&match diagnosis.status {
        Status::Healthy => paint.good(&first),
        Status::Problem => paint.bad(&first),
        Status::Inconclusive => paint.notable(&first),
    });
    text.push('\n');
    for (index, finding) in diagnosis.findings.iter().enumerate() {
        if index > 0 {
            let line = format!("\n{} {}", mark(finding.severity), clean(&finding.summary));
            text.push_str(&match finding.severity {
                Severity::Error => paint.bad(&line),
                Severity::Warning => paint.notable(&line),
                Severity::Info => line,
            });
            text.push('\n');
        }
        text.push_str(&details(finding));
    }
    text.push_str(&ways(diagnosis, paint));
    text.push_str(&checks(diagnosis, selection, nodes, paint));
    text
}

fn details(finding: &Finding) -> String {
    let mut text = String::new();
    let mut lines = |label: &str, lines: &[String]| {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "  {label:5}  {line}");
        }
    };
    let direction = match word(&finding.direction).as_str() {
        "none" => String::new(),
        "both" => ", both directions".into(),
        word => format!(", {word}"),
    };
    let why = format!(
        "{} {}{}: {}{direction}; {}, {}",
        clean(&finding.id),
        clean(&finding.name),
        on_node(finding),
        clean(&finding.place),
        word(&finding.severity),
        word(&finding.confidence),
    );
    let cleaned = |list: &[String]| {
        list.iter()
            .map(|l| clean(l).into_owned())
            .collect::<Vec<_>>()
    };
    lines("WHY", &[why]);
    lines("PROOF", &cleaned(&finding.evidence));
    lines("FIX", &cleaned(&finding.fix));
    lines(
        "MORE",
        &[format!(
            "flannelctl diagnose explain {}",
            clean(&finding.id)
        )],
    );
    text
}

/// All paths in one table, and those that tell most in full.
fn ways(diagnosis: &Diagnosis, paint: Paint) -> String {
    let paths = &diagnosis.paths;
    if paths.is_empty() {
        return String::new();
    }
    let lossy = |path: &&PathReport| path.lost_at.is_some();
    let mut shown: Vec<_> = paths.iter().filter(lossy).collect();
    // The longest way first: it crosses every point.
    shown.sort_by_key(|path| std::cmp::Reverse(path.observations.len()));
    if shown.is_empty() {
        let whole = paths.iter().filter(|path| !ends_early(path));
        shown.extend(whole.rev().max_by_key(|path| path.observations.len()));
    }
    let mut text = String::new();
    for path in shown
        .into_iter()
        .take(LADDERS)
        .filter(|p| !p.observations.is_empty())
    {
        text.push('\n');
        text.push_str(&ladder::render(path, paint));
    }
    match mesh(paths) {
        Some(mesh) => text.push_str(&render_mesh(&mesh, diagnosis, paint)),
        None => text.push_str(&list(paths, paint)),
    }
    text
}

/// One line a path.
fn list(paths: &[PathReport], paint: Paint) -> String {
    let whole = |path: &&PathReport| paths.len() > LISTED && path.received >= path.sent;
    let rows: Vec<_> = paths.iter().filter(|path| !whole(path)).map(row).collect();
    let quiet = paths.len() - rows.len();
    let mut text = String::from("\n");
    if !rows.is_empty() {
        let headers = ["from", "to", "sent", "answered", "rtt", "last seen"];
        text.push_str(&render(&headers, rows, paint.0));
    }
    if quiet > 0 {
        let _infallible = writeln!(text, "{quiet} paths are answered in full");
    }
    text
}

fn row(path: &PathReport) -> Vec<Field> {
    let tone = match path.received {
        received if received >= path.sent => Tone::Good,
        0 => Tone::Bad,
        _ => Tone::Notable,
    };
    let lost = path.lost_at.as_ref().map_or_else(String::new, |lost| {
        let after = match lost.after.as_str() {
            "" => "nowhere",
            after => after,
        };
        let node = lost
            .node
            .map_or_else(String::new, |node| format!("{node} "));
        format!("{node}{after} ({})", word(&lost.direction))
    });
    vec![
        path.from.to_string().into(),
        path.to.to_string().into(),
        path.sent.to_string().into(),
        match ends_early(path) {
            true => "ends on the way, as it should".into(),
            false => Field::new(path.received.to_string(), tone),
        },
        path.rtt_ms
            .map_or_else(String::new, |ms| format!("{ms:.2} ms"))
            .into(),
        lost.into(),
    ]
}

fn checks(diagnosis: &Diagnosis, selection: &Selection, nodes: usize, paint: Paint) -> String {
    if nodes == 0 {
        // A check of nothing is not fine.
        return "\nNo node was looked at: what is checked on nodes is open.\n".to_owned();
    }
    let found = |id: &str| diagnosis.findings.iter().any(|finding| finding.id == id);
    let all = made(selection).count();
    let red = made(selection).filter(|check| found(check.id)).count();
    let (sent, received) = totals(&diagnosis.paths);
    let green = format!("✓ {} of {all} checks are fine", all - red);
    let mut text = String::new();
    let hosts = if nodes == 1 { "node" } else { "nodes" };
    let _infallible = writeln!(
        text,
        "\n{} on {nodes} {hosts}; {received} of {sent} packets answered",
        paint.good(&green)
    );
    if !diagnosis.not_observed.is_empty() {
        text.push_str("Not observed:\n");
        for sentence in &diagnosis.not_observed {
            let _infallible = writeln!(text, "  {}", clean(sentence));
        }
    }
    text
}
