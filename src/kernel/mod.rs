//! Linux, and only here: netlink, devices, sockets, firewall programs. All `unsafe` of the crate lives in
//! this folder, one `#![allow(unsafe_code)]` a file, a SAFETY comment a block. It knows the pure types
//! (`plan`, `packet`, …) and never `registry`.

pub mod apply;
pub mod error;
pub mod file;
pub mod firewall;
pub mod interfaces;
pub mod local;
mod message;
pub mod mmsg;
pub mod monitor;
pub mod netlink;
pub mod observe;
pub mod process;
pub mod tun;
pub mod udp;
pub mod wait;

pub use error::{Cause, Error, Op};
