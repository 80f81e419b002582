//! From evidence to verdict.

use super::case::Case;
use super::finding::{Diagnosis, Status};
use super::select::Selection;

/// Where packets were lost and why.
pub fn verdict(case: &Case, select: &Selection) -> Diagnosis {
    let _select = select;
    Diagnosis {
        status: Status::Inconclusive,
        findings: Vec::new(),
        paths: Vec::new(),
        not_observed: case
            .nodes
            .iter()
            .flat_map(|node| node.missing.clone())
            .collect(),
    }
}
