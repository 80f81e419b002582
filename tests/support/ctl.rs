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
        let out = self.try_ctl(args);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "etcdctl {args:?}: {err}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Runs etcdctl against it (plaintext).
    pub fn try_ctl(&self, args: &[&str]) -> Output {
        Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg("--endpoints")
            .arg(&self.url)
            .args(args)
            .output()
            .unwrap()
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
