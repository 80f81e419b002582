//! TLS, users and options: what is refused before the first connection, and what etcd refuses.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/registry.rs"]
mod support;

use std::path::Path;

use etcd::{Config, Etcd, Tls, make_certificates};
use flannelctl::registry::{
    EndpointProblem, Error, EtcdOptions, OptionsError, PutOutcome, Registry, Secret,
};
use support::options;

fn tls_etcd(folder: &Path, client_auth: bool) -> Etcd {
    Etcd::start_with(&Config {
        tls: Some(Tls {
            folder: folder.to_owned(),
            client_auth,
        }),
        args: Vec::new(),
    })
}

async fn works(options: EtcdOptions) -> Result<(), Error> {
    let registry = Registry::new(options).unwrap();
    assert!(registry.warnings().is_empty());
    let PutOutcome::Done { .. } = registry.put_config("x", 0).await? else {
        panic!("the etcd was empty");
    };
    Ok(())
}

#[tokio::test]
async fn a_ca_alone_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let etcd = tls_etcd(folder.path(), false);

    let without = options(&[&etcd.url]);
    let error = works(without.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");

    let mut with = without;
    with.cafile = Some(folder.path().join("ca.pem"));
    works(with.clone()).await.unwrap();
    // A bare host:port is https when TLS files are given.
    let bare = with.endpoints[0].trim_start_matches("https://").to_owned();
    with.endpoints = vec![format!(" {bare} ")];
    let registry = Registry::new(with).unwrap();
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"x");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let etcd = tls_etcd(folder.path(), true);

    let mut ca_only = options(&[&etcd.url]);
    ca_only.cafile = Some(folder.path().join("ca.pem"));
    let error = works(ca_only.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");

    let mut both = ca_only;
    both.certfile = Some(folder.path().join("client.pem"));
    both.keyfile = Some(folder.path().join("client.key"));
    works(both).await.unwrap();
}

#[test]
fn bad_tls_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let file = |name: &str| Some(folder.path().join(name));
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    std::fs::write(
        folder.path().join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (cafile, certfile, keyfile, expected) in [
        (file("none.pem"), None, None, "none.pem"),
        (file("empty.pem"), None, None, "empty.pem"),
        (file("broken.pem"), None, None, "broken.pem"),
        (file("ca.key"), None, None, "ca.key"),
        (None, file("client.pem"), None, "without its key"),
        (None, None, file("client.key"), "without its certificate"),
        (None, file("client.pem"), file("client.pem"), "client.pem"),
        // The key of another certificate.
        (None, file("client.pem"), file("server.key"), "server.key"),
        (None, file("client.pem"), file("gone.key"), "gone.key"),
    ] {
        let mut options = options(&["https://127.0.0.1:2379"]);
        options.cafile = cafile;
        options.certfile = certfile;
        options.keyfile = keyfile;
        let error = Registry::new(options).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn plaintext_with_tls_files_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let mut options = options(&["http://127.0.0.1:2379", "https://127.0.0.1:2380"]);
    options.cafile = Some(folder.path().join("ca.pem"));
    let registry = Registry::new(options).unwrap();
    assert_eq!(registry.warnings().len(), 1);
    assert!(registry.warnings()[0].contains("http://127.0.0.1:2379"));
    assert!(!registry.warnings()[0].contains("2380"));
}

#[test]
fn endpoints_are_trimmed_and_checked() {
    let endpoints = |list: &[&str]| -> Result<Vec<String>, OptionsError> {
        let registry = Registry::new(options(list))?;
        let urls = registry.endpoints().into_iter().map(str::to_owned);
        Ok(urls.collect())
    };
    assert_eq!(
        endpoints(&[" http://a:1/ , b:2", "https://[::1]:3", "http://a:1", ""]).unwrap(),
        ["http://a:1", "http://b:2", "https://[::1]:3"]
    );
    assert!(matches!(endpoints(&[]), Err(OptionsError::NoEndpoint)));
    assert!(matches!(
        endpoints(&[" ", ","]),
        Err(OptionsError::NoEndpoint)
    ));
    for (text, expected) in [
        ("ftp://a:1", EndpointProblem::Scheme),
        ("unix:///run/etcd", EndpointProblem::Scheme),
        ("http://a:1/v2", EndpointProblem::Path),
        ("http://", EndpointProblem::Form),
        ("http://:2379", EndpointProblem::Form),
        ("a", EndpointProblem::Form),
        ("a:0", EndpointProblem::Form),
        ("a:99999", EndpointProblem::Form),
        ("http://a b:1", EndpointProblem::Form),
        ("http://me:hush@a:1", EndpointProblem::UserInfo),
    ] {
        match endpoints(&[text]) {
            Err(error @ OptionsError::Endpoint { problem, .. }) => {
                assert_eq!(problem, expected, "{text}");
                assert!(!error.to_string().contains("hush"));
                assert!(!format!("{error:?}").contains("hush"));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

fn with_user(url: &str, name: &str, password: &str) -> EtcdOptions {
    let mut options = options(&[url]);
    options.username = Some(name.to_owned());
    options.password = Some(Secret::new(password.to_owned()));
    options
}

fn enable_auth(etcd: &Etcd) {
    for args in [
        &["user", "add", "root:top"] as &[&str],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "flannel"],
        &[
            "role",
            "grant-permission",
            "flannel",
            "readwrite",
            "--prefix=true",
            "/coreos.com/network",
        ],
        &["user", "add", "flannel:hush-hush"],
        &["user", "grant-role", "flannel", "flannel"],
        &["user", "add", "nobody:nothing"],
        &["auth", "enable"],
    ] {
        etcd.ctl(args);
    }
}

#[tokio::test]
async fn user_and_password_are_used_and_never_shown() {
    let mut etcd = Etcd::start_with(&Config {
        args: vec!["--auth-token-ttl=3".to_owned()],
        ..Config::default()
    });
    enable_auth(&etcd);

    let good = with_user(&etcd.url, "flannel", "hush-hush");
    assert!(!format!("{good:?}").contains("hush-hush"));
    let registry = Registry::new(good).unwrap();
    registry.put_config("x", 0).await.unwrap();
    assert!(!format!("{registry:?}").contains("hush-hush"));

    for (options, denied_by) in [
        (options(&[&etcd.url]), "user name"),
        (
            with_user(&etcd.url, "flannel", "hush-wrong"),
            "authentication",
        ),
        (
            with_user(&etcd.url, "stranger", "hush-wrong"),
            "authentication",
        ),
        (with_user(&etcd.url, "nobody", "nothing"), "permission"),
    ] {
        let error = Registry::new(options).unwrap().config().await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(error.to_string().contains(denied_by), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }

    // A restart forgets simple tokens; so does their time to live of 3 s.
    etcd.restart();
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"x");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"x");
    // A change of users makes tokens "old".
    etcd.ctl(&["--user", "root:top", "user", "add", "another:one"]);
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"x");
}

#[tokio::test]
async fn a_user_is_no_obstacle_where_etcd_asks_for_none() {
    let etcd = Etcd::start();
    let registry = Registry::new(with_user(&etcd.url, "flannel", "hush-hush")).unwrap();
    registry.put_config("x", 0).await.unwrap();
    enable_auth(&etcd);
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"x");
}

#[test]
fn half_a_user_is_refused() {
    let mut half = options(&["http://a:1"]);
    half.username = Some("flannel".to_owned());
    assert!(Registry::new(half.clone()).is_err());
    half.username = Some(String::new());
    assert!(Registry::new(half.clone()).is_ok());
    half.password = Some(Secret::new("x".to_owned()));
    assert!(Registry::new(half).is_err());
}
