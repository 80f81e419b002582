//! Which interface and address carry the traffic between hosts (flannel-compat 7.2). Pure: the caller brings
//! the host's interfaces and, for `--iface-can-reach`, the kernel's answer.

use std::net::Ipv4Addr;

use regex::Regex;

use super::goal::External;

/// What the user said about the underlay interface.
#[derive(Debug, Clone, Default)]
pub struct InterfaceWish {
    /// Names or addresses, tried in order.
    pub names: Vec<String>,
    /// Regular expressions, tried in order after the names.
    pub patterns: Vec<Regex>,
    /// Use the interface that reaches this address; tried last.
    pub can_reach: Option<Ipv4Addr>,
    /// Address that peers use; may be one that this host does not have (NAT).
    pub public_ip: Option<Ipv4Addr>,
}

/// One interface of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Kernel index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Bytes.
    pub mtu: u32,
    /// Its IPv4 addresses in kernel order.
    pub addresses: Vec<InterfaceAddress>,
}

/// One IPv4 address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Past its preferred lifetime.
    pub deprecated: bool,
    /// Not given by DHCP or another protocol with a lifetime.
    pub permanent: bool,
}

/// The host as far as the choice needs it.
#[derive(Debug, Clone, Default)]
pub struct HostInterfaces {
    /// In index order.
    pub interfaces: Vec<Interface>,
    /// Index of the interface of the best default route with a single next hop.
    pub default_route: Option<u32>,
    /// The kernel's answer for `can_reach`: interface index and source address.
    pub reaches: Option<(u32, Ipv4Addr)>,
}

/// The choice: the interface, and the address under which peers know this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underlay {
    /// Interface and its address.
    pub external: External,
    /// Published in the lease.
    pub public_ip: Ipv4Addr,
}

/// Why no interface fits; lists each candidate with its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no interface for the traffic between hosts:{}", list(.tried))]
pub struct NoInterface {
    /// In the order tried.
    pub tried: Vec<(Candidate, Reason)>,
}

/// What was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// `--iface`.
    Iface(String),
    /// `--iface-regex`.
    Pattern(String),
    /// `--iface-can-reach`.
    CanReach(Ipv4Addr),
    /// The interface that has `--public-ip`.
    PublicIp(Ipv4Addr),
    /// The interface of the default route.
    DefaultRoute,
}

/// Why a candidate was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No interface of that name.
    NoSuchName,
    /// No interface with that address.
    NoSuchAddress,
    /// No address and no name matches.
    NoMatch,
    /// The kernel knows no route there.
    NoRoute,
    /// The interface has no usable IPv4 address.
    NoAddress,
    /// The interface says MTU 0.
    NoMtu,
}

impl InterfaceWish {
    /// Chooses. A candidate wins only when it has an address to use.
    ///
    /// # Errors
    /// `NoInterface` tells what was tried and why it did not do.
    pub fn choose(&self, host: &HostInterfaces) -> Result<Underlay, NoInterface> {
        let mut tried = Vec::new();
        for candidate in self.candidates(host) {
            match self.look_up(&candidate, host) {
                Ok(external) => {
                    let public_ip = self.public_ip.unwrap_or(external.address);
                    return Ok(Underlay {
                        external,
                        public_ip,
                    });
                }
                Err(reason) => tried.push((candidate, reason)),
            }
        }
        Err(NoInterface { tried })
    }

    fn candidates(&self, host: &HostInterfaces) -> Vec<Candidate> {
        let mut candidates: Vec<_> = self.names.iter().cloned().map(Candidate::Iface).collect();
        candidates.extend(
            self.patterns
                .iter()
                .map(|p| Candidate::Pattern(p.as_str().to_owned())),
        );
        candidates.extend(self.can_reach.map(Candidate::CanReach));
        if candidates.is_empty() {
            // Unlike flanneld, a public IP that is not local (NAT) leaves the default route to be used.
            let local = self.public_ip.filter(|ip| host.holder(*ip).is_some());
            candidates.push(local.map_or(Candidate::DefaultRoute, Candidate::PublicIp));
        }
        candidates
    }

