//! What else on this host decides about Docker's network: routes, other places that give dockerd the same
//! options, its unit, its version. All but a foreign route only warns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::docker::{DockerOptions, daemon_json};
use crate::exit::{Code, Failure};
use crate::kernel::local;
use crate::report::message;

/// Files that put words on dockerd's command line.
const FLAG_FILES: [&str; 5] = [
    "/etc/default/docker",
    "/etc/sysconfig/docker",
    "/etc/sysconfig/docker-network",
    "/run/docker_opts.env",
    "/run/flannel/docker",
];

/// Folders of units, in systemd's order of precedence.
const UNIT_FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// A route that sends the own subnet to another host: another agent has it, or had it.
pub(super) fn refuse_foreign_route(options: &DockerOptions) -> Result<(), Failure> {
    let Some(subnet) = options.subnet() else {
        return Ok(());
    };
    let routes = match local::routes() {
        Ok(routes) => routes,
        Err(error) => {
            message::warning(format!("the routes cannot be checked: {error}"));
            return Ok(());
        }
    };
    let foreign = routes.iter().find_map(|route| {
        Some((route, route.gateway?)).filter(|(route, _)| subnet.contains(&route.destination))
    });
    match foreign {
        None => Ok(()),
        Some((route, gateway)) => Err(Failure::new(
            Code::Problems,
            format!(
                "this node's subnet {subnet} is routed to another host: {} via {gateway} dev {}",
                route.destination, route.device
            ),
        )
        .with_remedy(format!(
            "see who holds it: flannelctl leases {subnet}. A leftover goes with: ip route del {}",
            route.destination
        ))),
    }
}

/// Options that stand in Docker's config file as well: dockerd refuses to start with both.
pub(super) fn warn_of_given_twice(options: &DockerOptions, daemon_json: &Path) {
    let Ok(text) = fs::read_to_string(daemon_json) else {
        return;
    };
    match daemon_json::also_set(&text, options) {
        Ok(names) if names.is_empty() => {}
        Ok(names) => message::warning(format!(
            "{} sets {} too: dockerd refuses to start with an option in both places. Remove it there, or use \
             --format daemon-json",
            daemon_json.display(),
            names.join(", ")
        )),
        Err(error) => message::warning(format!("{} {error}", daemon_json.display())),
    }
}

/// The reverse: flags elsewhere that repeat what goes into the config file.
pub(super) fn warn_of_flags(options: &DockerOptions) {
    let mut places: Vec<PathBuf> = FLAG_FILES.iter().map(PathBuf::from).collect();
    for folder in UNIT_FOLDERS {
        places.push(Path::new(folder).join("docker.service"));
        places.extend(drop_ins(folder));
    }
    for place in places {
        let Ok(text) = fs::read_to_string(&place) else {
            continue;
        };
        let commands: Vec<_> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with(['#', ';']))
            .collect();
        let twice: Vec<_> = options
            .flags()
            .into_iter()
            .filter_map(|(_, flag)| flag.split_once('=').map(|(name, _)| name.to_owned()))
            .filter(|name| commands.iter().any(|line| line.contains(name.as_str())))
            .collect();
        if !twice.is_empty() {
            message::warning(format!(
                "{} gives {} as well: dockerd refuses to start with an option in both places",
                place.display(),
                twice.join(", ")
            ));
        }
    }
}

/// Docker 28 and later drop what other hosts send straight to a container.
pub(super) fn mention_direct_routing(options: &DockerOptions, daemon_json: &Path) {
    if options.allow_direct_routing
        || fs::read_to_string(daemon_json).is_ok_and(|text| text.contains("allow-direct-routing"))
    {
        return;
    }
    if let Some(major) = docker_major()
        && major >= 28
    {
        message::warning(format!(
            "Docker {major} drops traffic that other hosts send straight to a container: give \
             --allow-direct-routing (Docker 28.2 and later), or the network option \
             com.docker.network.bridge.trusted_host_interfaces"
        ));
    }
}

/// `Docker version 28.1.1, build …`.
fn docker_major() -> Option<u32> {
    let answer = Command::new("dockerd")
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let version = text.split_whitespace().nth(2)?;
    version.split('.').next()?.parse().ok()
}

/// The text of docker.service with its drop-ins but our own, or of the unit that was named.
pub(super) fn docker_unit(named: Option<&Path>) -> Result<Option<String>, Failure> {
    if let Some(path) = named {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!(
                "--docker-unit: cannot read {}: {error}",
                path.display()
            ))
        })?;
        return Ok(Some(text));
    }
    let unit = UNIT_FOLDERS
        .iter()
        .find_map(|folder| fs::read_to_string(Path::new(folder).join("docker.service")).ok());
    let Some(mut text) = unit else {
        return Ok(None);
    };
    let mut more: Vec<_> = UNIT_FOLDERS.iter().flat_map(|f| drop_ins(f)).collect();
    // systemd reads them by file name, whatever the folder.
    more.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    for path in more {
        let ours = path
            .file_name()
            .is_some_and(|name| name == "zz-flannel.conf");
        if !ours && let Ok(drop_in) = fs::read_to_string(&path) {
            text.push('\n');
            text.push_str(&drop_in);
        }
    }
    Ok(Some(text))
}

fn drop_ins(folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(Path::new(folder).join("docker.service.d")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "conf"))
        .collect()
}
