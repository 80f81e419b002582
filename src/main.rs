//! argv → command → exit code.

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use flannelctl::cli::{Cli, Command, argv};
use flannelctl::commands;
use flannelctl::exit::{Code, Failure};
use flannelctl::settings::Environment;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    commands::complete::answer_shell();
    let cli = match Cli::try_parse_from(argv::normalise(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let is_agent = matches!(cli.command, Command::Agent(_));
    start_log(cli.verbose, is_agent);
    let env = Environment::of_process();
    let mut out = Output {
        stdout: std::io::stdout(),
        reader_left: false,
    };
    let result = if is_agent {
        // The agent's tasks end in order by themselves: it handles its signals.
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Failure::could_not_run(format!("cannot start the runtime: {error}")))
            .and_then(|runtime| runtime.block_on(commands::run(cli, env, &mut out)))
    } else {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::could_not_run(format!("cannot start the runtime: {error}")))
            .and_then(|runtime| {
                // It removes what it made before it ends, and handles its signals for that.
                let is_diagnose = matches!(cli.command, Command::Diagnose(_));
                // It ends its other process at Ctrl-C.
                let is_lab = matches!(cli.command, Command::Lab(_));
                let command = commands::run(cli, env, &mut out);
                if is_diagnose {
                    return runtime.block_on(command);
                }
                let result = match is_lab {
                    true => runtime.block_on(command),
                    false => runtime.block_on(until_interrupted(command)),
                };
                // A question that was interrupted may still wait for a key on a thread of its own; nobody waits
                // for that thread.
                runtime.shutdown_background();
                result
            })
    };
    if !is_agent && out.reader_left {
        // After the command, which removed what it made.
        flannelctl::kernel::process::die_of_broken_pipe();
    }
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            report(&failure);
            failure.code.into()
        }
    }
}

/// stdout, which remembers that its reader went away.
struct Output {
    stdout: std::io::Stdout,
    reader_left: bool,
}

impl Output {
    fn noting<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        self.reader_left |= matches!(&result, Err(e) if e.kind() == ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.stdout.write(bytes);
        self.noting(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.stdout.flush();
        self.noting(flushed)
    }
}

/// Ends a command at Ctrl-C with the code that shells expect.
async fn until_interrupted(
    command: impl Future<Output = Result<Code, Failure>>,
) -> Result<Code, Failure> {
    tokio::select! {
        result = command => result,
        _ = tokio::signal::ctrl_c() => {
            if std::io::stderr().is_terminal() {
                // A prompt hides the cursor; it must not stay hidden. Nothing is to be done where that fails.
                drop(console::Term::stderr().show_cursor());
            }
            Ok(Code::Interrupted)
        }
    }
}

/// Says on stderr what went wrong.
fn report(failure: &Failure) {
    // stderr is the last place to speak to: a failure to write there has no listener.
    drop(writeln!(std::io::stderr(), "flannelctl: {failure}"));
}

/// Log lines go to stderr: the agent tells what it does, commands only what is wrong.
fn start_log(verbose: u8, is_agent: bool) {
    let level = match (verbose, is_agent) {
        (0, true) => "info",
        (0, false) => "warn",
        (1, _) => "flannelctl=debug,info",
        // h2 at trace may show etcd's session token.
        (_, _) => "flannelctl=trace,debug,h2=warn,hyper=warn,tonic=warn,tower=warn,rustls=warn",
    };
    let filter =
        EnvFilter::try_from_env("FLANNELCTL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(verbose > 0);
    // The journal has its own clock.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().init();
    } else {
        builder.init();
    }
}
