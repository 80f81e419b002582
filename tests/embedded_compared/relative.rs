//! Revisions counted from the beginning of a sequence, in requests and in answers.

use etcd_client::proto::{
    PbCompare, PbDeleteResponse, PbEvent, PbKeyValue, PbPutResponse, PbRangeRequest,
    PbRangeResponse, PbResponseHeader, PbTargetUnion, PbTxnOpRequest, PbTxnOpResponse,
    PbTxnRequest, PbTxnResponse,
};

/// Where a sequence begins.
#[derive(Clone, Copy)]
pub struct Base(pub i64);

impl Base {
    /// Of a request.
    pub fn later(self, revision: &mut i64) {
        // 0 is "unset", and what is below is left for the server to judge.
        if *revision > 0 {
            *revision += self.0;
        }
    }

    /// Of an answer.
    pub fn earlier(self, revision: &mut i64) {
        if *revision > 0 {
            *revision -= self.0;
        }
    }

    pub fn range(self, request: &mut PbRangeRequest) {
        self.later(&mut request.revision);
        self.later(&mut request.min_mod_revision);
        self.later(&mut request.max_mod_revision);
        self.later(&mut request.min_create_revision);
        self.later(&mut request.max_create_revision);
    }

    pub fn txn(self, request: &mut PbTxnRequest) {
        for PbCompare { target_union, .. } in &mut request.compare {
            if let Some(
                PbTargetUnion::CreateRevision(revision) | PbTargetUnion::ModRevision(revision),
            ) = target_union
            {
                self.later(revision);
            }
        }
        for operation in request.success.iter_mut().chain(&mut request.failure) {
            match &mut operation.request {
                Some(PbTxnOpRequest::RequestRange(range)) => self.range(range),
                Some(PbTxnOpRequest::RequestTxn(nested)) => self.txn(nested),
                _ => {}
            }
        }
    }

    /// Leaves out who answered.
    pub fn header(self, header: &mut Option<PbResponseHeader>) {
        if let Some(header) = header {
            header.cluster_id = 0;
            header.member_id = 0;
            self.earlier(&mut header.revision);
        }
    }

    fn item(self, item: &mut PbKeyValue) {
        self.earlier(&mut item.create_revision);
        self.earlier(&mut item.mod_revision);
    }

    pub fn event(self, event: &mut PbEvent) {
        for item in event.kv.iter_mut().chain(&mut event.prev_kv) {
            self.item(item);
        }
    }

    pub fn found(self, answer: &mut PbRangeResponse) {
        self.header(&mut answer.header);
        answer.kvs.iter_mut().for_each(|item| self.item(item));
    }

    pub fn put(self, answer: &mut PbPutResponse) {
        self.header(&mut answer.header);
        answer.prev_kv.iter_mut().for_each(|item| self.item(item));
    }

    pub fn deleted(self, answer: &mut PbDeleteResponse) {
        self.header(&mut answer.header);
        answer.prev_kvs.iter_mut().for_each(|item| self.item(item));
    }

    pub fn done(self, answer: &mut PbTxnResponse) {
        self.header(&mut answer.header);
        for response in &mut answer.responses {
            match &mut response.response {
                Some(PbTxnOpResponse::ResponseRange(found)) => self.found(found),
                Some(PbTxnOpResponse::ResponsePut(put)) => self.put(put),
                Some(PbTxnOpResponse::ResponseDeleteRange(deleted)) => self.deleted(deleted),
                Some(PbTxnOpResponse::ResponseTxn(nested)) => self.done(nested),
                None => {}
            }
        }
    }
}
