//! `lab up` and `lab down`: starts the process that holds a lab, and ends it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::super::output;
use super::claim::{PATIENCE, PAUSE, sweep};
use super::hold::{READY, store};
use crate::cli::RaiseArgs;
use crate::exit::{Code, Failure};
use crate::lab::record::{FOLDER, Holder, Record};
use crate::report::message;
use crate::report::progress::Spinner;

pub(super) async fn run(args: &RaiseArgs, out: &mut dyn Write) -> Result<Code, Failure> {
    let Some(record) = raise(args).await? else {
        return Ok(Code::Interrupted);
    };
    for node in &record.nodes {
        writeln!(out, "{} {} {}", node.name, node.address, node.subnet).map_err(output)?;
    }
    message::note(format!(
        "{} hosts with {} on {}; flannelctl lab down takes them down",
        record.nodes.len(),
        record.backend,
        record.store
    ));
    Ok(Code::Done)
}

/// Raises a lab in the background; `None` when it was interrupted, and nothing is left of it then.
pub(super) async fn raise(args: &RaiseArgs) -> Result<Option<Record>, Failure> {
    store(args.etcd.as_deref())?;
    let begin = Instant::now();
    let spinner = Spinner::start("raising the lab");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::could_not_run)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::could_not_run)?;
    let mut holder = start(args)?;
    let Some(stdout) = holder.stdout.take() else {
        return Err(Failure::could_not_run("the lab's process has no output"));
    };
    let mut steps = BufReader::new(stdout).lines();
    let ready = loop {
        tokio::select! {
            step = steps.next_line() => match step {
                Ok(Some(step)) if step == READY => break true,
                Ok(Some(step)) => spinner.say(format!("raising the lab: {step}")),
                Ok(None) | Err(_) => break false,
            },
            _ = interrupt.recv() => return give_up(holder, spinner).await,
            _ = terminate.recv() => return give_up(holder, spinner).await,
        }
    };
    drop(spinner);
    if !ready {
        return Err(why(holder).await);
    }
    let record = Record::running()
        .ok_or_else(|| Failure::could_not_run("the lab has ended as soon as it stood"))?;
    message::note(format!(
        "the lab stands after {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    Ok(Some(record))
}

fn start(args: &RaiseArgs) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(Failure::could_not_run)?;
    let mut command = Command::new(program);
    command.args(["lab", "hold"]);
    if let Some(nodes) = args.nodes {
        command.arg("--nodes").arg(nodes.to_string());
    }
    if let Some(backend) = args.backend {
        command.arg("--backend").arg(backend.name());
    }
    if let Some(url) = &args.etcd {
        command.arg("--etcd").arg(url);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| Failure::could_not_run(format!("cannot start the lab's process: {error}")))
}

async fn give_up(mut holder: Child, spinner: Spinner) -> Result<Option<Record>, Failure> {
    spinner.say("taking the lab down");
    if let Some(id) = holder.id().and_then(|id| i32::try_from(id).ok()) {
        signal_to(id, Signal::SIGTERM);
    }
    if tokio::time::timeout(PATIENCE, holder.wait()).await.is_err() {
        holder.kill().await.map_err(Failure::could_not_run)?;
    }
    sweep().await?;
    Ok(None)
}

/// What the process said before it ended, which is a message of ours.
async fn why(mut holder: Child) -> Failure {
    let mut said = String::new();
    if let Some(stderr) = &mut holder.stderr {
        // What cannot be read is not told.
        drop(stderr.read_to_string(&mut said).await);
    }
    let code = match holder.wait().await.ok().and_then(|status| status.code()) {
        Some(2) => Code::Usage,
        _ => Code::CouldNotRun,
    };
    let said = said.trim();
    let text = said.strip_prefix("flannelctl: ").unwrap_or(said);
    let text = if text.is_empty() {
        "the lab's process has ended"
    } else {
        text
    };
    Failure::new(code, text)
}

pub(super) async fn down(out: &mut dyn Write) -> Result<Code, Failure> {
    let spinner = Spinner::start("taking the lab down");
    let holder = Holder::read(Path::new(FOLDER)).filter(Holder::is_alive);
    let found = holder.is_some();
    if let Some(holder) = holder {
        end(&holder).await?;
    }
    let swept = sweep().await?;
    drop(spinner);
    let text = if found || swept {
        "the lab is gone"
    } else {
        "no lab was running"
    };
    writeln!(out, "{text}").map_err(output)?;
    Ok(Code::Done)
}

fn signal_to(pid: i32, signal: Signal) {
    if let Err(error) = kill(Pid::from_raw(pid), signal) {
        tracing::debug!(%error, pid, "it has ended by itself");
    }
}

/// Ends the process that holds the lab, and with it all that is in it.
async fn end(holder: &Holder) -> Result<(), Failure> {
    for last in [Signal::SIGTERM, Signal::SIGKILL] {
        signal_to(holder.pid, last);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if !holder.is_alive() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Err(Failure::could_not_run(format!(
        "the process {} that holds the lab does not end",
        holder.pid
    )))
}
