//! Why nothing came of a request, for the workload and for the audit.

use bytes::Bytes;
use http::{Response, StatusCode, header::CONNECTION};
use http_body_util::{BodyExt as _, Full};

use super::request::Body;

/// Why not. Whether a name is unknown or leads to an address that is never reached is one answer: a workload does not
/// learn which names there are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What a proxy does not take.
    Malformed(&'static str),
    NotInPolicy,
    NotPublic,
    TenantFull,
    NodeFull,
    DaySpent,
    Unreachable,
    /// The destination does not speak HTTP.
    BadAnswer,
    /// The policy cannot be read.
    PolicyUnknown,
}

impl Refusal {
    /// As the audit names it, and the header `ocmt-egress` of the answer.
    pub(super) const fn reason(self) -> &'static str {
        self.parts().0
    }

    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed(why) => ("MALFORMED", StatusCode::BAD_REQUEST, why),
            Self::NotInPolicy => (
                "NOT_IN_POLICY",
                StatusCode::FORBIDDEN,
                "the egress policy does not allow this host and port",
            ),
            Self::NotPublic => {
                ("NOT_PUBLIC", StatusCode::FORBIDDEN, "this name does not lead to a public address")
            }
            Self::TenantFull => (
                "TENANT_FULL",
                StatusCode::SERVICE_UNAVAILABLE,
                "the containers of this tenant have all connections that they may have here; repeat",
            ),
            Self::NodeFull => (
                "NODE_FULL",
                StatusCode::SERVICE_UNAVAILABLE,
                "the containers of this node have all connections that it has; repeat",
            ),
            Self::DaySpent => (
                "DAY_SPENT",
                StatusCode::TOO_MANY_REQUESTS,
                "the bytes of this container for today are used up",
            ),
            Self::Unreachable => ("UNREACHABLE", StatusCode::BAD_GATEWAY, "the host does not answer"),
            Self::BadAnswer => {
                ("BAD_ANSWER", StatusCode::BAD_GATEWAY, "the host does not speak HTTP as it should")
            }
            Self::PolicyUnknown => (
                "POLICY_UNKNOWN",
                StatusCode::SERVICE_UNAVAILABLE,
                "the egress policy cannot be read now, so nothing is allowed; repeat",
            ),
        }
    }

    pub(super) fn answer(self) -> Response<Body> {
        let (reason, status, why) = self.parts();
        let text = Full::new(Bytes::from(format!("ocmt egress: {why}\n")));
        let mut answer = Response::new(text.map_err(|never| match never {}).boxed_unsync());
        *answer.status_mut() = status;
        answer.headers_mut().insert("ocmt-egress", http::HeaderValue::from_static(reason));
        answer.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("close"));
        answer
    }
}
