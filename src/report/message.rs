//! Messages to the person at the terminal: on stderr, one line each, never mixed with data.

use std::fmt::Display;
use std::io::{Write, stderr};

use super::terminal::clean_lines;

/// Says something that is good to know.
pub fn note(text: impl Display) {
    say("", text);
}

/// Says that something may be wrong.
pub fn warning(text: impl Display) {
    say("warning: ", text);
}

fn say(kind: &str, text: impl Display) {
    let text = clean_lines(&text.to_string());
    // stderr is the last place to speak to: a failure to write there has no listener.
    drop(writeln!(stderr(), "{kind}{text}"));
}
