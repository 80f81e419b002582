//! Hears that nftables rules changed (`NFNLGRP_NFTABLES`), so that a flush is mended at once instead
//! of at the next check. Covers iptables-nft and nft; x_tables tells nobody.

#![allow(unsafe_code)]

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use tokio::io::{Interest, unix::AsyncFd};

/// Multicast group of nftables changes (`NFNLGRP_NFTABLES`) as a bit of the bind mask.
const GROUP: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES`, the high byte of a message's type.
const SUBSYSTEM: u16 = 10;
/// The first and the last message type that tell of tables, chains and rules (`NFT_MSG_NEWTABLE` to
/// `NFT_MSG_DELRULE`). What follows are sets and their elements: busy, and none of our business.
const LAST_OF_INTEREST: u16 = 8;
/// Bytes read at once. A datagram that is longer is cut off, behind many messages that are seen.
const BUFFER: usize = 64 << 10;
/// `struct nlmsghdr`, bytes.
const HEADER: usize = 16;

/// A subscription to nftables changes in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct RuleEvents {
    socket: AsyncFd<Socket>,
}

impl RuleEvents {
    /// Opens the subscription. Needs `CAP_NET_ADMIN` and a tokio runtime.
    ///
    /// # Errors
    /// The kernel has no nfnetlink, or refuses.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, GROUP))?;
        socket.set_non_blocking(true)?;
        // SAFETY: the socket owns its descriptor, and neither replaces nor closes it while it lives.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Self { socket })
    }

    /// Drops what was heard so far.
    pub fn forget(&self) {
        let mut buffer = Vec::with_capacity(BUFFER);
        // Until it would block; ENOBUFS says only that some were dropped already.
        while match self
            .socket
            .get_ref()
            .recv_from(&mut buffer, libc::MSG_DONTWAIT)
        {
            Ok(_) => true,
            Err(error) => error.raw_os_error() == Some(libc::ENOBUFS),
        } {
            buffer.clear();
        }
    }

    /// Waits for the next change of a table, chain or rule, whoever made it. Cancel-safe.
    ///
    /// # Errors
    /// The socket is broken; open another one.
    pub async fn changed(&self) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            let mut ready = self.socket.readable().await?;
            buffer.clear();
            let read = ready.try_io(|socket| socket.get_ref().recv_from(&mut buffer, 0));
            match read {
                Err(_would_block) => {}
                Ok(Ok(_)) if of_interest(&buffer) => return Ok(()),
                Ok(Ok(_)) => {}
                // Events were lost: something changed.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

/// True when any message of the datagram is about a table, chain or rule.
fn of_interest(mut datagram: &[u8]) -> bool {
    while let Some(header) = datagram.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        if kind >> 8 == SUBSYSTEM && kind & 0xff <= LAST_OF_INTEREST {
            return true;
        }
        // Messages are aligned to 4 bytes.
        let next = length.max(HEADER).div_ceil(4) * 4;
        datagram = datagram.get(next..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::of_interest;

    fn message(kind: u16, length: u32) -> Vec<u8> {
        let mut m = length.to_ne_bytes().to_vec();
        m.extend(kind.to_ne_bytes());
        m.resize(16.max(length.min(64) as usize), 0);
        m
    }

    #[test]
    fn rules_wake_and_set_elements_do_not() {
        assert!(of_interest(&message(0x0a06, 20)));
        assert!(of_interest(&message(0x0a02, 20)));
        assert!(!of_interest(&message(0x0a0c, 20)));
        assert!(!of_interest(&message(0x0106, 20)));
        let both = [message(0x0a0c, 20), message(0x0a08, 20)].concat();
        assert!(of_interest(&both));
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        assert!(!of_interest(&message(0x0a0c, 0)));
        assert!(!of_interest(&message(0x0a0c, u32::MAX)));
        assert!(!of_interest(&[1, 2, 3]));
    }
}
