//! What Docker must be told so that its bridge lies in the node's subnet (flannel-compat 4.3, 4.4). Pure:
//! texts come in, texts go out; imports `subnet` alone. Nothing that is read is ever executed.

pub mod daemon_json;
mod options;
pub mod opts;
pub mod sysconfig;
pub mod systemd;

pub use options::{DockerOptions, OptionsError};
