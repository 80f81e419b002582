//! A quick look at this host's IPv4 addresses and routes, for commands that only want to warn. Needs no
//! privilege and no netlink; the agent's full view is made elsewhere.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// One route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRoute {
    /// Where it leads; a prefix length of 0 is the default route.
    pub destination: Ipv4Net,
    /// The next hop, if it is not on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Name of the device.
    pub device: String,
}

/// The IPv4 addresses of this host with their devices, loopback's included.
///
/// # Errors
/// The kernel refuses to list them.
pub fn addresses() -> io::Result<Vec<(Ipv4Addr, String)>> {
    let entries = nix::ifaddrs::getifaddrs()?;
    Ok(entries
        .filter_map(|entry| {
            let address = entry.address?.as_sockaddr_in()?.ip();
            Some((address, entry.interface_name))
        })
        .collect())
}

/// The routes of the main table.
///
/// # Errors
/// `/proc` is not mounted or not readable.
pub fn routes() -> io::Result<Vec<LocalRoute>> {
    Ok(parse(&std::fs::read_to_string("/proc/self/net/route")?))
}

/// Reads `/proc/net/route`: addresses are hexadecimal in the host's byte order.
fn parse(text: &str) -> Vec<LocalRoute> {
    const GATEWAY: u32 = 0x2;
    let address = |hex: &str| {
        let number = u32::from_str_radix(hex, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    let route = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [device, destination, gateway, flags, _, _, _, mask, ..] = words[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        Some(LocalRoute {
            destination: Ipv4Net::with_netmask(address(destination)?, address(mask)?).ok()?,
            gateway: match flags & GATEWAY {
                0 => None,
                _ => Some(address(gateway)?),
            },
            device: device.to_owned(),
        })
    };
    text.lines().skip(1).filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_kernels_table() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    flannel.1\t0002050A\t0002050A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                    *\tjunk\n";
        let shown: Vec<_> = parse(text)
            .iter()
            .map(|r| format!("{} {:?} {}", r.destination, r.gateway, r.device))
            .collect();
        assert_eq!(
            shown,
            [
                "0.0.0.0/0 Some(192.0.2.1) eth0",
                "10.5.2.0/24 Some(10.5.2.0) flannel.1",
                "192.0.2.0/24 None eth0"
            ]
        );
    }
}
