//! From evidence to verdict: runs the checks, weighs their findings against each other, tells each path's story.
//! Pure, and never panics, whatever the evidence says.

use super::case::Case;
use super::checks::{CHECKS, COMPANIONS, FALLBACKS};
use super::finding::{
    Between, Confidence, Diagnosis, Finding, Observation, PathReport, Severity, Status,
};
use super::ladder::{self, Ladder};
use super::loss::{self, Loss};
use super::ports;
use super::select::Selection;
use super::view::{Found, View, is_main};
use crate::packet::print::time_of_day;

/// Where packets were lost and why.
pub fn verdict(case: &Case, select: &Selection) -> Diagnosis {
    let ladders: Vec<Ladder<'_>> = case
        .paths
        .iter()
        .map(|path| ladder::build(case, path))
        .collect();
    let view = View::new(case, &ladders);
    let mut all: Vec<Found> = CHECKS.iter().flat_map(|check| check(&view)).collect();
    for companion in COMPANIONS {
        let more = companion(&view, &all);
        all.extend(more);
    }
    let open: Vec<&Loss<'_>> = view
        .losses
        .iter()
        .filter(|loss| !explained(&all, loss.index))
        .collect();
    for fallback in FALLBACKS {
        all.extend(fallback(&view, &open));
    }
    let unexplained: Vec<&Loss<'_>> = open
        .into_iter()
        .filter(|loss| !all.iter().any(|one| one.explains.contains(&loss.index)))
        .collect();
    let mut all = weighed(merged(all));
    all.retain(|one| select.permits(&one.finding.id));
    all.sort_by_key(|one| {
        let it = &one.finding;
        (
            it.severity,
            it.confidence,
            std::cmp::Reverse(one.explains.len()),
            it.id.clone(),
        )
    });
    let findings: Vec<Finding> = all.into_iter().map(|one| with_pairs(&view, one)).collect();
    Diagnosis {
        status: status(&view, &findings),
        findings,
        paths: ladders
            .iter()
            .filter(|ladder| ladder.result.port().is_none())
            .map(|ladder| report(case, ladder))
            .collect(),
        not_observed: not_observed(&view, &unexplained),
    }
}

fn with_pairs(view: &View<'_>, found: Found) -> Finding {
    let mut finding = found.finding;
    let losses = found
        .explains
        .iter()
        .filter_map(|index| view.losses.get(*index));
    finding.pairs = losses
        .map(|loss| (loss.path().source_node, loss.path().target_node))
        .collect();
    finding.pairs.sort_unstable();
    finding.pairs.dedup();
    finding
}

fn explained(all: &[Found], index: usize) -> bool {
    all.iter()
        .any(|one| one.explains.contains(&index) && one.finding.confidence < Confidence::Possible)
}

/// One finding for each id, node and place.
fn merged(all: Vec<Found>) -> Vec<Found> {
    let mut merged: Vec<Found> = Vec::new();
    for one in all {
        let same = merged.iter_mut().find(|known| {
            known.finding.id == one.finding.id
                && known.finding.node == one.finding.node
                && known.finding.place == one.finding.place
        });
        let Some(known) = same else {
            merged.push(one);
            continue;
        };
        known.meets(one.finding.direction, one.turned);
        let it = &mut known.finding;
        it.confidence = it.confidence.min(one.finding.confidence);
        it.severity = it.severity.min(one.finding.severity);
        for line in one.finding.evidence {
            if !it.evidence.contains(&line) {
                it.evidence.push(line);
            }
        }
        known.explains.extend(one.explains);
    }
    merged
}

/// Takes out what only guesses about losses that are proven to be another's doing, and what is the same fault
/// said twice.
fn weighed(all: Vec<Found>) -> Vec<Found> {
    let proven = |index: &usize, but: &Found| {
        all.iter().any(|other| {
            other.finding.confidence == Confidence::Proven
                && other.finding.id != but.finding.id
                && other.explains.contains(index)
        })
    };
    let path_filter = |node| {
        all.iter()
            .any(|one| one.finding.id == "FL704" && one.finding.node == node)
    };
    let small = all.iter().any(|one| one.finding.id == "FL601");
    all.iter()
        .filter(|one| {
            let it = &one.finding;
            let guess = it.confidence > Confidence::Proven && !one.explains.is_empty();
            let redundant = guess && one.explains.iter().all(|index| proven(index, one));
            // The foreign route is what the filter stumbles over; fragments are what the small MTU makes.
            let implied =
                it.id == "FL513" && it.place.starts_with("route ") && path_filter(it.node)
                    || it.id == "FL602" && small;
            !redundant && !implied
        })
        .cloned()
        .collect()
}

