//! The one table from our errors to gRPC status and HTTP status: codes, `google.rpc` details, nothing internal.

use std::collections::HashMap;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use ocmt_actors::ActorError;
use ocmt_types::RequestId;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{forward::names::NOT_OWNER, gateway::FROM_WORKLOAD};

/// Domain of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "ocmt";

/// How an error looks from outside, on every protocol.
struct Face {
    code: Code,
    http: StatusCode,
}

fn face(error: &ActorError) -> Face {
    let (code, http) = match error {
        ActorError::NotFound => (Code::NotFound, StatusCode::NOT_FOUND),
        ActorError::Unauthenticated(_) => (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
        ActorError::PermissionDenied(_) | ActorError::StepUpRequired => {
            (Code::PermissionDenied, StatusCode::FORBIDDEN)
        }
        ActorError::InvalidArgument { .. } => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
        ActorError::FailedPrecondition { .. } => (Code::FailedPrecondition, StatusCode::CONFLICT),
        ActorError::AlreadyExists(_) => (Code::AlreadyExists, StatusCode::CONFLICT),
        ActorError::Aborted(_) => (Code::Aborted, StatusCode::CONFLICT),
        ActorError::ResourceExhausted { .. } => (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
        ActorError::OutOfRange(_) => (Code::OutOfRange, StatusCode::GONE),
        ActorError::DeadlineExceeded => (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
        ActorError::Unavailable { .. } | ActorError::NotOwner { .. } | ActorError::OutcomeUnknown => {
            (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
        }
        ActorError::Unimplemented(_) => (Code::Unimplemented, StatusCode::NOT_IMPLEMENTED),
        // also what a later version may add: say nothing about it
        _ => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
    };
    Face { code, http }
}

/// The error as a gRPC status with ErrorInfo, and BadRequest or RetryInfo where they apply.
pub fn status(error: &ActorError) -> Status {
    status_saying(error, error.to_string())
}

/// The same in other words, for callers to whom the usual ones would say something else.
pub fn status_saying(error: &ActorError, text: impl Into<String>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), DOMAIN, facts(error));
    if let ActorError::InvalidArgument { field, why } = error {
        details.add_bad_request_violation(*field, why);
    }
    if let Some(after) = error.retry_after() {
        details.set_retry_info(Some(after));
    }
    let mut status = Status::with_error_details(face(error).code, text, details);
    if let Some(owner) = owner(error).and_then(|owner| owner.parse().ok()) {
        status.metadata_mut().insert("ocmt-not-owner", owner);
    }
    status
}

/// What the node that forwarded the call is told, on either protocol: nobody read it, and who would.
fn owner(error: &ActorError) -> Option<String> {
    match error {
        ActorError::NotOwner { owner } => {
            Some(owner.map_or_else(|| "-".to_owned(), |owner| owner.to_string()))
        }
        _ => None,
    }
}

/// What a program may want to know beside the reason: who has the tenant.
fn facts(error: &ActorError) -> HashMap<String, String> {
    match error {
        ActorError::NotOwner { owner: Some(owner) } => {
            HashMap::from([("owner".to_owned(), owner.to_string())])
        }
        _ => HashMap::new(),
    }
}

/// What of an answer is a problem: whoever stamps it writes the body, with the request's id.
#[derive(Clone)]
pub(super) struct Problem {
    detail: Option<String>,
    reason: String,
}

/// The error as RFC 9457 problem+json.
pub fn problem(error: &ActorError) -> Response {
    let problem = Problem { detail: Some(error.to_string()), reason: error.reason().to_owned() };
    let mut response = face(error).http.into_response();
    if let Some(after) = error.retry_after() {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
    if let Some(owner) = owner(error).and_then(|owner| owner.parse().ok()) {
        response.headers_mut().insert(NOT_OWNER, owner);
    }
    problem.put_into(&mut response, None);
    response.extensions_mut().insert(problem);
    response
}

/// The HTTP status of an error, for pages.
pub fn http_status(error: &ActorError) -> StatusCode {
    face(error).http
}

/// A refusal that only HTTP knows, such as a URI that is too long.
pub(super) fn problem_of(status: StatusCode, detail: &str) -> Response {
    problem_because(status, reason_of(status), detail)
}

/// A refusal with a stable reason of its own.
pub(crate) fn problem_because(status: StatusCode, reason: &str, detail: &str) -> Response {
    let mut response = status.into_response();
    let problem = Problem { detail: Some(detail.to_owned()), reason: reason.to_owned() };
    problem.put_into(&mut response, None);
    response.extensions_mut().insert(problem);
    response
}

/// Gives an answer that is a problem its body, with the request's id. Refusals that libraries made (an empty 404, a 413
/// in plain text) become problems here, and lose their words: those are about our insides.
pub(super) fn finish(response: &mut Response, id: RequestId) {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    match problem {
        Some(problem) => problem.put_into(response, Some(id)),
        None if is_bare(response) => {
            Problem { detail: None, reason: reason_of(status).to_owned() }.put_into(response, Some(id));
        }
        None => {}
    }
}

/// Whether nobody of ours has said why. An answer of gRPC has its status in a header; what a workload says is its own.
fn is_bare(response: &Response) -> bool {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().contains_key("grpc-status")
        || response.headers().contains_key(FROM_WORKLOAD)
    {
        return false;
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// The stable reason of a status that no error of the actors stands behind.
fn reason_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::PAYLOAD_TOO_LARGE => "BODY_TOO_LARGE",
        StatusCode::URI_TOO_LONG => "URI_TOO_LONG",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "HEADERS_TOO_LARGE",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
        StatusCode::MISDIRECTED_REQUEST => "UNKNOWN_HOST",
        status if status.is_server_error() => "INTERNAL",
        _ => "INVALID_REQUEST",
    }
}

impl Problem {
    fn put_into(&self, response: &mut Response, id: Option<RequestId>) {
        let status = response.status();
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "reason": self.reason,
        });
        if let Some(detail) = &self.detail {
            body["detail"] = json!(detail);
        }
        if let Some(id) = id {
            body["request_id"] = json!(id.to_string());
        }
        *response.body_mut() = Body::from(body.to_string());
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_its_reason_and_nothing_internal() {
        let status = status(&ActorError::invalid("email", "is not an address"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().map(|info| (info.reason.as_str(), info.domain.as_str())),
            Some(("INVALID_ARGUMENT", "ocmt"))
        );
        assert_eq!(details.bad_request().map(|bad| bad.field_violations[0].field.as_str()), Some("email"));
    }

    #[test]
    fn what_may_be_retried_says_when() {
        let error = ActorError::unavailable("RESTARTING", "x");
        assert!(status(&error).get_error_details().retry_info().is_some());
        assert_eq!(problem(&error).headers()[header::RETRY_AFTER], "1");
    }
}