    fn look_up(&self, candidate: &Candidate, host: &HostInterfaces) -> Result<External, Reason> {
        match candidate {
            Candidate::Iface(text) => match text.parse() {
                Ok(ip) => with_address(host.holder(ip).ok_or(Reason::NoSuchAddress)?, ip),
                Err(_) => with_best_address(host.named(text).ok_or(Reason::NoSuchName)?),
            },
            Candidate::PublicIp(ip) => {
                with_address(host.holder(*ip).ok_or(Reason::NoSuchAddress)?, *ip)
            }
            Candidate::Pattern(text) => {
                let pattern = self
                    .patterns
                    .iter()
                    .find(|p| p.as_str() == text)
                    .ok_or(Reason::NoMatch)?;
                for interface in &host.interfaces {
                    let matching = interface
                        .usable()
                        .into_iter()
                        .find(|ip| pattern.is_match(&ip.to_string()));
                    if let Some(ip) = matching {
                        return with_address(interface, ip);
                    }
                }
                let named = host.interfaces.iter().find(|i| pattern.is_match(&i.name));
                with_best_address(named.ok_or(Reason::NoMatch)?)
            }
            Candidate::CanReach(_) => {
                let (index, source) = host.reaches.ok_or(Reason::NoRoute)?;
                with_address(host.indexed(index).ok_or(Reason::NoRoute)?, source)
            }
            Candidate::DefaultRoute => {
                let index = host.default_route.ok_or(Reason::NoRoute)?;
                with_best_address(host.indexed(index).ok_or(Reason::NoRoute)?)
            }
        }
    }
}

impl HostInterfaces {
    /// The interface that has `address`.
    pub fn holder(&self, address: Ipv4Addr) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|i| i.addresses.iter().any(|a| a.address == address))
    }

    fn named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.name == name)
    }

    fn indexed(&self, index: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.index == index)
    }
}

impl Interface {
    /// Usable addresses, best first: global before link-local, permanent before dynamic, else kernel order.
    fn usable(&self) -> Vec<Ipv4Addr> {
        let usable = |a: &&InterfaceAddress| {
            let ip = a.address;
            !(a.deprecated
                || ip.is_loopback()
                || ip.is_multicast()
                || ip.is_unspecified()
                || ip.is_broadcast())
        };
        let mut addresses: Vec<_> = self.addresses.iter().filter(usable).collect();
        addresses.sort_by_key(|a| (a.address.is_link_local(), !a.permanent));
        addresses.into_iter().map(|a| a.address).collect()
    }
}

fn with_best_address(interface: &Interface) -> Result<External, Reason> {
    let address = *interface.usable().first().ok_or(Reason::NoAddress)?;
    with_address(interface, address)
}

fn with_address(interface: &Interface, address: Ipv4Addr) -> Result<External, Reason> {
    if interface.mtu == 0 {
        return Err(Reason::NoMtu);
    }
    Ok(External {
        index: interface.index,
        name: interface.name.clone(),
        mtu: interface.mtu,
        address,
    })
}

