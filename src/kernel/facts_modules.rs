//! Whether this kernel can make the backend's device. Only reads: nothing is loaded.

use std::fs;
use std::path::Path;

use crate::diagnose::evidence::LackFact;

const TUN: &str = "/dev/net/tun";

/// What the backend needs and the kernel does not have.
pub(super) fn lacks(backend: &str) -> Vec<LackFact> {
    match backend {
        "vxlan" => vxlan().into_iter().collect(),
        "udp" if !Path::new(TUN).exists() => vec![LackFact {
            what: "TUN".to_owned(),
            why: format!("there is no {TUN}"),
            certain: true,
        }],
        _ => Vec::new(),
    }
}

fn vxlan() -> Option<LackFact> {
    if Path::new("/sys/module/vxlan").exists() {
        return None;
    }
    let release = nix::sys::utsname::uname().ok()?;
    let folder = format!("/lib/modules/{}", release.release().to_str()?);
    let lists = ["modules.dep", "modules.builtin"].map(|name| {
        let path = Path::new(&folder).join(name);
        fs::read_to_string(path).ok()
    });
    let named = |text: &String| text.lines().any(|line| line.contains("/vxlan.ko"));
    if lists.iter().flatten().any(named) {
        return None;
    }
    let listed = lists.iter().any(Option::is_some);
    Some(LackFact {
        what: "VXLAN".to_owned(),
        why: match listed {
            true => format!("the module vxlan is not loaded and not in {folder}"),
            false => format!(
                "the module vxlan is not loaded, and there is no list of modules in {folder}"
            ),
        },
        certain: listed,
    })
}
