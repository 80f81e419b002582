//! `flannelctl agent`: settings in, the agent until it is told to stop.

use std::io::Write;

use crate::cli::AgentArgs;
use crate::exit::{Code, Failure};
use crate::{agent, settings};

use super::{Context, output};

/// Runs the agent in the foreground, or cleans up after it.
///
/// # Errors
/// Everything that keeps the overlay from running, with its remedy.
pub async fn run(
    args: &AgentArgs,
    context: &Context,
    out: &mut dyn Write,
) -> Result<Code, Failure> {
    if args.flanneld_version {
        writeln!(out, "flannelctl {}", env!("CARGO_PKG_VERSION")).map_err(output)?;
        return Ok(Code::Done);
    }
    let settings = settings::agent(args, &context.env)?;
    let registry = context.registry()?;
    if args.cleanup {
        return agent::cleanup(settings, registry).await;
    }
    agent::run(settings, registry).await
}
