//! What Docker says of its bridge and containers, by its own command, which must answer at once.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::listing::{find, run};
use crate::diagnose::evidence::{DockerFact, FROM_DOCKER};

/// Docker answers in some 50 ms, or it hangs.
const DEADLINE: Duration = Duration::from_secs(1);
/// For each of the two questions of [`running`].
const AT_ONCE: Duration = Duration::from_millis(140);

/// Where Docker listens unless it is told otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// Docker's view.
#[derive(Debug, Default)]
pub(super) struct Docker {
    pub fact: Option<DockerFact>,
    /// Name, network and address of running containers.
    pub containers: Vec<(String, String, Ipv4Addr)>,
}

/// Asks. Where no `docker` is installed or no daemon runs, there is nothing to say.
pub(super) fn ask(missing: &mut Vec<String>) -> Docker {
    let Some(program) = find("docker").filter(|_| may_serve()) else {
        return Docker::default();
    };
    let (version, network, containers) = std::thread::scope(|scope| {
        let version = scope.spawn(|| {
            run(
                &program,
                &["version", "--format", "{{.Server.Version}}"],
                DEADLINE,
            )
        });
        let network = scope.spawn(|| run(&program, &["network", "inspect", "bridge"], DEADLINE));
        let containers = containers(&program, DEADLINE);
        let hung = || Err("docker could not be run".to_owned());
        (
            version.join().unwrap_or_else(|_| hung()),
            network.join().unwrap_or_else(|_| hung()),
            containers,
        )
    });
    let errors = [version.as_ref().err(), containers.as_ref().err()];
    for error in errors.into_iter().flatten() {
        let text = format!("{FROM_DOCKER}{error}");
        // No daemon is no loss: the bridge may have been made by hand.
        if serves(error) && !missing.contains(&text) {
            missing.push(text);
        }
    }
    let network = network
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    Docker {
        fact: version
            .ok()
            .map(|version| fact(version.trim().to_owned(), network.as_ref())),
        containers: containers.unwrap_or_default(),
    }
}

/// Running containers and their addresses, for a person who presses a key; nothing where Docker does not answer at
/// once.
pub(super) fn running() -> Vec<(String, Ipv4Addr)> {
    let program = find("docker").filter(|_| may_serve());
    let found = program.and_then(|program| containers(&program, AT_ONCE).ok());
    let found = found.unwrap_or_default().into_iter();
    found.map(|(name, _, address)| (name, address)).collect()
}

/// By what its client says, there is a daemon.
fn serves(error: &str) -> bool {
    !error.contains("annot connect") && !error.contains("No such file")
}

/// There is something to connect to. Without a socket the client need not be started to learn that.
fn may_serve() -> bool {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => match host.strip_prefix("unix://") {
            Some(path) => Path::new(path).exists(),
            None => true,
        },
        _ => Path::new(SOCKET).exists() || std::env::var_os("DOCKER_CONTEXT").is_some(),
    }
}

fn fact(version: String, network: Option<&Value>) -> DockerFact {
    let option = |name: &str| {
        let options = network?.get(0)?.get("Options")?;
        options.get(name)?.as_str()
    };
    DockerFact {
        version,
        subnet: network
            .and_then(|network| network.pointer("/0/IPAM/Config/0/Subnet")?.as_str())
            .and_then(|subnet| subnet.parse().ok()),
        mtu: option("com.docker.network.driver.mtu").and_then(|mtu| mtu.parse().ok()),
        ip_masq: option("com.docker.network.bridge.enable_ip_masquerade")
            .and_then(|on| on.parse().ok()),
    }
}

fn containers(
    program: &Path,
    deadline: Duration,
) -> Result<Vec<(String, String, Ipv4Addr)>, String> {
    let ids = run(program, &["ps", "-q"], deadline)?;
    let mut args = vec![
        "inspect",
        "--format",
        "{{.Name}}{{range $name, $it := .NetworkSettings.Networks}} {{$name}}={{$it.IPAddress}}{{end}}",
    ];
    let before = args.len();
    args.extend(ids.split_whitespace());
    if args.len() == before {
        return Ok(Vec::new());
    }
    let text = run(program, &args, deadline)?;
    let line = |line: &str| {
        let (name, addresses) = line.split_once(' ')?;
        let name = name.trim_start_matches('/').to_owned();
        let addresses: Vec<_> = addresses
            .split_whitespace()
            .filter_map(|pair| pair.rsplit_once('='))
            .filter_map(|(network, address)| {
                Some((name.clone(), network.to_owned(), address.parse().ok()?))
            })
            .collect();
        Some(addresses)
    };
    Ok(text.lines().filter_map(line).flatten().collect())
}
