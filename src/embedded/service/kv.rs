//! `etcdserverpb.KV`.

use std::pin::Pin;

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbKvService,
    PbPutRequest, PbPutResponse, PbRangeRequest, PbRangeResponse, PbRangeStreamResponse,
    PbTxnRequest, PbTxnResponse,
};
use futures_util::Stream;
use tonic::{Request, Response, Status, async_trait};

use super::answer::{self, status};
use super::{Shared, readable, request, within_size};

#[async_trait]
impl PbKvService for Shared {
    type RangeStreamStream =
        Pin<Box<dyn Stream<Item = Result<PbRangeStreamResponse, Status>> + Send>>;

    async fn range(
        &self,
        request: Request<PbRangeRequest>,
    ) -> Result<Response<PbRangeResponse>, Status> {
        let request = request.into_inner();
        readable(&request)?;
        let query = request::query(request).map_err(status)?;
        let found = self.lock().range(&query).map_err(status)?;
        Ok(Response::new(answer::range(
            &found,
            self.header(found.revision),
        )))
    }

    async fn range_stream(
        &self,
        _request: Request<PbRangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented(
            "unknown method RangeStream for service etcdserverpb.KV",
        ))
    }

    async fn put(&self, request: Request<PbPutRequest>) -> Result<Response<PbPutResponse>, Status> {
        let request = request.into_inner();
        let size = readable(&request)?;
        let put = request::put(request);
        let done = self.change(|store| {
            put.check()?;
            within_size(size)?;
            store.put(&put)
        });
        let done = done.map_err(status)?;
        Ok(Response::new(answer::put(
            &done,
            self.header(done.revision),
        )))
    }

    async fn delete_range(
        &self,
        request: Request<PbDeleteRequest>,
    ) -> Result<Response<PbDeleteResponse>, Status> {
        let request = request.into_inner();
        let size = readable(&request)?;
        let delete = request::delete(request);
        let done = self.change(|store| {
            delete.check()?;
            within_size(size)?;
            store.delete(&delete)
        });
        let done = done.map_err(status)?;
        Ok(Response::new(answer::delete(
            &done,
            self.header(done.revision),
        )))
    }

    async fn txn(&self, request: Request<PbTxnRequest>) -> Result<Response<PbTxnResponse>, Status> {
        let request = request.into_inner();
        let size = readable(&request)?;
        let transaction = request::transaction(request).map_err(status)?;
        let done = self.change(|store| {
            transaction.check()?;
            within_size(size)?;
            store.transact(&transaction)
        });
        let done = done.map_err(status)?;
        Ok(Response::new(answer::transaction(
            &done,
            self.header(done.revision),
        )))
    }

    async fn compact(
        &self,
        request: Request<PbCompactionRequest>,
    ) -> Result<Response<PbCompactionResponse>, Status> {
        let revision = request.into_inner().revision;
        self.lock().compact(revision).map_err(status)?;
        let header = Some(self.header_now());
        Ok(Response::new(PbCompactionResponse { header }))
    }
}
