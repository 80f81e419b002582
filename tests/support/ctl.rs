//! `etcdctl` against one server, whichever it is: a real etcd or the embedded store.

use std::process::{Command, Output};

/// A server.
#[derive(Clone, Debug)]
pub struct Ctl {
    /// Client URL.
    pub url: String,
}

impl Ctl {
    /// Runs etcdctl against it (plaintext); panics when it fails.
    pub fn ctl(&self, args: &[&str]) -> String {
        // Its own limit of 5 s is too short for a busy machine.
        let out = self
            .command(args)
            .env("ETCDCTL_COMMAND_TIMEOUT", "30s")
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "etcdctl {args:?}: {err}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Runs etcdctl against it (plaintext).
    pub fn try_ctl(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.args(["--endpoints", &self.url]).args(args);
        command
    }

    /// Writes one key.
    pub fn put(&self, key: &str, value: &str) {
        // A value may begin with a dash, and a key hold anything: no shell in between.
        self.ctl(&["put", "--", key, value]);
    }

    /// The value of one key.
    pub fn get(&self, key: &str) -> Option<String> {
        let out = self.ctl(&["get", "--print-value-only", "--", key]);
        (!out.is_empty()).then(|| out.trim_end_matches('\n').to_owned())
    }

    /// Its revision.
    pub fn revision(&self) -> i64 {
        let json = self.ctl(&["get", "no-such-key", "-w", "json"]);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        value["header"]["revision"].as_i64().unwrap()
    }
}
