//! Holds the rules of the house that no compiler holds: who may import whom, what pure code may not name,
//! where `unsafe` may stand, how long a file may be, what an error must say. Drawn in `ARCHITECTURE.md`.

#![allow(clippy::unwrap_used, missing_docs)]

mod source;

use std::collections::BTreeSet;
use std::fmt::Write;

use source::{Source, blanked, errors_that_are_only_text, imports, paths, root};

/// Pure: takes data, returns data.
const PURE: [&str; 7] = [
    "subnet", "packet", "plan", "forward", "docker", "diagnose", "bench",
];

/// Pure parts of modules that are not.
const PURE_PARTS: [&str; 2] = ["src/embedded/core/", "src/lab/plan"];

/// What each top-level module may import of ours. `commands` may import everything.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("subnet", &[]),
    ("packet", &[]),
    ("bench", &[]),
    ("plan", &["subnet", "packet"]),
    ("forward", &["subnet", "packet"]),
    ("docker", &["subnet"]),
    ("diagnose", &["subnet", "packet", "plan"]),
    ("registry", &PURE),
    ("kernel", &PURE),
    ("report", &PURE),
    ("embedded", &[]),
    (
        "lab",
        &["subnet", "packet", "plan", "diagnose", "kernel", "embedded"],
    ),
    ("exit", &[]),
    ("cli", &[]),
    (
        "settings",
        &[
            "cli", "exit", "subnet", "packet", "plan", "forward", "docker", "registry",
        ],
    ),
    (
        "agent",
        &[
            "subnet", "packet", "plan", "forward", "docker", "diagnose", "registry", "kernel",
            "report", "exit", "settings",
        ],
    ),
];

/// What pure code may not name: first segments below `std`, other crates, and single names.
const IMPURE_STD: [&str; 5] = ["fs", "env", "process", "thread", "os"];
const IMPURE_NAMES: [&str; 17] = [
    "tokio",
    "etcd_client",
    "tonic",
    "libc",
    "nix",
    "netlink_sys",
    "netlink_packet_core",
    "netlink_packet_route",
    "socket2",
    "axum",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixDatagram",
    "SystemTime::now",
    "Instant::now",
];
/// Longest file in lines.
const LONGEST: usize = 400;

/// Fails with the rule and all places that break it.
fn hold(rule: &str, broken: &[String]) {
    let mut text = String::new();
    for place in broken {
        write!(text, "\n  {place}").unwrap();
    }
    assert!(broken.is_empty(), "the rule: {rule}\nbroken by:{text}\n");
}

fn broken_by(sources: &[Source], check: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let places = |source: &Source| -> Vec<String> {
        let what = check(source);
        what.iter()
            .map(|what| format!("{}: {what}", source.path))
            .collect()
    };
    sources.iter().flat_map(places).collect()
}

#[test]
fn arrows_go_one_way() {
    let sources = Source::below("src");
    let tops: BTreeSet<&str> = sources.iter().filter_map(Source::top).collect();
    let known: BTreeSet<&str> = MAY_IMPORT
        .iter()
        .map(|(top, _)| *top)
        .chain(["commands"])
        .collect();
    let unknown: Vec<String> = tops.difference(&known).map(ToString::to_string).collect();
    hold(
        "every top-level module has its row in MAY_IMPORT of tests/layers.rs",
        &unknown,
    );
    let broken = broken_by(&sources, |source| {
        let row = MAY_IMPORT
            .iter()
            .find(|(top, _)| Some(*top) == source.top());
        let Some((top, allowed)) = row else {
            return Vec::new();
        };
        let imports = imports(source, &tops);
        let foreign = imports
            .iter()
            .filter(|name| *name != top && !allowed.contains(&name.as_str()));
        foreign
            .map(|name| format!("{top} imports {name}"))
            .collect()
    });
    hold(
        "subnet and packet import nothing of ours; plan, forward and docker only those; registry, kernel and report \
         only pure modules, never each other; agent never cli or commands",
        &broken,
    );
}

/// What a pure source may not name, but does.
fn impure(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    // Unit tests close a file by the custom of the house; they may measure time.
    let code = source.code.split("#[cfg(test)]").next().unwrap();
    let below_std = paths(code, "std").into_iter();
    let std = below_std.filter(|name| IMPURE_STD.contains(&name.as_str()));
    let names = IMPURE_NAMES.iter().filter(|name| source::names(code, name));
    std.map(|name| format!("std::{name}"))
        .chain(names.map(ToString::to_string))
        .collect()
}

#[test]
fn pure_code_touches_nothing() {
    let mut sources = Source::below("src");
    sources.retain(|source| {
        source.top().is_some_and(|top| PURE.contains(&top))
            || PURE_PARTS.iter().any(|part| source.path.starts_with(part))
    });
    for part in PURE_PARTS {
        assert!(sources.iter().any(|source| source.path.starts_with(part)));
    }
    hold(
        "subnet, packet, plan, forward, docker, diagnose, bench, embedded/core and lab/plan are pure: no socket, file, clock, environment, process or tokio; \
         data and `now` come in, data goes out",
        &broken_by(&sources, impure),
    );
}

