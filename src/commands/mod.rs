//! One file a subcommand. A command reads its settings, asks `registry` and `kernel`, and prints; it owns no
//! decision that the pure modules could make.

pub mod agent;
pub mod complete;
pub mod diagnose;
pub mod docker_config;
pub mod generate;
pub mod init;
pub mod lab;
pub mod leases;
mod replace;

use std::io::{IsTerminal, Write};
use std::path::Path;

use crate::cli::{Cli, Command, EtcdArgs};
use crate::exit::{Code, Failure};
use crate::registry::Registry;
use crate::report::{message, terminal};
use crate::settings::{self, Environment};

/// What every command is handed.
#[derive(Debug)]
pub struct Context {
    /// Flags for etcd as typed; read when a command needs etcd.
    pub etcd: EtcdArgs,
    /// The environment at start.
    pub env: Environment,
}

impl Context {
    /// The way to etcd; opens no connection yet.
    ///
    /// # Errors
    /// Usage failures: bad flags, unreadable certificate files.
    pub fn registry(&self) -> Result<Registry, Failure> {
        let options = settings::etcd(&self.etcd, &self.env)?;
        let registry = Registry::new(options).map_err(Failure::usage)?;
        registry.warnings().iter().for_each(message::warning);
        Ok(registry)
    }
}

/// Runs the command that was asked for. Data goes to `out`, messages to stderr.
///
/// # Errors
/// What the user is to read, with its exit code.
pub async fn run(cli: Cli, env: Environment, out: &mut dyn Write) -> Result<Code, Failure> {
    let context = Context {
        etcd: cli.etcd,
        env,
    };
    match cli.command {
        Command::Agent(args) => agent::run(&args, &context, out).await,
        Command::Diagnose(args) => diagnose::run(&args, &context, out).await,
        Command::DockerConfig(args) => docker_config::run(&args, &context, out).await,
        Command::Generate(args) => generate::run(&args, out),
        Command::Init(args) => init::run(&args, &context, out).await,
        Command::Lab(args) => lab::run(&args, &context, out).await,
        Command::Leases(args) => leases::run(&args, &context, out).await,
    }
}

/// Turns a failure of etcd into what the user reads.
pub fn etcd_failure(error: crate::registry::Error) -> Failure {
    let unreachable = matches!(error, crate::registry::Error::Unreachable { .. });
    let failure = Failure::could_not_run(error);
    match unreachable {
        true => failure.with_remedy("is etcd running there, and does --etcd-endpoints name it?"),
        false => failure,
    }
}

/// Turns a failed write to stdout into a failure.
pub fn output(error: std::io::Error) -> Failure {
    Failure::could_not_run(format!("cannot write the output: {error}"))
}

/// Whether stdout takes colours.
fn stdout_takes_colour() -> bool {
    let variable = |name| std::env::var(name).ok();
    terminal::wants_colour(
        std::io::stdout().is_terminal(),
        variable("NO_COLOR").as_deref(),
        variable("TERM").as_deref(),
    )
}

/// Writes a file that was asked for, whole or not at all.
///
/// # Errors
/// Names the file.
fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Failure> {
    replace::replace(path, content.as_ref()).map_err(|error| {
        Failure::could_not_run(format!("cannot write {}: {error}", path.display()))
    })
}
