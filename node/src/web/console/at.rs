//! Who is at the console: an operator whose certificate is good, asked anew with each page.

use axum::{
    extract::FromRequestParts,
    http::{Extensions, StatusCode, request::Parts},
    response::Response,
};
use ocmt_store::tables::Operator;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::{
    super::{answer::refusal, frame::Frame, pages::Visitor},
    Console,
};

/// An operator at a page.
pub(super) struct At {
    pub(super) visitor: Visitor,
    pub(super) operator: Operator,
    extensions: Extensions,
}

impl FromRequestParts<Console> for At {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, console).await?;
        let shown = console.rpc.shown(&parts.extensions, parts.uri.path()).await;
        let operator = shown.map_err(|status| refused(&status, &visitor))?;
        Ok(Self { visitor, operator, extensions: parts.extensions.clone() })
    }
}

impl At {
    /// A call of this operator's, as it would come by gRPC.
    pub(super) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.extensions_mut() = self.extensions.clone();
        request
    }

    pub(super) fn frame(&self) -> Frame {
        self.visitor.frame().of_user()
    }

    pub(super) fn refused(&self, status: &Status) -> Response {
        refused(status, &self.visitor)
    }

    /// What no page of the console is.
    pub(super) fn missing(&self) -> Response {
        self.refused(&Status::not_found("there is no such page"))
    }
}

/// Why not, for a person.
fn refused(status: &Status, visitor: &Visitor) -> Response {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    refusal(http_status(status.code()), &reason, status.message(), visitor)
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
