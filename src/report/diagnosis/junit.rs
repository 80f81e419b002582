//! JUnit XML, as test servers read it: a test case for each check and for each path.

use std::fmt::Write;

use super::{made, on_node, word};
use crate::diagnose::select::Selection;
use crate::diagnose::{Diagnosis, Finding, PathReport, Severity};
use crate::report::terminal::clean;

/// The document.
pub fn junit(diagnosis: &Diagnosis, selection: &Selection) -> String {
    let mut cases = String::new();
    let (mut tests, mut failures) = (0, 0);
    let mut case = |class: &str, name: &str, failed: Option<(String, String)>| {
        tests += 1;
        let (class, name) = (escape(class), escape(name));
        // Writing to a String cannot fail.
        let _infallible = match failed {
            None => writeln!(
                cases,
                "    <testcase classname=\"{class}\" name=\"{name}\"/>"
            ),
            Some((message, body)) => {
                failures += 1;
                let (message, body) = (escape(&message), escape(&body));
                writeln!(
                    cases,
                    "    <testcase classname=\"{class}\" name=\"{name}\">\n      \
                     <failure message=\"{message}\">{body}</failure>\n    </testcase>"
                )
            }
        };
    };
    for check in made(selection) {
        let name = format!("{} {}", check.id, check.name);
        case("check", &name, of_check(diagnosis, check.id));
    }
    let known = |finding: &&Finding| !made(selection).any(|check| check.id == finding.id);
    for finding in diagnosis.findings.iter().filter(known) {
        let name = format!("{} {}", finding.id, finding.name);
        case("check", &name, failure(finding));
    }
    for path in &diagnosis.paths {
        case(
            "path",
            &format!("{} to {}", path.from, path.to),
            of_path(path),
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
         <testsuite name=\"flannelctl diagnose\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n\
         {cases}  </testsuite>\n</testsuites>\n"
    )
}

fn of_check(diagnosis: &Diagnosis, id: &str) -> Option<(String, String)> {
    let mut findings = diagnosis.findings.iter().filter(|finding| finding.id == id);
    findings.find_map(failure)
}

fn failure(finding: &Finding) -> Option<(String, String)> {
    if finding.severity == Severity::Info {
        return None;
    }
    let mut body = format!(
        "{}{}: {} ({})\n",
        finding.id,
        on_node(finding),
        finding.place,
        word(&finding.confidence)
    );
    for line in &finding.evidence {
        let _infallible = writeln!(body, "proof: {line}");
    }
    for line in &finding.fix {
        let _infallible = writeln!(body, "fix: {line}");
    }
    Some((finding.summary.clone(), body))
}

fn of_path(path: &PathReport) -> Option<(String, String)> {
    let lost = path.lost_at.as_ref()?;
    let message = format!(
        "{} of {} packets are lost",
        path.sent - path.received.min(path.sent),
        path.sent
    );
    let node = lost.node.map_or_else(String::new, |node| node.to_string());
    let body = format!("{} last seen: {node} {}", word(&lost.direction), lost.after);
    Some((message, body))
}

/// For text and attributes, line by line; what XML cannot hold is shown as its number.
fn escape(text: &str) -> String {
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| {
            clean(line)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
                // No control characters, and yet none of XML's.
                .replace('\u{fffe}', "\\u{fffe}")
                .replace('\u{ffff}', "\\u{ffff}")
        })
        .collect();
    lines.join("\n")
}
