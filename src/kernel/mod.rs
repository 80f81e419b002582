//! Linux, and only here: netlink, devices, sockets, firewall programs. All `unsafe` of the crate lives in
//! this folder, one `#![allow(unsafe_code)]` a file, a SAFETY comment a block. It knows the pure types
//! (`plan`, `packet`, …) and never `registry`.

pub mod apply;
pub mod containers;
pub mod echo;
pub mod endpoint;
pub mod error;
pub mod file;
pub mod firewall;
pub mod interfaces;
pub mod local;
mod message;
pub mod mmsg;
pub mod monitor;
pub mod netlink;
pub mod netns;
pub mod observe;
pub mod process;
pub mod sweep;
pub mod tun;
pub mod udp;
pub mod wait;
pub mod witness;

pub use error::{Cause, Error, Op};
