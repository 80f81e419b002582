//! `leases`: one snapshot of all records, judged and shown; or the stream of changes.

mod watch;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use super::{Context, etcd_failure, output, stdout_takes_colour};
use crate::cli::{LeasesArgs, LeasesOutput};
use crate::exit::{Code, Failure};
use crate::kernel::local;
use crate::registry::{ConfigValue, Registry};
use crate::report::lease_list::{Facts, LeaseList, Question};
use crate::report::progress::Spinner;
use crate::report::{json, message, yaml};
use crate::subnet::standing::{self, HostNets, Judged};
use crate::subnet::{NetworkConfig, Snapshot};

/// Runs the command.
///
/// # Errors
/// See the exit codes in its help.
pub async fn run(args: &LeasesArgs, ctx: &Context, out: &mut dyn Write) -> Result<Code, Failure> {
    let question = match &args.lookup {
        None => None,
        Some(text) => Some(Question::parse(text).ok_or_else(|| {
            Failure::usage(format!("{text:?} is neither an IP address nor a subnet"))
                .with_remedy("use for example 10.5.7.23 or 10.5.7.0/24")
        })?),
    };
    let registry = ctx.registry()?;
    if args.watch {
        return watch::run(args.output, question, registry, out).await;
    }
    let spinner = Spinner::start("asking etcd");
    let (snapshot, config) =
        tokio::try_join!(registry.snapshot(), registry.config()).map_err(etcd_failure)?;
    let ttls = ttls(&registry, &snapshot).await?;
    drop(spinner);
    let config = match network(config.as_ref(), &registry) {
        Ok(config) => Some(config),
        Err(why) => {
            message::warning(why);
            None
        }
    };
    let mut list = LeaseList::new(
        &snapshot,
        &Facts {
            ttls: &ttls,
            judged: &judge(&snapshot, config.as_ref()),
            addresses: &own_addresses(),
            now: SystemTime::now(),
        },
    );
    let summary = summary(&list, config.as_ref(), &registry);
    if let Some(question) = question {
        list.leases.retain(|row| row.answers(&question));
    }
    let found = question.is_none() || !list.leases.is_empty();
    show(&list, args.output, found, out)?;
    match (&args.lookup, question) {
        (Some(text), Some(question)) if !found => Err(nobody(text, question, config.as_ref())),
        (None, None) if matches!(args.output, LeasesOutput::Table | LeasesOutput::Wide) => {
            message::note(summary);
            Ok(Code::Done)
        }
        _ => Ok(Code::Done),
    }
}

fn show(
    list: &LeaseList,
    form: LeasesOutput,
    found: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let text = match form {
        LeasesOutput::Table | LeasesOutput::Wide if !found => return Ok(()),
        LeasesOutput::Table => list.table(false, stdout_takes_colour()),
        LeasesOutput::Wide => list.table(true, stdout_takes_colour()),
        LeasesOutput::Json => json::pretty(list).map_err(Failure::could_not_run)?,
        LeasesOutput::Yaml => yaml::document(list).map_err(Failure::could_not_run)?,
        LeasesOutput::Name => list.names(),
    };
    out.write_all(text.as_bytes()).map_err(output)
}

/// The seconds left of every etcd lease in the snapshot.
async fn ttls(
    registry: &Registry,
    snapshot: &Snapshot,
) -> Result<BTreeMap<i64, Option<i64>>, Failure> {
    let ids: Vec<_> = snapshot
        .records
        .values()
        .map(|record| record.origin().lease_id)
        .filter(|id| *id != 0)
        .collect();
    registry.ttls(&ids).await.map_err(etcd_failure)
}

/// The config, or why some states cannot be told.
fn network(config: Option<&ConfigValue>, registry: &Registry) -> Result<NetworkConfig, String> {
    let key = registry.config_key();
    let why = match config.map(|config| NetworkConfig::parse(&config.bytes)) {
        Some(Ok(config)) => return Ok(config),
        Some(Err(error)) => format!("the network config at {key} is not valid: {error}"),
        None => format!("there is no network config at {key}"),
    };
    Err(format!("{why}; the states that need it are left out"))
}

/// Judged without this host's own networks: the agent there knows better what is its own.
fn judge(snapshot: &Snapshot, config: Option<&NetworkConfig>) -> Vec<Judged> {
    config.map_or_else(Vec::new, |config| {
        standing::judge(snapshot, config, &HostNets::default(), None)
    })
}

/// This host's addresses; not knowing them only costs the mark in the table.
fn own_addresses() -> Vec<Ipv4Addr> {
    let addresses = local::addresses().unwrap_or_default();
    addresses.into_iter().map(|(address, _)| address).collect()
}

fn summary(list: &LeaseList, config: Option<&NetworkConfig>, registry: &Registry) -> String {
    let pool = config.and_then(|config| config.ipv4.as_ref());
    let used = match pool {
        Some(pool) => {
            let used = list.leases.iter().filter_map(|row| row.subnet);
            let used = used.filter(|subnet| pool.admits(*subnet)).count();
            let size = 1_u64 << (32 - u64::from(pool.subnet_len));
            let span = u64::from(u32::from(pool.max)).checked_sub(u32::from(pool.min).into());
            let total = span.map_or(0, |span| span / size + 1);
            format!("{used} of {total} subnets used")
        }
        None => format!("{} records", list.leases.len()),
    };
    format!(
        "{used}, {} reserved, {} with problems; etcd revision {}, {}",
        list.reservations(),
        list.problems(),
        list.revision,
        registry.config_key().trim_end_matches("/config"),
    )
}

/// A lookup without an answer, and why.
fn nobody(text: &str, question: Question, config: Option<&NetworkConfig>) -> Failure {
    use std::net::IpAddr;
    let failure = Failure::new(Code::Problems, format!("no lease has {text}"));
    let pool = config.and_then(|config| config.ipv4.as_ref());
    match (question, pool) {
        (Question::Address(IpAddr::V4(ip)), Some(pool)) if !pool.network.contains(&ip) => failure
            .with_remedy(format!(
                "it lies outside the network {}, and no host has it as its public IP",
                pool.network
            )),
        (Question::Address(IpAddr::V4(_)), Some(pool)) => failure.with_remedy(format!(
            "it lies in the network {}: its subnet is free, or its host's lease has expired",
            pool.network
        )),
        _ => failure,
    }
}
