//! `lab hold` (hidden): the process that raises the lab and holds it. On stdout it tells its steps, then `ready`.

use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::super::output;
use super::claim::{cannot_use, claim};
use crate::cli::{BackendName, RaiseArgs};
use crate::exit::{Code, Failure};
use crate::lab::lock::Lock;
use crate::lab::record::{FOLDER, Holder};
use crate::lab::{Lab, Store, Wish};

/// What stdout says when the lab stands.
pub(super) const READY: &str = "ready";

pub(super) async fn run(args: &RaiseArgs, out: &mut dyn Write) -> Result<Code, Failure> {
    // Its own session: Ctrl-C at the terminal is for the command that asked. It may be leader already.
    if let Err(error) = setsid() {
        tracing::debug!(%error, "no session of its own");
    }
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt()]
        .map(|kind| signal(kind).map_err(Failure::could_not_run));
    let folder = Path::new(FOLDER);
    // Unless it is removed, it is held to this process's end: a lab that is being raised ends no sooner.
    let lock = tokio::select! {
        taken = take(folder) => ManuallyDrop::new(taken?),
        () = any(&mut ends) => return Ok(Code::Interrupted),
    };
    let wish = Wish {
        nodes: args.nodes.unwrap_or(3),
        backend: args.backend.unwrap_or(BackendName::Vxlan).name().to_owned(),
        store: store(args.etcd.as_deref())?,
        program: std::env::current_exe().map_err(Failure::could_not_run)?,
        folder: folder.to_owned(),
    };
    let runtime = tokio::runtime::Handle::current();
    let (steps, mut heard) = mpsc::unbounded_channel();
    let raising = tokio::task::spawn_blocking(move || {
        Lab::raise(wish, &runtime, &mut |step| {
            // Nobody listens any more: the lab is being given up.
            drop(steps.send(step.to_owned()));
        })
    });
    tokio::pin!(raising);
    let raised = loop {
        tokio::select! {
            Some(step) = heard.recv() => {
                writeln!(out, "{step}").and_then(|()| out.flush()).map_err(output)?;
            }
            raised = &mut raising => break raised,
            // The files go by `lab down`, or with the next lab.
            () = any(&mut ends) => return Ok(Code::Interrupted),
        }
    };
    let lab = match raised {
        Ok(raised) => raised.map_err(Failure::could_not_run),
        Err(error) => Err(Failure::could_not_run(error)),
    };
    let mut lab = match lab {
        Ok(lab) => lab,
        Err(failure) => {
            remove(lock);
            return Err(failure);
        }
    };
    let record = lab.record();
    record.write(folder).map_err(Failure::could_not_run)?;
    writeln!(out, "{READY}")
        .and_then(|()| out.flush())
        .map_err(output)?;
    leave_the_terminal(folder).map_err(Failure::could_not_run)?;
    any(&mut ends).await;
    drop(lab);
    remove(lock);
    Ok(Code::Done)
}

/// Takes the lab's folder, and removes what a killed one left in it.
async fn take(folder: &Path) -> Result<Lock, Failure> {
    let lock = claim(folder).await?.ok_or_else(|| {
        Failure::could_not_run("a lab runs on this machine already")
            .with_remedy("flannelctl lab status shows it, flannelctl lab down takes it down")
    })?;
    lock.empty()
        .and_then(|()| lock.share())
        .map_err(|error| cannot_use(folder, &error))?;
    Holder::own()
        .write(folder)
        .map_err(Failure::could_not_run)?;
    Ok(lock)
}

fn remove(lock: ManuallyDrop<Lock>) {
    if let Err(error) = ManuallyDrop::into_inner(lock).remove() {
        tracing::warn!(%error, "cannot remove {FOLDER}");
    }
}

/// What it says from now on goes to a file: the terminal is somebody else's.
fn leave_the_terminal(folder: &Path) -> std::io::Result<()> {
    let log = File::create(folder.join("hold.log"))?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    Ok(())
}

/// Waits for any of the signals.
async fn any(signals: &mut [Result<Signal, Failure>; 2]) {
    let [first, second] = signals;
    let wait = async |signal: &mut Result<Signal, Failure>| match signal {
        Ok(signal) => signal.recv().await,
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        _ = wait(first) => {}
        _ = wait(second) => {}
    }
}

/// What keeps the lab's keys.
pub(super) fn store(wanted: Option<&str>) -> Result<Store, Failure> {
    let bad = |what: &str| {
        Err(Failure::usage(format!("--etcd: {what}"))
            .with_remedy("use for example http://127.0.0.1:2379, or embedded"))
    };
    match wanted {
        Some("embedded") => Ok(Store::Embedded),
        Some(url) => {
            let Some(rest) = url.strip_prefix("http://") else {
                return bad(&format!(
                    "{url:?} is no http:// URL; the lab's hosts speak no TLS to it"
                ));
            };
            let target = rest.trim_end_matches('/');
            match target.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Store::Outside(target.to_owned()))
                }
                _ => bad(&format!("{url:?} has no host and port")),
            }
        }
        None => Ok(on_path("etcd").map_or(Store::Embedded, Store::Program)),
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
