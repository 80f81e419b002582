//! Makes a fault, looks at what is said of it, tries the remedy, and keeps the score.

use std::time::{Duration, Instant};

use super::looks::Looks;
use super::patient::{Agent, Patient};
use super::table::{Fault, Fix};
use super::told::{Diagnosed, Told};
use crate::lab::within_time;

/// How long a remedy may take to work.
const REMEDY: Duration = Duration::from_secs(5);

/// What a fault lab counts.
#[derive(Default)]
pub struct Score {
    pub made: usize,
    pub named: usize,
    pub remedies: usize,
    pub remedied: usize,
    looks: Looks,
    wrong: Vec<String>,
}

impl Score {
    /// Adds what another lab counted.
    pub fn add(&mut self, other: Self) {
        self.made += other.made;
        self.named += other.named;
        self.remedies += other.remedies;
        self.remedied += other.remedied;
        self.looks.add(&other.looks);
        self.wrong.extend(other.wrong);
    }

    /// Prints it and fails with all that was wrong.
    #[track_caller]
    pub fn finish(self, what: &str) {
        println!(
            "measured: diagnose: {what}: {} of {} faults named, {} of {} printed remedies tried with success, {}",
            self.named, self.made, self.remedied, self.remedies, self.looks
        );
        // The summary of tests/run shows the first line of each.
        for one in &self.wrong {
            println!("wrong: {}", one.lines().next().unwrap_or_default());
        }
        assert!(
            self.wrong.is_empty(),
            "{} wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n\n")
        );
        self.looks.finish();
    }
}

/// Makes the fault on host `broken`, judges what is said on host `viewer`, tries the remedy, mends.
pub fn judge(
    patient: &mut Patient,
    fault: &Fault,
    broken: usize,
    viewer: usize,
    score: &mut Score,
) {
    let begin = Instant::now();
    let title = format!(
        "{} [{}] host {broken} seen from {viewer}",
        fault.name, patient.backend
    );
    score.made += 1;
    match patient.break_host(broken, fault.agent, fault.script) {
        Ok(()) => look(patient, fault, broken, viewer, &title, score),
        Err(why) => score.wrong.push(format!("{title}: not made: {why}")),
    }
    patient.mend();
    println!("{title}: {:?}", begin.elapsed());
}

fn look(
    patient: &mut Patient,
    fault: &Fault,
    broken: usize,
    viewer: usize,
    title: &str,
    score: &mut Score,
) {
    let case = std::env::var("FAULTS_SAVE")
        .map(|folder| format!("{folder}/{}.json", title.replace([' ', '/'], "-")));
    let save = case.iter().flat_map(|file| ["--save-case", file]);
    let args: Vec<_> = fault.args.iter().copied().chain(save).collect();
    let open = fault.open.contains(&patient.backend);
    let (diagnosed, why) = score.looks.at(
        title,
        || patient.diagnose_from(viewer, &args),
        |diagnosed| wrong(patient, fault, broken, viewer, diagnosed),
    );
    match why {
        None => score.named += 1,
        Some(why) if open => {
            println!("{title}: still open: {why}");
            return;
        }
        Some(why) => score.wrong.push(format!(
            "{title}: {why}\n{:#?}\n{}\n{}",
            diagnosed.told(),
            diagnosed.finished.stderr,
            match std::env::var_os("FAULTS_VERBOSE") {
                Some(_) => format!("{:#}", diagnosed.json),
                None => String::new(),
            }
        )),
    }
    // Once a row: on the other host it is the same command.
    if fault.fix == Fix::Tried && fault.seen.first() == Some(&(broken, viewer)) {
        score.remedies += 1;
        match remedy(patient, fault, viewer, &diagnosed) {
            Ok(()) => score.remedied += 1,
            Err(why) => score.wrong.push(format!("{title}: remedy: {why}")),
        }
    }
}

fn wrong(
    patient: &Patient,
    fault: &Fault,
    broken: usize,
    viewer: usize,
    diagnosed: &Diagnosed,
) -> Option<String> {
    let node = |i: usize| patient.node(i).address.to_string();
    let at = if fault.on_peer { 1 - broken } else { broken };
    let direction = fault.directions[usize::from(broken == viewer)];
    let told = diagnosed.told();
    let fits = |it: &Told| {
        it.id == fault.id
            && (fault.nowhere || it.node == node(at))
            && (direction.is_empty() || it.direction == direction)
            && (it.confidence == fault.confidence || it.confidence == "proven")
    };
    if !told.iter().any(fits) {
        return Some(format!(
            "wanted {} {} {direction} {} ({}, not observed: {})",
            fault.id,
            node(at),
            fault.confidence,
            diagnosed.status(),
            diagnosed.json["notObserved"]
        ));
    }
    if let Some(bare) = told.iter().find(|it| it.fix.is_empty()) {
        return Some(format!("{} has no remedy", bare.id));
    }
    // What is said beside it is false, unless the row says that it is true as well.
    let more = told.iter().find(|it| {
        it.severity != "info" && it.id != fault.id && !fault.also.contains(&it.id.as_str())
    });
    if let Some(more) = more {
        return Some(format!("{} is said as well", more.id));
    }
    let codes: &[i32] = if fault.info { &[0] } else { &[1] };
    (!codes.contains(&diagnosed.code())).then(|| format!("exit code {}", diagnosed.code()))
}

/// Executes the commands that were printed, on the hosts that they name; then all must be well.
fn remedy(
    patient: &mut Patient,
    fault: &Fault,
    viewer: usize,
    diagnosed: &Diagnosed,
) -> Result<(), String> {
    let commands = diagnosed.commands();
    for (node, command) in &commands {
        let b = (0..2).find(|b| patient.node(*b).address.to_string() == *node);
        let b = b.ok_or_else(|| format!("on {node}: {command}: there is no such node"))?;
        let output = patient.try_sh(b, command);
        if !output.status.success() {
            return Err(format!("on {node}: {command}: {output:?}"));
        }
    }
    if commands.is_empty() {
        return Err(format!("no command is printed: {:#?}", diagnosed.told()));
    }
    let passes = within_time(REMEDY, || {
        (patient.pings(0, 1) && patient.pings(1, 0)).then_some(())
    });
    if passes.is_none() {
        return Err(format!(
            "packets do not pass after it: {:#?}",
            diagnosed.told()
        ));
    }
    let after = patient.diagnose_from(viewer, fault.args);
    // The agent still hangs or is dead, which is told.
    let rest: Vec<_> = after
        .told()
        .into_iter()
        .filter(|it| it.severity != "info")
        .filter(|it| {
            fault.agent == Agent::Alive || !["FL412", "FL420", "FL722"].contains(&it.id.as_str())
        })
        .collect();
    if !rest.is_empty() {
        return Err(format!("still said after it: {rest:#?}"));
    }
    Ok(())
}
