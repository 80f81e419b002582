//! `lab exec`: becomes a program in a host or container of the lab.

use std::ffi::OsString;
use std::process::Command;

use super::{path_with, place, running};
use crate::exit::{Code, Failure};
use crate::kernel::nursery::become_program;
use crate::settings::Environment;

pub(super) fn run(name: &str, command: &[OsString], env: &Environment) -> Result<Code, Failure> {
    let place = place(&running()?, name)?;
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::usage("no program was given"));
    };
    let own = std::env::current_exe().map_err(Failure::could_not_run)?;
    let mut become_it = Command::new(program);
    become_it.args(args);
    become_it.envs(place.environment.iter().map(|(key, value)| (key, value)));
    become_it.env("PATH", path_with(&own, env.get("PATH")));
    let hostname = place.name.replace('/', "-");
    let error = become_program(become_it, &place.namespace, &hostname);
    Err(Failure::could_not_run(format!(
        "cannot run {} in {name}: {error}",
        program.to_string_lossy()
    )))
}
