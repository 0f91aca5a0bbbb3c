//! What of the contract this listener does not serve: the one list, answered with UNIMPLEMENTED and a reason.
//!
//! A test walks every method of the descriptor: each is either of a service on this list or served, never both and
//! never neither.

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::edge::error::DOMAIN;

/// Services that others speak.
const SERVICES: [(&str, &str); 2] = [
    ("ocmt.v1.NodeService", "nodes speak this to each other, on the peer listener"),
    ("ocmt.cell.v1.CellService", "cells serve this, nodes do not"),
];

/// Why the method of this path is not there; none if it is, or if there is no such method.
pub fn reason(path: &str) -> Option<&'static str> {
    let method = ocmt_proto::methods::find(path)?;
    SERVICES.iter().find(|(service, _)| *service == method.service).map(|(_, why)| *why)
}

/// The answer to a call of a method that is not there.
pub fn refusal(path: &str) -> Option<Response> {
    let why = reason(path)?;
    Some(status(why).into_http::<tonic::body::Body>().map(axum::body::Body::new).into_response())
}

fn status(why: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("UNIMPLEMENTED", DOMAIN, std::collections::HashMap::<String, String>::new());
    Status::with_error_details(Code::Unimplemented, why, details)
}

/// For a path that is neither a method nor a page.
pub async fn not_found() -> StatusCode {
    StatusCode::NOT_FOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_service_exists() {
        for (service, _) in SERVICES {
            assert!(
                ocmt_proto::methods::all().iter().any(|method| method.service == service),
                "{service} is no service"
            );
        }
    }
}
