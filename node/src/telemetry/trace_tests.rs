#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Spans {
    /// What the work leaves, by the names of its spans.
    fn of(work: impl FnOnce()) -> Vec<SpanData> {
        let spans = Self::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        spans.0.lock().unwrap().clone()
    }
}

fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    spans.iter().find(|span| span.name == name).unwrap()
}

#[test]
fn what_another_node_forwards_goes_on_in_the_same_trace() {
    let spans = Spans::of(|| {
        let mut headers = HeaderMap::new();
        let first = request("first", "client", None);
        carry(&first, &mut headers);
        drop(request("second", "node", Some(&headers)));
        drop(asked("third", &headers));
    });
    let first = &named(&spans, "first").span_context;
    assert_eq!(named(&spans, "first").parent_span_id, SpanId::INVALID);
    for name in ["second", "third"] {
        let span = named(&spans, name);
        assert_eq!(
            (span.span_context.trace_id(), span.parent_span_id),
            (first.trace_id(), first.span_id()),
            "{name}"
        );
    }
}

#[test]
fn a_context_that_is_none_begins_a_trace_and_one_that_was_there_does_not_go_on() {
    let spans = Spans::of(|| {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static("00-nonsense"));
        drop(request("alone", "node", Some(&headers)));
        carry(&Span::none(), &mut headers);
        assert!(headers.is_empty(), "what nobody traces says nothing of a trace: {headers:?}");
    });
    assert_eq!(named(&spans, "alone").parent_span_id, SpanId::INVALID);
}
