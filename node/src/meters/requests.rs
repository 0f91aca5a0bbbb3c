//! Rate, errors and duration of what comes in, by method.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, StatusCode};
use hyper::body::{Frame, SizeHint};
use ocmt_proto::methods;
use ocmt_types::Clock;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tracing::{Instrument as _, Span};

use crate::{
    edge::{
        call,
        refusals::{self, Answered as Told},
        speech::Speech,
    },
    forward::Hopped,
    gateway,
    telemetry::trace,
    web,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    /// `client`, or `node` for what another node forwarded.
    from: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    from: &'static str,
    code: &'static str,
}

/// The counts. Cheap to clone.
#[derive(Clone)]
pub struct Requests {
    clock: Arc<dyn Clock>,
    answered: Family<Answered, Counter>,
    took: Family<Asked, Histogram, fn() -> Histogram>,
    open: Gauge,
}

impl Requests {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            answered: Family::default(),
            took: Family::new_with_constructor(buckets as fn() -> Histogram),
            open: Gauge::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests that were answered, by method, where they came from, and gRPC code or class of the HTTP status",
            self.answered.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "To the end of the answer; of streams, to its beginning",
            Unit::Seconds,
            self.took.clone(),
        );
        registry.register("requests_open", "Requests whose answer has not ended", self.open.clone());
    }
}

fn buckets() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// Counts a request and its answer.
pub async fn measure(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (method, streams) = method_of(path);
    let from = if request.extensions().get::<Hopped>().is_some() { "node" } else { "client" };
    let web = Speech::of(request.headers()) == Speech::GrpcWeb;
    // a context is believed of nodes alone
    let by_node = (from == "node").then(|| request.headers());
    let span = trace::request(method, from, by_node);
    let (id, address) = (call::request_id(request.extensions()).ok(), call::peer(request.extensions()));
    let mut open = Open::new(requests, Asked { method, from }, span.clone());
    // what another node forwarded is told of there
    open.told = (from == "client").then_some(Told { what: method, code: "", address, request: id });
    let answer = next.run(request).instrument(span).await;
    if streams {
        open.took();
    }
    match code_of(answer.headers()) {
        Some(code) => open.code = Some(code),
        // it is in a frame of the body, in base64 perhaps: not looked for
        None if web => open.code = Some("WEB"),
        None if !is_grpc(answer.headers()) => open.code = Some(class_of(answer.status())),
        None => {}
    }
    answer.map(|body| Body::new(Counted { body, open }))
}

/// A word for the method, and whether it answers with a stream.
fn method_of(path: &str) -> (&'static str, bool) {
    if let Some(method) = methods::find(path) {
        let short = method.path.trim_start_matches("/ocmt.v1.").trim_start_matches('/');
        return (short, method.server_streaming);
    }
    if path.starts_with(gateway::PATH) {
        ("gateway", true)
    } else if web::is_page(path) {
        ("page", false)
    } else {
        ("other", false)
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    Speech::of(headers) == Speech::Grpc
}

/// What `grpc-status` says, as gRPC names it.
fn code_of(headers: &HeaderMap) -> Option<&'static str> {
    let code = headers.get("grpc-status")?;
    Some(match tonic::Code::from_bytes(code.as_bytes()) {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::NotFound => "NOT_FOUND",
        tonic::Code::AlreadyExists => "ALREADY_EXISTS",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        tonic::Code::FailedPrecondition => "FAILED_PRECONDITION",
        tonic::Code::Aborted => "ABORTED",
        tonic::Code::OutOfRange => "OUT_OF_RANGE",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Internal => "INTERNAL",
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DataLoss => "DATA_LOSS",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
        tonic::Code::Unknown => "UNKNOWN",
    })
}

fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// A request whose answer has not ended. Counted when this is dropped, by whomever.
struct Open {
    requests: Requests,
    asked: Asked,
    begun: Duration,
    code: Option<&'static str>,
    taken: bool,
    /// Ends with the answer.
    span: Span,
    /// Written down if it was refused.
    told: Option<Told>,
}

impl Open {
    fn new(requests: Requests, asked: Asked, span: Span) -> Self {
        requests.open.inc();
        let begun = requests.clock.boottime();
        Self { requests, asked, begun, code: None, taken: false, span, told: None }
    }

    fn took(&mut self) {
        if !std::mem::replace(&mut self.taken, true) {
            let took = self.requests.clock.boottime().saturating_sub(self.begun);
            self.requests.took.get_or_create(&self.asked).observe(took.as_secs_f64());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.took();
        let Asked { method, from } = self.asked;
        // without a status it was given up before its end
        let answered = Answered { method, from, code: self.code.unwrap_or("CANCELLED") };
        self.span.record("code", answered.code);
        if let Some(told) = self.told.take() {
            refusals::note(&Told { code: answered.code, ..told });
        }
        self.requests.answered.get_or_create(&answered).inc();
        self.requests.open.dec();
    }
}

/// A body whose trailers are looked at.
struct Counted {
    body: Body,
    open: Open,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(code) = frame.trailers_ref().and_then(code_of)
        {
            self.open.code = Some(code);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_makes_up_is_no_label() {
        assert_eq!(method_of("/ocmt.v1.VaultService/GetEntry"), ("VaultService/GetEntry", false));
        assert_eq!(method_of("/ocmt.v1.VaultService/WatchVault"), ("VaultService/WatchVault", true));
        assert_eq!(method_of("/auth/link/some-token").0, "page");
        for made_up in ["/ocmt.v1.VaultService/Nothing", "/x", "/ocmt.v1.Nobody/GetEntry", "/static/page.css"]
        {
            assert_eq!(method_of(made_up).0, "other", "{made_up}");
        }
    }
}
