//! What the firewall's tests share: a goal, the rules it gives, programs that count, a running guard.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use flannelctl::agent::guard::{FirewallStatus, GuardOptions, Keeper, Round, guard};
use flannelctl::plan::firewall::{FirewallGoal, Implementation};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::lab::{Host, until};

pub const VARIANTS: [(&str, Implementation); 2] = [
    ("nft", Implementation::IptablesNft),
    ("legacy", Implementation::IptablesLegacy),
];

pub fn goal() -> FirewallGoal {
    FirewallGoal {
        network: "10.1.0.0/16".parse().unwrap(),
        subnet: "10.1.5.0/24".parse().unwrap(),
        ip_masq: true,
        random_fully: true,
        forward: true,
    }
}

/// What `iptables-save` prints of our rules on a host of our own.
pub const RULES: [&str; 10] = [
    r#"-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD"#,
    r#"-A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT"#,
    r#"-A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT"#,
    r#"-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG"#,
    r#"-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN"#,
    r#"-A FLANNEL-POSTRTG -s 10.1.5.0/24 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j RETURN"#,
    r#"-A FLANNEL-POSTRTG -s 10.1.0.0/16 -d 10.1.5.0/24 -m comment --comment "flanneld masq" -j RETURN"#,
    r#"-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.5.0/24 -m comment --comment "flanneld masq" -j RETURN"#,
    r#"-A FLANNEL-POSTRTG -s 10.1.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully"#,
    r#"-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully"#,
];

/// Chains and rules of one variant, filter before nat, without counters and dates.
pub fn saved(host: &Host, variant: &str) -> Vec<String> {
    let mut out = Vec::new();
    for table in ["filter", "nat", "raw"] {
        let text = host.run(&format!("iptables-{variant}-save"), &["-t", table]);
        let kept = text
            .lines()
            .filter(|l| l.starts_with(':') || l.starts_with("-A"))
            .map(|l| l.split(" [").next().unwrap().to_owned());
        out.extend(kept);
    }
    out
}

pub fn rules(host: &Host, variant: &str) -> Vec<String> {
    let mut all = saved(host, variant);
    all.retain(|line| line.starts_with("-A"));
    all
}

pub fn ipt(host: &Host, variant: &str, args: &str) {
    let args: Vec<&str> = args.split_whitespace().collect();
    host.run(&format!("iptables-{variant}"), &args);
}

/// Runs async code on a thread of the host's namespace.
pub fn on<T: Send, F: Future<Output = T>>(host: &Host, f: impl FnOnce() -> F + Send) -> T {
    host.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(f())
    })
}

pub fn round(host: &Host, keeper: &mut Keeper, goal: &FirewallGoal) -> Round {
    let round = on(host, || keeper.round(goal)).unwrap();
    assert!(round.failed.is_empty(), "{:?}", round.failed);
    round
}

/// Programs that count how often they are run. `default` is what plain iptables is.
pub struct Bin {
    pub dir: PathBuf,
}

impl Bin {
    pub fn new(host: &Host, programs: &[&str], default: &str) -> Self {
        let dir = host.dir().join(format!("bin{}", host.shared().next()));
        std::fs::create_dir(&dir).unwrap();
        let bin = Self { dir };
        for program in programs {
            let real = match *program {
                "iptables" => format!("iptables-{default}"),
                other => other.to_owned(),
            };
            bin.put(program, &format!("exec /usr/sbin/{real} \"$@\""));
        }
        bin
    }

    pub fn all(host: &Host, default: &str) -> Self {
        let programs = [
            "iptables",
            "iptables-nft-save",
            "iptables-nft-restore",
            "iptables-legacy-save",
            "iptables-legacy-restore",
            "nft",
        ];
        Self::new(host, &programs, default)
    }

    pub fn put(&self, name: &str, script: &str) {
        let log = self.dir.join("runs").display().to_string();
        let path = self.dir.join(name);
        let text = format!("#!/bin/sh\necho {name} >> {log}\n{script}\n");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub fn keeper(&self, prefer_nft: bool) -> Keeper {
        Keeper::new(vec![self.dir.clone()], prefer_nft)
    }

    /// The programs run since the last call.
    pub fn runs(&self) -> Vec<String> {
        let log = self.dir.join("runs");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        std::fs::write(&log, "").unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// A guard that runs in the host's namespace until dropped.
pub struct Guarding {
    cancel: CancellationToken,
    pub goal: watch::Sender<Option<FirewallGoal>>,
    pub status: watch::Receiver<FirewallStatus>,
    thread: Option<std::thread::JoinHandle<()>>,
}

pub fn guarding(host: &Host, resync: Duration, prefer_nft: bool) -> Guarding {
    let cancel = CancellationToken::new();
    let (goal, goals) = watch::channel(Some(goal()));
    let (statuses, status) = watch::channel(FirewallStatus::default());
    let (host, token) = (host.clone(), cancel.clone());
    let options = GuardOptions { resync, prefer_nft };
    let thread = std::thread::spawn(move || on(&host, || guard(goals, options, token, statuses)));
    let guarding = Guarding {
        cancel,
        goal,
        status,
        thread: Some(thread),
    };
    until("the first check", Duration::from_secs(10), || {
        guarding.status.borrow().last_ok.map(drop)
    });
    guarding
}

impl Drop for Guarding {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}
