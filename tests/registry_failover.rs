//! Several endpoints, most of them dead: real failover within the time of one command.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/registry.rs"]
mod support;

use std::time::{Duration, Instant};

use etcd::{Config, Etcd, closed_url, cluster};
use flannelctl::registry::{Error, PutOutcome, Registry};
use support::{options, registry};

/// One command's budget.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs what every command begins with, from a fresh start, as a command does.
async fn answers_in_time(endpoints: &[&str]) -> Duration {
    let begin = Instant::now();
    let registry = registry(endpoints);
    registry.config().await.unwrap();
    registry.snapshot().await.unwrap();
    registry.ttls(&[1, 2, 3]).await.unwrap();
    begin.elapsed()
}

#[tokio::test]
async fn two_closed_ports_cost_nothing() {
    let etcd = Etcd::start();
    let (a, b) = (closed_url(), closed_url());
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(answers_in_time(&[&a, &b, &etcd.url]).await);
    }
    slow.retain(|took| *took > Duration::from_secs(1));
    // Two of three begin at a closed port: a few are the machine's.
    assert!(slow.len() < 4, "{slow:?}");
}

#[tokio::test]
async fn two_black_holes_and_a_closed_port_leave_time() {
    let frozen = [Etcd::start(), Etcd::start()];
    let etcd = Etcd::start();
    frozen.iter().for_each(Etcd::freeze);
    for _ in 0..3 {
        let took = answers_in_time(&[&frozen[0].url, &frozen[1].url, &etcd.url]).await;
        eprintln!("two frozen members: {took:?}");
        assert!(took < LIMIT, "{took:?}");
    }
    let took = answers_in_time(&[&frozen[0].url, &closed_url(), &etcd.url]).await;
    assert!(took < LIMIT, "{took:?}");
    frozen.iter().for_each(Etcd::thaw);
}

#[tokio::test]
async fn a_member_that_dies_in_between_is_left_for_another() {
    let mut members = cluster(3, &Config::default());
    let urls: Vec<String> = members.iter().map(|m| m.url.clone()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut options = options(&urls);
    // A lost leader takes etcd itself a second or two, and as long again where the others' votes are split.
    options.timeout = 3 * LIMIT;
    let registry = Registry::new(options).unwrap();
    let mut expected = 0;
    // Each in turn, so the one in use and the leader are among them.
    for (round, dead) in [0, 1, 2].into_iter().enumerate() {
        if round % 2 == 0 {
            members[dead].kill();
        } else {
            members[dead].freeze();
        }
        let begin = Instant::now();
        let text = format!("round {round}");
        let PutOutcome::Done { revision } = registry.put_config(&text, expected).await.unwrap()
        else {
            panic!("nobody else writes");
        };
        expected = revision;
        assert!(begin.elapsed() < 3 * LIMIT, "{:?}", begin.elapsed());
        assert_eq!(
            registry.config().await.unwrap().unwrap().bytes,
            text.as_bytes()
        );
        if round % 2 == 0 {
            members[dead].restart();
        } else {
            members[dead].thaw();
        }
    }
}

#[tokio::test]
async fn an_etcd_that_comes_back_is_found_again() {
    let mut etcd = Etcd::start();
    let registry = registry(&[&etcd.url]);
    registry.put_config("x", 0).await.unwrap();
    etcd.kill();
    assert!(matches!(
        registry.config().await,
        Err(Error::Unreachable { .. })
    ));
    etcd.restart();
    assert_eq!(registry.config().await.unwrap().unwrap().bytes, b"x");
}

#[tokio::test]
async fn with_all_dead_the_error_names_each_and_why() {
    let frozen = Etcd::start();
    frozen.freeze();
    let closed = closed_url();
    let begin = Instant::now();
    let error = registry(&[&closed, &frozen.url])
        .config()
        .await
        .unwrap_err();
    assert!(begin.elapsed() < 3 * LIMIT);
    frozen.thaw();
    let Error::Unreachable { failures, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(failures.len(), 2);
    let text = error.to_string();
    for part in [
        closed.as_str(),
        "refused",
        frozen.url.as_str(),
        "no answer within",
        "/coreos.com/network/config",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }

    // Closed ports alone are told at once.
    let begin = Instant::now();
    let error = registry(&[&closed, &closed_url()])
        .config()
        .await
        .unwrap_err();
    assert!(begin.elapsed() < LIMIT);
    assert!(error.to_string().matches("refused").count() >= 2, "{error}");
}

#[tokio::test]
async fn a_short_budget_is_kept() {
    let frozen = Etcd::start();
    let etcd = Etcd::start();
    frozen.freeze();
    let mut short = options(&[&frozen.url, &etcd.url]);
    // Shorter than what a silent endpoint is otherwise given before the next is asked.
    short.timeout = Duration::from_millis(800);
    let mut answered = 0;
    for _ in 0..16 {
        let registry = Registry::new(short.clone()).unwrap();
        answered += usize::from(registry.config().await.is_ok());
    }
    // Half begin at the frozen one, and have half a second left: a few may miss it on a busy machine.
    assert!(answered >= 13, "{answered} of 16");
    short.endpoints.truncate(1);
    let begin = Instant::now();
    Registry::new(short).unwrap().config().await.unwrap_err();
    assert!(begin.elapsed() < LIMIT);
    frozen.thaw();
}

#[tokio::test]
async fn what_is_no_etcd_is_named() {
    // An HTTP/1 server, as when the port of something else is given.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let mut buffer = [0; 1024];
                let _read = socket.read(&mut buffer).await;
                let _sent = socket
                    .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    .await;
            });
        }
    });
    let error = registry(&[&url]).config().await.unwrap_err();
    server.abort();
    eprintln!("{error}");
    assert!(error.to_string().contains(&url));
}
