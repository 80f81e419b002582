//! Docker's own config file: our options merged into it, everything else kept as it stands and where it
//! stands.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use super::DockerOptions;

/// Why a `daemon.json` cannot take our options.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// dockerd would not read it either.
    #[error("is not valid JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but not a config.
    #[error("is not a JSON object")]
    NotAnObject,
    /// dockerd refuses `bip` beside a bridge of one's own.
    #[error("sets \"bridge\" to {0}, and dockerd refuses to start with both a bridge and a bip")]
    Bridge(String),
}

/// The merged config, and what the person should know about it.
#[derive(Debug)]
pub struct Merged {
    /// The whole config, keys in the file's order, new keys at the end.
    pub config: Value,
    /// How the file was indented.
    pub indent: String,
    /// Settings that do not go with the new ones.
    pub warnings: Vec<String>,
}

/// Sets our options in `existing`; an empty text is an empty config.
///
/// # Errors
/// `MergeError` where the file is no config, or none that can go with a `bip`.
pub fn merge(existing: &str, options: &DockerOptions) -> Result<Merged, MergeError> {
    let mut config = object(existing)?;
    if let Some(bridge) = config.get("bridge").filter(|b| b.as_str() != Some(""))
        && options.bip.is_some()
    {
        return Err(MergeError::Bridge(bridge.to_string()));
    }
    let mut warnings = Vec::new();
    if let Some(subnet) = options.subnet() {
        let inside = |text: &str| {
            let address = text.split('/').next().unwrap_or_default();
            address
                .parse::<Ipv4Addr>()
                .is_ok_and(|ip| subnet.contains(&ip))
        };
        for key in ["fixed-cidr", "default-gateway"] {
            if let Some(text) = config.get(key).and_then(Value::as_str)
                && !inside(text)
            {
                warnings.push(format!(
                    "\"{key}\": {text:?} lies outside the node's subnet {subnet}: containers would not be reachable"
                ));
            }
        }
    }
    for (key, value) in settings(options) {
        config.insert(key.to_owned(), value);
    }
    Ok(Merged {
        config: Value::Object(config),
        indent: indent(existing),
        warnings,
    })
}

/// Names of the options among ours that `existing` sets: given once more as flags, they keep dockerd from
/// starting.
///
/// # Errors
/// `MergeError` where the file is no config.
pub fn also_set(existing: &str, options: &DockerOptions) -> Result<Vec<&'static str>, MergeError> {
    let config = object(existing)?;
    let mut names: Vec<_> = settings(options).into_iter().map(|(key, _)| key).collect();
    names.retain(|key| config.contains_key(*key));
    Ok(names)
}

fn settings(options: &DockerOptions) -> Vec<(&'static str, Value)> {
    let mut settings = Vec::new();
    if let Some(bip) = options.bip {
        settings.push(("bip", Value::from(bip.to_string())));
    }
    if let Some(masq) = options.ip_masq {
        settings.push(("ip-masq", Value::from(masq)));
    }
    settings.push(("mtu", Value::from(options.mtu)));
    if options.allow_direct_routing {
        settings.push(("allow-direct-routing", Value::from(true)));
    }
    settings
}

fn object(text: &str) -> Result<Map<String, Value>, MergeError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text)? {
        Value::Object(map) => Ok(map),
        _ => Err(MergeError::NotAnObject),
    }
}

/// The blanks before the first indented line; two where there is none.
fn indent(text: &str) -> String {
    let first = text
        .lines()
        .map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()])
        .find(|blanks| !blanks.is_empty() && blanks.len() <= 8);
    first.unwrap_or("  ").to_owned()
}
