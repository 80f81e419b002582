//! What `docker-config` writes is understood by a real Docker daemon, in each form that a daemon reads.
#![allow(clippy::unwrap_used, missing_docs)]

mod lab;

use lab::{Dockerd, Host, Lab};

/// A host with the subnet file of an agent that does not masquerade.
fn host_with_subnet(lab: &Lab) -> &Host {
    let host = lab.node(0);
    let file = host.subnet_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";
    std::fs::write(file, text).unwrap();
    host
}

fn write(host: &Host, format: &str, path: &str) {
    let file = host.subnet_file();
    let file = file.to_str().unwrap();
    let args = [
        "docker-config",
        "--subnet-file",
        file,
        "--format",
        format,
        "--write",
        path,
    ];
    host.flannelctl(&args).expect(0);
}

#[track_caller]
fn configured(host: &Host, docker: &Dockerd) {
    let addresses = host.ip("-o -4 address show docker0");
    assert!(addresses.contains("10.1.74.1/24"), "{addresses}");
    let container = docker.container("ca");
    assert_eq!(
        container.exec(&["cat", "/sys/class/net/eth0/mtu"]).trim(),
        "1450"
    );
    // The agent does not masquerade, so Docker does.
    let rules = host.run("iptables", &["-t", "nat", "-S", "POSTROUTING"]);
    assert!(
        rules.contains("-s 10.1.74.0/24 ! -o docker0 -j MASQUERADE"),
        "{rules}"
    );
}

#[test]
#[ignore = "needs root: network namespaces, dockerd"]
fn dockerd_understands_the_sysconfig_form() {
    let lab = Lab::new(1);
    let host = host_with_subnet(&lab);
    let path = host.dir().join("docker-network");
    std::fs::write(&path, "# ours\nHTTP_PROXY=\"\"\n").unwrap();
    write(host, "sysconfig", path.to_str().unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# ours\nHTTP_PROXY=\"\"\n"), "{text}");
    configured(host, &host.dockerd(&path));
}

#[test]
#[ignore = "needs root: network namespaces, dockerd"]
fn dockerd_understands_the_opts_form() {
    let lab = Lab::new(1);
    let host = host_with_subnet(&lab);
    let path = host.dir().join("docker-opts");
    write(host, "opts", path.to_str().unwrap());
    configured(host, &host.dockerd(&path));
}

#[test]
#[ignore = "needs root: network namespaces, dockerd"]
fn dockerd_understands_the_daemon_json_form() {
    let lab = Lab::new(1);
    let host = host_with_subnet(&lab);
    let path = host.dir().join("daemon.json");
    std::fs::write(&path, r#"{"labels":["kept=yes"]}"#).unwrap();
    let path = path.to_str().unwrap();
    write(host, "daemon-json", path);
    let docker = host.dockerd_with(&["--config-file", path]);
    configured(host, &docker);
    let labels = docker.docker(&["info", "--format", "{{.Labels}}"]);
    assert!(labels.contains("kept=yes"), "{labels}");
}
