//! The shells' scripts. Bash's is our own: bash splits words at `:` and `=`, so URLs of endpoints come in pieces.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Shells, Zsh};

/// Tells the program that a shell asks.
pub(in crate::commands) const VARIABLE: &str = "FLANNELCTL_COMPLETE";

/// The shells that can ask.
pub(in crate::commands) const SHELLS: Shells<'static> =
    Shells(&[&WholeWords, &Elvish, &Fish, &Zsh]);

/// Puts the pieces of words together, asks, and takes off what bash takes for other words.
const BASH: &str = r#"_BIN() {
    local IFS=$'\013' words=() piece glue= prefix i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && piece=$2
        if [[ ${COMP_WORDS[i]} == [:=]* ]] && ((${#words[@]} > 1)); then
            [[ $piece == [:=]* ]] || piece=${COMP_WORDS[i]}$piece
            words[-1]+=$piece glue=1
        elif [[ $glue ]]; then
            words[-1]+=$piece glue=
        else
            words+=("$piece")
        fi
    done
    prefix=${words[-1]%"$2"}
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) \
        VAR=bash COMPLETER -- "${words[@]}" 2>/dev/null))
    if [[ $prefix == *[:=]* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/:] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o bashdefault -o default -F _BIN BIN
"#;

/// Bash, with words as they were typed.
struct WholeWords;

impl EnvCompleter for WholeWords {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let quoted = format!("'{}'", completer.replace('\'', r"'\''"));
        let script = BASH
            .replace("BIN", bin)
            .replace("VAR", var)
            .replace("COMPLETER", &quoted);
        out.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        args: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        Bash.write_complete(command, args, folder, out)
    }
}

/// The script for a shell, as packages install it: it calls `flannelctl` on the path.
///
/// # Errors
/// The shell is none of [`SHELLS`].
pub(in crate::commands) fn registration(shell: &str) -> std::io::Result<String> {
    let unknown = || std::io::Error::other(format!("there is no completion for the shell {shell}"));
    let completer = SHELLS.completer(shell).ok_or_else(unknown)?;
    let mut text = Vec::new();
    completer.write_registration(
        VARIABLE,
        "flannelctl",
        "flannelctl",
        "flannelctl",
        &mut text,
    )?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
