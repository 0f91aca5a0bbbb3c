//! Traces over OTLP (gRPC), off until an endpoint is named.
//!
//! What is traced are the spans of [`TARGET`](super::trace::TARGET) and nothing else: no log line and no field of one becomes part of a trace. The
//! queue is bounded; what does not fit is let go, and no call ever waits for it.

use std::{fs, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits},
};
use tonic::transport::{Certificate, ClientTlsConfig};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::trace::TARGET;
use crate::config::Otlp;

/// One export.
const LASTS: Duration = Duration::from_secs(5);
/// Between two exports.
const EVERY: Duration = Duration::from_secs(2);
/// Spans of one export.
const BATCH: usize = 512;
/// Attributes of one span: more than any has.
const MOST_ATTRIBUTES: u32 = 16;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The authority in the file.
    #[error("telemetry.otlp.ca_file: {0}")]
    Ca(#[from] std::io::Error),
    /// The way to the collector.
    #[error("telemetry.otlp: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What sends traces. Dropped, it sends what waits.
#[must_use = "traces end with it"]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(|it| it.shutdown_with_timeout(LASTS)) {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// The layer that makes spans of traces; none where no endpoint is named. In a runtime: the connection is its.
pub(super) fn layer<S>(config: &Otlp) -> Result<(Option<impl Layer<S> + use<S>>, Traces), OtlpError>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    if config.endpoint.is_empty() {
        return Ok((None, Traces(None)));
    }
    let mut exporter =
        SpanExporter::builder().with_tonic().with_endpoint(&config.endpoint).with_timeout(LASTS);
    if config.endpoint.starts_with("https:") {
        let tls = ClientTlsConfig::new();
        exporter = exporter.with_tls_config(if config.ca_file.as_os_str().is_empty() {
            tls.with_native_roots()
        } else {
            tls.ca_certificate(Certificate::from_pem(fs::read(&config.ca_file)?))
        });
    }
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(config.queue)
        .with_max_export_batch_size(BATCH.min(config.queue))
        .with_scheduled_delay(EVERY)
        .build();
    let limits = SpanLimits {
        max_events_per_span: 0,
        max_links_per_span: 0,
        max_attributes_per_span: MOST_ATTRIBUTES,
        ..SpanLimits::default()
    };
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(
            BatchSpanProcessor::builder(exporter.build()?).with_batch_config(batches).build(),
        )
        // whoever had it first decides: a node that is forwarded to goes by that
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample))))
        .with_span_limits(limits)
        .with_resource(Resource::builder_empty().with_service_name("ocmt").with_attribute(version).build())
        .build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("ocmt"))
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE));
    Ok((Some(spans), Traces(Some(provider))))
}
