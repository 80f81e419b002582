//! Short ways to a registry and to flannel's texts, for tests.

#![allow(dead_code, clippy::unwrap_used)]

use std::time::Duration;

use flannelctl::registry::{EtcdOptions, Registry};

/// Options with these endpoints and flannel's defaults.
pub fn options(endpoints: &[&str]) -> EtcdOptions {
    EtcdOptions {
        endpoints: endpoints.iter().map(|&url| url.to_owned()).collect(),
        prefix: "/coreos.com/network".to_owned(),
        cafile: None,
        certfile: None,
        keyfile: None,
        username: None,
        password: None,
        timeout: Duration::from_secs(5),
    }
}

/// A registry with these endpoints and flannel's defaults.
pub fn registry(endpoints: &[&str]) -> Registry {
    Registry::new(options(endpoints)).unwrap()
}

/// A lease's value as a host-gw node writes it.
pub fn lease(public_ip: &str) -> String {
    format!(r#"{{"PublicIP":"{public_ip}","PublicIPv6":null,"BackendType":"host-gw"}}"#)
}
