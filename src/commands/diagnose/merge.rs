//! One verdict from the cases of several rounds.

use crate::diagnose::select::Selection;
use crate::diagnose::verdict::verdict;
use crate::diagnose::{Case, Diagnosis, Finding, Status};

/// Judges each case, and puts what they say together.
pub fn judge(cases: &[Case], selection: &Selection) -> Diagnosis {
    let mut whole = Diagnosis {
        status: Status::Healthy,
        findings: Vec::new(),
        paths: Vec::new(),
        not_observed: Vec::new(),
    };
    let rank = |status: Status| match status {
        Status::Healthy => 0,
        Status::Inconclusive => 1,
        Status::Problem => 2,
    };
    for case in cases {
        let part = verdict(case, selection);
        if rank(part.status) > rank(whole.status) {
            whole.status = part.status;
        }
        for finding in part.findings {
            let same = |known: &Finding| {
                known.id == finding.id && known.node == finding.node && known.place == finding.place
            };
            if !whole.findings.iter().any(same) {
                whole.findings.push(finding);
            }
        }
        whole.paths.extend(part.paths);
        for sentence in part.not_observed {
            if !whole.not_observed.contains(&sentence) {
                whole.not_observed.push(sentence);
            }
        }
    }
    whole
}
