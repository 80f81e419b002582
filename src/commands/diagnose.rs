//! `diagnose`.
use std::io::Write;

use super::Context;
use crate::cli::DiagnoseArgs;
use crate::exit::{Code, Failure};

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help.
pub async fn run(
    _args: &DiagnoseArgs,
    _ctx: &Context,
    _out: &mut dyn Write,
) -> Result<Code, Failure> {
    Ok(Code::Inconclusive)
}
