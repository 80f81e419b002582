//! `init` on a terminal: what it asks, and what becomes of the answer.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::Duration;

#[path = "support/etcd.rs"]
mod etcd;
use etcd::Etcd;

/// Longer than any answer takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const KEY: &str = "/coreos.com/network/config";
const VXLAN: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;

fn stored(etcd: &Etcd) -> Option<String> {
    etcd.get(KEY).map(|text| text.trim_end().to_owned())
}

/// The command on a terminal of its own (script, of Debian's essential bsdutils).
struct Terminal {
    child: Child,
    seen: String,
    /// Its end, with the test's, tells the watching thread to leave.
    _done: Sender<()>,
}

impl Terminal {
    fn start(etcd: &Etcd, args: &str) -> Self {
        let program = assert_cmd::cargo::cargo_bin("flannelctl");
        // exec: script's child is then the command itself, whichever shell $SHELL names.
        let line = format!(
            "exec {} --etcd-endpoints {} init {args}",
            program.display(),
            etcd.url
        );
        let child = Process::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Reading has no deadline of its own: a command that never ends is killed, and its output ends.
        let (done, ended) = std::sync::mpsc::channel();
        let script = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        std::thread::spawn(move || {
            if ended.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                nix::sys::signal::kill(script, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
        });
        Self {
            child,
            seen: String::new(),
            _done: done,
        }
    }

    /// Reads until `text` was shown.
    fn shows(&mut self, text: &str) {
        let out = self.child.stdout.as_mut().unwrap();
        let mut buffer = [0; 1024];
        while !self.seen.contains(text) {
            let count = out.read(&mut buffer).unwrap();
            assert!(count > 0, "{text:?} never shown in {:?}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn types(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    fn ends(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.child
            .stdout
            .as_mut()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        self.seen.push_str(&rest);
        (self.child.wait().unwrap().code().unwrap(), self.seen)
    }
}

#[test]
fn on_a_terminal_the_change_is_confirmed() {
    let etcd = Etcd::start();
    for (answer, code, changed) in [("n", 1, false), ("y", 0, true)] {
        etcd.put(KEY, VXLAN);
        let mut terminal = Terminal::start(&etcd, "--network 10.5.0.0/16 --backend udp");
        terminal.shows("Replace the network config");
        terminal.types(answer);
        let (ended, seen) = terminal.ends();
        assert_eq!(ended, code, "{seen}");
        assert_eq!(stored(&etcd).as_deref() != Some(VXLAN), changed, "{seen}");
    }
}

#[test]
fn somebody_elses_change_meanwhile_is_not_overwritten() {
    let etcd = Etcd::start();
    etcd.put(KEY, VXLAN);
    let mut terminal = Terminal::start(&etcd, "--network 10.5.0.0/16 --backend udp");
    terminal.shows("Replace the network config");
    let theirs = r#"{"Network":"10.6.0.0/16"}"#;
    etcd.put(KEY, theirs);
    terminal.types("y");
    let (code, seen) = terminal.ends();
    assert_eq!(code, 3, "{seen}");
    assert!(seen.contains("somebody else"), "{seen}");
    assert_eq!(stored(&etcd).as_deref(), Some(theirs));
}

#[test]
fn without_flags_it_asks() {
    let etcd = Etcd::start();
    let mut terminal = Terminal::start(&etcd, "");
    terminal.shows("Network of all containers");
    terminal.types("\r");
    terminal.shows("host-gw: plain routes");
    terminal.types("\r");
    terminal.shows("Write this network config");
    terminal.types("y");
    let (code, seen) = terminal.ends();
    assert_eq!((code, stored(&etcd).as_deref()), (0, Some(VXLAN)), "{seen}");
}

#[test]
fn ctrl_c_at_a_question_ends_it() {
    let etcd = Etcd::start();
    etcd.put(KEY, VXLAN);
    let mut terminal = Terminal::start(&etcd, "--network 10.5.0.0/16 --backend udp");
    terminal.shows("Replace the network config");
    terminal.types("\u{3}");
    let (code, seen) = terminal.ends();
    assert_eq!(code, 130, "{seen}");
    // The prompt hides the cursor; it is back.
    assert!(
        seen.rfind("\u{1b}[?25h") > seen.rfind("\u{1b}[?25l"),
        "{seen:?}"
    );
    assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
}

/// The question waits on a thread of its own; a signal that it does not read must end the command all the same.
#[test]
fn a_signal_at_a_question_ends_it() {
    let etcd = Etcd::start();
    etcd.put(KEY, VXLAN);
    let mut terminal = Terminal::start(&etcd, "--network 10.5.0.0/16 --backend udp");
    terminal.shows("Replace the network config");
    let script = terminal.child.id();
    let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
    let command: i32 = children
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let command = nix::unistd::Pid::from_raw(command);
    nix::sys::signal::kill(command, nix::sys::signal::Signal::SIGINT).unwrap();
    let (code, seen) = terminal.ends();
    assert_eq!(code, 130, "{seen}");
    assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
}