fn list(tried: &[(Candidate, Reason)]) -> String {
    tried
        .iter()
        .fold(String::new(), |mut text, (candidate, reason)| {
            let candidate = match candidate {
                Candidate::Iface(name) => format!("--iface {name:?}"),
                Candidate::Pattern(pattern) => format!("--iface-regex {pattern:?}"),
                Candidate::CanReach(ip) => format!("--iface-can-reach {ip}"),
                Candidate::PublicIp(ip) => format!("--public-ip {ip}"),
                Candidate::DefaultRoute => "the default route's interface".to_owned(),
            };
            let reason = match reason {
                Reason::NoSuchName => "no interface of that name",
                Reason::NoSuchAddress => "no interface has that address",
                Reason::NoMatch => "no address and no name matches",
                Reason::NoRoute => "the kernel has no such route",
                Reason::NoAddress => "the interface has no usable IPv4 address",
                Reason::NoMtu => "the interface has MTU 0",
            };
            text.push_str(&format!(" {candidate}: {reason};"));
            text
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(text: &str) -> InterfaceAddress {
        let (text, flags) = text.split_once(' ').unwrap_or((text, ""));
        InterfaceAddress {
            address: text.parse().unwrap(),
            deprecated: flags.contains("deprecated"),
            permanent: !flags.contains("dynamic"),
        }
    }

    fn host() -> HostInterfaces {
        let interface = |index, name: &str, mtu, addresses: &[&str]| Interface {
            index,
            name: name.into(),
            mtu,
            addresses: addresses.iter().map(|a| address(a)).collect(),
        };
        HostInterfaces {
            interfaces: vec![
                interface(1, "lo", 65536, &["127.0.0.1", "192.0.2.99"]),
                interface(
                    2,
                    "eth0",
                    1500,
                    &[
                        "169.254.1.1",
                        "192.0.2.9 deprecated",
                        "192.0.2.11 dynamic",
                        "192.0.2.10",
                    ],
                ),
                interface(3, "eth1", 9000, &["198.51.100.7"]),
                interface(4, "down0", 1500, &[]),
                interface(5, "zero0", 0, &["203.0.113.1"]),
            ],
            default_route: Some(2),
            reaches: Some((3, "198.51.100.7".parse().unwrap())),
        }
    }

    #[test]
    fn rows_of_the_compat_table() {
        let wish = |text: &str| {
            let mut wish = InterfaceWish::default();
            for word in text.split_whitespace() {
                let (kind, value) = word.split_once('=').unwrap();
                match kind {
                    "iface" => wish.names.push(value.into()),
                    "regex" => wish.patterns.push(Regex::new(value).unwrap()),
                    "reach" => wish.can_reach = value.parse().ok(),
                    _ => wish.public_ip = value.parse().ok(),
                }
            }
            wish
        };
        let table = [
            ("", "eth0 192.0.2.10 192.0.2.10"),
            ("public=198.51.100.7", "eth1 198.51.100.7 198.51.100.7"),
            ("public=203.0.113.50", "eth0 192.0.2.10 203.0.113.50"),
            ("iface=eth1", "eth1 198.51.100.7 198.51.100.7"),
            (
                "iface=eth1 public=203.0.113.50",
                "eth1 198.51.100.7 203.0.113.50",
            ),
            ("iface=192.0.2.9", "eth0 192.0.2.9 192.0.2.9"),
            ("iface=192.0.2.99", "lo 192.0.2.99 192.0.2.99"),
            (
                "iface=nope iface=down0 iface=eth1",
                "eth1 198.51.100.7 198.51.100.7",
            ),
            ("regex=^198\\.", "eth1 198.51.100.7 198.51.100.7"),
            ("regex=eth.*", "eth0 192.0.2.10 192.0.2.10"),
            (
                "regex=nope reach=198.51.100.1",
                "eth1 198.51.100.7 198.51.100.7",
            ),
        ];
        for (input, expected) in table {
            let got = wish(input).choose(&host()).unwrap();
            let got = format!(
                "{} {} {}",
                got.external.name, got.external.address, got.public_ip
            );
            assert_eq!(got, expected, "{input}");
        }
        let error = wish("iface=nope iface=down0 iface=zero0 regex=x iface=10.9.9.9")
            .choose(&host())
            .unwrap_err();
        let reasons: Vec<_> = error.tried.iter().map(|(_, reason)| *reason).collect();
        use Reason::*;
        assert_eq!(
            reasons,
            [NoSuchName, NoAddress, NoMtu, NoSuchAddress, NoMatch]
        );
        assert!(
            error
                .to_string()
                .contains("--iface \"nope\": no interface of that name;"),
            "{error}"
        );
    }
}
