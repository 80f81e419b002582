//! A real etcd on a host of the lab, and the client that the tests write and read it with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::{Host, Proc, http_get, until};

/// flannel's default prefix.
pub const PREFIX: &str = "/coreos.com/network";

/// etcd's default limit of operations in one transaction.
const TXN_OPERATIONS: usize = 128;

/// A one-member cluster. It can be stopped and started on the same data.
pub struct Etcd {
    host: Host,
    data: PathBuf,
    process: Option<Proc>,
}

impl Etcd {
    /// Starts it on a host and waits until it serves.
    pub fn start(host: &Host) -> Self {
        let mut etcd = Self {
            host: host.clone(),
            data: host.dir().join("etcd"),
            process: None,
        };
        etcd.resume();
        etcd
    }

    /// `http://ADDRESS:2379`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((self.host.address, 2379))
    }

    /// Starts it again after [`Etcd::stop`] or [`Etcd::kill9`].
    pub fn resume(&mut self) {
        let url = self.url();
        let mut command = self.host.command("etcd");
        command.env_clear().env("PATH", super::agent::PATH);
        command.arg("--data-dir").arg(&self.data);
        command.args([
            "--name",
            "lab",
            "--logger",
            "zap",
            "--log-outputs",
            "stderr",
        ]);
        command.args([
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
        ]);
        let peer = "http://127.0.0.1:2380";
        command.args([
            "--listen-peer-urls",
            peer,
            "--initial-advertise-peer-urls",
            peer,
        ]);
        command.args(["--initial-cluster", "lab=http://127.0.0.1:2380"]);
        // One member elects itself: no reason to wait the usual second.
        command.args(["--heartbeat-interval", "50", "--election-timeout", "250"]);
        self.process = Some(self.host.spawn("etcd", command));
        until("etcd to serve", Duration::from_secs(30), || {
            let answer = http_get(&self.host, self.address(), "/health").ok()?;
            answer.1.contains("true").then_some(())
        });
    }

    /// SIGTERM.
    pub fn stop(&mut self) {
        self.process.take().unwrap().terminate();
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.process.take().unwrap().kill9();
    }

    /// SIGSTOP: connections stay open and nobody answers; SIGCONT ends it.
    pub fn freeze(&self, frozen: bool) {
        use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
        let process = self.process.as_ref().unwrap();
        process.signal(if frozen { SIGSTOP } else { SIGCONT });
    }

    /// `etcdctl ARGS` and its stdout.
    pub fn ctl(&self, args: &[&str]) -> String {
        let url = self.url();
        // Its own limit of 5 s is too short for a busy machine.
        let mut all = vec!["ETCDCTL_API=3", "ETCDCTL_COMMAND_TIMEOUT=30s"];
        all.extend(["etcdctl", "--endpoints", &url]);
        all.extend(args);
        self.host.run("env", &all)
    }

    /// Writes a key below the prefix, without an etcd lease.
    pub fn put(&self, key: &str, value: &str) {
        self.ctl(&["put", "--", &format!("{PREFIX}/{key}"), value]);
    }

    /// Writes a key below the prefix, with an etcd lease of 24 h as flanneld does.
    pub fn put_leased(&self, key: &str, value: &str) {
        let lease = self.grant(86_400);
        self.ctl(&[
            "put",
            "--lease",
            &lease,
            "--",
            &format!("{PREFIX}/{key}"),
            value,
        ]);
    }

    /// A new etcd lease, in hexadecimal.
    pub fn grant(&self, seconds: u32) -> String {
        let text = self.ctl(&["lease", "grant", &seconds.to_string()]);
        text.split(' ').nth(1).unwrap().to_owned()
    }

    /// Writes many keys below the prefix, all on one etcd lease.
    pub fn put_many(&self, pairs: &[(String, String)]) {
        let lease = self.grant(86_400);
        for chunk in pairs.chunks(TXN_OPERATIONS) {
            // etcdctl's transaction text: compares, successes, failures, each ended by an empty line.
            let mut text = String::from("\n");
            for (key, value) in chunk {
                let quoted = value.replace('"', "\\\"");
                text += &format!("put --lease={lease} {PREFIX}/{key} \"{quoted}\"\n");
            }
            text += "\n\n";
            self.transaction(&text);
        }
    }

    fn transaction(&self, text: &str) {
        let file = self.host.dir().join("transaction");
        std::fs::write(&file, text).unwrap();
        let mut command = self.host.short_command("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.args(["--endpoints", &self.url(), "txn"]);
        command.stdin(Stdio::from(std::fs::File::open(&file).unwrap()));
        let output = command.output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(answer.contains("SUCCESS"), "etcdctl txn: {output:?}");
    }

    /// Deletes a key below the prefix.
    pub fn delete(&self, key: &str) {
        self.ctl(&["del", "--", &format!("{PREFIX}/{key}")]);
    }

    /// The value of a key below the prefix.
    pub fn get(&self, key: &str) -> Option<String> {
        let text = self.ctl(&[
            "get",
            "--print-value-only",
            "--",
            &format!("{PREFIX}/{key}"),
        ]);
        let text = text.trim_end_matches('\n');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Names and values below `subnets/`.
    pub fn subnets(&self) -> Vec<(String, String)> {
        let folder = format!("{PREFIX}/subnets/");
        let text = self.ctl(&["get", "--prefix", "--", &folder]);
        let lines: Vec<_> = text.lines().collect();
        lines
            .chunks(2)
            .map(|pair| (pair[0].replacen(&folder, "", 1), pair[1].to_owned()))
            .collect()
    }

    /// Puts config and records back where they differ: records with a lease of 24 h, others removed.
    pub fn restore(&self, config: &str, records: &[(String, String)]) {
        if self.get("config").as_deref() != Some(config) {
            self.put("config", config);
        }
        let now = self.subnets();
        for (name, _) in now
            .iter()
            .filter(|(name, _)| !records.iter().any(|it| it.0 == *name))
        {
            self.delete(&format!("subnets/{name}"));
        }
        for (name, value) in records.iter().filter(|it| !now.contains(it)) {
            self.put_leased(&format!("subnets/{name}"), value);
        }
    }

    /// The name of the record that holds this public IP.
    pub fn subnet_of(&self, public_ip: std::net::Ipv4Addr) -> Option<String> {
        let needle = format!("\"PublicIP\":\"{public_ip}\"");
        let found = self
            .subnets()
            .into_iter()
            .find(|(_, value)| value.contains(&needle));
        found.map(|(name, _)| name)
    }

    /// The etcd lease of a key below the prefix; 0 without one.
    pub fn lease_of(&self, key: &str) -> i64 {
        let text = self.ctl(&["get", "-w", "json", "--", &format!("{PREFIX}/{key}")]);
        let json: Value = serde_json::from_str(&text).unwrap();
        json["kvs"][0]["lease"].as_i64().unwrap_or(0)
    }

    /// The store's revision.
    pub fn revision(&self) -> i64 {
        let text = self.ctl(&["get", "-w", "json", "--", "none"]);
        let json: Value = serde_json::from_str(&text).unwrap();
        json["header"]["revision"].as_i64().unwrap()
    }

    /// Forgets all history.
    pub fn compact(&self) {
        self.ctl(&["compact", &self.revision().to_string()]);
    }
}
