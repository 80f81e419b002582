//! Nodes ask each other through a real etcd and the embedded store: steps in order, ends, junk, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::net::Ipv4Addr;
use std::time::Duration;

use flannelctl::diagnose::NodeEvidence;
use flannelctl::diagnose::request::{Answer, Request};
use flannelctl::registry::rendezvous::{
    Heard, Listener, MeetError, Meeting, Question, ReadError, WRITE_LIMIT,
};
use tokio::time::{Instant, timeout};

#[macro_use]
#[path = "support/both.rs"]
mod both;
#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/registry.rs"]
mod support;

use etcd::ctl::Ctl;
use support::registry;

const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 12);
const LIMIT: Duration = Duration::from_secs(10);

fn arm() -> Request {
    Request::Arm {
        asked_by: Ipv4Addr::new(192, 0, 2, 11),
        endpoint: true,
        paths: Vec::new(),
        packets: false,
    }
}

fn armed() -> Answer {
    Answer::Armed {
        target: Some(Ipv4Addr::new(10, 5, 2, 254)),
        container: false,
    }
}

async fn question(listener: &mut Listener) -> Question {
    match timeout(LIMIT, listener.next()).await.unwrap().unwrap() {
        Heard::Question(question) => *question,
        Heard::Over(id) => panic!("{id} is over"),
    }
}

async fn over(listener: &mut Listener) -> String {
    match timeout(LIMIT, listener.next()).await.unwrap().unwrap() {
        Heard::Over(id) => id,
        Heard::Question(question) => panic!("{question:?}"),
    }
}

fn deadline() -> Instant {
    Instant::now() + LIMIT
}

async fn steps_are_asked_and_answered_in_order(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let mut listener = Listener::new(&registry, NODE);
    let meeting = Meeting::open(&registry).await.unwrap();
    let first = meeting.ask(NODE, &arm()).await.unwrap();
    let heard = question(&mut listener).await;
    assert_eq!(heard.request, Ok(arm()));
    assert_eq!(heard.id, meeting.id());
    listener.answer(&heard, &armed()).await.unwrap();
    let answer = meeting.answer(NODE, first, deadline()).await;
    assert_eq!(answer, Some(Ok(armed())));

    let second = meeting.ask(NODE, &Request::Collect).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(200);
    assert_eq!(
        meeting.answer(NODE, second, soon).await,
        None,
        "an answer to an earlier step is none to this one"
    );
    let collect = question(&mut listener).await;
    let late = listener.answer(&heard, &armed()).await;
    assert!(matches!(late, Err(MeetError::Withdrawn { .. })), "{late:?}");
    let evidence = Answer::Evidence {
        evidence: Box::new(NodeEvidence {
            node: Some(NODE),
            hostname: "b\u{1b}".into(),
            ..NodeEvidence::default()
        }),
        packed: Vec::new(),
    };
    listener.answer(&collect, &evidence).await.unwrap();
    let answer = meeting.answer(NODE, second, deadline()).await;
    assert_eq!(answer, Some(Ok(evidence)));

    let keys = etcd.ctl(&["get", "--prefix", "--keys-only", "/coreos.com/network/"]);
    assert_eq!(keys.matches("/diagnose/").count(), 2, "{keys}");
    assert!(!keys.contains("/subnets"), "{keys}");
    let id = meeting.id().to_owned();
    meeting.close().await.unwrap();
    assert_eq!(over(&mut listener).await, id);
    assert_eq!(
        etcd.ctl(&["get", "--prefix", "--keys-only", "/"]).trim(),
        ""
    );
    let gone = listener.answer(&collect, &armed()).await;
    assert!(matches!(gone, Err(MeetError::Withdrawn { .. })), "{gone:?}");
}

async fn a_listener_that_comes_late_hears_what_stands(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let meeting = Meeting::open(&registry).await.unwrap();
    meeting.ask(NODE, &arm()).await.unwrap();
    let mut listener = Listener::new(&registry, NODE);
    assert_eq!(question(&mut listener).await.request, Ok(arm()));
    let mut other = Listener::new(&registry, Ipv4Addr::new(192, 0, 2, 1));
    let quiet = timeout(Duration::from_millis(300), other.next()).await;
    assert!(quiet.is_err(), "192.0.2.1 is not 192.0.2.12");
}

async fn junk_is_told_from_requests(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let folder = format!("/coreos.com/network/diagnose/request/{NODE}");
    let granted = etcd.ctl(&["lease", "grant", "60"]);
    let lease = format!("--lease={}", granted.split(' ').nth(1).unwrap());
    etcd.put(&format!("{folder}/eternal"), "{}");
    etcd.ctl(&["put", &lease, "--", &format!("{folder}/../x"), "{}"]);
    etcd.ctl(&["put", &lease, "--", &format!("{folder}/junk"), "no json"]);
    let mut listener = Listener::new(&registry, NODE);
    let heard = question(&mut listener).await;
    assert_eq!(heard.id, "junk");
    assert_eq!(heard.request, Err(ReadError::Form(1, 2)));
    let refused = Answer::Refused {
        reason: "junk".into(),
    };
    listener.answer(&heard, &refused).await.unwrap();
}

async fn long_values_are_not_written_and_foreign_answers_not_used(etcd: &Ctl) {
    let registry = registry(&[&etcd.url]);
    let mut listener = Listener::new(&registry, NODE);
    let meeting = Meeting::open(&registry).await.unwrap();
    let asked = meeting.ask(NODE, &arm()).await.unwrap();
    let heard = question(&mut listener).await;
    let long = Answer::Refused {
        reason: "x".repeat(WRITE_LIMIT),
    };
    let refused = listener.answer(&heard, &long).await;
    assert!(matches!(refused, Err(MeetError::TooLong { .. })));
    let key = format!(
        "/coreos.com/network/diagnose/answer/{}/{NODE}",
        meeting.id()
    );
    etcd.put(&key, r#"{"version":7,"body":{}}"#);
    let answer = meeting.answer(NODE, asked, deadline()).await;
    assert_eq!(answer, Some(Err(ReadError::Version(7))));
}

on_both!(
    steps_are_asked_and_answered_in_order,
    a_listener_that_comes_late_hears_what_stands,
    junk_is_told_from_requests,
    long_values_are_not_written_and_foreign_answers_not_used,
);
