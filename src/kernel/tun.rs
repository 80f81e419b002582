//! The TUN device of the udp backend: opened here, given its address, MTU and routes by the netlink
//! reconciler. The device lives as long as its descriptor.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use tun::AbstractDevice;

use crate::packet::Span;
use crate::packet::vnet::Vnet;

/// Longest device name, without the closing zero byte.
const MAX_NAME: usize = libc::IFNAMSIZ - 1;

/// Pattern of flannel's device: the kernel puts in the first free number.
pub const NAME_PATTERN: &str = "flannel%d";

/// Why there is no TUN device.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    /// The device node or the driver is missing.
    #[error(
        "no /dev/net/tun: the tun module is not loaded, or the container was not given the device"
    )]
    NoDriver(#[source] io::Error),
    /// The process may not make a device.
    #[error(
        "not allowed to open a TUN device: CAP_NET_ADMIN and access to /dev/net/tun are needed"
    )]
    NotAllowed(#[source] io::Error),
    /// Another process holds the device of this name, or it is no TUN device.
    #[error("the name {name} is taken by another device")]
    NameTaken {
        /// The wanted name.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No device can have this name.
    #[error("{0:?} is no name for a device")]
    BadName(String),
    /// Anything else.
    #[error("cannot open the TUN device {name}")]
    Open {
        /// The wanted name.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// What a device hands over and takes half made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TunOffload {
    /// Each packet has a `virtio_net_hdr` before it; checksums may be unfinished.
    pub header: bool,
    /// TCP over IPv4 comes whole, up to 64 KiB.
    pub tso: bool,
    /// UDP comes and goes whole (Linux 6.2).
    pub uso: bool,
}

/// An open TUN device: layer 3, no packet information, not persistent, never blocking.
pub struct Tun {
    device: tun::Device,
    name: String,
    offload: TunOffload,
}

impl Tun {
    /// Opens the first free `flannelN`, with all offloads that this kernel has or with none.
    ///
    /// # Errors
    /// `TunError` says what is missing.
    pub fn open(offload: bool) -> Result<Self, TunError> {
        Self::open_named(NAME_PATTERN, offload)
    }

    /// Opens a device by name; one `%d` in it stands for the first free number.
    ///
    /// # Errors
    /// `TunError` says what is missing.
    pub fn open_named(name: &str, offload: bool) -> Result<Self, TunError> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains(['/', '\0']) {
            return Err(TunError::BadName(name.to_owned()));
        }
        let mut config = tun::Configuration::default();
        config.tun_name(name);
        // Addresses, MTU and state are the reconciler's: the crate configures nothing.
        config.platform_config(|platform| {
            platform.ensure_root_privileges(false);
            platform.vnet_hdr(offload);
        });
        let device = tun::create(&config).map_err(|error| classify(name, error))?;
        let opened = device.tun_name().map_err(|error| classify(name, error))?;
        let offload = if offload {
            all_offloads(device.as_raw_fd())
        } else {
            // The mask belongs to the device, which may be an older persistent one: without a
            // header before each packet, none may come half made.
            set_offload(device.as_raw_fd(), 0).map_err(|source| open_error(name, source))?;
            TunOffload::default()
        };
        device
            .set_nonblock()
            .map_err(|source| open_error(name, source))?;
        Ok(Self {
            device,
            name: opened,
            offload,
        })
    }

    /// What it hands over and takes half made.
    pub fn offload(&self) -> TunOffload {
        self.offload
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one packet; a longer one is cut to the buffer and its full length is not told, so
    /// the buffer should hold the largest. `WouldBlock` when there is none.
    ///
    /// # Errors
    /// The kernel's; see `is_gone`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        nix::unistd::read(self, buffer).map_err(io::Error::from)
    }

    /// Writes one packet made of `parts` of `buffer`, behind its offload header if the device has them.
    ///
    /// # Errors
    /// The kernel's; see `is_gone`. `InvalidInput` for a part beyond the buffer.
    pub fn write(
        &self,
        memory: &mut WriteMemory,
        vnet: &Vnet,
        buffer: &[u8],
        parts: &[Span],
    ) -> io::Result<usize> {
        let header = vnet.bytes();
        memory.parts.clear();
        if self.offload.header {
            memory.parts.push(iovec(&header));
        }
        for part in parts {
            memory
                .parts
                .push(iovec(part.of(buffer).ok_or(io::ErrorKind::InvalidInput)?));
        }
        // The crate's own vectored write sends the first part only.
        // SAFETY: the parts point to `header` and into `buffer`, both borrowed until the call ends; the kernel only
        // reads them.
        let written = unsafe {
            libc::writev(
                self.device.as_raw_fd(),
                memory.parts.as_ptr(),
                memory.parts.len() as libc::c_int,
            )
        };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }
}

/// Memory for `Tun::write`, kept between calls.
#[derive(Default)]
pub struct WriteMemory {
    parts: Vec<libc::iovec>,
}

fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the device's and stays open while `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.device.as_raw_fd()) }
    }
}

/// True when a read or write failed because the device was deleted under the descriptor.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADFD | libc::ENODEV | libc::ENXIO)
    )
}

nix::ioctl_write_int!(
    /// Which half-made packets the device may hand over (`TUN_F_*`).
    tunsetoffload,
    b'T',
    208
);

fn set_offload(fd: RawFd, mask: u32) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes a plain number and writes no memory of ours.
    unsafe { tunsetoffload(fd, u64::from(mask)) }?;
    Ok(())
}

/// Turns on what the kernel has, from most to least.
fn all_offloads(fd: RawFd) -> TunOffload {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO_ECN;
    // The kernel takes both kinds of USO or none.
    let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    let with = |tso, uso| TunOffload {
        header: true,
        tso,
        uso,
    };
    for (mask, offload) in [(tcp | udp, with(true, true)), (tcp, with(true, false))] {
        if set_offload(fd, mask).is_ok() {
            return offload;
        }
    }
    // A device that refuses even this hands over complete packets behind empty headers.
    drop(set_offload(fd, 0));
    with(false, false)
}

fn classify(name: &str, error: tun::Error) -> TunError {
    match error {
        tun::Error::Io(source) => open_error(name, source),
        tun::Error::NameTooLong | tun::Error::InvalidName | tun::Error::Nul(_) => {
            TunError::BadName(name.to_owned())
        }
        other => open_error(name, io::Error::other(other)),
    }
}

fn open_error(name: &str, source: io::Error) -> TunError {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TunError::NoDriver(source),
        Some(libc::EPERM | libc::EACCES) => TunError::NotAllowed(source),
        Some(libc::EBUSY | libc::EINVAL | libc::EEXIST) => TunError::NameTaken {
            name: name.to_owned(),
            source,
        },
        _ => TunError::Open {
            name: name.to_owned(),
            source,
        },
    }
}
