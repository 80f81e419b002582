//! Flags + environment + defaults → validated settings. Reads no host state but the environment handed to it
//! and the password file that it is told to read.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::cli::{AgentArgs, EtcdArgs};
use crate::exit::Failure;
use crate::forward::{BUSY_POLL, LONGEST_BUSY_POLL, UdpOptions};
use crate::plan::interface::InterfaceWish;
use crate::registry::{EtcdOptions, Secret};

/// flanneld's default endpoints.
const DEFAULT_ENDPOINTS: &str = "http://127.0.0.1:4001,http://127.0.0.1:2379";
/// flanneld's default folder.
const DEFAULT_PREFIX: &str = "/coreos.com/network";
/// Nobody waits longer for one answer, and clocks do not count for ever.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// flanneld's default file for Docker.
const DEFAULT_SUBNET_FILE: &str = "/run/flannel/subnet.env";

/// The environment at start; values that are not UTF-8 are left out.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Settings of `agent`.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// How to choose the underlay interface.
    pub interface: InterfaceWish,
    /// Runtime file for Docker; its folder holds all runtime files.
    pub subnet_file: PathBuf,
    /// The lease is refreshed at the latest this long before it ends.
    pub renew_margin: Duration,
    /// Masquerade traffic that leaves the overlay.
    pub ip_masq: bool,
    /// Ask for fully random source ports.
    pub random_fully: bool,
    /// Time between two looks at the firewall; `None` = look only once.
    pub firewall_resync: Option<Duration>,
    /// Accept the overlay's traffic in FORWARD.
    pub forward_rules: bool,
    /// Blackhole route for the own subnet.
    pub blackhole: bool,
    /// Where to serve /healthz.
    pub healthz: Option<(IpAddr, u16)>,
    /// How the udp data path works.
    pub udp: UdpOptions,
    /// Answer other nodes' `diagnose`.
    pub diagnose: bool,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// One variable; an empty one counts as unset, as for flanneld.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Looks one flag up: command line, then FLANNELCTL_*, FLANNELD_*, and a variable of etcdctl's.
struct Lookup<'a> {
    env: &'a Environment,
}

impl Lookup<'_> {
    /// The text for `flag` and where it came from.
    fn text(
        &self,
        flag: &str,
        given: Option<String>,
        etcdctl: Option<&str>,
    ) -> Option<(String, String)> {
        if let Some(text) = given {
            return Some((text, format!("--{flag}")));
        }
        let upper = flag.to_uppercase().replace('-', "_");
        let names = [format!("FLANNELCTL_{upper}"), format!("FLANNELD_{upper}")];
        let names = names.into_iter().chain(etcdctl.map(str::to_owned));
        names
            .into_iter()
            .find_map(|name| Some((self.env.get(&name)?.to_owned(), name)))
    }

    /// The parsed value. As with flanneld, a bad FLANNELD_* variable is said and ignored; a bad flag or
    /// FLANNELCTL_* is a usage error.
    fn parsed<T>(
        &self,
        flag: &str,
        given: Option<String>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some((text, origin)) = self.text(flag, given, None) else {
            return Ok(None);
        };
        match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(why) if origin.starts_with("FLANNELD_") => {
                tracing::warn!("{origin}={text:?} is ignored: {why}");
                Ok(None)
            }
            Err(why) => Err(Failure::usage(format!(
                "{origin}: {text:?} is not valid: {why}"
            ))),
        }
    }

    fn switch(&self, flag: &str, given: Option<String>, default: bool) -> Result<bool, Failure> {
        Ok(self.parsed(flag, given, parse_bool)?.unwrap_or(default))
    }
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("use true or false".into()),
    }
}

fn parse_from<T: FromStr>(text: &str) -> Result<T, String>
where
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// An address that other hosts can send to; agents leave a lease with any other out.
fn parse_public_ip(text: &str) -> Result<Ipv4Addr, String> {
    let ip: Ipv4Addr = parse_from(text)?;
    match ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast() {
        true => Err("no other host can send to it".into()),
        false => Ok(ip),
    }
}

