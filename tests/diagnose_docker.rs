//! `diagnose` from and to real containers of real Docker daemons, by name and by address.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod lab;

use std::net::Ipv4Addr;
use std::time::Duration;

use lab::{Finished, Lab, Overlay, until};
use serde_json::Value;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `diagnose` on the first host, whose Docker daemon listens where it says.
fn diagnose(overlay: &Overlay, args: &[&str]) -> Finished {
    let host = overlay.node(0);
    let mut command = host.short_command(lab::flannelctl());
    let socket = format!("unix://{}", host.dir().join("docker.sock").display());
    command
        .env_clear()
        .env("PATH", PATH)
        .env("DOCKER_HOST", socket);
    command.env("HOME", host.dir());
    command.args(["--etcd-endpoints", &overlay.etcd.url(), "diagnose"]);
    command
        .arg("--subnet-file")
        .arg(host.subnet_file())
        .args(args);
    command.output().unwrap().into()
}

/// Sources and destinations of the paths that were answered in full.
fn answered(finished: &Finished) -> Vec<(String, String)> {
    let value: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:#?}"));
    let paths = value["paths"].as_array().unwrap();
    let text = |path: &Value, key: &str| path[key].as_str().unwrap().to_owned();
    paths
        .iter()
        .filter(|path| path["sent"] == path["received"])
        .map(|path| (text(path, "from"), text(path, "to")))
        .collect()
}

#[test]
#[ignore = "needs root: network namespaces, dockerd"]
fn containers_are_found_by_name_and_address() {
    let lab = Lab::new(2);
    for host in lab.nodes() {
        host.sysctl("net/ipv4/ip_forward", "1");
    }
    let overlay = Overlay::bare(lab, &["--backend", "vxlan"], &["--ip-masq"]);
    let daemons: Vec<_> = overlay
        .lab
        .nodes()
        .iter()
        .map(|host| {
            let file = host.dir().join("docker-opts");
            let (env, path) = (host.subnet_file(), file.to_str().unwrap());
            let args = [
                "docker-config",
                "--format",
                "opts",
                "--write",
                path,
                "--subnet-file",
            ];
            host.flannelctl(&[&args[..], &[env.to_str().unwrap()]].concat())
                .expect(0);
            host.dockerd(&file)
        })
        .collect();
    let (web, other) = (daemons[0].container("web"), daemons[0].container("other"));
    let db = daemons[1].container("db");
    until(
        "the containers to reach each other",
        Duration::from_secs(20),
        || web.net.reaches(db.address).then_some(()),
    );
    let (from, to) = (web.address.to_string(), db.address.to_string());
    let pair = |from: Ipv4Addr, to: Ipv4Addr| (from.to_string(), to.to_string());

    // A container of the other host by its address: from the host and from a container.
    let finished = diagnose(&overlay, &[&to, "-o", "json"]);
    let seen = answered(&finished);
    assert!(
        seen.contains(&pair(web.address, db.address)),
        "{finished:#?}"
    );
    finished.expect(0);

    // A local container by its name: from it to the other nodes.
    for name in ["web", "other"] {
        let finished = diagnose(&overlay, &[name, "-o", "json"]);
        let address = if name == "web" {
            web.address
        } else {
            other.address
        };
        let seen = answered(&finished);
        assert!(
            seen.contains(&pair(address, db.address)),
            "{name}: {finished:#?}"
        );
        finished.expect(0);
    }

    // The source narrows. The underlay is tried whatever it is.
    let inside = |one: &str| one.starts_with("10.1.") && !one.ends_with(".0");
    for source in ["host", "container", &from] {
        let finished = diagnose(&overlay, &[&to, "--source", source, "-o", "json"]);
        let seen = answered(&finished);
        let fits = |one: &str| match source {
            _ if one.starts_with("192.0.2.") => true,
            "host" => !inside(one),
            "container" => inside(one),
            address => one == address,
        };
        let right = seen.iter().all(|(from, _)| fits(from));
        assert!(seen.len() > 1 && right, "{source}: {finished:#?}");
        finished.expect(0);
    }

    // Names that nothing has: what there is.
    let finished = diagnose(&overlay, &["wbe"]).expect(2).says("wbe");
    let said = &finished.stderr;
    assert!(
        said.contains(&format!("web ({from})")) && said.contains("other ("),
        "{said}"
    );
    let _ = diagnose(&overlay, &["10.1.250.0/24"])
        .expect(2)
        .says("10.1.250.0/24");
}
