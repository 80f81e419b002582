//! `init`: writes the network config, guarded by what was read, after showing what it changes.

mod ask;
mod consequences;
mod desired;

use std::io::Write;

use serde_json::Value;

use super::{Context, etcd_failure, output};
use crate::cli::InitArgs;
use crate::exit::{Code, Failure};
use crate::registry::{ConfigValue, PutOutcome};
use crate::report::progress::Spinner;
use crate::report::{diff, json, message, terminal};
use crate::subnet::NetworkConfig;

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help; nothing is written then.
pub async fn run(args: &InitArgs, ctx: &Context, out: &mut dyn Write) -> Result<Code, Failure> {
    let (value, asked) = wanted(args).await?;
    let (text, config) = desired::check(&value)?;
    consequences::warn_of_host_overlap(&config);

    let registry = ctx.registry()?;
    let key = registry.config_key().to_owned();
    let spinner = Spinner::start("asking etcd");
    let (existing, snapshot) =
        tokio::try_join!(registry.config(), registry.snapshot()).map_err(etcd_failure)?;
    drop(spinner);

    if let Some(existing) = &existing {
        if same(existing, &value) {
            return say(out, args.dry_run, &text, &format!("{key} unchanged")).map(|()| Code::Done);
        }
        message::note(shown_change(existing, &value, &key)?);
    }
    consequences::refuse_to_strand(&config, &snapshot, args.force)?;
    consequences::warn_of_backend_change(&config, &snapshot);
    let done = match existing {
        Some(_) => "changed",
        None => "created",
    };
    if args.dry_run {
        say(out, true, &text, &format!("{key} would be {done}"))?;
        return Ok(Code::Done);
    }
    if !args.yes && (existing.is_some() || asked) {
        if asked && existing.is_none() {
            message::note(shown(&value)?);
        }
        let question = match existing {
            Some(_) => format!("Replace the network config at {key}?"),
            None => format!("Write this network config to {key}?"),
        };
        if !ask::confirm(question).await? {
            return Err(Failure::new(
                Code::Problems,
                "not confirmed: nothing is written",
            ));
        }
    }
    let expected = existing
        .as_ref()
        .map_or(0, |existing| existing.mod_revision);
    match registry
        .put_config(&text, expected)
        .await
        .map_err(etcd_failure)?
    {
        PutOutcome::Done { .. } => {
            say(out, false, &text, &format!("{key} {done}"))?;
            if existing.is_some() && !snapshot.records.is_empty() {
                message::note("agents that run keep the old config until they are restarted");
            }
            Ok(Code::Done)
        }
        PutOutcome::Conflict { .. } => Err(Failure::could_not_run(format!(
            "{key} was changed by somebody else meanwhile: nothing is written"
        ))
        .with_remedy("run init again to see the new state")),
    }
}

/// The config as the user wants it, and whether it was asked for.
async fn wanted(args: &InitArgs) -> Result<(Value, bool), Failure> {
    if let Some(file) = &args.file {
        return Ok((desired::from_file(file)?, false));
    }
    if desired::is_empty(args) {
        return Ok((ask::network().await?, true));
    }
    Ok((desired::from_flags(args)?, false))
}

/// Equal as JSON: blanks and the order of keys do not count.
fn same(existing: &ConfigValue, value: &Value) -> bool {
    serde_json::from_slice::<Value>(&existing.bytes).is_ok_and(|existing| existing == *value)
}

fn shown(value: &Value) -> Result<String, Failure> {
    let text = json::pretty(value).map_err(Failure::could_not_run)?;
    Ok(text.trim_end().to_owned())
}

/// The diff, with a word on an existing config that no agent can use.
fn shown_change(existing: &ConfigValue, value: &Value, key: &str) -> Result<String, Failure> {
    let head = match NetworkConfig::parse(&existing.bytes) {
        Ok(_) => format!("{key} exists:"),
        Err(error) => format!("{key} exists, but is not valid: {error}"),
    };
    let old = match serde_json::from_slice::<Value>(&existing.bytes) {
        Ok(old) => shown(&old)?,
        Err(_) => terminal::clean_lines(&String::from_utf8_lossy(&existing.bytes)),
    };
    let diff = diff::lines(&old, &shown(value)?);
    Ok(format!("{head}\n{}", diff.trim_end()))
}

/// What was done is data; of a dry run it is the text that would be stored.
fn say(out: &mut dyn Write, dry_run: bool, text: &str, done: &str) -> Result<(), Failure> {
    if dry_run {
        message::note(format!("{done} (dry run: nothing is written)"));
        return writeln!(out, "{text}").map_err(output);
    }
    writeln!(out, "{done}").map_err(output)
}
