//! Something that traces are sent to by OTLP: it keeps the spans that came.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, async_trait};

/// How long a test waits for a span at the most.
const PATIENCE: Duration = Duration::from_secs(90);

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Trace, span, and the span above it; empty at the beginning of a trace.
    pub trace: Vec<u8>,
    /// Which one.
    pub span: Vec<u8>,
    /// Above it.
    pub parent: Vec<u8>,
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// All that came of it, as text.
    pub whole: String,
}

/// The collector; gone when it is dropped.
pub struct Collector {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    kept: Kept,
    came: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Seen>>>);

struct Service {
    kept: Kept,
    told: watch::Sender<usize>,
}

impl Collector {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (told, came) = watch::channel(0);
        let kept = Kept::default();
        let service = TraceServiceServer::new(Service { kept: kept.clone(), told });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let served = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener));
            let _ = served.await;
        });
        Ok(Self { url, kept, came, _tasks: tasks })
    }

    /// The spans that came so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first span that is so, when it has come.
    ///
    /// # Errors
    /// None came in time.
    pub async fn span(&self, is: impl Fn(&Seen) -> bool) -> anyhow::Result<Seen> {
        let find = || self.spans().into_iter().find(|span| is(span));
        let mut came = self.came.clone();
        tokio::time::timeout(PATIENCE, came.wait_for(|_| find().is_some()))
            .await
            .context("no such span came")??;
        find().context("it went")
    }
}

#[async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let all = request.into_inner().resource_spans;
        let spans = all.into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
        for it in spans {
            let whole = format!("{it:?}");
            let text = |value: Value| match value {
                Value::StringValue(text) => text,
                other => format!("{other:?}"),
            };
            let attributes = it.attributes.into_iter();
            let attributes = attributes
                .map(|of| (of.key, of.value.and_then(|it| it.value).map_or_else(String::new, text)));
            let seen = Seen {
                name: it.name,
                trace: it.trace_id,
                span: it.span_id,
                parent: it.parent_span_id,
                attributes: attributes.collect(),
                whole,
            };
            self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        }
        self.told.send_modify(|came| *came += 1);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
