//! The config that the user wants, from flags or a file, and all checks that need nothing but it.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::cli::{BackendName, InitArgs};
use crate::exit::Failure;
use crate::report::{json, message, yaml};
use crate::subnet::NetworkConfig;
use crate::subnet::network::ConfigProblem;

/// A config has some hundred bytes; etcd takes 1.5 MiB.
const MAX_FILE: u64 = 1 << 20;
/// flannel's keys at the top level.
const KEYS: [&str; 12] = [
    "EnableIPv4",
    "EnableIPv6",
    "EnableNFTables",
    "Network",
    "IPv6Network",
    "SubnetLen",
    "SubnetMin",
    "SubnetMax",
    "IPv6SubnetLen",
    "IPv6SubnetMin",
    "IPv6SubnetMax",
    "Backend",
];

/// True when the flags say nothing about the config.
pub(super) fn is_empty(args: &InitArgs) -> bool {
    args.network.is_none()
        && args.ipv6_network.is_none()
        && args.backend.is_none()
        && args.subnet_len.is_none()
        && args.subnet_min.is_none()
        && args.subnet_max.is_none()
        && backend_flags(args).is_empty()
}

/// Flags of backends that were given: flag, key, value, backends that know it.
fn backend_flags(
    args: &InitArgs,
) -> Vec<(&'static str, &'static str, Value, &'static [BackendName])> {
    use BackendName::{Udp, Vxlan};
    const VXLAN: &[BackendName] = &[Vxlan];
    let mut flags: Vec<(_, _, _, &'static [BackendName])> = Vec::new();
    if let Some(vni) = args.vni {
        flags.push(("--vni", "VNI", vni.into(), VXLAN));
    }
    if let Some(port) = args.port {
        flags.push(("--port", "Port", port.into(), &[Udp, Vxlan]));
    }
    if let Some(mtu) = args.mtu {
        flags.push(("--mtu", "MTU", mtu.into(), VXLAN));
    }
    for (given, flag, key) in [
        (args.gbp, "--gbp", "GBP"),
        (args.learning, "--learning", "Learning"),
        (args.direct_routing, "--direct-routing", "DirectRouting"),
    ] {
        if given {
            flags.push((flag, key, true.into(), VXLAN));
        }
    }
    flags
}

/// The config from flags; only what was given is written.
pub(super) fn from_flags(args: &InitArgs) -> Result<Value, Failure> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    };
    if args.network.is_none() {
        if args.ipv6_network.is_none()
            || args.subnet_len.is_some()
            || args.subnet_min.is_some()
            || args.subnet_max.is_some()
        {
            return Err(Failure::usage("--network is missing")
                .with_remedy("for example: --network 10.5.0.0/16"));
        }
        set("EnableIPv4", Some(false.into()));
    }
    set("Network", args.network.map(|net| net.to_string().into()));
    set("SubnetLen", args.subnet_len.map(Value::from));
    set("SubnetMin", args.subnet_min.map(|ip| ip.to_string().into()));
    set("SubnetMax", args.subnet_max.map(|ip| ip.to_string().into()));
    if let Some(network) = args.ipv6_network {
        set("EnableIPv6", Some(true.into()));
        set("IPv6Network", Some(network.to_string().into()));
        set("IPv6SubnetLen", args.ipv6_subnet_len.map(Value::from));
        set(
            "IPv6SubnetMin",
            args.ipv6_subnet_min.map(|ip| ip.to_string().into()),
        );
        set(
            "IPv6SubnetMax",
            args.ipv6_subnet_max.map(|ip| ip.to_string().into()),
        );
    }
    let backend = args.backend.unwrap_or(BackendName::Vxlan);
    let mut options = Map::new();
    options.insert("Type".to_owned(), backend.name().into());
    for (flag, key, value, known_by) in backend_flags(args) {
        if !known_by.contains(&backend) {
            let known_by: Vec<_> = known_by.iter().map(|b| b.name()).collect();
            return Err(Failure::usage(format!(
                "{flag} is no option of the backend {}, only of {}",
                backend.name(),
                known_by.join(" and ")
            )));
        }
        options.insert(key.to_owned(), value);
    }
    set("Backend", Some(options.into()));
    Ok(config.into())
}

/// The config from a YAML or JSON file; `-` is stdin.
pub(super) fn from_file(path: &Path) -> Result<Value, Failure> {
    let shown = path.display().to_string();
    let unreadable = |error| Failure::usage(format!("cannot read {shown}: {error}"));
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin()
            .take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(unreadable)?;
    }
    // JSON first: its own reader is exact about JSON, and names the right place of an error.
    let value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(error) if text.trim_start().starts_with('{') && !text.contains('\n') => {
            return Err(Failure::usage(format!("{shown}: {error}")));
        }
        Err(json) => yaml::read(&text).map_err(|yaml| match path.extension() {
            Some(extension) if extension == "json" => Failure::usage(format!("{shown}: {json}")),
            _ => Failure::usage(format!("{shown}: {yaml}")),
        })?,
    };
    if !matches!(value, Value::Object(_)) {
        return Err(Failure::usage(format!(
            "{shown} holds no keys: expected at least Network"
        )));
    }
    warn_of_unknown_keys(&value);
    Ok(value)
}

/// flannel ignores unknown keys, which hides a misspelt one.
fn warn_of_unknown_keys(value: &Value) {
    let Value::Object(config) = value else { return };
    for key in config.keys() {
        if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            message::warning(format!(
                "{key:?} is no key of flannel's config: agents ignore it"
            ));
        }
    }
    let backend = config
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("Backend"));
    let Some((_, Value::Object(options))) = backend else {
        return;
    };
    let kind = options
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("Type"))
        .and_then(|(_, value)| value.as_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let known: &[&str] = match kind.as_str() {
        "udp" => &["Type", "Port"],
        "vxlan" => &[
            "Type",
            "VNI",
            "Port",
            "MTU",
            "GBP",
            "Learning",
            "DirectRouting",
        ],
        "host-gw" => &["Type"],
        _ => return,
    };
    for key in options.keys() {
        if !known.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            message::warning(format!(
                "{key:?} is no option of the backend {kind}: agents ignore it"
            ));
        }
    }
}

/// The text to store, on one line, and its meaning; refuses what flanneld refuses and what it forgets to.
pub(super) fn check(value: &Value) -> Result<(String, NetworkConfig), Failure> {
    let text = json::line(value).map_err(Failure::could_not_run)?;
    let text = text.trim_end().to_owned();
    let config = NetworkConfig::parse(text.as_bytes()).map_err(Failure::usage)?;
    config.backend().map_err(Failure::usage)?;
    for problem in config.strict_problems() {
        match problem {
            // Of no use, but flanneld would run with it.
            ConfigProblem::SpecialNetwork { .. } => message::warning(problem.to_string()),
            ConfigProblem::NoFamily | ConfigProblem::InvertedRange { .. } => {
                return Err(Failure::usage(problem));
            }
        }
    }
    if config.ipv6.is_some() {
        message::warning("flannelctl agent builds the IPv4 half only; flanneld builds both");
    }
    Ok((text, config))
}
