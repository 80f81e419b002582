//! Bytes of packets: bounds-checked views, checksums, the ICMP errors that the data path answers
//! with. Pure: takes slices, returns values; no socket, clock or other module of ours, and no panic
//! on any input.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub mod checksum;
pub mod icmp;
pub mod ipv4;
pub mod print;
pub mod span;
pub mod vnet;

pub use ipv4::{Ipv4, Malformed};
pub use span::Span;
