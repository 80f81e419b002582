//! `init` against a real etcd: what is stored, what is refused and with which exit code, and that nothing
//! is lost on the way.

#![allow(clippy::unwrap_used, missing_docs)]

use assert_cmd::Command;

#[path = "support/etcd.rs"]
mod etcd;
use etcd::Etcd;

const KEY: &str = "/coreos.com/network/config";
const VXLAN: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(etcd: &Etcd, args: &[&str], stdin: &str) -> Answer {
    let out = Command::cargo_bin("flannelctl")
        .unwrap()
        .env_clear()
        .args(["--etcd-endpoints", &etcd.url, "init"])
        .args(args)
        .write_stdin(stdin)
        .output()
        .unwrap();
    Answer {
        code: out.status.code().unwrap(),
        stdout: String::from_utf8(out.stdout).unwrap(),
        stderr: String::from_utf8(out.stderr).unwrap(),
    }
}

fn init(etcd: &Etcd, args: &[&str]) -> Answer {
    run(etcd, args, "")
}

fn stored(etcd: &Etcd) -> Option<String> {
    etcd.get(KEY).map(|text| text.trim_end().to_owned())
}

#[test]
fn flags_become_flannels_keys() {
    let etcd = Etcd::start();
    let table: &[(&str, &str)] = &[
        ("--network 10.5.0.0/16 --backend vxlan", VXLAN),
        ("--network 10.5.0.0/16", VXLAN),
        (
            "--network 10.5.0.0/16 --backend udp --port 9000",
            r#"{"Network":"10.5.0.0/16","Backend":{"Type":"udp","Port":9000}}"#,
        ),
        (
            "--network 10.0.0.0/8 --subnet-len 20 --subnet-min 10.10.0.0 --subnet-max 10.99.0.0 --backend host-gw",
            r#"{"Network":"10.0.0.0/8","SubnetLen":20,"SubnetMin":"10.10.0.0","SubnetMax":"10.99.0.0","Backend":{"Type":"host-gw"}}"#,
        ),
        (
            "--network 10.5.0.0/16 --backend vxlan --vni 7 --port 4789 --mtu 1400 --gbp --learning --direct-routing",
            r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7,"Port":4789,"MTU":1400,"GBP":true,"Learning":true,"DirectRouting":true}}"#,
        ),
        (
            "--network 10.5.0.0/16 --ipv6-network fc00::/48 --ipv6-subnet-len 64 --ipv6-subnet-min fc00:0:0:1:: --ipv6-subnet-max fc00:0:0:ff::",
            r#"{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48","IPv6SubnetLen":64,"IPv6SubnetMin":"fc00:0:0:1::","IPv6SubnetMax":"fc00:0:0:ff::","Backend":{"Type":"vxlan"}}"#,
        ),
    ];
    for (args, expected) in table {
        let args: Vec<_> = args.split(' ').chain(["--yes"]).collect();
        let answer = init(&etcd, &args);
        assert_eq!(answer.code, 0, "{args:?} {}", answer.stderr);
        assert_eq!(stored(&etcd).as_deref(), Some(*expected), "{args:?}");
    }
}

#[test]
fn yaml_and_json_files_from_a_path_or_stdin() {
    let etcd = Etcd::start();
    let folder = tempfile::tempdir().unwrap();
    let yaml = "# overlay\nNetwork: 10.5.0.0/16\nBackend:\n  Type: vxlan\n";
    let files = [
        ("a.yaml", yaml),
        (
            "a.json",
            "{ \"Network\": \"10.5.0.0/16\",\n \"Backend\": {\"Type\": \"vxlan\"}\n}\n",
        ),
        ("a", yaml),
    ];
    for (name, text) in files {
        etcd.ctl(&["del", KEY]);
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let answer = init(&etcd, &["-f", path.to_str().unwrap()]);
        assert_eq!(
            (answer.code, stored(&etcd).as_deref()),
            (0, Some(VXLAN)),
            "{name} {}",
            answer.stderr
        );
        assert_eq!(answer.stdout, format!("{KEY} created\n"));
        etcd.ctl(&["del", KEY]);
        let answer = run(&etcd, &["-f", "-"], text);
        assert_eq!(
            (answer.code, stored(&etcd).as_deref()),
            (0, Some(VXLAN)),
            "{name} {}",
            answer.stderr
        );
    }
    // What flannel would silently ignore is said.
    let text = "Network: 10.5.0.0/16\nSubnetLenn: 25\nBackend: {Type: udp, VNI: 7}\n";
    let answer = run(&etcd, &["-f", "-", "--dry-run"], text);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("SubnetLenn") && answer.stderr.contains("VNI"),
        "{}",
        answer.stderr
    );
}

