//! One verdict from the cases of several rounds.

use crate::diagnose::mesh::grouped;
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
            let same = |known: &&mut Finding| {
                known.id == finding.id && known.node == finding.node && known.place == finding.place
            };
            match whole.findings.iter_mut().find(same) {
                None => whole.findings.push(finding),
                Some(known) => {
                    known.pairs.extend(finding.pairs);
                    known.pairs.sort_unstable();
                    known.pairs.dedup();
                }
            }
        }
        whole.paths.extend(part.paths);
        for sentence in part.not_observed {
            if !whole.not_observed.contains(&sentence) {
                whole.not_observed.push(sentence);
            }
        }
    }
    whole.findings = grouped(whole.findings);
    whole
}
