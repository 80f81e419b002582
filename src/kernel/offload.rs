//! What a device leaves to its hardware: segmentation and checksums. A veth has no hardware and hands giant packets
//! over; without its offloads it carries what a cable would, and merges what comes (GRO) as a network card's driver does.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

/// `SIOCETHTOOL` of linux/sockios.h.
const SIOCETHTOOL: u16 = 0x8946;
/// Commands of linux/ethtool.h and what each sets. Off: `ETHTOOL_SGSO`, `ETHTOOL_STSO`, `ETHTOOL_STXCSUM`, which are
/// generic segmentation, TCP's, checksums (without which no other segmentation is left). On: `ETHTOOL_SGRO`, merging.
const SWITCHES: [(u32, u32); 4] = [(0x24, 0), (0x1f, 0), (0x17, 0), (0x2c, 1)];

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Makes a device in the calling thread's namespace the end of a wire: packets of at most its MTU leave it, with their
/// checksums, and those that come are merged.
///
/// # Errors
/// No such device, no CAP_NET_ADMIN.
pub fn make_wire(device: &str) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    for (command, data) in SWITCHES {
        let mut value = Value { command, data };
        // SAFETY: an ifreq is plain data, for which all zeros is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero.
        let room = request.ifr_name.len() - 1;
        if device.len() > room {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        // SAFETY: `request` names the device and points to `value`; both live through the call, in the layout that
        // the kernel expects of SIOCETHTOOL with these commands.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL.into(), &raw mut request) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
