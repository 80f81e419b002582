//! `lab`: a whole network on one machine. `lab up` starts a process that holds it (`hold`); the other commands find
//! that process by its record.

mod bench;
mod claim;
mod exec;
mod fault;
mod hold;
mod matrix;
mod status;
mod tour;
mod up;

use std::io::Write;
use std::path::Path;

use super::Context;
use crate::cli::{LabArgs, LabCommand};
use crate::exit::{Code, Failure};
use crate::kernel::process::{Capability, missing_capabilities};
use crate::lab::record::{Place, Record};

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help.
pub async fn run(args: &LabArgs, ctx: &Context, out: &mut dyn Write) -> Result<Code, Failure> {
    needs_root()?;
    match &args.command {
        None => tour::run(&args.raise, out).await,
        Some(LabCommand::Up(raise)) => up::run(raise, out).await,
        Some(LabCommand::Exec { place, command }) => exec::run(place, command, &ctx.env),
        Some(LabCommand::Status { output }) => status::run(*output, out),
        Some(LabCommand::Fault { name, node, undo }) => {
            fault::run(name.as_deref(), node.as_deref(), *undo, out)
        }
        Some(LabCommand::Bench(args)) => bench::run(args, out).await,
        Some(LabCommand::Down) => up::down(out).await,
        Some(LabCommand::Hold(raise)) => hold::run(raise, out).await,
        Some(LabCommand::Idle) => std::future::pending().await,
    }
}

fn needs_root() -> Result<(), Failure> {
    let missing = missing_capabilities(&[Capability::SysAdmin, Capability::NetAdmin]);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|one| one.name()).collect();
    Err(Failure::could_not_run(format!(
        "the lab makes network namespaces and devices in them: {} is missing",
        names.join(" and ")
    ))
    .with_remedy("run it as root, for example: sudo flannelctl lab"))
}

fn running() -> Result<Record, Failure> {
    Record::running().ok_or_else(|| {
        Failure::could_not_run("no lab runs on this machine").with_remedy("flannelctl lab up")
    })
}

fn place(record: &Record, name: &str) -> Result<Place, Failure> {
    match record.place(name) {
        Ok(Some(place)) => Ok(place),
        Ok(None) => Err(Failure::usage(format!("{name:?} is no place in the lab"))
            .with_remedy(format!("use one of {}", record.places().join(", ")))),
        Err(error) => Err(Failure::could_not_run(format!(
            "the namespace of {name} cannot be opened: {error}"
        ))),
    }
}

/// The path with this program's folder in front, so that `flannelctl` is found in the lab.
fn path_with(program: &Path, path: Option<&str>) -> String {
    let folder = program.parent().unwrap_or(Path::new("/")).display();
    match path {
        Some(path) => format!("{folder}:{path}"),
        None => folder.to_string(),
    }
}
