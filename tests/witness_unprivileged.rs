//! Without privileges a witness still tells what anybody may read, and names what it had to leave out.
#![allow(clippy::unwrap_used, missing_docs)]

mod witness_support;

use std::process::Command;

use flannelctl::kernel::witness::Witness;
use witness_support::spec;

/// Prints a witness's evidence; run by the test below as another user.
#[test]
#[ignore = "run by another test"]
fn tell() {
    let evidence = Witness::arm(&spec(1)).collect();
    let text = serde_json::to_string(&evidence).unwrap();
    if let Some(file) = std::env::var_os("WITNESS_TELLS") {
        std::fs::write(file, text).unwrap();
    }
}

#[test]
#[ignore = "needs root: it becomes another user"]
fn what_needs_no_privilege_is_told_and_the_rest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let file = folder.path().join("evidence.json");
    let name = folder.path().display().to_string();
    witness_support::sh(&format!("chmod 777 {name}"));
    let status = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&copy)
        .args(["--ignored", "--exact", "tell"])
        .env("WITNESS_TELLS", &file)
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    let evidence: flannelctl::diagnose::NodeEvidence = serde_json::from_str(&text).unwrap();
    assert!(!evidence.links.is_empty() && !evidence.sysctls.is_empty());
    assert!(evidence.counters.contains_key("snmp.Ip.InAddrErrors"));
    let missing = evidence.missing.join("\n");
    for wanted in ["packets on", "nftrace", "skb:kfree_skb"] {
        assert!(missing.contains(wanted), "{wanted}: {missing}");
    }
}
