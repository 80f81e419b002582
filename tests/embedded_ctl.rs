//! `etcdctl` gives the same output on the embedded store as on a real etcd.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;

use std::process::Output;

use embedded::Embedded;
use etcd::Etcd;

#[test]
fn quick() {
    let (real, ours) = (Etcd::start(), Embedded::start());
    for line in [
        "put a 1", "put a 2 --prev-kv", "put b 3", "get a", "get --prefix a", "get a -w json", "get a -w fields", "get '' --from-key",
        "get a --rev=2", "get a --rev=99", "get --prefix x --count-only -w json", "get a b c", "del a --prev-kv", "del x",
        "lease grant 100", "lease list", "lease revoke 1", "compact 3", "compact 3", "compact 99", "get a --rev 2",
        "member list", "member list -w table", "endpoint health", "endpoint status", "endpoint status -w json", "endpoint hashkv", "alarm list", "alarm disarm", "user list", "role list", "auth enable", "auth disable","user get x", "role get x", "defrag", "move-leader 1", "check perf",
    ] {
        let args: Vec<&str> = line.split(' ').map(|w| w.trim_matches('\'')).collect();
        if line == "check perf" {continue}
        let show = |o: Output| format!("{:?} {}{}", o.status.code(), String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        let (a, b) = (show(real.try_ctl(&args)), show(ours.try_ctl(&args)));
        if a != b { eprintln!("--- {line}\n{a}\n+++\n{b}"); } else { eprintln!("same {line}"); }
    }
}
