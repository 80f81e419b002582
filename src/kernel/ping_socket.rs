//! What echo requests leave by: one raw socket; or, for a user who may open none, a "ping socket" for each path,
//! where `net.ipv4.ping_group_range` lets that user's group.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use super::sockopt::received;
use crate::diagnose::Path;
use crate::packet::ipv4::ICMP;

/// Receive buffer wished for, bytes.
const BUFFER: usize = 1 << 20;
const IP_HEADER: usize = 20;

/// Open sockets.
pub(super) struct Pings {
    sockets: Vec<Socket>,
    raw: bool,
}

impl Pings {
    /// For these paths, in the calling thread's namespace.
    pub fn open(paths: &[Path]) -> io::Result<Self> {
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4));
        let (sockets, raw) = match raw {
            Ok(socket) => (vec![socket], true),
            Err(refused) if refused.kind() == io::ErrorKind::PermissionDenied => {
                let each = paths.iter().map(for_path).collect::<io::Result<_>>();
                // Where neither is allowed, it is root that is missing.
                (each.map_err(|_| refused)?, false)
            }
            Err(error) => return Err(error),
        };
        for socket in &sockets {
            socket.set_nonblocking(true)?;
            if socket.set_recv_buffer_size(BUFFER).is_err() {
                tracing::debug!("probes have to do with the default receive buffer");
            }
        }
        Ok(Self { sockets, raw })
    }

    /// All of them.
    pub fn all(&self) -> &[Socket] {
        &self.sockets
    }

    /// The one that a path's requests leave by.
    pub fn of(&self, path: usize) -> Option<&Socket> {
        self.sockets.get(if self.raw { 0 } else { path })
    }

    /// One packet from its IPv4 header on. A ping socket gives none: the header then has what is known.
    pub fn receive(&self, socket: &Socket, buffer: &mut [MaybeUninit<u8>]) -> io::Result<Vec<u8>> {
        if self.raw {
            let length = socket.recv(buffer)?;
            return Ok(received(buffer, length).to_vec());
        }
        let (length, from) = socket.recv_from(buffer)?;
        let from = from.as_socket_ipv4();
        let icmp = received(buffer, length);
        let mut packet = vec![0; IP_HEADER];
        packet[0] = 0x45;
        let total = u16::try_from(IP_HEADER + icmp.len()).unwrap_or(u16::MAX);
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[9] = ICMP;
        let from = from.map_or(Ipv4Addr::UNSPECIFIED, |from| *from.ip());
        packet[12..16].copy_from_slice(&from.octets());
        packet.extend(icmp);
        Ok(packet)
    }
}

/// Its "port" is the identifier of what it sends.
fn for_path(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?;
    socket.bind(&SocketAddrV4::new(path.from, path.icmp_id).into())?;
    Ok(socket)
}
