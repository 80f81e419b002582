//! The name of a lease below `<prefix>/subnets/`: `10.5.52.0-24`, or dual stack
//! `10.5.52.0-24&2001:cafe:42:39::-64` (flannel-compat 2.1).

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::{Ipv4Net, Ipv6Net};

/// A node's subnet(s) as its key names them. Host bits are kept as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubnetKey {
    /// The IPv4 subnet; `0.0.0.0/0` on an IPv6-only node.
    pub v4: Ipv4Net,
    /// The IPv6 subnet of a dual-stack or IPv6-only node.
    pub v6: Option<Ipv6Net>,
}

/// Why a key's last part names no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form `A.B.C.D-LEN` or `A.B.C.D-LEN&V6-LEN6`.
    #[error("the key is not of the form 10.5.52.0-24 or 10.5.52.0-24&fc00::-64")]
    Form,
    /// The IPv4 half is no address.
    #[error("the key's IPv4 address is not valid")]
    Address4,
    /// The IPv6 half is no address.
    #[error("the key's IPv6 address is not valid")]
    Address6,
    /// A prefix length that flanneld refuses (IPv4 above 31, IPv6 above 127).
    #[error("the key's prefix length is out of range (IPv4 0-31, IPv6 0-127)")]
    Length,
    /// The key lies beside the `subnets` folder, where flanneld would still take it for a lease.
    #[error("the key is not directly below the subnets folder")]
    Folder,
}

impl SubnetKey {
    /// An IPv4-only key.
    pub fn v4(subnet: Ipv4Net) -> Self {
        Self {
            v4: subnet,
            v6: None,
        }
    }

    /// Reads the last part of a key exactly as flanneld does: not anchored at the start, anchored at
    /// the end (table in flannel-compat 2.1).
    ///
    /// # Errors
    /// `KeyError` names what flanneld would have refused.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        let (head, last) = split_length(name).ok_or(KeyError::Form)?;
        // The part before the last length is the IPv6 half's address only where flannel's pattern, which
        // knows no other characters there, can read it so; otherwise it is the end of the IPv4 half.
        let six = head.rsplit_once('&').filter(|(_, address)| {
            let known = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b':');
            !address.is_empty() && address.bytes().all(known)
        });
        let Some((four, address6)) = six else {
            return Ok(Self::v4(half4(head, last)?));
        };
        let (head, first) = split_length(four).ok_or(KeyError::Form)?;
        let v4 = half4(head, first)?;
        let address6 = address6.parse().map_err(|_| KeyError::Address6)?;
        let v6 = Ipv6Net::new(address6, length(last, 127)?).map_err(|_| KeyError::Length)?;
        Ok(Self { v4, v6: Some(v6) })
    }

    /// The IPv4 subnet with host bits cleared, or `None` on an IPv6-only node.
    pub fn subnet4(&self) -> Option<Ipv4Net> {
        (self.v4.prefix_len() > 0).then(|| self.v4.trunc())
    }
}

impl fmt::Display for SubnetKey {
    /// The key's last part as flanneld writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.v4.addr(), self.v4.prefix_len())?;
        let Some(v6) = self.v6 else { return Ok(()) };
        let address = v6.addr();
        match address.to_ipv4_mapped() {
            // A dotted quad in the IPv6 half could not be read back.
            Some(_) => {
                let [.., high, low] = address.segments();
                write!(f, "&::ffff:{high:x}:{low:x}-{}", v6.prefix_len())
            }
            None => write!(f, "&{address}-{}", v6.prefix_len()),
        }
    }
}

/// Splits `…-24` into what is before the hyphen and the digits after it.
fn split_length(text: &str) -> Option<(&str, &str)> {
    let (head, digits) = text.rsplit_once('-')?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some((head, digits))
}

/// Decimal, leading zeros allowed, at most `most`.
fn length(digits: &str, most: u8) -> Result<u8, KeyError> {
    match digits.trim_start_matches('0') {
        "" => Ok(0),
        number => match number.parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(KeyError::Length),
        },
    }
}

/// The IPv4 half: the dotted quad at the end of `head`, whatever stands before it.
fn half4(head: &str, digits: &str) -> Result<Ipv4Net, KeyError> {
    let quad = head
        .char_indices()
        .rev()
        .take_while(|(_, letter)| letter.is_ascii_digit() || *letter == '.')
        .scan(0, |dots, (at, letter)| {
            *dots += usize::from(letter == '.');
            (*dots < 4).then_some(at)
        })
        .last()
        .map_or("", |start| &head[start..]);
    if quad.split('.').filter(|group| !group.is_empty()).count() != 4 {
        return Err(KeyError::Form);
    }
    let address: Ipv4Addr = quad.parse().map_err(|_| KeyError::Address4)?;
    Ipv4Net::new(address, length(digits, 31)?).map_err(|_| KeyError::Length)
}
