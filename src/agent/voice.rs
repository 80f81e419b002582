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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::plan::Problem;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Ok(mut log) = self.0.lock() {
                log.extend_from_slice(bytes);
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `voice` writes into the log about one round.
    fn said(voice: &mut Voice, done: &[Change], failures: &[Failure], repair: bool) -> Vec<String> {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || voice.tell(done, failures, repair));
        let bytes = log.0.lock().map(|log| log.clone()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn each_thing_is_said_once_and_a_crowd_is_counted() {
        let mut voice = Voice::default();
        let down = [Failure::Plan(Problem::ExternalDown("eth0".to_owned()))];
        assert_eq!(
            said(&mut voice, &[], &down, true),
            ["WARN interface eth0 is down"]
        );
        assert!(said(&mut voice, &[], &down, true).is_empty());
        assert_eq!(
            said(&mut voice, &[], &[], true),
            ["INFO no longer: interface eth0 is down"]
        );
        assert!(said(&mut voice, &[], &[], true).is_empty());

        let step = |index| Change::SetUp {
            index,
            name: format!("eth{index}"),
        };
        let many: Vec<Change> = (0..1000).map(step).collect();
        assert!(
            said(&mut voice, &many, &[], false).is_empty(),
            "a new goal is no repair"
        );
        let lines = said(&mut voice, &many, &[], true);
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "INFO repaired: bring eth0 up");
        assert_eq!(lines[LINES - 1], "INFO repaired: bring eth7 up more=992");
    }
}
