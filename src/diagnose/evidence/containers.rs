//! What a node knows of its containers and of Docker.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// A container behind the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFact {
    /// Address.
    pub address: Ipv4Addr,
    /// Docker's name, or empty.
    pub name: String,
    /// Host's side of its veth.
    pub veth: Option<String>,
    /// MTU inside.
    pub mtu: Option<u32>,
    /// Its default route's gateway, if it could be read.
    pub gateway: Option<Ipv4Addr>,
    /// Its routes could be read (so that `gateway: None` means: there is none).
    pub routes_known: bool,
    /// Its network namespace, as `nsenter --net=` takes it.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Name of the interface inside.
    #[serde(default)]
    pub interface: String,
    /// The MAC that it takes for its gateway's, where it knows one.
    #[serde(default)]
    pub gateway_mac: Option<String>,
    /// The host's side of its veth is no port of the bridge.
    #[serde(default)]
    pub detached: bool,
    /// Docker's name of its network, or empty.
    #[serde(default)]
    pub network: String,
}

impl ContainerFact {
    /// Nothing is known of it but an address.
    pub fn at(address: Ipv4Addr) -> Self {
        Self {
            address,
            name: String::new(),
            veth: None,
            mtu: None,
            gateway: None,
            routes_known: false,
            namespace: None,
            interface: String::new(),
            gateway_mac: None,
            detached: false,
            network: String::new(),
        }
    }
}

/// What Docker says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerFact {
    /// Server version.
    pub version: String,
    /// Subnet of the default bridge network.
    pub subnet: Option<Ipv4Net>,
    /// Its bridge's MTU option.
    pub mtu: Option<u32>,
    /// Docker's masquerading is on for the default bridge.
    pub ip_masq: Option<bool>,
}
