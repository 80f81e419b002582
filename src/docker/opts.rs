//! The output of flannel's `mk-docker-opts.sh`, byte for byte (flannel-compat 4.3). Unlike the script, the
//! caller's environment adds nothing: only the file does, as there it is the script's input.

use std::collections::BTreeMap;

use super::DockerOptions;
use crate::subnet::envfile::Assignment;

/// The script's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// `-i`: one line an option.
    pub individual: bool,
    /// `-c`: all options in one line. Neither means both.
    pub combined: bool,
    /// `-k`: name of the combined variable.
    pub key: String,
}

/// Why the output cannot be written so that it means the same to every reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// No name of a variable.
    #[error("{0:?} is not the name of a variable: use letters, digits and _, a digit not first")]
    Key(String),
    /// A shell or systemd would read another value than the file's.
    #[error(
        "line {line}: the value of {key} holds {character:?}, which cannot be passed on in quotes"
    )]
    Value {
        /// Of the env file, from 1.
        line: usize,
        /// The variable.
        key: String,
        /// What stands in the way.
        character: char,
    },
}

impl Form {
    /// Checks the name.
    ///
    /// # Errors
    /// `FormError::Key`.
    pub fn new(individual: bool, combined: bool, key: &str) -> Result<Self, FormError> {
        if !is_name(key) {
            return Err(FormError::Key(key.to_owned()));
        }
        Ok(Self {
            individual,
            combined,
            key: key.to_owned(),
        })
    }
}

/// The lines.
///
/// # Errors
/// `FormError::Value` where the file itself sets the combined variable or a `DOCKER_OPT_*` to a text that
/// cannot be quoted.
pub fn render(options: &DockerOptions, form: &Form) -> Result<String, FormError> {
    let mut values = BTreeMap::new();
    let mut before = None;
    for assignment in &options.others {
        if assignment.key == form.key {
            before = Some(quotable(assignment)?);
        } else if assignment.key.starts_with("DOCKER_OPT_") && is_name(&assignment.key) {
            values.insert(assignment.key.clone(), quotable(assignment)?);
        }
    }
    for (name, flag) in options.flags() {
        values.insert(format!("DOCKER_OPT_{name}"), flag);
    }
    let both = form.individual == form.combined;
    let mut out = String::new();
    if both || form.individual {
        for (name, value) in &values {
            out.push_str(&format!("{name}=\"{value}\"\n"));
        }
    }
    if both || form.combined {
        let mut combined = match before {
            Some(value) if !value.is_empty() => format!("{value} "),
            _ => String::new(),
        };
        for value in values.values() {
            combined.push(' ');
            combined.push_str(value);
        }
        out.push_str(&format!("{}=\"{combined}\"\n", form.key));
    }
    Ok(out)
}

fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(word) && text.starts_with(|c: char| !c.is_ascii_digit())
}

/// A value that reads the same for a shell and for systemd's EnvironmentFile.
fn quotable(assignment: &Assignment) -> Result<String, FormError> {
    let value = &assignment.value;
    match value
        .chars()
        .find(|c| c.is_control() || matches!(c, '"' | '\\' | '$' | '`'))
    {
        None => Ok(value.clone()),
        Some(character) => Err(FormError::Value {
            line: assignment.line,
            key: assignment.key.clone(),
            character,
        }),
    }
}
