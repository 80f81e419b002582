//! Datagrams to the encapsulation's port and to another, as evidence.

use std::net::Ipv4Addr;

use flannelctl::diagnose::probe::{IcmpError, Origin, Target};

use super::{B, World};

/// A port where nobody listens.
pub const OTHER_PORT: u16 = 63_000;

impl World {
    /// Datagrams to the encapsulation's port and to another, all of which arrive; the other one is answered by an error.
    pub fn with_ports(&mut self) -> &mut Self {
        let port = self.case.network.as_ref().unwrap().port;
        for port in [port, OTHER_PORT] {
            self.path(Origin::Host, Target::Port(port));
        }
        self.port_error(OTHER_PORT, B, 3)
    }

    /// An ICMP error about datagrams to a port.
    pub fn port_error(&mut self, port: u16, from: Ipv4Addr, code: u8) -> &mut Self {
        for result in &mut self.case.paths {
            if result.path.target == Target::Port(port) {
                result.errors = vec![IcmpError {
                    from,
                    kind: 3,
                    code,
                    mtu: 0,
                    outer: false,
                    count: 2,
                }];
            }
        }
        self
    }
}
