//! `diagnose` finds the largest packet that passes where larger ones vanish without a word.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod diagnose_lab;
mod lab;

use diagnose_lab::{diagnose, network};
use serde_json::Value;

#[test]
#[ignore = "needs root: network namespaces"]
fn the_largest_size_that_passes_is_found_to_the_byte() {
    let overlay = network(2, "vxlan", &[]);
    // An underlay that passes frames of 1,303 bytes with their Ethernet header, which nobody is told.
    let chain = "type filter hook forward priority 0;";
    let rule = "udp dport 8472 meta length > 1289 drop;";
    let table = format!("table bridge small {{ chain c {{ {chain} {rule} }}; }}");
    overlay.lab.switch.run("nft", &[table]);
    let target = overlay.node(1).address.to_string();
    let (finished, _) = diagnose(&overlay, 0, &[&target, "-o", "json"]);
    let value: Value = serde_json::from_str(&finished.stdout).unwrap();
    let findings = value["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{finished:#?}");
    assert_eq!(findings[0]["id"], "FL602", "{finished:#?}");
    assert_eq!(findings[0]["confidence"], "proven", "{finished:#?}");
    // Without VXLAN's 50 bytes; `meta length` is the packet's without its Ethernet header.
    let summary = findings[0]["summary"].as_str().unwrap();
    assert!(
        summary.contains("packets of more than 1239 bytes"),
        "{summary}"
    );
    finished.expect(1);
}
