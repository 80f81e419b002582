//! A run: the stages, then all steps of the plan.

use std::time::SystemTime;

use tokio::runtime::Handle;

use super::line::Setup;
use super::request::Request;
use super::workspace::Workspace;
use crate::bench::{Benchmark, Figure, Load, Plan, Samples, Step, Trips};
use crate::exit::Failure;
use crate::kernel::load::{self, Datagrams, Ends, Streams, Timing};
use crate::kernel::machine;
use crate::kernel::wait::Stop;
use crate::report::message;
use crate::report::progress::{Bar, Spinner};

/// How often a load is tried.
const TRIES: u32 = 3;

/// Measures until all is done or the stop is called. None if it was called before there was anything to show.
pub(super) fn run(
    request: &Request,
    runtime: &Handle,
    stop: &Stop,
) -> Result<Option<Benchmark>, Failure> {
    let plan = &request.plan;
    let steps = plan.steps();
    message::note(format!(
        "{} measurements, about {} s",
        steps.len(),
        plan.estimate().as_secs()
    ));
    if cfg!(debug_assertions) {
        message::warning(
            "this build is not optimized: the udp backend is far slower than it can be",
        );
    }
    let mut result = Benchmark {
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION"),
        machine: machine::look(),
        load_before: machine::load_average(),
        plan: plan.clone(),
        peer: request.peer.as_ref().map(|p| p.display().to_string()),
        agent_args: request.agent_args.clone(),
        samples: Samples::default(),
        failures: Vec::new(),
        complete: false,
    };
    let workspace = Workspace::new().map_err(Failure::could_not_run)?;
    let spinner = Spinner::start("starting hosts, agents and containers");
    let mut setups = Vec::new();
    for underlay in &plan.underlays {
        match Setup::new(request, *underlay, &workspace, runtime, stop)? {
            Some(setup) => setups.push(setup),
            None => return Ok(None),
        }
    }
    drop(spinner);
    if let Some(line) = setups.first().and_then(|setup| setup.lines.first())
        && let Ok(name) = line.ends.from.run(machine::congestion_control)
    {
        result.machine.congestion_control = name;
    }
    let timing = Timing {
        warm_up: Plan::WARM_UP,
        window: plan.window,
    };
    let bar = Bar::start(steps.len() as u64);
    let mut round = 0;
    for step in &steps {
        if step.round != round {
            round = step.round;
            bar.aside(|| message::note(format!("round {round} of {} is measured", plan.rounds)));
        }
        let (underlay, path, load) = (step.underlay.name(), step.path.name(), step.load.name());
        let place = format!("{underlay} {path}, {load}");
        bar.say(place.clone());
        let Some(ends) = ends(&setups, *step) else {
            continue;
        };
        let again = |error: &load::Error| {
            bar.aside(|| message::note(format!("{place}: {error}; measured again")));
        };
        let measure = || match measure(ends, step.load, timing, stop) {
            // Ctrl-C at a terminal also ends the agents: whatever failed then failed of that.
            Err(_) if stop.is_called() => Err(load::Error::Interrupted),
            measured => measured,
        };
        match patiently(measure, again) {
            Ok(figures) => {
                for (figure, value) in figures {
                    let samples = &mut result.samples;
                    samples.add(step.underlay, figure, step.path, step.round, value);
                }
            }
            Err(load::Error::Interrupted) => {
                return Ok((!result.samples.is_empty()).then_some(result));
            }
            Err(error) => {
                let what = format!("{place}, round {}: {error}", step.round + 1);
                bar.aside(|| message::warning(&what));
                result.failures.push(what);
            }
        }
        bar.advance();
    }
    result.complete = true;
    Ok(Some(result))
}

fn ends(setups: &[Setup], step: Step) -> Option<&Ends> {
    let setup = setups
        .iter()
        .find(|setup| setup.underlay == step.underlay)?;
    let line = setup.lines.iter().find(|line| line.path == step.path)?;
    Some(&line.ends)
}

/// A second time and a third: a path that works may be still for as long as a window, on a machine that is busy or
/// where the first packets of a connection are lost. What is broken fails every time.
fn patiently<T>(
    mut measure: impl FnMut() -> Result<T, load::Error>,
    again: impl Fn(&load::Error),
) -> Result<T, load::Error> {
    for _ in 1..TRIES {
        match measure() {
            Err(error) if !matches!(error, load::Error::Interrupted) => again(&error),
            measured => return measured,
        }
    }
    measure()
}

/// One load, and the figures that it gives.
fn measure(
    ends: &Ends,
    load: Load,
    timing: Timing,
    stop: &Stop,
) -> Result<Vec<(Figure, f64)>, load::Error> {
    let streams = |there, back| load::transfer(ends, Streams { there, back }, timing, stop);
    let datagrams = |payload| load::datagrams(ends, payload, timing, stop).map(of_datagrams);
    let values = match load {
        Load::Tcp1 => {
            let tcp = streams(1, 0)?;
            vec![tcp.rate, tcp.cpu_per_gib]
        }
        Load::Tcp4 => vec![streams(4, 0)?.rate],
        Load::TcpBoth => vec![streams(1, 1)?.rate],
        Load::Small => datagrams(64)?,
        Load::Large => datagrams(1400)?,
        Load::Idle => {
            let latency = load::idle(ends, timing, stop)?;
            [of_trips(latency.ping), of_trips(latency.request)].concat()
        }
        Load::Loaded => {
            let latency = load::loaded(ends, timing, stop)?;
            [of_trips(latency.ping), of_trips(latency.request)].concat()
        }
    };
    // `Load::figures` names them in this order.
    Ok(load.figures().into_iter().zip(values).collect())
}

fn of_datagrams(datagrams: Datagrams) -> Vec<f64> {
    vec![datagrams.offered, datagrams.delivered, datagrams.lost]
}

fn of_trips(trips: Trips) -> Vec<f64> {
    vec![trips.mean, trips.p50, trips.p99]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use super::*;

    fn nothing() -> load::Error {
        load::Error::Nothing {
            address: Ipv4Addr::LOCALHOST,
        }
    }

    #[test]
    fn what_fails_is_measured_again_and_only_a_broken_path_is_a_failure() {
        let told = Cell::new(0);
        let run = |works_at: u32| {
            told.set(0);
            let tries = Cell::new(0);
            let measure = || {
                tries.set(tries.get() + 1);
                match tries.get() >= works_at {
                    true => Ok(tries.get()),
                    false => Err(nothing()),
                }
            };
            patiently(measure, |_| told.set(told.get() + 1)).ok()
        };
        assert_eq!((run(1), told.get()), (Some(1), 0));
        assert_eq!((run(3), told.get()), (Some(3), 2));
        assert_eq!((run(4), told.get()), (None, 2));
    }

    #[test]
    fn after_an_interrupt_nothing_is_measured_again() {
        let tries = Cell::new(0);
        let measure = || -> Result<(), _> {
            tries.set(tries.get() + 1);
            Err(load::Error::Interrupted)
        };
        let error = patiently(measure, |_| unreachable!()).unwrap_err();
        assert!(matches!(error, load::Error::Interrupted));
        assert_eq!(tries.get(), 1);
    }
}
