//! Linux, and only here: netlink, devices, sockets, firewall programs. All `unsafe` of the crate but that of
//! `packet/avx2.rs` lives in this folder, one `#![allow(unsafe_code)]` a file, a SAFETY comment a block. It knows
//! the pure types (`plan`, `packet`, …) and never `registry`.

pub mod apply;
mod arp;
mod capture;
pub mod construct;
pub mod containers;
mod counters;
mod docker;
mod drops;
pub mod echo;
pub mod endpoint;
pub mod error;
mod facts;
mod facts_flows;
mod facts_links;
mod facts_modules;
mod facts_processes;
pub mod file;
pub mod firewall;
pub mod interfaces;
pub mod interrupt;
mod listing;
pub mod load;
pub mod local;
pub mod machine;
mod message;
pub mod mmsg;
pub mod monitor;
pub mod netlink;
pub mod netns;
mod nft_trace;
pub mod nursery;
pub mod observe;
pub mod offload;
mod packet_socket;
mod patience;
mod ping_socket;
mod ports;
pub mod process;
mod reach;
mod sight;
mod sockopt;
pub mod sweep;
pub mod tun;
pub mod udp;
pub mod wait;
pub mod witness;

pub use error::{Cause, Error, Op};
