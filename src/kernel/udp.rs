//! The UDP socket of the udp backend, and the raw socket for its ICMP errors.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Socket buffers of this many bytes hold a burst of 64 KiB packets while a thread is not scheduled.
const BUFFER: usize = 8 << 20;
/// A send that blocks longer is given up, so that a stalled device cannot hold up a stop.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// Another process has the port.
    #[error("UDP port {} is in use on {}: is another flannel daemon running?", .0.port(), .0.ip())]
    PortInUse(SocketAddrV4),
    /// The address is on no interface of this host.
    #[error("cannot listen on UDP {0}: the address is not on this host")]
    NotLocal(SocketAddrV4),
    /// Anything else.
    #[error("cannot open a UDP socket on {address}")]
    Open {
        /// Where it should have listened.
        address: SocketAddrV4,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// A UDP/IPv4 socket bound to one address. Sends block (bounded), receives are asked not to.
///
/// Path-MTU discovery stays as the kernel's default has it, which is flanneld's: DF is set until a
/// smaller path is known, then datagrams are cut to it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
}

impl UdpSocket {
    /// Binds to the interface's address and the network's port.
    ///
    /// # Errors
    /// `UdpError` names the address and what is in the way.
    pub fn bind(address: SocketAddrV4) -> Result<Self, UdpError> {
        Self::open(address, false)
    }

    /// Binds several that share the port, at least one. The kernel keeps a sender on one of them.
    ///
    /// # Errors
    /// As `bind`: sharing is only among these.
    pub fn bind_several(address: SocketAddrV4, count: usize) -> Result<Vec<Self>, UdpError> {
        // The first takes the port for itself, so that another daemon's is found in use; then it
        // lets the others in.
        let first = Self::open(address, false)?;
        let mut sockets = Vec::with_capacity(count);
        if count > 1 {
            let shared = first.socket.set_reuse_port(true);
            shared.map_err(|source| UdpError::Open { address, source })?;
        }
        sockets.push(first);
        for _ in 1..count {
            sockets.push(Self::open(address, true)?);
        }
        Ok(sockets)
    }

    fn open(address: SocketAddrV4, share: bool) -> Result<Self, UdpError> {
        let open = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            enlarge(&socket);
            socket.set_write_timeout(Some(SEND_TIMEOUT))?;
            socket.set_reuse_port(share)?;
            socket.bind(&address.into())?;
            Ok(socket)
        };
        match open() {
            Ok(socket) => Ok(Self { socket }),
            Err(source) => Err(match source.kind() {
                io::ErrorKind::AddrInUse => UdpError::PortInUse(address),
                io::ErrorKind::AddrNotAvailable => UdpError::NotLocal(address),
                _ => UdpError::Open { address, source },
            }),
        }
    }

    /// Asks that datagrams of one sender and one size be received together; false when the kernel
    /// cannot (before 5.0).
    pub fn receive_together(&self) -> bool {
        setsockopt(&self.socket, sockopt::UdpGroSegment, &true).is_ok()
    }

    /// True when the kernel cuts one send into several datagrams (since 4.18).
    pub fn can_segment(&self) -> bool {
        setsockopt(&self.socket, sockopt::UdpGsoSegment, &0).is_ok()
    }

    /// What the kernel knows of the path to `peer`: the largest IPv4 packet that passes.
    ///
    /// # Errors
    /// The kernel's: there is no route, no descriptor is left.
    pub fn path_mtu(peer: SocketAddrV4) -> io::Result<u16> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.connect(&peer.into())?;
        let mtu = getsockopt(&socket, sockopt::IpMtu)?;
        u16::try_from(mtu).or(Ok(u16::MAX))
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sets both buffers beyond the host's limits where the capability allows, else up to them. Small
/// buffers lose packets in bursts and are no reason not to start.
fn enlarge(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &BUFFER).is_err() {
        drop(socket.set_recv_buffer_size(BUFFER));
    }
    if setsockopt(socket, sockopt::SndBufForce, &BUFFER).is_err() {
        drop(socket.set_send_buffer_size(BUFFER));
    }
}

/// Sends complete IPv4 packets by the host's own routes.
#[derive(Debug)]
pub struct RawSender {
    socket: Socket,
}

impl RawSender {
    /// Opens it; receives nothing.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        // IPPROTO_RAW: the header is ours, and no incoming packet is queued.
        let socket = Socket::new(
            Domain::IPV4,
            Type::RAW,
            Some(Protocol::from(libc::IPPROTO_RAW)),
        )?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Sends one packet to the address that its header names.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(&self, packet: &[u8], to: Ipv4Addr) -> io::Result<usize> {
        self.socket
            .send_to(packet, &SocketAddrV4::new(to, 0).into())
    }
}
