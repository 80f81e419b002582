//! Questions to other nodes' agents, and their answers in time or not at all.

use std::net::Ipv4Addr;

use tokio::time::Instant;

use crate::diagnose::request::{Answer, Request};
use crate::registry::rendezvous::Meeting;

/// Asks, and waits for the answer.
pub async fn ask(
    meeting: &Meeting,
    node: Ipv4Addr,
    request: &Request,
    end: Instant,
) -> Result<Option<Answer>, String> {
    let asked = ask_to(meeting, node, request, end).await?;
    answer_of(meeting, node, asked, end).await
}

/// Puts a question; returns what its answer is known by.
pub async fn ask_to(
    meeting: &Meeting,
    node: Ipv4Addr,
    request: &Request,
    end: Instant,
) -> Result<i64, String> {
    let asked = tokio::time::timeout_at(end, meeting.ask(node, request)).await;
    match asked {
        Ok(asked) => asked.map_err(|error| error.to_string()),
        Err(_) => Err("etcd did not take the question in time".to_owned()),
    }
}

/// The answer to it; `None` where none comes in time.
pub async fn answer_of(
    meeting: &Meeting,
    node: Ipv4Addr,
    asked: i64,
    end: Instant,
) -> Result<Option<Answer>, String> {
    match meeting.answer(node, asked, end).await {
        None => Ok(None),
        Some(Ok(answer)) => Ok(Some(answer)),
        Some(Err(error)) => Err(format!("its answer is not used: {error}")),
    }
}

/// An answer that is not the one asked for.
pub fn words(answer: Answer) -> String {
    match answer {
        Answer::Refused { reason } => format!("its agent refuses: {reason}"),
        _ => "its agent answered something else than it was asked".to_owned(),
    }
}
