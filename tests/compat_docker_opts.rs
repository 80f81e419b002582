//! `docker-config --format opts` against the recorded output of flannel's mk-docker-opts.sh
//! (flannel-compat 4.3), byte for byte, and the defects of the script that are not repeated.

#![allow(clippy::unwrap_used, missing_docs)]

use assert_cmd::Command;

const ENV: &str = "FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";
const BIP: &str = "DOCKER_OPT_BIP=\"--bip=10.1.74.1/24\"\n";
const MASQ: &str = "DOCKER_OPT_IPMASQ=\"--ip-masq=true\"\n";
const MTU: &str = "DOCKER_OPT_MTU=\"--mtu=1472\"\n";
const ALL: &str = "DOCKER_OPTS=\" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472\"\n";

/// Exit code, stdout, stderr.
fn run(env: &str, args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("subnet.env");
    std::fs::write(&file, env).unwrap();
    let mut command = Command::cargo_bin("flannelctl").unwrap();
    command
        .env_clear()
        // The script would take these over; the file alone counts here.
        .env("DOCKER_OPTS", "--from-the-environment")
        .env("DOCKER_OPT_ZZZ", "--zzz")
        .env("FLANNEL_MTU", "9000")
        .args([
            "docker-config",
            "--daemon-json",
            "/dev/null",
            "--subnet-file",
        ])
        .arg(&file)
        .args(args);
    if !args.contains(&"sysconfig") {
        command.args(["--format", "opts"]);
    }
    let out = command.output().unwrap();
    (
        out.status.code().unwrap(),
        String::from_utf8(out.stdout).unwrap(),
        String::from_utf8(out.stderr).unwrap(),
    )
}

#[test]
fn every_recorded_output_is_the_same() {
    let masq_true = ENV.replace("false", "true");
    let v6_only = "FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00:0:0:1::1/64\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";
    let complete = format!("FLANNEL_NETWORK=10.1.0.0/16\n{ENV}");
    let before = format!("{ENV}DOCKER_OPTS=\"--debug\"\n");
    let further = format!("{ENV}DOCKER_OPT_DNS=--dns=192.0.2.53\n");
    let commented = format!("# made by hand\n\nexport {ENV}");
    let no_masq = "DOCKER_OPTS=\" --bip=10.1.74.1/24 --mtu=1472\"\n";
    let table: &[(&str, &[&str], String)] = &[
        (ENV, &[], [BIP, MASQ, MTU, ALL].concat()),
        (&complete, &[], [BIP, MASQ, MTU, ALL].concat()),
        (&commented, &[], [BIP, MASQ, MTU, ALL].concat()),
        (ENV, &["-i"], [BIP, MASQ, MTU].concat()),
        (ENV, &["-c"], ALL.into()),
        (ENV, &["-i", "-c"], [BIP, MASQ, MTU, ALL].concat()),
        (ENV, &["-ic"], [BIP, MASQ, MTU, ALL].concat()),
        (ENV, &["-m"], [BIP, MTU, no_masq].concat()),
        (ENV, &["-m", "-c"], no_masq.into()),
        (
            ENV,
            &["-c", "-k", "CUSTOM_KEY"],
            ALL.replace("DOCKER_OPTS", "CUSTOM_KEY"),
        ),
        (&masq_true, &["-c"], ALL.replace("masq=true", "masq=false")),
        (
            v6_only,
            &[],
            [MASQ, MTU, "DOCKER_OPTS=\" --ip-masq=true --mtu=1472\"\n"].concat(),
        ),
        (
            &before,
            &["-c"],
            "DOCKER_OPTS=\"--debug  --bip=10.1.74.1/24 --ip-masq=true --mtu=1472\"\n".into(),
        ),
        (
            &further,
            &[],
            [
                BIP,
                "DOCKER_OPT_DNS=\"--dns=192.0.2.53\"\n",
                MASQ,
                MTU,
                "DOCKER_OPTS=\" --bip=10.1.74.1/24 --dns=192.0.2.53 --ip-masq=true --mtu=1472\"\n",
            ]
            .concat(),
        ),
    ];
    for (env, args, expected) in table {
        let (code, stdout, stderr) = run(env, args);
        assert_eq!((code, &stdout), (0, expected), "{args:?} {env} {stderr}");
    }
}

#[test]
fn the_form_for_sysconfig_is_the_scripts_combined_line() {
    let (_, expected, _) = run(ENV, &["-c", "-k", "DOCKER_NETWORK_OPTIONS"]);
    let (code, sysconfig, _) = run(ENV, &["--format", "sysconfig"]);
    assert_eq!((code, &sysconfig), (0, &expected));
    assert_eq!(
        expected,
        "DOCKER_NETWORK_OPTIONS=\" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472\"\n"
    );
}

#[test]
fn nothing_is_executed_and_nothing_bad_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("executed");
    let touch = format!("{ENV}DOCKER_OPTS=\"$(touch {})\"\n", trace.display());
    let table: &[(&str, &str)] = &[
        ("", "FLANNEL_SUBNET"),
        (
            "FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_IPMASQ=false\n",
            "FLANNEL_MTU",
        ),
        (
            "FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\n",
            "FLANNEL_IPMASQ",
        ),
        (&ENV.replace("false", "maybe"), "FLANNEL_IPMASQ"),
        (&ENV.replace("1472", "1472 --debug"), "FLANNEL_MTU"),
        (&ENV.replace("1472", "-1"), "FLANNEL_MTU"),
        (&ENV.replace("1472", "70000"), "FLANNEL_MTU"),
        (&ENV.replace("/24", ""), "FLANNEL_SUBNET"),
        (&ENV.replace("/24", "/31"), "FLANNEL_SUBNET"),
        (&ENV.replace("74.1/", "74.0/"), "FLANNEL_SUBNET"),
        (&ENV.replace("74.1/", "74.255/"), "FLANNEL_SUBNET"),
        (&touch, "'$'"),
        ("\u{1b}[2J\n", "line 1"),
    ];
    for (env, says) in table {
        let (code, stdout, stderr) = run(env, &[]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{env:?}");
        assert!(stderr.contains(says), "{env:?}: {stderr}");
        assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    }
    assert!(!trace.exists());
    // With -m nobody asks for FLANNEL_IPMASQ, as in the script.
    assert_eq!(
        run(&ENV.replace("false", "maybe"), &["-m", "-i"]).1,
        [BIP, MTU].concat()
    );
}

#[test]
fn a_missing_file_is_an_error() {
    let mut command = Command::cargo_bin("flannelctl").unwrap();
    let out = command
        .env_clear()
        .args([
            "docker-config",
            "--format",
            "opts",
            "--subnet-file",
            "/nonexistent/subnet.env",
        ])
        .output()
        .unwrap();
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(3), "{stderr}");
    assert!(
        out.stdout.is_empty() && stderr.contains("/nonexistent/subnet.env"),
        "{stderr}"
    );
}
