//! What the guard logs: each thing when it begins, nothing while it stays as it is.

use tracing::{info, warn};

use super::{FirewallError, Round};
use crate::plan::firewall::{FirewallGoal, Implementation};

/// What was said already.
#[derive(Default)]
pub(super) struct Teller {
    goal: Option<FirewallGoal>,
    place: Option<Option<Implementation>>,
    problems: Vec<String>,
    /// Repairs in a row.
    repairs: u32,
}

impl Teller {
    /// Tells of a check. True when it was the first one for this goal.
    pub(super) fn tell(
        &mut self,
        goal: &FirewallGoal,
        round: &Result<Round, FirewallError>,
    ) -> bool {
        let fresh = self.goal.replace(*goal) != Some(*goal);
        let problems = match round {
            Ok(round) => {
                self.place(round, fresh);
                self.repair(round, fresh);
                round.problems(goal)
            }
            Err(error) => vec![error.to_string()],
        };
        for problem in problems.iter().filter(|p| !self.problems.contains(p)) {
            warn!("{problem}");
        }
        if problems.is_empty() && !self.problems.is_empty() {
            info!("the firewall's problems are over");
        }
        self.problems = problems;
        fresh
    }

    fn place(&mut self, round: &Round, fresh: bool) {
        let place = round.choice.as_ref().map(|choice| choice.implementation);
        let moved = self.place.replace(place) != Some(place);
        let news = moved || fresh && place.is_some();
        if !news {
            return;
        }
        match &round.choice {
            Some(choice) if round.failed.is_empty() => info!(
                "firewall rules are in {}: {}",
                choice.implementation, choice.reason
            ),
            Some(_) => {}
            None => info!("neither iptables nor nft is installed: working without firewall rules"),
        }
    }

    fn repair(&mut self, round: &Round, fresh: bool) {
        if round.written.is_empty() {
            self.repairs = 0;
            return;
        }
        if fresh {
            return;
        }
        self.repairs = self.repairs.saturating_add(1);
        match self.repairs {
            1 => warn!("firewall rules put back: {}", round.written.join("; ")),
            5 => warn!(
                "something keeps changing our firewall rules ({}); they are put back each time, ever \
                 more slowly and without a word until it ends",
                round.written.join("; ")
            ),
            _ => {}
        }
    }
}
