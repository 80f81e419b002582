//! `lab bench`: all data paths stand at once and take turns; what is measured is shown, whatever ended the run.

mod line;
mod measure;
mod request;
mod workspace;

use std::io::Write;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use super::super::{output, stdout_takes_colour, write_file};
use crate::bench::Benchmark;
use crate::cli::{BenchArgs, BenchOutput};
use crate::exit::{Code, Failure};
use crate::kernel::wait::Stop;
use crate::report::{benchmark, json, message};
use request::Request;

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help.
pub async fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<Code, Failure> {
    let request = Request::new(args)?;
    let cannot = |error| Failure::could_not_run(format!("cannot watch for signals: {error}"));
    let stop = Arc::new(Stop::new().map_err(cannot)?);
    // Before anything is made, so that no signal comes too early.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(cannot)?;
    let heard = Arc::clone(&stop);
    let runtime = Handle::current();
    let mut work = tokio::task::spawn_blocking(move || measure::run(&request, &runtime, &heard));
    let measured = loop {
        tokio::select! {
            measured = &mut work => break measured,
            _ = interrupt.recv() => stop.call(),
            _ = terminate.recv() => stop.call(),
            _ = hang_up.recv() => stop.call(),
        }
    };
    let broken = |error| Failure::could_not_run(format!("the measuring thread broke: {error}"));
    let Some(result) = measured.map_err(broken)?? else {
        return Ok(Code::Interrupted);
    };
    show(args, &result, out)?;
    Ok(match (result.complete, result.failures.is_empty()) {
        (false, _) => Code::Interrupted,
        (true, false) => Code::Problems,
        (true, true) => Code::Done,
    })
}

fn show(args: &BenchArgs, result: &Benchmark, out: &mut dyn Write) -> Result<(), Failure> {
    let document = json::pretty(&benchmark::document(result)).map_err(Failure::could_not_run)?;
    let text = match args.output {
        BenchOutput::Table => benchmark::tables(result, stdout_takes_colour()),
        BenchOutput::Json => document.clone(),
    };
    out.write_all(text.as_bytes()).map_err(output)?;
    if let Some(path) = &args.json {
        write_file(path, &document)?;
    }
    if let Some(path) = &args.svg {
        let chart = benchmark::chart(result);
        let chart = chart.map_err(|error| Failure::could_not_run(format!("no chart: {error}")))?;
        write_file(path, &chart)?;
        message::note(format!("the chart is in {}", path.display()));
    }
    if !result.complete {
        message::warning("interrupted: these are the figures so far");
    }
    Ok(())
}
