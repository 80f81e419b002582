//! A few lines to paste into a chat: no colours, no columns.

use std::fmt::Write;

use super::{headline, mark, on_node, status_mark, totals, word};
use crate::diagnose::Diagnosis;
use crate::report::terminal::clean;

/// The text.
pub fn short(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _infallible = match diagnosis.findings.is_empty() {
        true => writeln!(
            text,
            "{} {}",
            status_mark(diagnosis.status),
            headline(diagnosis)
        ),
        false => Ok(()),
    };
    for finding in &diagnosis.findings {
        let _infallible = writeln!(
            text,
            "{} {} {}{} ({}, {}): {}",
            mark(finding.severity),
            clean(&finding.id),
            clean(&finding.name),
            on_node(finding),
            word(&finding.severity),
            word(&finding.confidence),
            clean(&finding.summary),
        );
        if let Some(fix) = finding.fix.first() {
            let _infallible = writeln!(text, "  fix: {}", clean(fix));
        }
    }
    let (sent, received) = totals(&diagnosis.paths);
    let _infallible = writeln!(
        text,
        "{received} of {sent} packets answered on {} paths; {} things not observed",
        diagnosis.paths.len(),
        diagnosis.not_observed.len()
    );
    text
}