/// How to reach etcd.
///
/// # Errors
/// A usage failure names the flag or variable.
pub fn etcd(args: &EtcdArgs, env: &Environment) -> Result<EtcdOptions, Failure> {
    let look = Lookup { env };
    let text = |flag: &str, given: Option<String>, etcdctl: Option<&str>| {
        look.text(flag, given, etcdctl).map(|(text, _)| text)
    };
    let path = |flag: &str, given: &Option<PathBuf>, etcdctl: &str| {
        let given = given
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned());
        text(flag, given, Some(etcdctl)).map(PathBuf::from)
    };
    let endpoints = text(
        "etcd-endpoints",
        args.etcd_endpoints.clone(),
        Some("ETCDCTL_ENDPOINTS"),
    )
    .unwrap_or_else(|| DEFAULT_ENDPOINTS.to_owned());
    let mut username = text("etcd-username", args.etcd_username.clone(), None);
    let mut password = password(args, &look)?;
    // etcdctl writes both in one variable.
    if username.is_none()
        && let Some(user) = env.get("ETCDCTL_USER")
    {
        let (name, word) = user
            .split_once(':')
            .map_or((user, None), |(name, word)| (name, Some(word)));
        username = Some(name.to_owned());
        password = password.or_else(|| word.map(str::to_owned));
    }
    let timeout = look
        .parsed("etcd-timeout", args.etcd_timeout.clone(), |text| {
            humantime::parse_duration(text).map_err(|e| e.to_string())
        })?
        .unwrap_or(Duration::from_secs(5));
    if timeout > LONGEST_TIMEOUT {
        return Err(Failure::usage(format!(
            "--etcd-timeout: {} is too long",
            humantime::format_duration(timeout)
        ))
        .with_remedy("use at most 1h"));
    }
    if timeout.is_zero() {
        return Err(
            Failure::usage("--etcd-timeout: 0 leaves no time for an answer")
                .with_remedy("use for example 5s"),
        );
    }
    Ok(EtcdOptions {
        endpoints: endpoints
            .split(',')
            .map(|e| e.trim().to_owned())
            .filter(|e| !e.is_empty())
            .collect(),
        prefix: text("etcd-prefix", args.etcd_prefix.clone(), None)
            .unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
        cafile: path("etcd-cafile", &args.etcd_cafile, "ETCDCTL_CACERT"),
        certfile: path("etcd-certfile", &args.etcd_certfile, "ETCDCTL_CERT"),
        keyfile: path("etcd-keyfile", &args.etcd_keyfile, "ETCDCTL_KEY"),
        username,
        password: password.map(Secret::new),
        timeout,
    })
}

fn password(args: &EtcdArgs, look: &Lookup<'_>) -> Result<Option<String>, Failure> {
    if args.etcd_password.is_some() {
        return Ok(args.etcd_password.clone());
    }
    let file = args
        .etcd_password_file
        .as_ref()
        .map(|path| path.to_string_lossy().into_owned());
    if let Some((file, origin)) = look.text("etcd-password-file", file, None) {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::usage(format!("{origin}: cannot read {file}: {error}")))?;
        return Ok(Some(text.lines().next().unwrap_or_default().to_owned()));
    }
    Ok(look
        .text("etcd-password", None, Some("ETCDCTL_PASSWORD"))
        .map(|(text, _)| text))
}

/// The agent's file for Docker: the flag, else the environment, else flanneld's place.
pub fn subnet_file(given: Option<&Path>, env: &Environment) -> PathBuf {
    let given = given.map(|path| path.to_string_lossy().into_owned());
    let text = Lookup { env }.text("subnet-file", given, None);
    text.map_or_else(|| DEFAULT_SUBNET_FILE.into(), |(text, _)| text.into())
}

