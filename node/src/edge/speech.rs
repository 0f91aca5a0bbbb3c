//! How a caller reads errors: as a gRPC status, as one in a gRPC-Web frame, or as problem+json.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, header};
use ocmt_actors::ActorError;

use super::error;

const GRPC: &[u8] = b"application/grpc";
const GRPC_WEB: &[u8] = b"application/grpc-web";

/// The protocol of a request, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Grpc,
    GrpcWeb,
    Http,
}

impl Speech {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) {
            Some(kind) if kind.starts_with(GRPC_WEB) => Self::GrpcWeb,
            Some(kind) if kind.starts_with(GRPC) => Self::Grpc,
            _ => Self::Http,
        }
    }
}

/// An error for the caller of a request with these headers.
pub(crate) fn refusal(error: &ActorError, request: &HeaderMap) -> Response {
    refusal_to(Speech::of(request), request.get(header::CONTENT_TYPE), error)
}

/// The same when the request is gone.
pub(crate) fn refusal_to(speech: Speech, kind: Option<&HeaderValue>, error: &ActorError) -> Response {
    if speech == Speech::Http {
        return error::problem(error);
    }
    let mut response = error::status(error).into_http::<tonic::body::Body>().map(Body::new);
    if let (Speech::GrpcWeb, Some(kind)) = (speech, kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    response
}
