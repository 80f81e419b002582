//! The committed manual pages and completions are what the command line says today.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn committed_files_are_current() {
    for what in ["man", "completions"] {
        let fresh = tempfile::tempdir().unwrap();
        let mut command = Command::cargo_bin("flannelctl").unwrap();
        command.args(["generate", what, "--out"]).arg(fresh.path());
        command.assert().success();
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(what);
        let (fresh, committed) = (files(fresh.path()), files(&committed));
        let names: Vec<_> = fresh.keys().collect();
        assert_eq!(names, committed.keys().collect::<Vec<_>>());
        for (name, text) in &fresh {
            assert!(
                committed[name] == *text,
                "{what}/{name} is out of date: cargo run -- generate {what} --out {what}"
            );
        }
    }
}

#[test]
fn pages_have_examples_and_exit_codes() {
    let pages = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("man"));
    for name in ["", "-agent", "-docker-config", "-init", "-leases"] {
        let page = &pages[&format!("flannelctl{name}.1")];
        for section in [
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH OPTIONS",
            ".SH EXAMPLES",
            ".SH \"EXIT CODES\"",
        ] {
            assert!(page.contains(section), "{section} in flannelctl{name}.1");
        }
    }
}
