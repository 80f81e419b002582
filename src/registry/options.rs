//! How to reach etcd: endpoints, prefix, TLS files, user. Checked without any network traffic; the
//! only thing read is the TLS files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_client::{Certificate, Identity, TlsOptions};
use tonic::transport::{Endpoint, Uri};

use super::keys::Keys;
use super::text::plain;

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// URLs (`http://` or `https://`) or bare `host:port`; blanks around them do not count.
    pub endpoints: Vec<String>,
    /// Folder of flannel's keys, `/coreos.com/network` by default.
    pub prefix: String,
    /// CA certificates that etcd's certificate is checked against, PEM. Honoured also without a client
    /// certificate. Without it the system's trust store counts.
    pub cafile: Option<PathBuf>,
    /// Client certificate, PEM.
    pub certfile: Option<PathBuf>,
    /// The client certificate's key, PEM.
    pub keyfile: Option<PathBuf>,
    /// User of etcd's authentication.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Time for one command, failover included.
    pub timeout: Duration,
}

/// A text that is never shown, not by `Debug` either.
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

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Why options are refused.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The list of endpoints is empty.
    #[error("no etcd endpoint is given")]
    NoEndpoint,
    /// An endpoint is no URL of etcd.
    #[error("the etcd endpoint {endpoint:?} is not valid: {problem}")]
    Endpoint {
        /// As given, without what may be a password.
        endpoint: String,
        /// What is wrong with it.
        problem: EndpointProblem,
    },
    /// A certificate without key or a key without certificate.
    #[error("a client certificate needs both files: {given} is given without its {missing}")]
    HalfIdentity {
        /// The file that is there.
        given: PathBuf,
        /// `key` or `certificate`.
        missing: &'static str,
    },
    /// A user without password or a password without user.
    #[error("etcd's authentication needs user and password: the {missing} is missing")]
    HalfUser {
        /// `user` or `password`.
        missing: &'static str,
    },
    /// A TLS file cannot be read.
    #[error("cannot read the {what} {}: {source}", .path.display())]
    ReadFile {
        /// `CA file`, …
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A TLS file holds no PEM block of the kind that is needed.
    #[error("the {what} {} holds no PEM block {block}", .path.display())]
    NotPem {
        /// `CA file`, …
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// `BEGIN CERTIFICATE`, …
        block: &'static str,
    },
    /// A TLS file holds PEM that TLS cannot use.
    #[error("the {what} {} cannot be used: {source}", .path.display())]
    BadFile {
        /// `CA file`, …
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// What is wrong with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointProblem {
    /// Not `http://host:port`, `https://host:port` or `host:port`.
    #[error("use http://host:port, https://host:port or host:port")]
    Form,
    /// Another scheme.
    #[error("only http:// and https:// are known")]
    Scheme,
    /// `user:password@` in the URL.
    #[error("user and password do not go into the URL: use --etcd-username and --etcd-password")]
    UserInfo,
    /// A path or query after the port.
    #[error("there must be nothing after the port")]
    Path,
}

/// One endpoint, ready to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// With scheme, without trailing slash.
    pub(super) url: String,
    /// `https`.
    pub(super) tls: bool,
}

/// Options that hold together.
pub(super) struct Checked {
    pub(super) addresses: Vec<Address>,
    pub(super) keys: Keys,
    pub(super) tls: TlsOptions,
    pub(super) user: Option<(String, Secret)>,
    pub(super) timeout: Duration,
    pub(super) warnings: Vec<String>,
}

impl EtcdOptions {
    /// Reads the TLS files and checks everything that can be checked without etcd.
    pub(super) fn check(&self) -> Result<Checked, OptionsError> {
        let files = [&self.cafile, &self.certfile, &self.keyfile];
        let with_tls = files.iter().any(|file| file.is_some());
        let mut addresses: Vec<Address> = Vec::new();
        let each = self.endpoints.iter().flat_map(|list| list.split(','));
        for text in each.map(str::trim).filter(|text| !text.is_empty()) {
            let address = address(text, with_tls).map_err(|problem| OptionsError::Endpoint {
                endpoint: without_user(text),
                problem,
            })?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(OptionsError::NoEndpoint);
        }
        let plaintext: Vec<&str> = addresses
            .iter()
            .filter(|address| with_tls && !address.tls)
            .map(|address| address.url.as_str())
            .collect();
        let warnings = (!plaintext.is_empty())
            .then(|| {
                let list = plaintext.join(", ");
                format!("TLS files are given, but http:// is plaintext, as in flanneld: {list}")
            })
            .into_iter()
            .collect();
        Ok(Checked {
            addresses,
            keys: Keys::new(&self.prefix),
            tls: self.tls()?,
            user: self.user()?,
            timeout: self.timeout,
            warnings,
        })
    }