fn status(view: &View<'_>, findings: &[Finding]) -> Status {
    let mut paths = view
        .case
        .paths
        .iter()
        .filter(|one| one.port().is_none())
        .peekable();
    if findings.iter().any(|one| one.severity < Severity::Info) {
        Status::Problem
    } else if view.case.nodes.is_empty() && paths.peek().is_none() {
        // Nothing was looked at: that is not health.
        Status::Inconclusive
    } else if view.losses.is_empty() && (paths.peek().is_none() || paths.any(|one| one.sent > 0)) {
        Status::Healthy
    } else {
        Status::Inconclusive
    }
}

fn report(case: &Case, ladder: &Ladder<'_>) -> PathReport {
    let result = ladder.result;
    let lost = loss::losses(ladder);
    let observations = ladder
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !step.interface.is_empty())
        .map(|(index, step)| Observation {
            node: Some(step.node),
            interface: step.interface.to_owned(),
            direction: if step.outgoing { "out" } else { "in" }.to_owned(),
            phase: if step.reply { "reply" } else { "request" }.to_owned(),
            seen: u16::try_from(step.seen.len()).unwrap_or(u16::MAX),
            line: step
                .seen
                .first()
                .map(|one| format!("{} {}", time_of_day(one.time_us), one.line))
                .unwrap_or_default(),
            note: note(ladder, index, &lost),
        })
        .collect();
    PathReport {
        from: result.path.from,
        to: result.path.to,
        sent: result.sent,
        received: u16::try_from(result.received()).unwrap_or(u16::MAX),
        rtt_ms: result.mean_rtt_ms(),
        lost_at: lost.first().map(Loss::place),
        observations,
        between: is_main(case, result).then(|| Between {
            source: result.path.source_node,
            target: result.path.target_node,
            reply: lost.first().is_some_and(|loss| loss.reply),
        }),
    }
}

fn note(ladder: &Ladder<'_>, index: usize, lost: &[Loss<'_>]) -> String {
    let Some(step) = ladder.steps.get(index) else {
        return String::new();
    };
    let mut notes = Vec::new();
    if !step.live {
        notes.push("not watched".to_owned());
    }
    let strangers = step.seen.iter().filter(|one| one.otherhost).count();
    if strangers > 0 {
        notes.push(format!("{strangers} for another MAC (otherhost)"));
    }
    if let Some(outer) = step.seen.first().and_then(|one| one.outer.as_ref()) {
        let vni = outer
            .vni
            .map(|vni| format!(", VNI {vni}"))
            .unwrap_or_default();
        notes.push(format!(
            "outer {} > {}:{}{vni}",
            outer.from, outer.to, outer.port
        ));
    }
    let planned = if step.reply {
        ladder.path().to
    } else {
        ladder.path().from
    };
    if let Some(one) = step.seen.first()
        && one.from != planned
        && !planned.is_unspecified()
    {
        notes.push(format!("source changed from {planned}"));
    }
    let here = |loss: &&Loss<'_>| loss.after.is_some_and(|after| std::ptr::eq(after, step));
    if let Some(loss) = lost.iter().find(here) {
        notes.push(format!("{} lost after this", loss.lost));
    }
    notes.join("; ")
}

fn not_observed(view: &View<'_>, unexplained: &[&Loss<'_>]) -> Vec<String> {
    let case = view.case;
    let mut lines = Vec::new();
    for silent in &case.silent {
        lines.push(format!(
            "{silent}: no agent answers there, so only this side was seen"
        ));
    }
    for node in &case.nodes {
        for missing in &node.missing {
            lines.push(match node.node {
                Some(address) => format!("{address}: {missing}"),
                None => missing.clone(),
            });
        }
    }
    for loss in unexplained {
        let guess = if case.node(loss.path().target_node).is_none() {
            format!(
                "; {}on the other node it could be FL110, FL230, FL232, FL502, FL510, FL513 or FL704: start flannelctl agent there",
                speaks(view, loss)
            )
        } else {
            String::new()
        };
        lines.push(format!("the cause of this loss: {}{guess}", loss.words()));
    }
    lines.dedup();
    lines
}

/// What the datagrams to ports say of a node that nobody watches.
fn speaks(view: &View<'_>, loss: &Loss<'_>) -> String {
    let path = loss.path();
    let Some(ports) = ports::between(view, path.source_node, path.target_node) else {
        return String::new();
    };
    let [encapsulation, other] = ports.words();
    let means = if ports.peer_speaks() {
        "the node is up and UDP gets to it; its port is open, or filtered without a word"
    } else {
        "no UDP is answered: all of it is filtered, or the node is down, or it sends no errors"
    };
    format!("{encapsulation}; {other}: {means}; ")
}
