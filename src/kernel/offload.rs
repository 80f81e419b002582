//! What a device leaves to its hardware: segmentation and checksums. A veth has no hardware and hands giant packets
//! over; without its offloads it carries what a cable would.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

/// `SIOCETHTOOL` of linux/sockios.h.
const SIOCETHTOOL: u16 = 0x8946;
/// `ETHTOOL_SGSO`, `ETHTOOL_STSO`, `ETHTOOL_STXCSUM` of linux/ethtool.h: generic segmentation, TCP's, checksums
/// (without which no other segmentation is left).
const SWITCHES: [u32; 3] = [0x24, 0x1f, 0x17];

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Switches the sending offloads of a device in the calling thread's namespace off, so that packets of at most its
/// MTU leave it, with their checksums.
///
/// # Errors
/// No such device, no CAP_NET_ADMIN.
pub fn switch_off(device: &str) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    for command in SWITCHES {
        let mut value = Value { command, data: 0 };
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
