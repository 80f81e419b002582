//! `etcdserverpb.Maintenance`.

use std::pin::Pin;

use etcd_client::proto::{
    PbAlarmRequest, PbAlarmResponse, PbDefragmentRequest, PbDefragmentResponse, PbDowngradeRequest,
    PbDowngradeResponse, PbHashKvRequest, PbHashKvResponse, PbHashRequest, PbHashResponse,
    PbMaintenanceService, PbMoveLeaderRequest, PbMoveLeaderResponse, PbSnapshotRequest,
    PbSnapshotResponse, PbStatusRequest, PbStatusResponse,
};
use futures_util::Stream;
use tonic::{Request, Response, Status, async_trait};

use super::{Shared, TERM};

/// The etcd whose answers these are, marked as what it is.
const VERSION: &str = "3.4.23+embedded";

#[async_trait]
impl PbMaintenanceService for Shared {
    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<PbSnapshotResponse, Status>> + Send>>;

    async fn status(
        &self,
        _request: Request<PbStatusRequest>,
    ) -> Result<Response<PbStatusResponse>, Status> {
        let store = self.lock();
        let (size, in_use) = store.size();
        let bytes = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        Ok(Response::new(PbStatusResponse {
            header: Some(self.header(store.revision())),
            version: VERSION.to_owned(),
            db_size: bytes(size),
            db_size_in_use: bytes(in_use),
            leader: self.member,
            raft_term: TERM,
            raft_index: store.applied(),
            raft_applied_index: store.applied(),
            ..PbStatusResponse::default()
        }))
    }

    async fn alarm(
        &self,
        _request: Request<PbAlarmRequest>,
    ) -> Result<Response<PbAlarmResponse>, Status> {
        // None can be raised: the limits of the store refuse without one.
        let header = Some(self.header_now());
        Ok(Response::new(PbAlarmResponse {
            header,
            alarms: Vec::new(),
        }))
    }

    async fn defragment(
        &self,
        _request: Request<PbDefragmentRequest>,
    ) -> Result<Response<PbDefragmentResponse>, Status> {
        Ok(Response::new(PbDefragmentResponse { header: None }))
    }

    async fn hash(
        &self,
        _request: Request<PbHashRequest>,
    ) -> Result<Response<PbHashResponse>, Status> {
        Err(absent("hash"))
    }

    async fn hash_kv(
        &self,
        _request: Request<PbHashKvRequest>,
    ) -> Result<Response<PbHashKvResponse>, Status> {
        Err(absent("hash"))
    }

    async fn snapshot(
        &self,
        _request: Request<PbSnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(absent("snapshot"))
    }

    async fn move_leader(
        &self,
        _request: Request<PbMoveLeaderRequest>,
    ) -> Result<Response<PbMoveLeaderResponse>, Status> {
        Err(Status::failed_precondition(
            "etcdserver: bad leader transferee",
        ))
    }

    async fn downgrade(
        &self,
        _request: Request<PbDowngradeRequest>,
    ) -> Result<Response<PbDowngradeResponse>, Status> {
        Err(Status::unimplemented(
            "unknown method Downgrade for service etcdserverpb.Maintenance",
        ))
    }
}

fn absent(what: &str) -> Status {
    Status::unimplemented(format!(
        "flannelctl's embedded store has no {what}; for that, use etcd"
    ))
}
