//! From nothing to a network that stands: config → interface → device → lease → everything else in the kernel →
//! firewall → `subnet.env`. Each step that can be wrong says what and what to do about it.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::guard::{self, FirewallStatus};
use super::notify;
use super::peers::Peering;
use super::pump::{UdpBackend, UdpSettings};
use super::reconcile::{ReconcileStatus, Reconciler};
use super::runtime::RuntimeFolder;
use crate::exit::Failure;
use crate::forward::UdpOptions;
use crate::kernel::interfaces;
use crate::kernel::udp::UdpSocket;
use crate::plan::firewall::FirewallGoal;
use crate::plan::goal::{Goal, Host, vxlan_device};
use crate::plan::interface::Underlay;
use crate::plan::state::Mac;
use crate::registry::{Error as EtcdError, Followed, Registry};
use crate::settings::AgentSettings;
use crate::subnet::envfile::SubnetEnv;
use crate::subnet::network::ConfigError;
use crate::subnet::{Backend, LeaseAttrs, NetworkConfig, Pool4, Record, Vtep};

/// flanneld looks for a valid config once a second.
const PAUSE: Duration = Duration::from_secs(1);

/// A valid network config as it was read.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Decoded; the IPv6 half is taken out, it has no data path yet.
    pub config: NetworkConfig,
    /// As it stands in etcd.
    pub bytes: Vec<u8>,
    /// The IPv4 range.
    pub pool: Pool4,
    /// The backend with its options.
    pub backend: Backend,
}

/// Why there is no config to work with.
#[derive(Debug, thiserror::Error)]
pub enum NoConfig {
    /// etcd did not serve.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// The key is absent.
    #[error("there is no network config at {key}; `flannelctl init` makes one")]
    Absent {
        /// The config's key.
        key: String,
    },
    /// It is there and not valid.
    #[error(
        "the network config at {key} is not valid: {source}; `flannelctl init` writes a valid one"
    )]
    Invalid {
        /// The config's key.
        key: String,
        /// Field and reason.
        source: ConfigError,
    },
    /// It asks for IPv6 alone.
    #[error("the network config at {key} turns IPv4 off, and flannelctl has no IPv6 data path yet")]
    NoIpv4 {
        /// The config's key.
        key: String,
    },
}

/// The node before it holds a lease.
pub struct Prepared {
    /// The goal with the device alone.
    pub goal: Goal,
    /// What the lease will say.
    pub attrs: LeaseAttrs,
    /// The open TUN, with the udp backend.
    pub udp: Option<UdpBackend>,
}

/// The config as it is now.
///
/// # Errors
/// `NoConfig`.
pub async fn config_now(registry: &Registry) -> Result<Chosen, NoConfig> {
    let key = || registry.config_key().to_owned();
    let value = registry
        .config()
        .await?
        .ok_or_else(|| NoConfig::Absent { key: key() })?;
    let invalid = |source| NoConfig::Invalid { key: key(), source };
    let mut config = NetworkConfig::parse(&value.bytes).map_err(invalid)?;
    let backend = config.backend().map_err(invalid)?;
    let pool = config
        .ipv4
        .clone()
        .ok_or_else(|| NoConfig::NoIpv4 { key: key() })?;
    if config.ipv6.take().is_some() {
        tracing::warn!(
            "the network config turns IPv6 on; flannelctl has no IPv6 data path yet, this node joins with IPv4 alone"
        );
    }
    Ok(Chosen {
        config,
        bytes: value.bytes,
        pool,
        backend,
    })
}

