//! Every check by its stable id: what it means, how it is mended, whether it is judged here. Words only: what
//! finds a cause is in `checks`.

mod containers;
mod firewall;
mod hosts;
mod nodes;
mod store;

use std::fmt::Write as _;

/// Whether the verdict can name this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Found from the evidence.
    Yes,
    /// Known, described, and not found by itself; the text says where it would show.
    No,
    /// Known as a false alarm: looks like a fault, is none, and is never reported.
    FalseAlarm,
}

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `FL101`.
    pub id: &'static str,
    /// `forward-policy-drop`.
    pub name: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it is and how it shows.
    pub meaning: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// Found here or not.
    pub judged: Judged,
}

/// All checks in the order of their ids.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    firewall::ENTRIES
        .iter()
        .chain(nodes::ENTRIES)
        .chain(containers::ENTRIES)
        .chain(store::ENTRIES)
        .chain(hosts::ENTRIES)
}

/// The check with this id or name, in any case.
pub fn find(word: &str) -> Option<&'static Entry> {
    all().find(|check| check.id.eq_ignore_ascii_case(word) || check.name.eq_ignore_ascii_case(word))
}

/// The text of `diagnose explain`, lines unbroken, ended by a newline.
pub fn explain(check: &Entry) -> String {
    let mut text = String::new();
    let judged = match check.judged {
        Judged::Yes => "diagnose finds this.",
        Judged::No => "diagnose does not find this by itself.",
        Judged::FalseAlarm => "A false alarm: diagnose does not report it.",
    };
    // Writing to a String cannot fail.
    write!(
        text,
        "{} {}: {}\n\n{}\n\nWhat to do: {}\n\n{judged}\n",
        check.id, check.name, check.title, check.meaning, check.mend
    )
    .unwrap_or_default();
    text
}
