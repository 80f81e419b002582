//! The TUN device of the udp backend: opened here, given its address, MTU and routes by the netlink
//! reconciler. The device lives as long as its descriptor.
#![allow(unsafe_code)]

mod queue;

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use tun::AbstractDevice;

pub use queue::{TunQueue, WriteMemory};

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

/// How a device is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunWish {
    /// With all offloads that this kernel has, or with none.
    pub offload: bool,
    /// Number of queues, each for a thread of its own; 0 counts as 1.
    pub queues: usize,
}

/// An open TUN device: layer 3, no packet information, not persistent, never blocking.
pub struct Tun {
    queues: Vec<TunQueue>,
    name: String,
    offload: TunOffload,
}

impl Tun {
    /// Opens the first free `flannelN`.
    ///
    /// # Errors
    /// `TunError` says what is missing.
    pub fn open(wish: TunWish) -> Result<Self, TunError> {
        Self::open_named(NAME_PATTERN, wish)
    }

    /// Opens a device by name; one `%d` in it stands for the first free number.
    ///
    /// # Errors
    /// `TunError` says what is missing.
    pub fn open_named(name: &str, wish: TunWish) -> Result<Self, TunError> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains(['/', '\0']) {
            return Err(TunError::BadName(name.to_owned()));
        }
        let (devices, name) = if wish.queues > 1 {
            open_queues(name, wish)?
        } else {
            let device = create(name, wish.offload)?;
            let name = device.tun_name().map_err(|error| classify(name, error))?;
            (vec![device], name)
        };
        let mut offload = TunOffload::default();
        for device in &devices {
            if wish.offload {
                offload = all_offloads(device.as_raw_fd());
            } else {
                // The mask belongs to the device, which may be an older persistent one: without a
                // header before each packet, none may come half made.
                set_offload(device.as_raw_fd(), 0).map_err(|source| open_error(&name, source))?;
            }
        }
        let queues = devices
            .into_iter()
            .map(|device| TunQueue::new(device, offload.header))
            .collect::<io::Result<_>>()
            .map_err(|source| open_error(&name, source))?;
        Ok(Self {
            queues,
            name,
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

    /// Its queues, at least one. The kernel keeps a flow on one of them.
    pub fn queues(&self) -> &[TunQueue] {
        &self.queues
    }
}

/// Opens a device with one queue.
fn create(name: &str, offload: bool) -> Result<tun::Device, TunError> {
    let mut config = tun::Configuration::default();
    config.tun_name(name);
    // Addresses, MTU and state are the reconciler's: the crate configures nothing.
    config.platform_config(|platform| {
        platform.ensure_root_privileges(false);
        platform.vnet_hdr(offload);
    });
    tun::create(&config).map_err(|error| classify(name, error))
}

/// Opens a device with several queues, which the crate cannot, and hands each to the crate.
fn open_queues(pattern: &str, wish: TunWish) -> Result<(Vec<tun::Device>, String), TunError> {
    let mut flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE;
    if wish.offload {
        flags |= libc::IFF_VNET_HDR;
    }
    let mut name = pattern.to_owned();
    let mut devices = Vec::with_capacity(wish.queues);
    for _ in 0..wish.queues {
        let file = File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .map_err(|source| open_error(&name, source))?;
        // The first open puts the number into the name; the others join under it.
        name = attach(&file, &name, flags).map_err(|source| open_error(&name, source))?;
        let mut config = tun::Configuration::default();
        config
            .raw_fd(file.into_raw_fd())
            .close_fd_on_drop(true)
            .tun_name(&name);
        devices.push(tun::create(&config).map_err(|error| classify(&name, error))?);
    }
    Ok((devices, name))
}

fn attach(file: &File, name: &str, flags: libc::c_int) -> io::Result<String> {
    // SAFETY: ifreq is plain C data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The last byte stays zero: names are at most `MAX_NAME` long.
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(MAX_NAME)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives until the call ends.
    unsafe { tunsetiff(file.as_raw_fd(), &raw mut request) }?;
    let given = request.ifr_name.iter().take_while(|&&byte| byte != 0);
    Ok(given.map(|&byte| char::from(byte as u8)).collect())
}

/// True when a read or write failed because the device was deleted under the descriptor.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        // The last is for who waits in a read meanwhile.
        Some(libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::EFAULT)
    )
}

nix::ioctl_write_int!(
    /// Which half-made packets the device may hand over (`TUN_F_*`).
    tunsetoffload,
    b'T',
    208
);

nix::ioctl_readwrite_bad!(
    /// Makes or joins the device that the request names.
    tunsetiff,
    nix::request_code_write!(b'T', 202, mem::size_of::<libc::c_int>()),
    libc::ifreq
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