/// Waits for a config that is there and valid, as flanneld does, and says once what it waits for.
///
/// # Errors
/// etcd denies access: waiting would not help.
pub async fn config(registry: &Registry) -> Result<Chosen, Failure> {
    let mut told = String::new();
    let mut away = false;
    loop {
        let waiting = match config_now(registry).await {
            Ok(chosen) => return Ok(chosen),
            Err(NoConfig::Etcd(error @ EtcdError::Denied { .. })) => {
                return Err(Failure::could_not_run(error)
                    .with_remedy("check --etcd-username, --etcd-password-file and the role's rights on the prefix"));
            }
            // How long an endpoint was waited for differs from try to try; it is one and the same trouble.
            Err(NoConfig::Etcd(error @ EtcdError::Unreachable { .. })) if away => {
                tracing::debug!("waiting: {error}");
                told.clone()
            }
            Err(other) => {
                away = matches!(other, NoConfig::Etcd(EtcdError::Unreachable { .. }));
                other.to_string()
            }
        };
        if waiting != told {
            tracing::warn!("waiting: {waiting}");
            notify::status(&format!("waiting: {waiting}"));
            told = waiting;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Chooses the underlay interface.
///
/// # Errors
/// No interface fits; the message tells what was tried.
pub fn underlay(settings: &AgentSettings) -> Result<Underlay, Failure> {
    let wish = &settings.interface;
    let host = interfaces::read(wish.can_reach).map_err(Failure::could_not_run)?;
    wish.choose(&host).map_err(|error| {
        Failure::could_not_run(error)
            .with_remedy("name the interface with --iface (a name or an address)")
    })
}

/// Makes the device, so that the lease can publish its MAC, and everything that is wrong with the kernel is
/// known before etcd is written to.
///
/// # Errors
/// No permission, no vxlan in this kernel, no /dev/net/tun.
pub async fn prepare(
    registry: &Registry,
    chosen: &Chosen,
    underlay: &Underlay,
    settings: &AgentSettings,
    reconciler: &mut Reconciler,
) -> Result<Prepared, Failure> {
    let address = underlay.external.address;
    let udp = match chosen.backend {
        Backend::Udp { port } => {
            // Closed again at once: the data path binds it when the lease is held.
            drop(
                UdpSocket::bind(SocketAddrV4::new(address, port))
                    .map_err(Failure::could_not_run)?,
            );
            Some(UdpBackend::open(settings.udp).map_err(Failure::could_not_run)?)
        }
        Backend::HostGw if underlay.public_ip != address => {
            return Err(Failure::could_not_run(format!(
                "host-gw cannot use the public IP {}: peers route to this host's own address {address}",
                underlay.public_ip
            ))
            .with_remedy("leave --public-ip out, or use the backend vxlan across networks"));
        }
        _ => None,
    };
    let mut goal = Goal {
        host: Host {
            ext: underlay.external.clone(),
            public_ip: underlay.public_ip,
            mac: published_mac(registry, chosen, underlay).await,
            tun: udp.as_ref().map(|udp| udp.device().borrow().name.clone()),
        },
        backend: chosen.backend.clone(),
        own: None,
        network: chosen.pool.network,
        peers: Vec::new(),
        blackhole: settings.blackhole,
        former: None,
    };
    let status = tokio::task::block_in_place(|| reconciler.once(&Arc::new(goal.clone())));
    fail_on_own(&status)?;
    goal.host.mac = status.mac;
    let backend_data = match &chosen.backend {
        Backend::Vxlan(options) => {
            let mac = status
                .mac
                .ok_or_else(|| Failure::could_not_run("the vxlan device has no MAC address"))?;
            Some(
                Vtep {
                    vni: options.vni,
                    mac,
                }
                .to_json(),
            )
        }
        _ => None,
    };
    let attrs = LeaseAttrs {
        public_ip: underlay.public_ip,
        public_ipv6: None,
        backend_type: chosen.backend.lease_type().to_owned(),
        backend_data,
        backend_v6_data: None,
    };
    Ok(Prepared { goal, attrs, udp })
}

/// The MAC that a missing vxlan device is to get: the one that the own lease still publishes, so that a reboot
/// changes nothing for the peers. An existing device keeps its own.
async fn published_mac(
    registry: &Registry,
    chosen: &Chosen,
    underlay: &Underlay,
) -> Option<[u8; 6]> {
    let Backend::Vxlan(options) = &chosen.backend else {
        return None;
    };
    if interfaces::exists(&vxlan_device(options.vni)) {
        return None;
    }
    let snapshot = registry.snapshot().await.ok()?;
    snapshot.records.values().find_map(|record| match record {
        Record::Lease(lease) if lease.attrs.public_ip == underlay.public_ip => {
            // What stands in etcd is anybody's: a MAC that no device can have must not keep the agent down.
            let vtep = lease.attrs.vtep().filter(|vtep| Mac(vtep.mac).is_unicast());
            vtep.map(|vtep| vtep.mac)
        }
        _ => None,
    })
}

/// First full reconcile with all peers, firewall, `subnet.env`.
///
/// # Errors
/// The own side cannot be set up, or masquerading cannot be had.
pub async fn stand_up(
    settings: &AgentSettings,
    chosen: &Chosen,
    base: &Goal,
    peering: &mut Peering,
    followed: &mut watch::Receiver<Followed>,
    reconciler: &mut Reconciler,
    folder: &RuntimeFolder,
) -> Result<(Arc<Goal>, ReconcileStatus, FirewallStatus), Failure> {
    // The first snapshot; the follower tries until it has one.
    if followed.wait_for(Followed::is_known).await.is_err() {
        return Err(Failure::could_not_run("the follower of the leases ended"));
    }
    let snapshot = Arc::clone(&followed.borrow_and_update().snapshot);
    let host = reconciler
        .host_nets(base.own)
        .map_err(Failure::could_not_run)?;
    let goal = peering.goal(&snapshot, &host);
    let started = Instant::now();
    // Before subnet.env forgets the network that was before.
    let former = folder.former(chosen.pool.network, chosen.pool.subnet_len);
    if let Some(former) = former {
        tracing::info!(
            "this host was in the network {} before: what it held for it is removed",
            former.network
        );
    }
    let first = Arc::new(Goal {
        former,
        ..(*goal).clone()
    });
    let status = tokio::task::block_in_place(|| reconciler.once(&first));
    fail_on_own(&status)?;
    tracing::info!(
        peers = goal.peers.len(),
        failed = status.failures.len(),
        "kernel programmed in {} ms",
        started.elapsed().as_millis()
    );

    let firewall = match firewall_goal(settings, chosen, base) {
        Some(rules) => guard::install_once(&rules, chosen.config.nftables)
            .await
            .map_err(Failure::could_not_run)?,
        None => FirewallStatus::default(),
    };
    let env = SubnetEnv {
        v4: base.own.map(|own| (chosen.pool.network, own)),
        v6: None,
        mtu: goal.mtu(),
        ip_masq: settings.ip_masq,
    };
    folder.publish(&env).map_err(Failure::could_not_run)?;
    Ok((goal, status, firewall))
}

/// The rules that belong to a held lease.
pub fn firewall_goal(
    settings: &AgentSettings,
    chosen: &Chosen,
    base: &Goal,
) -> Option<FirewallGoal> {
    Some(FirewallGoal {
        network: chosen.pool.network,
        subnet: base.own?,
        ip_masq: settings.ip_masq,
        random_fully: settings.random_fully,
        forward: settings.forward_rules,
    })
}

/// Settings of the udp data path, once the lease is held.
pub fn udp_settings(base: &Goal, options: UdpOptions) -> Option<UdpSettings> {
    let Backend::Udp { port } = base.backend else {
        return None;
    };
    Some(UdpSettings {
        bind: SocketAddrV4::new(base.host.ext.address, port),
        tunnel_address: base.own?.addr(),
        accept: options.accept,
        busy_poll: options.busy_poll,
    })
}

/// A failure of the own side ends the start; a peer's does not.
fn fail_on_own(status: &ReconcileStatus) -> Result<(), Failure> {
    match status
        .failures
        .iter()
        .find(|failure| !failure.concerns_peer())
    {
        Some(failure) => Err(Failure::could_not_run(failure)),
        None => Ok(()),
    }
}

/// Where health is served.
pub fn health_address(settings: &AgentSettings) -> Option<SocketAddr> {
    settings.healthz.map(SocketAddr::from)
}
