//! flanneld's spelling of the command line, turned into ours before clap reads it: Go's single-dash long
//! flags (`-iface=eth0`), klog's `-v=2`, and the binary called as `flanneld`.

use std::ffi::OsString;
use std::path::Path;

/// Flags that Go's parser reads without a value.
const GO_SWITCHES: [&str; 7] = [
    "ip-masq",
    "ip-masq-fully-random-disable",
    "iptables-forward-rules",
    "ip-blackhole-route",
    "kube-subnet-mgr",
    "set-node-network-unavailable",
    "version",
];

/// True when the program was started under flanneld's name (a symlink).
pub fn called_as_flanneld(program: &OsString) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name == "flanneld")
}

/// Rewrites argv for clap. Anything but an agent's command line passes unchanged.
pub fn normalise(argv: Vec<OsString>) -> Vec<OsString> {
    let Some(program) = argv.first().cloned() else {
        return argv;
    };
    let rest = argv[1..].to_vec();
    if called_as_flanneld(&program) {
        // Go stops at the first operand and flanneld ignores what follows.
        let mut args = vec![program, "agent".into()];
        args.extend(translate(rest, true));
        return args;
    }
    if rest.iter().any(|arg| arg == "agent") {
        let mut args = vec![program];
        args.extend(translate(rest, false));
        return args;
    }
    argv
}

fn translate(args: Vec<OsString>, stop_at_operand: bool) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str() else {
            out.push(arg);
            continue;
        };
        if text == "--" {
            break;
        }
        let Some(body) = text
            .strip_prefix("--")
            .or_else(|| text.strip_prefix('-'))
            .filter(|b| !b.is_empty())
        else {
            if stop_at_operand {
                break;
            }
            out.push(arg);
            continue;
        };
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let single_dash = !text.starts_with("--");
        match name {
            // klog's verbosity: flanneld's levels 1 and up are our debug.
            "v" if value.is_some() || stop_at_operand => {
                let level = value.or_else(|| args.next().and_then(|next| next.into_string().ok()));
                if level
                    .and_then(|level| level.parse::<u32>().ok())
                    .is_some_and(|level| level > 0)
                {
                    out.push("--verbose".into());
                }
            }
            "version" if stop_at_operand => {
                if !value.is_some_and(|value| is_false(&value)) {
                    out.push("--flanneld-version".into());
                }
            }
            // One letter, or several of one kind (-vv), is ours; a longer word is Go's.
            _ if single_dash && (name.len() == 1 || name.chars().all(|c| c == 'v')) => {
                out.push(arg)
            }
            _ if single_dash || stop_at_operand => {
                let switch = GO_SWITCHES.contains(&name);
                let name = format!("--{name}");
                match value {
                    Some(value) => out.push(format!("{name}={value}").into()),
                    None => {
                        out.push(name.into());
                        if !switch && stop_at_operand {
                            out.extend(args.next());
                        }
                    }
                }
            }
            _ => out.push(arg),
        }
    }
    out
}

fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> String {
        let argv = line.split(' ').map(OsString::from).collect();
        let out: Vec<_> = normalise(argv)
            .into_iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        out.join(" ")
    }

    #[test]
    fn flanneld_spelling_becomes_ours() {
        let table = [
            ("flanneld", "flanneld agent"),
            (
                "/opt/flanneld -iface=eth0 -ip-masq",
                "/opt/flanneld agent --iface=eth0 --ip-masq",
            ),
            (
                "flanneld -iface eth0 --etcd-prefix /x",
                "flanneld agent --iface eth0 --etcd-prefix /x",
            ),
            (
                "flanneld -ip-masq false -iface eth0",
                "flanneld agent --ip-masq",
            ),
            (
                "flanneld -v 2 -ip-masq=false",
                "flanneld agent --verbose --ip-masq=false",
            ),
            ("flanneld -v=0", "flanneld agent"),
            ("flanneld --version", "flanneld agent --flanneld-version"),
            ("flanneld -h", "flanneld agent -h"),
            (
                "flannelctl agent -iface=eth0 -v=3 -vv",
                "flannelctl agent --iface=eth0 --verbose -vv",
            ),
            (
                "flannelctl -etcd-endpoints=x agent -iface eth0",
                "flannelctl --etcd-endpoints=x agent --iface eth0",
            ),
            ("flannelctl leases -o json", "flannelctl leases -o json"),
        ];
        for (input, expected) in table {
            assert_eq!(run(input), expected, "{input}");
        }
    }
}
