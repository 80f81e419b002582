//! `etcdctl` gives the same output on the embedded store as on a real etcd.

#![allow(clippy::unwrap_used)]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use embedded::Embedded;
use etcd::Etcd;

/// One of the two servers, with the names by which its own numbers are told apart from the other's.
struct Side {
    url: String,
    names: Vec<(String, &'static str)>,
}

impl Side {
    fn new(url: &str) -> Self {
        let mut side = Self {
            url: url.to_owned(),
            names: Vec::new(),
        };
        let (json, _) = side.raw(&["get", "none", "-w", "json"], "");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (field, name) in [("cluster_id", "CLUSTER"), ("member_id", "MEMBER")] {
            let id = json["header"][field].as_u64().unwrap();
            side.names.push((format!("{id:016x}"), name));
            side.names.push((format!("{id:x}"), name));
            side.names.push((id.to_string(), name));
        }
        // The port for peers is a second one in etcd alone.
        let (members, _) = side.raw(&["member", "list"], "");
        let peer = members.split(", ").nth(3).unwrap().to_owned();
        side.names.push((peer, "URL"));
        side.names.push((url.to_owned(), "URL"));
        side.names.push((url.replace("http://", ""), "HOST"));
        side
    }

    fn raw(&self, args: &[&str], stdin: &str) -> (String, String) {
        let mut child = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let code = output.status.code();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let err = format!("{code:?}\n{}", text(&output.stderr));
        (text(&output.stdout), err)
    }

