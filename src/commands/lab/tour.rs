//! `lab` alone: raises a lab where none runs, shows what a network is made of, and says what to try.

use std::io::Write;
use std::process::Command;

use super::super::{output, stdout_takes_colour};
use super::{matrix, path_with, place, up};
use crate::cli::RaiseArgs;
use crate::exit::{Code, Failure};
use crate::lab::record::Record;

pub(super) async fn run(args: &RaiseArgs, out: &mut dyn Write) -> Result<Code, Failure> {
    let record = match Record::running() {
        Some(record) => record,
        None => match up::raise(args).await? {
            Some(record) => record,
            None => return Ok(Code::Interrupted),
        },
    };
    let (Some(first), Some(last)) = (record.nodes.first(), record.nodes.last()) else {
        return Err(Failure::could_not_run("the lab has no hosts"));
    };
    heading(
        out,
        &format!(
            "who has which subnet (lab exec {} -- flannelctl leases)",
            first.name
        ),
    )?;
    show(&record, &first.name, &["leases"])?;
    heading(out, "who reaches whom: pings from container to container")?;
    let (table, whole) = matrix::table(&record, stdout_takes_colour())?;
    out.write_all(table.as_bytes()).map_err(output)?;
    let target = last.container.to_string();
    heading(
        out,
        &format!(
            "a packet's way (lab exec {} -- flannelctl diagnose {target})",
            first.name
        ),
    )?;
    show(&record, &first.name, &["diagnose", &target])?;
    heading(out, "try next")?;
    let next = format!(
        "  flannelctl lab exec {first}/container -- ping {target}\n\
        \x20 flannelctl lab fault forward-drop {last}     # break something (lab fault lists more)\n\
        \x20 flannelctl lab exec {first} -- flannelctl diagnose\n\
        \x20 flannelctl lab status\n\
        \x20 flannelctl lab down                       # takes everything down\n",
        first = first.name,
        last = last.name,
    );
    out.write_all(next.as_bytes()).map_err(output)?;
    Ok(if whole { Code::Done } else { Code::Problems })
}

fn heading(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    writeln!(out, "\n== {text}")
        .and_then(|()| out.flush())
        .map_err(output)
}

/// Runs this program on a host of the lab; what it prints is for the user.
fn show(record: &Record, node: &str, args: &[&str]) -> Result<(), Failure> {
    let place = place(record, node)?;
    let program = std::env::current_exe().map_err(Failure::could_not_run)?;
    let path = std::env::var("PATH").ok();
    let mut command = Command::new(&program);
    command.args(args);
    command.envs(place.environment.iter().map(|(key, value)| (key, value)));
    command.env("PATH", path_with(&program, path.as_deref()));
    let shown = place.namespace.run(|| command.status()).flatten();
    shown.map(|_| ()).map_err(|error| {
        Failure::could_not_run(format!("cannot run flannelctl on {node}: {error}"))
    })
}
