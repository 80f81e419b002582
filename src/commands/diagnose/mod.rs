//! `diagnose`: survey the store, try the paths with the help of the other nodes' agents, judge, show. All that is
//! made on the way is removed on every way out, Ctrl-C included.

mod asking;
mod case;
mod merge;
mod offline;
mod paths;
mod round;
mod sizes;
mod survey;
mod target;
mod untried;

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Context, output, stdout_takes_colour, write_file};
use crate::cli::{DiagnoseArgs, DiagnoseCommand, DiagnosisOutput};
use crate::diagnose::select::Selection;
use crate::diagnose::{Case, Diagnosis, Status};
use crate::exit::{Code, Failure};
use crate::registry::Registry;
use crate::report::{diagnosis, message};
use crate::settings;
use case::Gathering;
use round::Held;

/// Time for one operation in etcd, where the user did not give one: the whole takes 10 s at most.
const ETCD_TIMEOUT: Duration = Duration::from_secs(3);
/// Removing what was made takes no longer, even if etcd is away.
const FAREWELL: Duration = Duration::from_secs(3);

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help.
pub async fn run(args: &DiagnoseArgs, ctx: &Context, out: &mut dyn Write) -> Result<Code, Failure> {
    if let Some(DiagnoseCommand::Explain { id }) = &args.command {
        return offline::explain(id, out);
    }
    let selection = Selection::new(&args.only, &args.skip).map_err(Failure::usage)?;
    if args.list_checks {
        return offline::list(&selection, out);
    }
    if let Some(path) = &args.from_case {
        let cases = offline::read(path)?;
        return finish(args, &selection, &cases, &[], out);
    }
    let registry = registry(ctx)?;
    let gathering = Gathering::new(
        args,
        registry,
        settings::subnet_file(args.subnet_file.as_deref(), &ctx.env),
    )?;
    let mut held = Held::default();
    // Before anything is made, so that no signal comes too early.
    let mut interrupts = Interrupts::new()?;
    let gathered = tokio::select! {
        gathered = gathering.run(&mut held) => Some(gathered),
        () = interrupts.next() => None,
    };
    tokio::select! {
        _ = tokio::time::timeout(FAREWELL, held.release()) => {}
        () = interrupts.next() => return Ok(Code::Interrupted),
    }
    let Some(gathered) = gathered else {
        return Ok(Code::Interrupted);
    };
    let gathered = gathered?;
    if let Some(path) = &args.save_case {
        offline::save(path, &gathered.cases)?;
        message::note(format!("what was seen is in {}", path.display()));
    }
    finish(args, &selection, &gathered.cases, &gathered.missing, out)
}

/// Judges and shows.
fn finish(
    args: &DiagnoseArgs,
    selection: &Selection,
    cases: &[Case],
    missing: &[String],
    out: &mut dyn Write,
) -> Result<Code, Failure> {
    let mut diagnosis = merge::judge(cases, selection);
    for sentence in missing {
        if !diagnosis.not_observed.contains(sentence) {
            diagnosis.not_observed.push(sentence.clone());
        }
    }
    // Nothing wrong was seen, and nothing was tried either.
    let tried = cases.iter().any(|case| !case.paths.is_empty());
    let others = cases.iter().any(|case| case.leases.len() > 1);
    if diagnosis.status == Status::Healthy && others && !tried {
        diagnosis.status = Status::Inconclusive;
    }
    let nodes = cases.iter().map(|case| case.nodes.len()).max().unwrap_or(0);
    let text = match args.output {
        DiagnosisOutput::Table => {
            diagnosis::table(&diagnosis, selection, nodes, stdout_takes_colour())
        }
        DiagnosisOutput::Json => diagnosis::json(&diagnosis).map_err(Failure::could_not_run)?,
        DiagnosisOutput::Short => diagnosis::short(&diagnosis),
    };
    out.write_all(text.as_bytes()).map_err(output)?;
    if let Some(path) = &args.junit {
        let text = diagnosis::junit(&diagnosis, selection);
        write_file(path, text)?;
    }
    if let Some(path) = &args.write {
        offline::write_packets(path, cases)?;
    }
    Ok(code(&diagnosis))
}

fn code(diagnosis: &Diagnosis) -> Code {
    match diagnosis.status {
        Status::Healthy => Code::Done,
        Status::Problem => Code::Problems,
        Status::Inconclusive => Code::Inconclusive,
    }
}

/// As for every command, but less patient with an etcd that is away.
fn registry(ctx: &Context) -> Result<Registry, Failure> {
    let mut options = settings::etcd(&ctx.etcd, &ctx.env)?;
    if ctx.etcd.etcd_timeout.is_none() {
        options.timeout = options.timeout.min(ETCD_TIMEOUT);
    }
    let registry = Registry::new(options).map_err(Failure::usage)?;
    registry.warnings().iter().for_each(message::warning);
    Ok(registry)
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupts {
    fn new() -> Result<Self, Failure> {
        let cannot = |error| Failure::could_not_run(format!("cannot handle signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(cannot)?,
            terminate: signal(SignalKind::terminate()).map_err(cannot)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
