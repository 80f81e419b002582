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
    for (name, page) in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("man")) {
        for section in [
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH OPTIONS",
            ".SH EXAMPLES",
            ".SH \"EXIT CODES\"",
        ] {
            assert!(page.contains(section), "{section} in {name}");
        }
    }
}

/// What a program says on stdout and stderr together about a page.
fn said(program: &str, args: &[&str], page: &Path) -> String {
    let out = std::process::Command::new(program)
        .args(args)
        .arg(page)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.concat()
}

#[test]
#[ignore = "needs mandoc"]
fn mandoc_finds_nothing_to_complain_about() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    for name in files(&folder).keys() {
        let page = folder.join(name);
        assert_eq!(said("mandoc", &["-T", "lint"], &page), "", "{name}");
        // Read as a page, it is one: its own name at the head, its sections in it.
        let read = said("man", &["-l"], &page);
        let title = name.trim_end_matches(".1").to_uppercase();
        assert!(read.starts_with(&format!("{title}(1)")), "{read}");
        assert!(read.contains("EXIT CODES"), "{read}");
    }
}
