//! Deaths, as Docker tells them: one stream that reconnects by itself.
//!
//! Docker replays what it still remembers since a moment (256 events, none over its own restart), so the
//! stream asks from the last one it saw, and says `Resync` at each connection: the listener lists again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use ocmt_types::{NodeId, Timestamp};

use super::engine::{Engine, fault};
use crate::{ContainerRef, Exit, Labels, RuntimeError, RuntimeEvent};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(5);

struct Listener {
    engine: Arc<Engine>,
    filters: HashMap<String, Vec<String>>,
    live: Option<BoxStream<'static, Result<EventMessage, RuntimeError>>>,
    /// From when to hear, by the engine's clock: seconds and nanoseconds, as it takes them.
    since: Option<String>,
    /// Containers that ran out of memory and have not died yet: the death does not say so itself.
    starved: HashSet<ContainerRef>,
    retry: Duration,
}

pub(super) fn stream(engine: Arc<Engine>, node: NodeId) -> BoxStream<'static, RuntimeEvent> {
    let filters = [
        ("type", vec!["container".to_owned()]),
        ("label", vec![format!("{}={node}", Labels::NODE)]),
        ("event", vec!["die".to_owned(), "oom".to_owned()]),
    ];
    let listener = Listener {
        engine,
        filters: filters.map(|(key, values)| (key.to_owned(), values)).into(),
        live: None,
        since: None,
        starved: HashSet::new(),
        retry: FIRST_RETRY,
    };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await;
        Some((event, listener))
    })
    .boxed()
}

impl Listener {
    async fn next(&mut self) -> RuntimeEvent {
        loop {
            let Some(live) = &mut self.live else {
                match self.connect().await {
                    Ok(()) => return RuntimeEvent::Resync,
                    Err(error) => {
                        tracing::debug!(%error, retry_ms = self.retry.as_millis(), "docker events unreachable");
                        tokio::time::sleep(self.retry).await;
                        self.retry = (self.retry * 2).min(LAST_RETRY);
                    }
                }
                continue;
            };
            match live.next().await {
                Some(Ok(message)) => {
                    if let Some(event) = self.take(&message) {
                        return event;
                    }
                }
                ended => {
                    tracing::debug!(error = ?ended.and_then(Result::err), "docker events ended, reconnecting");
                    self.live = None;
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), RuntimeError> {
        // the engine's own time, so that nothing between this and the first event is missed
        let now = self.engine.info().await?.system_time.as_deref().and_then(engine_time);
        let since = self.since.clone().or_else(|| now.map(seconds)).unwrap_or_default();
        let options = EventsOptionsBuilder::new().since(&since).filters(&self.filters).build();
        self.live = Some(
            self.engine
                .docker()?
                .events(Some(options))
                .map(|event| event.map_err(|error| fault(&error)))
                .boxed(),
        );
        (self.since, self.retry) = (Some(since), FIRST_RETRY);
        Ok(())
    }

    fn take(&mut self, message: &EventMessage) -> Option<RuntimeEvent> {
        let nanos = message.time_nano?;
        // one past it, or it would be told again
        self.since = Some(seconds(nanos.saturating_add(1)));
        let attributes = message.actor.as_ref()?.attributes.as_ref()?;
        let container = Labels::from_map(attributes).ok()?.container_ref();
        let at = Timestamp(nanos / 1_000_000);
        match message.action.as_deref()? {
            "oom" => {
                self.starved.insert(container);
                Some(RuntimeEvent::OutOfMemory { container, at })
            }
            "die" => {
                let exit = Exit {
                    code: attributes.get("exitCode").and_then(|code| code.parse().ok()),
                    oom: self.starved.remove(&container),
                };
                Some(RuntimeEvent::Died { container, exit, at })
            }
            _ => None,
        }
    }
}

/// Nanoseconds since the epoch of the engine's RFC 3339 text.
fn engine_time(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
}

fn seconds(nanos: i64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