#[test]
fn bad_configs_are_usage_errors_and_change_nothing() {
    let etcd = Etcd::start();
    etcd.put(KEY, VXLAN);
    let flags: &[(&str, &str)] = &[
        ("--network 10.5.0.0/29", "Network"),
        ("--network 0.0.0.0/0", "Network"),
        ("--network 10.5.0.0", "--network"),
        ("--network 10.5.0.0/16 --subnet-len 31", "SubnetLen"),
        ("--network 10.5.0.0/16 --subnet-len 17", "SubnetLen"),
        ("--network 10.5.0.0/16 --subnet-min 10.5.10.1", "SubnetMin"),
        ("--network 10.5.0.0/16 --subnet-min 10.6.0.0", "SubnetMin"),
        (
            "--network 10.5.0.0/16 --subnet-min 10.5.20.0 --subnet-max 10.5.10.0",
            "lies above",
        ),
        ("--network 10.5.0.0/16 --vni 0", "VNI"),
        ("--network 10.5.0.0/16 --vni 16777216", "VNI"),
        ("--network 10.5.0.0/16 --port 0x10", "--port"),
        ("--network 10.5.0.0/16 --port 65536", "--port"),
        ("--network 10.5.0.0/16 --backend smoke", "smoke"),
        ("--network 10.5.0.0/16 --backend udp --vni 7", "--vni"),
        ("--network 10.5.0.0/16 --backend udp --gbp", "--gbp"),
        ("--network 10.5.0.0/16 --backend host-gw --port 1", "--port"),
        (
            "--network 10.5.0.0/16 --backend host-gw --direct-routing",
            "--direct-routing",
        ),
        ("--backend vxlan", "--network"),
        (
            "--network 10.5.0.0/16 --ipv6-subnet-len 64",
            "--ipv6-network",
        ),
        (
            "--network 10.5.0.0/16 --ipv6-network fc00::/125",
            "IPv6Network",
        ),
        ("--network 10.5.0.0/16 -f x.yaml", "--file"),
        ("-f /nonexistent/x.yaml", "/nonexistent/x.yaml"),
    ];
    for (args, says) in flags {
        let args: Vec<_> = args.split(' ').chain(["--yes", "--force"]).collect();
        let answer = init(&etcd, &args);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (2, ""),
            "{args:?} {}",
            answer.stderr
        );
        assert!(answer.stderr.contains(says), "{args:?}: {}", answer.stderr);
    }
    let files = [
        "",
        "[]",
        "5",
        "Network: [",
        "{\"Network\":",
        "Network: 10.5.0.0/16\nSubnetLen: \"24\"",
        "Network: 10.5.0.0/16\nSubnetLen: 24.0",
        "Network: 10.5.0.0/16\nBackend: vxlan",
        "Network: 10.5.0.0/16\nBackend: {}",
        "Network: 10.5.0.0/16\nBackend: {Type: smoke}",
        "Network: 10.5.0.0/16\nBackend: {Type: vxlan, VNI: 16777216}",
        "Network: 10.5.0.0/16\nBackend: {Type: vxlan, Port: 65536}",
        "EnableIPv4: false\nBackend: {Type: vxlan}",
    ];
    for text in files {
        let answer = run(&etcd, &["-f", "-", "--yes", "--force"], text);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (2, ""),
            "{text:?} {}",
            answer.stderr
        );
        assert!(!answer.stderr.is_empty());
    }
    assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
}

#[test]
fn an_existing_config_is_shown_and_never_replaced_unasked() {
    let etcd = Etcd::start();
    etcd.put(KEY, VXLAN);
    let other = ["--network", "10.5.0.0/16", "--backend", "udp"];
    let answer = init(&etcd, &other);
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""));
    for text in [
        "--yes",
        "-     \"Type\": \"vxlan\"",
        "+     \"Type\": \"udp\"",
        "    \"Network\": \"10.5.0.0/16\"",
    ] {
        assert!(answer.stderr.contains(text), "{text} in {}", answer.stderr);
    }
    assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
    let answer = init(&etcd, &[&other[..], &["--dry-run"]].concat());
    assert_eq!(answer.code, 0);
    assert_eq!(
        answer.stdout,
        "{\"Network\":\"10.5.0.0/16\",\"Backend\":{\"Type\":\"udp\"}}\n"
    );
    assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
    let answer = init(&etcd, &[&other[..], &["--yes"]].concat());
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (0, &*format!("{KEY} changed\n"))
    );
    assert_ne!(stored(&etcd).as_deref(), Some(VXLAN));
}

