//! What needs no network: the list of checks, their explanations, saved cases.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use super::super::{output, write_file};
use crate::diagnose::Case;
use crate::diagnose::catalog::{self, Judged};
use crate::diagnose::packets;
use crate::diagnose::select::Selection;
use crate::exit::{Code, Failure};
use crate::report::{json, message, pcapng, table, terminal};

/// A case file is not longer.
const CASE_LIMIT: u64 = 256 << 20;

/// `--list-checks`.
pub fn list(selection: &Selection, out: &mut dyn Write) -> Result<Code, Failure> {
    let rows = catalog::all()
        .filter(|check| selection.permits(check.id))
        .map(|check| {
            let judged = match check.judged {
                Judged::Yes => "checked",
                Judged::No => "described",
                Judged::FalseAlarm => "false alarm",
            };
            vec![
                check.id.into(),
                check.name.into(),
                judged.into(),
                check.title.into(),
            ]
        })
        .collect();
    let text = table::render(&["id", "name", "state", "title"], rows, false);
    out.write_all(text.as_bytes()).map_err(output)?;
    Ok(Code::Done)
}

/// `explain`.
pub fn explain(id: &str, out: &mut dyn Write) -> Result<Code, Failure> {
    let check = catalog::find(id).ok_or_else(|| {
        Failure::usage(format!("there is no check {id:?}"))
            .with_remedy("`flannelctl diagnose --list-checks` lists them")
    })?;
    let text = catalog::explain(check);
    out.write_all(wrap(&text, width()).as_bytes())
        .map_err(output)?;
    Ok(Code::Done)
}

/// Characters of a line: the terminal's, and not too many to read.
fn width() -> usize {
    const WIDE: usize = 100;
    let size = console::Term::stdout().size_checked();
    size.map_or(WIDE, |(_, columns)| usize::from(columns).clamp(40, WIDE))
}

/// Breaks long lines at blanks; a line that begins with a blank stays as it is.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        if line.starts_with(' ') {
            out.push_str(line);
        } else {
            for word in line.split(' ') {
                let length = word.chars().count();
                if column > 0 && column + 1 + length > width {
                    out.push('\n');
                    column = 0;
                } else if column > 0 {
                    out.push(' ');
                    column += 1;
                }
                out.push_str(word);
                column += length;
            }
        }
        out.push('\n');
    }
    out
}

/// `--save-case`: one case as it is, several as a list.
pub fn save(path: &Path, cases: &[Case]) -> Result<(), Failure> {
    let text = match cases {
        [one] => json::pretty(one),
        many => json::pretty(&many),
    };
    let text = text.map_err(Failure::could_not_run)?;
    write_file(path, text)
}

/// `--write`.
pub fn write_packets(path: &Path, cases: &[Case]) -> Result<(), Failure> {
    let mut packets: Vec<_> = cases.iter().flat_map(packets::noted).collect();
    packets.sort_by_key(|one| one.packet.time_us);
    write_file(path, pcapng::document(&packets))?;
    let nodes: BTreeSet<_> = packets.iter().filter_map(|one| one.node).collect();
    message::note(format!(
        "{} packets of {} nodes are in {}",
        packets.len(),
        nodes.len(),
        path.display()
    ));
    Ok(())
}

/// `--from-case`.
pub fn read(path: &Path) -> Result<Vec<Case>, Failure> {
    let name = path.display();
    let cannot = |error| Failure::usage(format!("cannot read {name}: {error}"));
    if std::fs::metadata(path).map_err(cannot)?.len() > CASE_LIMIT {
        return Err(Failure::usage(format!("{name} is too long")));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    let cases = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(&text),
        false => serde_json::from_str(&text).map(|case| vec![case]),
    };
    cases.map_err(|error| {
        let error = terminal::clean_short(&error.to_string(), 200);
        Failure::usage(format!("{name} is no case: {error}"))
            .with_remedy("`flannelctl diagnose --save-case FILE` writes one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_at_blanks() {
        assert_eq!(
            wrap("aa bb cc\n\n  dd ee ff\n", 5),
            "aa bb\ncc\n\n  dd ee ff\n"
        );
        assert_eq!(wrap("aaaaaaaa b", 5), "aaaaaaaa\nb\n");
    }
}
