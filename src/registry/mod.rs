//! etcd, and only etcd. (The client follows; this is the shape that the settings build.)

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// URLs.
    pub endpoints: Vec<String>,
    /// Folder of flannel's keys.
    pub prefix: String,
    /// CA certificates, PEM.
    pub cafile: Option<PathBuf>,
    /// Client certificate, PEM.
    pub certfile: Option<PathBuf>,
    /// Its key, PEM.
    pub keyfile: Option<PathBuf>,
    /// User.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// How long one command waits for an answer.
    pub timeout: Duration,
}

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for etcd alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Why options are refused.
#[derive(Debug, thiserror::Error)]
#[error("no endpoint is given")]
pub struct OptionsError;

/// The way to etcd.
#[derive(Debug, Clone)]
pub struct Registry {
    /// How.
    pub options: EtcdOptions,
}

impl Registry {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// Bad options.
    pub fn new(options: EtcdOptions) -> Result<Self, OptionsError> {
        if options.endpoints.is_empty() {
            Err(OptionsError)
        } else {
            Ok(Self { options })
        }
    }
}
