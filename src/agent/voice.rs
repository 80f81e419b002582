//! What the reconciler says in the log: each repair, each new failure and each healing once, nothing at
//! rest, and never a thousand lines for a thousand peers.

use std::collections::BTreeSet;

use super::reconcile::Failure;
use crate::plan::Change;

/// Lines of one kind in one round; the rest is counted.
const LINES: usize = 8;

/// Remembers what has been said.
#[derive(Debug, Default)]
pub(super) struct Voice {
    failing: BTreeSet<String>,
}

impl Voice {
    /// Tells of one round. `repair`: the goal is that of the round before, so that what was done
    /// makes up for somebody else's doing.
    pub(super) fn tell(&mut self, done: &[Change], failures: &[Failure], repair: bool) {
        let told: Vec<String> = done
            .iter()
            .filter(|change| repair || is_notable(change))
            .map(ToString::to_string)
            .collect();
        lines(&told, |line, more| {
            tracing::info!(more, "{}{line}", if repair { "repaired: " } else { "" });
        });
        let now: BTreeSet<String> = failures.iter().map(ToString::to_string).collect();
        let new: Vec<String> = now.difference(&self.failing).cloned().collect();
        lines(&new, |line, more| tracing::warn!(more, "{line}"));
        let healed: Vec<String> = self.failing.difference(&now).cloned().collect();
        lines(&healed, |line, more| {
            tracing::info!(more, "no longer: {line}")
        });
        self.failing = now;
    }
}

/// What is worth a line also when the goal is new: devices, and what others had put in our place.
fn is_notable(change: &Change) -> bool {
    matches!(
        change,
        Change::CreateVxlan(_)
            | Change::DeleteLink { .. }
            | Change::SetRoute {
                replaces: Some(_),
                ..
            }
    )
}

/// Calls `say` for the first lines; the last of them carries how many were left out.
fn lines(all: &[String], mut say: impl FnMut(&str, Option<usize>)) {
    let more = Some(all.len().saturating_sub(LINES)).filter(|more| *more > 0);
    for (position, line) in all.iter().take(LINES).enumerate() {
        say(line, more.filter(|_| position + 1 == LINES));
    }
}
