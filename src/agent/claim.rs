//! Taking the node's subnet in etcd at the start of a life: the first time by flannel's rules, after a change
//! of the underlay the very subnet that Docker's containers already live in.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::keep::{LEASE_TTL, is_passing};
use super::runtime::RuntimeFolder;
use super::start::Chosen;
use crate::exit::Failure;
use crate::registry::{AcquireError, Error as EtcdError, Held, Registry, Renewal};
use crate::subnet::{LeaseAttrs, Record, SubnetKey};

/// Pause between tries while etcd is away.
const PAUSE: Duration = Duration::from_secs(1);
/// What to do when the subnet is another one.
pub const NEW_SUBNET: &str =
    "restart the agent, and Docker after it: subnet.env will name the new subnet";

/// What a life leaves to the next one of the same agent.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The config: a changed one takes effect when the agent is restarted, not before.
    pub chosen: Chosen,
    /// Name of the own record.
    pub name: String,
    /// Its subnet, which Docker uses.
    pub key: SubnetKey,
    /// The public IP that it was published with.
    pub public_ip: Ipv4Addr,
}

/// Takes a subnet, or with the memory of a life before that life's subnet; waits where etcd is only away.
///
/// # Errors
/// No subnet is to be had, or only another one than Docker uses.
pub async fn claim(
    registry: &Registry,
    chosen: &Chosen,
    attrs: &LeaseAttrs,
    folder: &RuntimeFolder,
    before: Option<&Memory>,
) -> Result<Held, Failure> {
    let mut told = false;
    let held = loop {
        match attempt(registry, chosen, attrs, folder, before).await {
            Ok(held) => break held,
            Err(error) if is_passing(&error) => {
                if !told {
                    tracing::warn!("no lease yet, trying on: {error}");
                    told = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(refused(&error)),
        }
    };
    if let Some(before) = before.filter(|before| before.key != held.key) {
        return Err(Failure::could_not_run(format!(
            "the underlay changed and the subnet {} could not be kept: this node has {} from its next start on",
            before.key, held.key
        ))
        .with_remedy(NEW_SUBNET));
    }
    let kind = match held.origin.lease_id {
        0 => "reservation",
        _ => "lease",
    };
    tracing::info!("{kind} of {} for {}", held.key, attrs.public_ip);
    Ok(held)
}

async fn attempt(
    registry: &Registry,
    chosen: &Chosen,
    attrs: &LeaseAttrs,
    folder: &RuntimeFolder,
    before: Option<&Memory>,
) -> Result<Held, AcquireError> {
    if let Some(before) = before.filter(|before| before.public_ip != attrs.public_ip)
        && let Some(held) = rename(registry, attrs, before).await?
    {
        return Ok(held);
    }
    let previous = folder.previous_subnets();
    registry
        .acquire(&chosen.config, attrs, &previous, LEASE_TTL)
        .await
}

/// Publishes the new public IP in the record of the life before, which acquiring (by public IP) would not
/// find. A reservation pins its subnet to the old address by an administrator's word and is not touched.
async fn rename(
    registry: &Registry,
    attrs: &LeaseAttrs,
    before: &Memory,
) -> Result<Option<Held>, EtcdError> {
    let snapshot = registry.snapshot().await?;
    let Some(Record::Lease(lease)) = snapshot.records.get(&before.name) else {
        return Ok(None);
    };
    if lease.attrs.public_ip != before.public_ip || lease.origin.lease_id == 0 {
        return Ok(None);
    }
    let found = Held {
        name: lease.name.clone(),
        key: lease.key.clone(),
        origin: lease.origin,
        ttl: None,
    };
    match registry.renew(&found, attrs, LEASE_TTL).await? {
        Renewal::Renewed(held) => Ok(Some(held)),
        Renewal::Lost { .. } => Ok(None),
    }
}

fn refused(error: &AcquireError) -> Failure {
    let failure = Failure::could_not_run(format!("cannot take a subnet: {error}"));
    match error {
        AcquireError::Registry(_) => failure,
        AcquireError::Allocate(_) | AcquireError::Contended { .. } => failure.with_remedy(
            "`flannelctl leases` shows who holds them; `flannelctl init` sets a larger network or longer prefix",
        ),
    }
}
