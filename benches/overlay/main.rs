//! Measures flannel's data paths side by side on one lab: host-gw, vxlan, our udp backend with and without
//! offload, and another daemon's. `tests/bench` runs it.
//!
//! A benchmark, not a test: whatever the figures, it succeeds when they could be measured.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod figures;
mod interrupt;
#[path = "../../tests/lab/mod.rs"]
mod lab;
mod load;
mod machine;
mod options;
mod report;
mod required;
mod stage;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};

use figures::{Figure, Samples};
use load::{LoadError, Pair};
use options::{Options, Underlay};
use stage::{Line, Stage};

const FAILED: u8 = 1;
const NOT_ROOT: u8 = 3;
const INTERRUPTED: u8 = 130;

const TOOLS: [&str; 5] = ["iperf3", "ping", "ethtool", "etcd", "etcdctl"];

/// One measurement: a load that gives one or more figures.
type Measurement = fn(&Pair) -> Result<Vec<(Figure, f64)>, LoadError>;

const MEASUREMENTS: [Measurement; 7] = [
    |pair| {
        let busy = machine::busy_seconds();
        let tcp = pair.tcp(&[])?;
        let busy = machine::busy_seconds() - busy;
        let per_gib = busy / (tcp.bytes / f64::from(1 << 30));
        Ok(vec![(Figure::Tcp1, tcp.rate), (Figure::Cpu, per_gib)])
    },
    |pair| Ok(vec![(Figure::Tcp4, pair.tcp(&["-P", "4"])?.rate)]),
    |pair| Ok(vec![(Figure::TcpBoth, pair.tcp(&["--bidir"])?.rate)]),
    |pair| {
        let udp = pair.datagrams("64")?;
        Ok(vec![
            (Figure::SmallOffered, udp.offered),
            (Figure::SmallDelivered, udp.delivered),
            (Figure::SmallLost, udp.lost),
        ])
    },
    |pair| {
        let udp = pair.datagrams("1400")?;
        Ok(vec![
            (Figure::LargeOffered, udp.offered),
            (Figure::LargeDelivered, udp.delivered),
            (Figure::LargeLost, udp.lost),
        ])
    },
    |pair| {
        let ping = pair.idle_ping()?;
        Ok(vec![
            (Figure::IdleMean, ping.mean),
            (Figure::IdleP99, ping.p99),
        ])
    },
    |pair| {
        let ping = pair.loaded_ping()?;
        Ok(vec![
            (Figure::LoadMean, ping.mean),
            (Figure::LoadP99, ping.p99),
        ])
    },
];

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(problem) = options.problem() {
        Options::command()
            .error(ErrorKind::ValueValidation, problem)
            .exit();
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("tests/bench needs root: it makes network namespaces");
        return NOT_ROOT.into();
    }
    if let Some(tool) = TOOLS.iter().find(|tool| !machine::has(tool)) {
        eprintln!("tests/bench needs {tool}, which is not in PATH");
        return FAILED.into();
    }
    if let Err(error) = interrupt::watch() {
        eprintln!("cannot watch for signals: {error}");
        return FAILED.into();
    }
    let before = machine::Machine::look();
    let mut results = Vec::new();
    for underlay in &options.underlay {
        match measure(&options, *underlay) {
            Ok(samples) => results.push((*underlay, samples)),
            Err(LoadError::Interrupted) => return INTERRUPTED.into(),
            Err(error) => {
                eprintln!("{error}");
                return FAILED.into();
            }
        }
    }
    let report = report::Report {
        options: &options,
        machine: &before,
        load_after: machine::load(),
        results: &results,
    };
    print!("{}", report.text());
    if let Some(file) = &options.json {
        let written = report.json().and_then(|text| std::fs::write(file, text));
        if let Err(error) = written {
            eprintln!("cannot write {}: {error}", file.display());
            return FAILED.into();
        }
    }
    ExitCode::SUCCESS
}

/// All rounds on one underlay. A load that fails is told and leaves a gap.
fn measure(options: &Options, underlay: Underlay) -> Result<Samples, LoadError> {
    let stage = Stage::new(options, underlay);
    for line in &stage.lines {
        for mode in line.log().lines().filter(|line| line.contains("offload")) {
            eprintln!("{} {}: {mode}", underlay.name(), line.route.name());
        }
    }
    let mut samples = Samples::default();
    for round in 0..options.rounds {
        eprintln!(
            "{}: round {} of {}, load {:.2}",
            underlay.name(),
            round + 1,
            options.rounds,
            machine::load()
        );
        for measurement in MEASUREMENTS {
            for line in turns(&stage.lines, round) {
                match measurement(&pair(line, options)) {
                    Ok(values) => {
                        for (figure, value) in values {
                            samples.add(round, figure, line.route, value);
                        }
                    }
                    Err(LoadError::Interrupted) => return Err(LoadError::Interrupted),
                    Err(error) => eprintln!("{} {}: {error}", underlay.name(), line.route.name()),
                }
            }
        }
    }
    Ok(samples)
}

/// Every other round the other way round, so that a machine that slows down is unjust to none.
fn turns(lines: &[Line], round: u32) -> Vec<&Line> {
    let mut lines: Vec<_> = lines.iter().collect();
    if round % 2 == 1 {
        lines.reverse();
    }
    lines
}

fn pair<'a>(line: &'a Line, options: &Options) -> Pair<'a> {
    let [from, to] = &line.containers;
    Pair {
        from: &**from,
        to: &**to,
        address: to.address,
        seconds: options.seconds,
    }
}