#[test]
fn unsafe_stays_in_the_kernel_module_and_one_checksum() {
    let mut sources = Source::below("src");
    sources.retain(|source| {
        source.top() != Some("kernel") && !source.path.ends_with("packet/avx2.rs")
    });
    let broken = broken_by(&sources, |source| {
        let found =
            source::names(&source.code, "unsafe") || source::names(&source.code, "unsafe_code");
        found
            .then(|| "unsafe code".to_owned())
            .into_iter()
            .collect()
    });
    hold(
        "unsafe code stays in src/kernel and src/packet/avx2.rs",
        &broken,
    );
}

#[test]
fn files_are_short_and_say_what_they_do() {
    let mut sources = Source::below("src");
    sources.extend(Source::below("tests"));
    let long = broken_by(&sources, |source| {
        let lines = source.text.lines().count();
        let long = (lines > LONGEST).then(|| format!("{lines} lines"));
        long.into_iter().collect()
    });
    hold(
        "no file has more than 400 lines: split it by what its parts do",
        &long,
    );
    let silent = broken_by(&sources, |source| {
        let opens = source.text.starts_with("//!");
        (!opens)
            .then(|| "no //! at its head".to_owned())
            .into_iter()
            .collect()
    });
    hold(
        "every file opens with a //! that says what it does",
        &silent,
    );
}

#[test]
fn errors_name_operation_and_object() {
    let broken = broken_by(&Source::below("src"), |source| {
        errors_that_are_only_text(&source.text)
    });
    hold(
        "no error variant is only a String: name the operation and the object",
        &broken,
    );
}

#[test]
fn the_drawing_is_complete() {
    let drawing = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let sources = Source::below("src");
    let tops: BTreeSet<&str> = sources.iter().filter_map(Source::top).collect();
    let missing: Vec<String> = tops
        .into_iter()
        .filter(|top| {
            !drawing.contains(&format!("src/{top}/")) && !drawing.contains(&format!("src/{top}.rs"))
        })
        .map(ToOwned::to_owned)
        .collect();
    hold(
        "ARCHITECTURE.md names every top-level module of src",
        &missing,
    );
}

/// The checks find what they look for: a rule that nothing can break holds nothing.
#[test]
fn the_checks_see() {
    let tops = BTreeSet::from(["plan", "kernel", "registry", "subnet", "report"]);
    let seen = |path: &str, text: &str| {
        let source = Source::new(path.to_owned(), text.to_owned());
        imports(&source, &tops).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(seen("src/plan/a.rs", "use crate::kernel::x;"), ["kernel"]);
    assert_eq!(
        seen("src/plan/a.rs", "use crate::{registry, report::{a, b}};"),
        ["registry", "report"]
    );
    assert_eq!(
        seen("src/plan/a.rs", "fn f() { super::super::kernel::x() }"),
        ["kernel"]
    );
    assert_eq!(
        seen("src/plan/mod.rs", "use super::{subnet::x, kernel};"),
        ["kernel", "subnet"]
    );
    assert_eq!(
        seen(
            "src/plan/a.rs",
            "use super::kernel; // crate::kernel\n/* crate::kernel */"
        ),
        [""; 0]
    );
    assert_eq!(
        seen(
            "src/plan/a.rs",
            r##"const A: &str = r#"crate::kernel "#; // "##
        ),
        [""; 0]
    );
    assert_eq!(
        blanked("'\"' a \"b\\\"c\" 'x d // e\nf"),
        "    a        'x d     \nf"
    );

    let impurities = |text: &str| impure(&Source::new("src/plan/a.rs".to_owned(), text.to_owned()));
    assert_eq!(impurities("use std::{fmt, fs::File};"), ["std::fs"]);
    assert_eq!(
        impurities("use std::net::UdpSocket; fn f() { Instant::now() }"),
        ["UdpSocket", "Instant::now"]
    );
    assert_eq!(impurities("use tokio::x;"), ["tokio"]);
    assert_eq!(
        impurities("use std::time::Instant; struct Mytokio;\n#[cfg(test)] use std::fs;"),
        [""; 0]
    );

    for (variant, found) in [
        ("#[error(\"{0}\")]\n A(String),", true),
        ("#[error(\"{message}\")]\n A { message: String },", true),
        ("#[error(\"{0}: {1}\")]\n A(String, String),", true),
        ("#[error(\"no device {0}\")]\n A(String),", false),
        ("#[error(\"{0}\")]\n A(#[source] io::Error),", false),
        ("#[error(transparent)]\n A(#[from] B),", false),
    ] {
        assert_eq!(
            !errors_that_are_only_text(variant).is_empty(),
            found,
            "{variant}"
        );
    }
}