#[test]
fn an_equal_config_is_left_as_it_is() {
    let etcd = Etcd::start();
    etcd.put(
        KEY,
        "{\n  \"Backend\": {\"Type\": \"vxlan\"},\n  \"Network\": \"10.5.0.0/16\"\n}",
    );
    let before = etcd.revision();
    let answer = init(&etcd, &["--network", "10.5.0.0/16", "--backend", "vxlan"]);
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (0, &*format!("{KEY} unchanged\n"))
    );
    assert_eq!(etcd.revision(), before);
}

#[test]
fn an_existing_config_that_is_not_valid_is_shown_without_harm() {
    let etcd = Etcd::start();
    etcd.put(KEY, "not \u{1b}[2J JSON");
    let answer = init(&etcd, &["--network", "10.5.0.0/16"]);
    assert_eq!(answer.code, 2);
    assert!(
        answer.stderr.contains("- not \\u{1b}[2J JSON"),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("not valid") && !answer.stderr.contains('\u{1b}'));
    assert_eq!(init(&etcd, &["--network", "10.5.0.0/16", "--yes"]).code, 0);
    assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
}

#[test]
fn live_leases_are_not_stranded() {
    let etcd = Etcd::start();
    etcd.put(KEY, VXLAN);
    etcd.put(
        "/coreos.com/network/subnets/10.5.7.0-24",
        r#"{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:07"}}"#,
    );
    etcd.put("/coreos.com/network/subnets/junk", "{}");
    for (args, why) in [
        ("--network 10.9.0.0/16", "outside 10.9.0.0/16"),
        ("--network 10.5.0.0/16 --subnet-len 26", "not of length 26"),
        (
            "--network 10.5.0.0/16 --subnet-min 10.5.8.0",
            "outside 10.5.8.0 to 10.5.255.0",
        ),
        (
            "--network 10.5.0.0/16 --ipv6-network fc00::/48",
            "no IPv6 half",
        ),
    ] {
        let args: Vec<_> = args.split(' ').collect();
        for extra in [&["--yes"][..], &["--dry-run"]] {
            let answer = init(&etcd, &[&args[..], extra].concat());
            assert_eq!(
                (answer.code, answer.stdout.as_str()),
                (1, ""),
                "{args:?} {}",
                answer.stderr
            );
            for text in ["--force", "10.5.7.0/24 of 192.0.2.7", why] {
                assert!(answer.stderr.contains(text), "{text} in {}", answer.stderr);
            }
        }
        assert_eq!(stored(&etcd).as_deref(), Some(VXLAN));
    }
    let answer = init(
        &etcd,
        &["--network", "10.5.0.0/16", "--backend", "host-gw", "--yes"],
    );
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("1 of 2 records"),
        "{}",
        answer.stderr
    );
    let answer = init(&etcd, &["--network", "10.9.0.0/16", "--yes", "--force"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(stored(&etcd).unwrap().contains("10.9.0.0/16"));
}

#[test]
fn overlap_with_the_host_is_a_warning() {
    let etcd = Etcd::start();
    let answer = init(&etcd, &["--network", "127.0.0.0/16", "--dry-run"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("warning") && answer.stderr.contains("127.0.0.1"),
        "{}",
        answer.stderr
    );
    assert_eq!(stored(&etcd), None);
}

#[test]
fn another_prefix_and_an_etcd_that_is_not_there() {
    let etcd = Etcd::start();
    let answer = init(
        &etcd,
        &[
            "--network",
            "10.5.0.0/16",
            "--etcd-prefix",
            "/atomic.io/network/",
        ],
    );
    assert_eq!(
        answer.stdout, "/atomic.io/network/config created\n",
        "{}",
        answer.stderr
    );
    assert!(etcd.get("/atomic.io/network/config").is_some());
    assert_eq!(stored(&etcd), None);
    let url = etcd::closed_url();
    let out = Command::cargo_bin("flannelctl")
        .unwrap()
        .env_clear()
        .args(["init", "--network", "10.5.0.0/16", "--etcd-endpoints", &url])
        .output()
        .unwrap();
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(3), "{stderr}");
    assert!(out.stdout.is_empty() && stderr.contains(&url), "{stderr}");
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let etcd = Etcd::start();
    let answer = init(&etcd, &[]);
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""));
    assert!(answer.stderr.contains("--network"), "{}", answer.stderr);
    assert_eq!(stored(&etcd), None);
}