    /// What a command prints and how it ends, without what is this server's own.
    fn run(&mut self, line: &str, stdin: &str) -> String {
        let mut words: Vec<String> = line.split(' ').map(|word| word.replace('\'', "")).collect();
        for word in &mut words {
            for (own, name) in &self.names {
                if word == name {
                    word.clone_from(own);
                }
            }
        }
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let (out, err) = self.raw(&args, stdin);
        if let Some(id) = line
            .starts_with("lease grant")
            .then(|| out.split(' ').nth(1))
            .flatten()
        {
            let name = ["LEASE1", "LEASE2", "LEASE3"]
                .into_iter()
                .find(|name| self.names.iter().all(|(_, known)| known != name));
            let number = i64::from_str_radix(id, 16).unwrap();
            self.names.push((id.to_owned(), name.unwrap()));
            self.names.push((number.to_string(), name.unwrap()));
        }
        let mut text = format!("{out}{}", without_noise(&err));
        for (own, name) in &self.names {
            text = text.replace(own, name);
        }
        text
    }
}

/// Of the client's own log only the error: the rest is times and random names.
fn without_noise(err: &str) -> String {
    let lines = err
        .lines()
        .map(|line| match line.split_once("\"error\":\"") {
            Some((_, error)) => error,
            None => line,
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Both sides print the same for every line; `cut` takes away what measures the server itself.
fn same_cut(lines: &[(&str, &str)], cut: impl Fn(&str, String) -> String) {
    let (real, ours) = (Etcd::start(), Embedded::named("m0"));
    let (mut real, mut ours) = (Side::new(&real.url), Side::new(&ours.url));
    let mut different = String::new();
    for (line, stdin) in lines {
        let theirs = cut(line, real.run(line, stdin));
        let own = cut(line, ours.run(line, stdin));
        if theirs != own {
            different.push_str(&format!(
                "$ etcdctl {line}\netcd:\n{theirs}\nembedded:\n{own}\n"
            ));
        }
    }
    assert!(different.is_empty(), "{different}");
}

fn same(lines: &[&str]) {
    let lines: Vec<(&str, &str)> = lines.iter().map(|line| (*line, "")).collect();
    same_cut(&lines, |_, text| text);
}

#[test]
fn keys() {
    same(&[
        "put a 1",
        "put a 2 --prev-kv",
        "put b 3",
        "put '' 1",
        "put a x --ignore-value",
        "put a --ignore-value",
        "put nope --ignore-value",
        "put a 4 --ignore-lease",
        "put a 4 --lease=123",
        "get a",
        "get a -w json",
        "get a -w fields",
        "get --prefix a",
        "get '' --from-key",
        "get '' --prefix --keys-only",
        "get '' --prefix --limit=1 -w json",
        "get '' --prefix --sort-by=VALUE --order=DESCEND",
        "get '' --prefix --sort-by=MODIFY --order=ASCEND -w json",
        "get a --rev=2",
        "get a --rev=99",
        "get --prefix x --count-only -w json",
        "get a --print-value-only",
        "get a --consistency=s",
        "get a c",
        "get c a",
        "get a b c",
        "del a --prev-kv",
        "del x",
        "del --prefix b",
        "del '' --from-key",
        "compact 3",
        "compact 3",
        "compact 99",
        "get a --rev=2",
        "get a --rev=3",
        "get b --rev=5",
    ]);
}

#[test]
fn transactions() {
    let script = |text: &'static str| ("txn", text);
    same_cut(
        &[
            script("version(\"a\") = \"0\"\n\nput a 1\nput b 2\n\nget a\n\n"),
            script("version(\"a\") = \"0\"\n\nput a 1\n\nget a\nget b\n\n"),
            script(
                "value(\"a\") = \"1\"\nmod(\"b\") > \"1\"\ncreate(\"b\") < \"9\"\n\ndel a\nget b\n\n\n",
            ),
            script("\n\nput a 1\nput a 2\n\n\n"),
            script("\n\nput a 1\ndel a\n\n\n"),
            script("\n\nput a 1\ndel a --from-key\n\n\n"),
            script("\n\ndel 0 --from-key\nput a 1\n\n\n"),
            ("get '' --prefix -w json", ""),
        ],
        |_, text| text,
    );
}

#[test]
fn leases() {
    same_cut(
        &[
            ("lease grant 100", ""),
            ("lease list", ""),
            ("lease list -w json", ""),
            ("lease grant 0", ""),
            ("put a 1 --lease=LEASE1", ""),
            ("put b 1 --lease=LEASE1", ""),
            ("get a -w json", ""),
            ("lease timetolive LEASE1 --keys", ""),
            ("lease timetolive 1", ""),
            ("lease keep-alive --once LEASE1", ""),
            ("lease keep-alive --once 1", ""),
            ("lease revoke LEASE1", ""),
            ("lease revoke LEASE1", ""),
            ("lease timetolive LEASE1", ""),
            ("get '' --prefix", ""),
        ],
        |line, text| {
            // Seconds may pass between grant and question, on either side.
            if line.contains("timetolive") {
                return without_remaining(&text);
            }
            text
        },
    );
}

/// Of 100 s, what may remain soon after is all the same.
fn without_remaining(text: &str) -> String {
    (80..100).fold(text.to_owned(), |text, left| {
        text.replace(&format!("remaining({left}s)"), "remaining(100s)")
    })
}

/// A table whose columns are as wide as one sign: numbers of a server's own have 16 digits or fewer.
fn without_widths(table: &str) -> String {
    let mut narrow = String::new();
    for sign in table.chars() {
        if !(matches!(sign, ' ' | '-') && narrow.ends_with(sign)) {
            narrow.push(sign);
        }
    }
    narrow
}

#[test]
fn a_table_is_the_same_with_a_shorter_number() {
    let wide =
        "+-----+------+\n| ID  | NAME |\n+-----+------+\n| MEMBER | m0   |\n+-----+------+\n";
    let narrow = "+----+------+\n| ID | NAME |\n+----+------+\n| MEMBER | m0   |\n+----+------+\n";
    assert_eq!(without_widths(wide), without_widths(narrow));
    let other = narrow.replace("m0", "m1");
    assert_ne!(without_widths(wide), without_widths(&other));
}

#[test]
fn members_and_users() {
    same_cut(
        &[
            ("member list", ""),
            ("member list -w table", ""),
            ("member list -w json", ""),
            ("endpoint health", ""),
            ("endpoint status", ""),
            ("endpoint status --cluster", ""),
            ("defrag", ""),
            ("move-leader 1", ""),
            ("alarm list", ""),
            ("alarm disarm", ""),
            ("user list", ""),
            ("role list", ""),
            ("auth enable", ""),
            ("auth disable", ""),
            ("user get x", ""),
            ("user delete x", ""),
            ("role get x", ""),
            ("role delete x", ""),
        ],
        |line, text| match text.split_once("took = ") {
            Some((before, _)) => before.to_owned(),
            None if line.ends_with("-w table") => without_widths(&text),
            // Its own are version, size and the log's indices.
            None if line.starts_with("endpoint status") => {
                let fields: Vec<&str> = text.split(", ").collect();
                let same = [0, 1, 4, 5, 6].map(|field| fields.get(field).copied());
                format!("{same:?} of {}: {}", fields.len(), fields[fields.len() - 1])
            }
            None => text,
        },
    );
}

/// Reads some lines of a command that would go on for ever.
fn begins(url: &str, args: &[&str], count: usize) -> Vec<String> {
    let mut child = Command::new("timeout")
        .args(["20", "etcdctl", "--endpoints", url])
        .args(args)
        .env("ETCDCTL_API", "3")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.take(count).collect::<Result<_, _>>().unwrap();
    // timeout(1) passes this on; a SIGKILL would leave etcdctl behind.
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    child.wait().unwrap();
    lines
}

#[test]
fn watchers() {
    let (real, ours) = (Etcd::start(), Embedded::start());
    let mut seen = Vec::new();
    for url in [&real.url, &ours.url] {
        let side = Side::new(url);
        for line in [
            "put a/1 x",
            "put b y",
            "put a/1 z",
            "del a/1",
            "put a/2 w",
            "compact 4",
        ] {
            side.raw(&line.split(' ').collect::<Vec<_>>(), "");
        }
        let all = begins(url, &["watch", "--rev=4", "--prefix", "a/"], 8);
        let before = begins(url, &["watch", "--rev=5", "--prefix", "a/", "--prev-kv"], 8);
        let (too_late, end) = side.raw(&["watch", "--rev=2", "a/1"], "");
        seen.push((all, before, too_late, without_noise(&end)));
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[1].3.contains("compacted"), "{seen:?}");
}

#[test]
fn what_is_not_there_says_so() {
    let store = Embedded::start();
    for args in [
        &["endpoint", "hashkv"][..],
        &["snapshot", "save", "/dev/null"],
        &["user", "add", "x:y"],
        &["role", "add", "x"],
        &["member", "add", "x", "--peer-urls=http://192.0.2.1:1"],
        &["member", "remove", "1"],
    ] {
        let out = store.try_ctl(args);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{args:?}");
        assert!(
            err.contains("flannelctl's embedded store has"),
            "{args:?}: {err}"
        );
        assert!(err.contains("use etcd"), "{args:?}: {err}");
    }
}
