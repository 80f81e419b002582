//! `etcdserverpb.Lease`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use etcd_client::proto::{
    PbLeaseGrantRequest, PbLeaseGrantResponse, PbLeaseKeepAliveRequest, PbLeaseKeepAliveResponse,
    PbLeaseLeasesRequest, PbLeaseLeasesResponse, PbLeaseRevokeRequest, PbLeaseRevokeResponse,
    PbLeaseService, PbLeaseStatus, PbLeaseTimeToLiveRequest, PbLeaseTimeToLiveResponse,
};
use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::Shared;
use super::answer::{status, stopped};

/// The server's end of a stream.
type KeepAlives = Pin<Box<dyn Stream<Item = Result<PbLeaseKeepAliveResponse, Status>> + Send>>;

/// The service; its streams outlive a call, so they share what it holds.
pub(super) struct LeaseService(pub(super) Arc<Shared>);

#[async_trait]
impl PbLeaseService for LeaseService {
    type LeaseKeepAliveStream = KeepAlives;

    async fn lease_grant(
        &self,
        request: Request<PbLeaseGrantRequest>,
    ) -> Result<Response<PbLeaseGrantResponse>, Status> {
        let PbLeaseGrantRequest { ttl, mut id } = request.into_inner();
        let granted = self.0.change(|store| {
            while id == 0 {
                let drawn = rand::random_range(1..=i64::MAX);
                id = if store.has_lease(drawn) { 0 } else { drawn };
            }
            let ttl = store.grant(id, ttl, Instant::now())?;
            Ok((ttl, store.revision()))
        });
        let (ttl, revision) = granted.map_err(status)?;
        Ok(Response::new(PbLeaseGrantResponse {
            header: Some(self.0.header(revision)),
            id,
            ttl,
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<PbLeaseRevokeRequest>,
    ) -> Result<Response<PbLeaseRevokeResponse>, Status> {
        let id = request.into_inner().id;
        let revoked = self
            .0
            .change(|store| store.revoke(id).map(|()| store.revision()));
        let header = Some(self.0.header(revoked.map_err(status)?));
        Ok(Response::new(PbLeaseRevokeResponse { header }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<PbLeaseKeepAliveRequest>>,
    ) -> Result<Response<KeepAlives>, Status> {
        let shared = self.0.clone();
        let answers = stream::unfold(Some(request.into_inner()), move |requests| {
            let shared = shared.clone();
            async move {
                let mut requests = requests?;
                let next = tokio::select! {
                    next = requests.message() => next,
                    () = shared.end.cancelled() => Err(stopped()),
                };
                match next {
                    Ok(request) => Some((Ok(keep_alive(&shared, request?.id)), Some(requests))),
                    Err(status) => Some((Err(status), None)),
                }
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<PbLeaseTimeToLiveRequest>,
    ) -> Result<Response<PbLeaseTimeToLiveResponse>, Status> {
        let PbLeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let store = self.0.lock();
        let lease = store.lease(id, keys, Instant::now());
        let header = Some(self.0.header(store.revision()));
        drop(store);
        let (ttl, granted_ttl, keys) = lease.map_or((-1, 0, Vec::new()), |lease| {
            (lease.left, lease.granted, lease.keys)
        });
        Ok(Response::new(PbLeaseTimeToLiveResponse {
            header,
            id,
            ttl,
            granted_ttl,
            keys,
        }))
    }

    async fn lease_leases(
        &self,
        _request: Request<PbLeaseLeasesRequest>,
    ) -> Result<Response<PbLeaseLeasesResponse>, Status> {
        let store = self.0.lock();
        let leases = store
            .leases()
            .into_iter()
            .map(|id| PbLeaseStatus { id })
            .collect();
        let header = Some(self.0.header(store.revision()));
        Ok(Response::new(PbLeaseLeasesResponse { header, leases }))
    }
}

fn keep_alive(shared: &Shared, id: i64) -> PbLeaseKeepAliveResponse {
    let mut store = shared.lock();
    let ttl = store.keep_alive(id, Instant::now());
    PbLeaseKeepAliveResponse {
        header: Some(shared.header(store.revision())),
        id,
        ttl,
    }
}
