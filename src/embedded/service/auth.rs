//! `etcdserverpb.Auth`, as an etcd answers whose authentication is switched off and who knows no users.
//! The generated trait has a request that etcd-client does not name, so calls are told apart by path here.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use etcd_client::proto::{PbAuthDisableResponse, PbAuthRoleListResponse, PbAuthUserListResponse};
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::Shared;

/// The service.
#[derive(Clone)]
pub(super) struct AuthService(pub(super) Arc<Shared>);

impl NamedService for AuthService {
    const NAME: &'static str = "etcdserverpb.Auth";
}

impl Service<http::Request<Body>> for AuthService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let header = Some(self.0.header_now());
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let refused = match method {
            "AuthDisable" => {
                return reply(PbAuthDisableResponse { header }, request);
            }
            "UserList" => {
                let users = Vec::new();
                return reply(PbAuthUserListResponse { header, users }, request);
            }
            "RoleList" => {
                let roles = Vec::new();
                return reply(PbAuthRoleListResponse { header, roles }, request);
            }
            "Authenticate" => {
                Status::failed_precondition("etcdserver: authentication is not enabled")
            }
            "AuthEnable" => Status::failed_precondition("etcdserver: root user does not exist"),
            "UserGet" | "UserDelete" | "UserChangePassword" | "UserGrantRole"
            | "UserRevokeRole" => Status::failed_precondition("etcdserver: user name not found"),
            "RoleGet" | "RoleDelete" | "RoleGrantPermission" | "RoleRevokePermission" => {
                Status::failed_precondition("etcdserver: role name not found")
            }
            "UserAdd" | "RoleAdd" => Status::unimplemented(
                "flannelctl's embedded store has no users and roles; for those, use etcd",
            ),
            unknown => Status::unimplemented(format!(
                "unknown method {unknown} for service {}",
                Self::NAME
            )),
        };
        Box::pin(ready(Ok(refused.into_http())))
    }
}

/// Answers a call, whatever its request holds.
fn reply<M>(answer: M, request: http::Request<Body>) -> BoxFuture<http::Response<Body>, Infallible>
where
    M: Message + Default + Clone + 'static,
{
    let codec = ProstCodec::<M, ()>::default();
    Box::pin(async move { Ok(Grpc::new(codec).unary(Fixed(answer), request).await) })
}

/// The same answer to whatever request.
struct Fixed<M>(M);

impl<M: Clone> UnaryService<()> for Fixed<M> {
    type Response = M;
    type Future = Ready<Result<Response<M>, Status>>;

    fn call(&mut self, _request: Request<()>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}
