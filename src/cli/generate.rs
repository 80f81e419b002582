//! Flags of `generate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Write the manual pages or the shells' completions, from the very definition of the command line.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct GenerateArgs {
    /// What to write.
    #[arg(value_enum)]
    pub what: Generated,

    /// Folder for the files; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// What can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// flannelctl.1 and one page a subcommand.
    Man,
    /// For bash, zsh and fish.
    Completions,
}

const HELP: &str = "\
Examples:
  flannelctl generate man --out man
  flannelctl generate completions --out completions";
