//! etcd's calls as they are on the wire, with nothing of a client library in between: also requests that
//! no client would send.
//!
//! Use from a test file: `#[path = "support/wire.rs"] mod wire;`

#![allow(dead_code, clippy::unwrap_used)]

use std::time::Duration;

use etcd_client::proto::{PbWatchRequest, PbWatchResponse};
use prost::Message;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Streaming};
use tonic_prost::ProstCodec;

/// How long an answer may take; the machine is shared.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Why a call failed: gRPC's code and the text.
pub type Failure = (Code, String);

/// A connection to a server.
#[derive(Clone)]
pub struct Wire(Grpc<Channel>);

/// A stream of questions with its answers.
pub struct Talk<Q, A> {
    pub ask: mpsc::Sender<Q>,
    pub hear: Streaming<A>,
}

impl Wire {
    pub async fn connect(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
        Self(Grpc::new(endpoint.connect().await.unwrap()))
    }

    /// One question, one answer. The path is such as `KV/Range`.
    pub async fn call<Q, A>(&mut self, path: &str, question: Q) -> Result<A, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.0.ready().await.unwrap();
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.0.unary(Request::new(question), full(path), codec);
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer
            .expect("no answer in time")
            .map(tonic::Response::into_inner)
            .map_err(|status| (status.code(), status.message().to_owned()))
    }

    /// Opens a stream with its first question: before it is answered, etcd does not even open its side.
    pub async fn talk<Q, A>(&mut self, path: &str, first: Q) -> Talk<Q, A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.0.ready().await.unwrap();
        let codec = ProstCodec::<Q, A>::default();
        let (ask, mut questions) = mpsc::channel(64);
        ask.try_send(first).ok();
        let questions = futures_util::stream::poll_fn(move |context| questions.poll_recv(context));
        let answer = self.0.streaming(Request::new(questions), full(path), codec);
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let hear = answer.expect("no stream in time").unwrap().into_inner();
        Talk { ask, hear }
    }

    pub async fn watch(&mut self, first: Watch) -> Talk<PbWatchRequest, PbWatchResponse> {
        self.talk("Watch/Watch", first.request()).await
    }
}

impl<Q, A> Talk<Q, A> {
    pub async fn say(&self, question: Q) {
        assert!(self.ask.send(question).await.is_ok(), "the stream is over");
    }

    /// The next answer.
    pub async fn next(&mut self) -> Result<A, Failure> {
        let next = tokio::time::timeout(PATIENCE, self.hear.message()).await;
        match next.expect("no answer in time") {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err((Code::Ok, "the stream is over".to_owned())),
            Err(status) => Err((status.code(), status.message().to_owned())),
        }
    }

    /// Whether nothing comes for a moment.
    pub async fn is_silent(&mut self, moment: Duration) -> bool {
        tokio::time::timeout(moment, self.hear.message())
            .await
            .is_err()
    }
}

fn full(path: &str) -> PathAndQuery {
    PathAndQuery::try_from(format!("/etcdserverpb.{path}")).unwrap()
}

/// What to watch. (etcd-client has no public name for the request inside.)
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub key: Vec<u8>,
    pub range_end: Vec<u8>,
    pub start: i64,
    pub id: i64,
    pub prev_kv: bool,
    pub progress: bool,
    pub fragment: bool,
    pub filters: Vec<i32>,
}

impl Watch {
    /// All keys.
    pub fn all(start: i64) -> Self {
        Self {
            key: vec![0],
            range_end: vec![0],
            start,
            ..Self::default()
        }
    }

    pub fn request(self) -> PbWatchRequest {
        use etcd_client::proto::PbWatchRequestUnion::CreateRequest;
        let mut union = CreateRequest(Default::default());
        if let CreateRequest(create) = &mut union {
            create.key = self.key;
            create.range_end = self.range_end;
            create.start_revision = self.start;
            create.watch_id = self.id;
            create.prev_kv = self.prev_kv;
            create.progress_notify = self.progress;
            create.fragment = self.fragment;
            create.filters = self.filters;
        }
        PbWatchRequest {
            request_union: Some(union),
        }
    }
}

/// Ends a watcher.
pub fn cancel(id: i64) -> PbWatchRequest {
    use etcd_client::proto::PbWatchRequestUnion::CancelRequest;
    let mut union = CancelRequest(Default::default());
    if let CancelRequest(cancel) = &mut union {
        cancel.watch_id = id;
    }
    PbWatchRequest {
        request_union: Some(union),
    }
}

/// Asks how far the stream is.
pub fn progress() -> PbWatchRequest {
    use etcd_client::proto::PbWatchRequestUnion::ProgressRequest;
    PbWatchRequest {
        request_union: Some(ProgressRequest(Default::default())),
    }
}