/// The agent's settings.
///
/// # Errors
/// A usage failure names the flag or variable, the value and what is expected.
pub fn agent(args: &AgentArgs, env: &Environment) -> Result<AgentSettings, Failure> {
    let look = Lookup { env };
    if look.switch("kube-subnet-mgr", args.kube_subnet_mgr.clone(), false)? {
        return Err(Failure::usage(
            "--kube-subnet-mgr: flannelctl works with etcd, not with the Kubernetes API",
        )
        .with_remedy(
            "on a Kubernetes cluster run flanneld; here leave the flag out and use --etcd-endpoints",
        ));
    }
    let margin = look
        .parsed(
            "subnet-lease-renew-margin",
            args.subnet_lease_renew_margin.clone(),
            |text| match text.parse::<u64>() {
                Ok(minutes @ 1..=1439) => Ok(minutes),
                _ => Err("use minutes from 1 to 1439".into()),
            },
        )?
        .unwrap_or(60);
    let resync = look
        .parsed(
            "iptables-resync",
            args.iptables_resync.clone(),
            parse_from::<i64>,
        )?
        .unwrap_or(5);
    let port = look
        .parsed("healthz-port", args.healthz_port.clone(), parse_from::<u16>)?
        .unwrap_or(0);
    let ip = look
        .parsed("healthz-ip", args.healthz_ip.clone(), parse_from::<IpAddr>)?
        .unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    if look
        .text("public-ipv6", args.public_ipv6.clone(), None)
        .is_some()
    {
        tracing::warn!("--public-ipv6 has no effect: there is no IPv6 data path yet");
    }
    Ok(AgentSettings {
        interface: interface(args, &look)?,
        subnet_file: subnet_file(args.subnet_file.as_deref(), env),
        renew_margin: Duration::from_secs(margin * 60),
        ip_masq: look.switch("ip-masq", args.ip_masq.clone(), false)?,
        random_fully: !look.switch(
            "ip-masq-fully-random-disable",
            args.ip_masq_fully_random_disable.clone(),
            false,
        )?,
        firewall_resync: u64::try_from(resync)
            .ok()
            .filter(|s| *s > 0)
            .map(Duration::from_secs),
        forward_rules: look.switch(
            "iptables-forward-rules",
            args.iptables_forward_rules.clone(),
            true,
        )?,
        blackhole: look.switch("ip-blackhole-route", args.ip_blackhole_route.clone(), false)?,
        healthz: (port > 0).then_some((ip, port)),
        udp: UdpOptions {
            offload: look
                .parsed("udp-offload", args.udp_offload.clone(), |text| match text {
                    "auto" => Ok(true),
                    "off" => Ok(false),
                    _ => Err("use auto or off".into()),
                })?
                .unwrap_or(true),
            accept: look
                .parsed("udp-accept", args.udp_accept.clone(), parse_from)?
                .unwrap_or_default(),
            queues: look
                .parsed("udp-queues", args.udp_queues.clone(), |text| {
                    match text.parse::<u8>() {
                        Ok(queues @ 0..=16) => Ok(NonZero::new(queues)),
                        _ => Err("use 1 to 16, or 0 for as many as the processors suggest".into()),
                    }
                })?
                .flatten(),
            busy_poll: look
                .parsed("udp-busy-poll", args.udp_busy_poll.clone(), |text| {
                    match humantime::parse_duration(text) {
                        Ok(time) if time <= LONGEST_BUSY_POLL => Ok(time),
                        Ok(_) => Err("use at most 10ms, for example 200us".into()),
                        Err(error) => Err(format!("{error}; use for example 200us, or 0s")),
                    }
                })?
                .unwrap_or(BUSY_POLL),
        },
        diagnose: look
            .parsed("diagnose", args.diagnose.clone(), |text| match text {
                "on" => Ok(true),
                "off" => Ok(false),
                _ => parse_bool(text).map_err(|_| "use on or off".into()),
            })?
            .unwrap_or(true),
    })
}

fn interface(args: &AgentArgs, look: &Lookup<'_>) -> Result<InterfaceWish, Failure> {
    let list = |flag: &str, given: &Vec<String>| {
        if given.is_empty() {
            look.text(flag, None, None)
                .map(|(text, _)| text)
                .into_iter()
                .collect()
        } else {
            given.clone()
        }
    };
    let mut patterns = Vec::new();
    for pattern in list("iface-regex", &args.iface_regex) {
        let regex = regex::Regex::new(&pattern)
            .map_err(|error| Failure::usage(format!("--iface-regex: {pattern:?}: {error}")))?;
        patterns.push(regex);
    }
    Ok(InterfaceWish {
        names: list("iface", &args.iface),
        patterns,
        can_reach: look.parsed("iface-can-reach", args.iface_can_reach.clone(), parse_from)?,
        public_ip: look.parsed("public-ip", args.public_ip.clone(), parse_public_ip)?,
    })
}

#[cfg(test)]
mod tests;
