//! Spans of traces, and how they go from one node to the next (W3C Trace Context).
//!
//! A context is taken from nodes alone: what a client says of one is taken off before anything reads it, so nobody outside chooses what
//! is sampled, or joins others' traces.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Target of spans that are traced. They are of the finest level, so no log shows them.
pub(crate) const TARGET: &str = ocmt_actors::TRACE_TARGET;
/// The headers of a context.
pub(crate) const CONTEXT: [HeaderName; 2] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// The span of a request, until its answer has ended.
pub(crate) fn request(method: &'static str, from: &'static str, by_node: Option<&HeaderMap>) -> Span {
    let span = tracing::trace_span!(
        target: TARGET,
        "request",
        otel.name = method,
        otel.kind = "server",
        method,
        from,
        code = tracing::field::Empty,
    );
    if let Some(headers) = by_node.filter(|_| !span.is_disabled()) {
        follow(&span, headers);
    }
    span
}

/// The span of what another node asks.
pub(crate) fn asked(what: &'static str, headers: &HeaderMap) -> Span {
    let span = tracing::trace_span!(target: TARGET, "peer", otel.name = what, otel.kind = "server");
    if !span.is_disabled() {
        follow(&span, headers);
    }
    span
}

/// Says in the headers of a request to another node which span it is of.
pub(crate) fn carry(span: &Span, headers: &mut HeaderMap) {
    for name in &CONTEXT {
        headers.remove(name);
    }
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Out(headers));
    }
}

fn follow(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &In(headers));
    // a context that is none leaves the span at the beginning of a trace of its own
    let _ = span.set_parent(parent);
}

struct Out<'h>(&'h mut HeaderMap);

impl Injector for Out<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = CONTEXT.into_iter().find(|name| name.as_str() == key);
        if let (Some(name), Ok(value)) = (name, HeaderValue::try_from(value))
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

struct In<'h>(&'h HeaderMap);

impl Extractor for In<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
