//! `generate`: manual pages and completions, so that they never differ from the command line itself. The
//! repository holds them in `man/` and `completions/`; `tests/generated.rs` keeps them current.

mod tidy;

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{complete, output, write_file};
use crate::cli::{Cli, GenerateArgs, Generated};
use crate::exit::{Code, Failure};

/// Exit codes, for pages whose help does not list its own.
const EXIT_CODES: &str = "\
Exit codes:
  0 done   1 problems found   2 usage   3 could not run   4 inconclusive   130 interrupted";

/// The day of the manual's last change; pages carry it, and it is no matter of when they are generated.
const DATE: &str = "2026-11-26";

/// Runs the command; prints the names of the files.
///
/// # Errors
/// A file cannot be written.
pub fn run(args: &GenerateArgs, out: &mut dyn Write) -> Result<Code, Failure> {
    let files = match args.what {
        Generated::Man => manual()?,
        Generated::Completions => completions()?,
    };
    for (name, text) in files {
        let path = args.out.join(name);
        write(&path, &text)?;
        writeln!(out, "{}", path.display()).map_err(output)?;
    }
    Ok(Code::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_file(path, text)
}

/// Completion scripts under the names that the shells look for.
fn completions() -> Result<Vec<(String, String)>, Failure> {
    let script = |shell, name: &str| {
        let text = complete::registration(shell).map_err(Failure::could_not_run)?;
        Ok((name.to_owned(), text))
    };
    ["bash", "zsh", "fish"]
        .into_iter()
        .zip(["flannelctl.bash", "_flannelctl", "flannelctl.fish"])
        .map(|(shell, name)| script(shell, name))
        .collect()
}

/// One page for the program and one for each subcommand that is shown.
fn manual() -> Result<Vec<(String, String)>, Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![page(&command)?];
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        pages.push(page(subcommand)?);
    }
    Ok(pages)
}

fn page(command: &clap::Command) -> Result<(String, String), Failure> {
    let name = Man::new(command.clone()).get_filename();
    let man = Man::new(command.clone())
        .title(name.trim_end_matches(".1").to_uppercase())
        .date(DATE)
        .source(concat!("flannelctl ", env!("CARGO_PKG_VERSION")))
        .manual("flannelctl");
    let mut bytes = Vec::new();
    let mut render = || -> std::io::Result<()> {
        man.render_title(&mut bytes)?;
        man.render_name_section(&mut bytes)?;
        synopsis(command).to_writer(&mut bytes)?;
        man.render_description_section(&mut bytes)?;
        man.render_options_section(&mut bytes)?;
        if command.get_subcommands().any(|c| !c.is_hide_set()) {
            man.render_subcommands_section(&mut bytes)?;
        }
        let help = command.get_after_long_help().or(command.get_after_help());
        let mut extra = help.map(ToString::to_string).unwrap_or_default();
        if !extra.contains("Exit codes:") {
            extra = format!("{extra}\n\n{EXIT_CODES}");
        }
        sections(&extra).to_writer(&mut bytes)
    };
    render().map_err(Failure::could_not_run)?;
    Ok((name, tidy::tidy(&String::from_utf8_lossy(&bytes))))
}

/// The usage line: the full list of options stands below it.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([roman(usage.trim_start_matches("Usage:").trim())]);
    roff
}

/// The text below the options as sections: a line such as `Examples:` opens one, and lines keep their
/// breaks, as they stand in columns.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut open = false;
    for line in text.trim().lines() {
        let heading = line
            .strip_suffix(':')
            .filter(|h| !h.is_empty() && !h.starts_with(' ') && h.len() < 60);
        if open && heading.is_some() {
            roff.control("fi", []);
            open = false;
        }
        match heading {
            Some(heading) => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
            }
            None if !open && roff == Roff::new() => {
                roff.control("SH", ["NOTES"]);
            }
            None => {}
        }
        if !open {
            roff.control("nf", []);
            open = true;
        }
        if heading.is_none() {
            roff.text([roman(line)]);
        }
    }
    if open {
        roff.control("fi", []);
    }
    roff
}