    /// Empty texts count as not given, as in flanneld.
    fn user(&self) -> Result<Option<(String, Secret)>, OptionsError> {
        let name = self.username.as_ref().filter(|name| !name.is_empty());
        let password = self.password.as_ref();
        let password = password.filter(|password| !password.reveal().is_empty());
        match (name, password) {
            (None, None) => Ok(None),
            (Some(name), Some(password)) => Ok(Some((name.clone(), password.clone()))),
            (Some(_), None) => Err(OptionsError::HalfUser {
                missing: "password",
            }),
            (None, Some(_)) => Err(OptionsError::HalfUser { missing: "user" }),
        }
    }

    fn tls(&self) -> Result<TlsOptions, OptionsError> {
        let roots = match &self.cafile {
            None => TlsOptions::new().with_enabled_roots(),
            Some(path) => {
                let pem = pem("CA file", path, "CERTIFICATE")?;
                let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(pem));
                usable("CA file", path, tls.clone())?;
                tls
            }
        };
        match (&self.certfile, &self.keyfile) {
            (None, None) => Ok(roots),
            (Some(cert), Some(key)) => {
                let cert_pem = pem("certificate file", cert, "CERTIFICATE")?;
                let key_pem = pem("key file", key, "PRIVATE KEY")?;
                let identity = Identity::from_pem(cert_pem, key_pem);
                // Alone, so that an error can only be of these two files.
                usable(
                    "key file",
                    key,
                    TlsOptions::new().identity(identity.clone()),
                )?;
                Ok(roots.identity(identity))
            }
            (Some(given), None) => Err(OptionsError::HalfIdentity {
                given: given.clone(),
                missing: "key",
            }),
            (None, Some(given)) => Err(OptionsError::HalfIdentity {
                given: given.clone(),
                missing: "certificate",
            }),
        }
    }
}

fn pem(what: &'static str, path: &Path, block: &'static str) -> Result<Vec<u8>, OptionsError> {
    let bytes = std::fs::read(path).map_err(|source| OptionsError::ReadFile {
        what,
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    // `BEGIN RSA PRIVATE KEY` counts, `BEGIN ENCRYPTED PRIVATE KEY` does not.
    let found = text.lines().any(|line| {
        line.starts_with("-----BEGIN ") && line.contains(block) && !line.contains("ENCRYPTED")
    });
    if found {
        Ok(bytes)
    } else {
        Err(OptionsError::NotPem {
            what,
            path: path.to_owned(),
            block,
        })
    }
}

/// Builds what the first connection would build.
fn usable(what: &'static str, path: &Path, tls: TlsOptions) -> Result<(), OptionsError> {
    Endpoint::from_static("https://127.0.0.1")
        .tls_config(tls)
        .map(drop)
        .map_err(|source| OptionsError::BadFile {
            what,
            path: path.to_owned(),
            source,
        })
}

/// A bare `host:port` is https exactly when TLS files are given.
fn address(text: &str, with_tls: bool) -> Result<Address, EndpointProblem> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if with_tls => ("https".to_owned(), text),
        None => ("http".to_owned(), text),
    };
    if scheme != "http" && scheme != "https" {
        return Err(EndpointProblem::Scheme);
    }
    if rest.contains('@') {
        return Err(EndpointProblem::UserInfo);
    }
    let host = rest.trim_end_matches('/');
    if host.contains(['/', '?', '#']) {
        return Err(EndpointProblem::Path);
    }
    let url = format!("{scheme}://{host}");
    let uri: Uri = url.parse().map_err(|_| EndpointProblem::Form)?;
    let named = uri.host().is_some_and(|host| !host.is_empty());
    let port = match host.rsplit_once(':') {
        // Port 0 and an empty port cannot be dialled; the digits of [::1] are no port.
        Some((_, port)) if !port.ends_with(']') => port.parse::<u16>().is_ok_and(|port| port > 0),
        _ => text.contains("://"),
    };
    if named && port {
        Ok(Address {
            url,
            tls: scheme == "https",
        })
    } else {
        Err(EndpointProblem::Form)
    }
}

/// For a message: what stands before an `@` may be a password.
fn without_user(text: &str) -> String {
    let shown = match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    };
    plain(&shown)
}
