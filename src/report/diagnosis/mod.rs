//! A diagnosis for people, for programs, for a chat, and for a test server. Findings and packets hold text of other
//! hosts: all of it passes [`clean`] or is escaped.

mod junit;
mod ladder;
mod mesh;
mod short;
mod table;

use serde::Serialize;

pub use junit::junit;
pub use short::short;
pub use table::table;

use super::json;
use super::terminal::clean;
use crate::diagnose::catalog::Judged;
use crate::diagnose::select::Selection;
use crate::diagnose::{Diagnosis, Finding, PathReport, Severity, Status, catalog};

/// The JSON contract (`flannelctl/v1`): fields may be added, none may change its meaning.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

/// For programs.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn json(diagnosis: &Diagnosis) -> serde_json::Result<String> {
    json::pretty(&Document {
        api_version: "flannelctl/v1",
        kind: "Diagnosis",
        diagnosis,
    })
}

/// The checks that were made.
fn made<'a>(selection: &'a Selection) -> impl Iterator<Item = &'static catalog::Entry> + 'a {
    catalog::all()
        .filter(|check| check.judged == Judged::Yes)
        .filter(|check| selection.permits(check.id))
}

/// A path that is to end on the way (its TTL is): none of its packets is answered, and none is lost.
fn ends_early(path: &PathReport) -> bool {
    path.received == 0 && path.lost_at.is_none()
}

/// Packets sent and answered, over all paths that are to be answered.
fn totals(paths: &[PathReport]) -> (u32, u32) {
    let counted = || paths.iter().filter(|path| !ends_early(path));
    let sum = |count: fn(&PathReport) -> u16| counted().map(|path| u32::from(count(path))).sum();
    (sum(|path| path.sent), sum(|path| path.received))
}

/// `on 192.0.2.12`, or nothing.
fn on_node(finding: &Finding) -> String {
    finding
        .node
        .map_or_else(String::new, |node| format!(" on {node}"))
}

/// The first line, without mark.
fn headline(diagnosis: &Diagnosis) -> String {
    let (sent, received) = totals(&diagnosis.paths);
    match (diagnosis.status, diagnosis.findings.first()) {
        (Status::Healthy, _) if sent == 0 => {
            "healthy: nothing is wrong, and nothing was sent".into()
        }
        (Status::Healthy, _) => {
            let paths = diagnosis.paths.len();
            let ways = if paths == 1 { "path" } else { "paths" };
            format!("healthy: {paths} {ways} tried, nothing is wrong")
        }
        (Status::Problem, Some(finding)) => clean(&finding.summary).into_owned(),
        (_, Some(finding)) => format!("inconclusive: {}", clean(&finding.summary)),
        (Status::Problem, None) => "a problem".into(),
        (Status::Inconclusive, None) if sent == 0 => {
            "inconclusive: no node was looked at and nothing was sent".into()
        }
        (Status::Inconclusive, None) => format!(
            "inconclusive: {} of {sent} packets are lost, and nothing that was seen says why",
            sent.saturating_sub(received)
        ),
    }
}

/// The mark of a severity: never alone, a word stands beside it.
fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "✗",
        Severity::Warning => "!",
        Severity::Info => "·",
    }
}

/// The mark of the whole.
fn status_mark(status: Status) -> &'static str {
    match status {
        Status::Healthy => "✓",
        Status::Problem => "✗",
        Status::Inconclusive => "?",
    }
}

/// One word of the contract (`proven`, `request`, `error`), as it is in JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
