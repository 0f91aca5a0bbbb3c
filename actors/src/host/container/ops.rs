//! What operations on a container stand on, and how they end: intent, engine and cell, result.
//!
//! Each runs beside its actor and ends in an [`Ended`]. The intent is committed before the engine is called
//! and the result after, so that whoever is cut off in between is found by the timer of the intent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_runtime::{Call, ContainerRef, Observed, RuntimeError};
use ocmt_store::tables::{Container, ContainerState as Phase, WakeCause};
use ocmt_types::ContainerId;
use tokio::time::timeout;

use super::{
    Shared,
    cell::Cell,
    job::Then,
    row::{self, Write},
    sealing::Sealing,
    seen::{record, rest},
    state::{After, Clocks, Facts, Op},
};
use crate::{
    clip::clip,
    env::{Env, Scope},
    error::ActorError,
    ports::LockReason,
};

/// One call of the engine. A stop has its grace on top.
const ENGINE: Duration = Duration::from_secs(60);

/// What an operation stands on.
pub(super) struct Ctx {
    pub(super) container: ContainerId,
    pub(super) scope: Scope,
    /// As last read or written; none before the first inspection.
    pub(super) row: Option<Container>,
    pub(super) cell: Option<Arc<Cell>>,
    pub(super) shared: Arc<Shared>,
    pub(super) called_off: Arc<AtomicBool>,
    pub(super) clocks: Clocks,
    /// The engine has it.
    pub(super) made: bool,
    pub(super) grace: Duration,
    pub(super) reason: LockReason,
    /// What it is woken by; none where the user's own client is there to unlock it.
    pub(super) cause: Option<WakeCause>,
}

/// How it ended.
pub(crate) struct Ended {
    pub(super) op: Op,
    pub(super) how: How,
    pub(super) row: Option<Container>,
    pub(super) cell: Option<Arc<Cell>>,
    pub(super) error: Option<ActorError>,
    /// What is left to do for a request, by the actor.
    pub(super) then: Then,
}

/// What is so now.
pub(super) enum How {
    /// Left like this.
    After(After),
    /// Found like this.
    Inspected(Facts),
    /// There is no such container.
    Gone,
    /// The truth could not be written or read: to be found out anew.
    Lost,
}

impl Ctx {
    pub(super) fn env(&self) -> &Env {
        &self.scope.env
    }

    pub(super) fn row(&self) -> Result<Container, ActorError> {
        self.row.clone().ok_or(ActorError::NotFound)
    }

    pub(super) fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::SeqCst)
    }

    /// Writes an intent or a result.
    pub(super) async fn write(
        &self,
        action: Option<&'static str>,
        change: impl FnOnce(&mut Container) -> Result<(), ActorError> + Clone + Send + 'static,
    ) -> Result<Container, ActorError> {
        row::write(&self.scope, self.result(action, change)).await
    }

    /// What there is to write of an intent or a result, where nothing else is to be said.
    pub(super) fn result<F>(&self, action: Option<&'static str>, change: F) -> Write<F> {
        Write {
            container: self.container,
            change,
            action,
            failed: false,
            unsealed: false,
            sealing: Sealing::Unknown,
            locked: false,
            woke: None,
        }
    }

    /// A call of the engine, with a bound.
    pub(super) async fn engine<T>(&self, extra: Duration, call: Call<'_, T>) -> Result<T, RuntimeError> {
        let within = ENGINE + extra;
        timeout(within, call).await.unwrap_or(Err(RuntimeError::TimedOut(within)))
    }

    /// What the engine says; `Ok(None)` if it does not have it.
    pub(super) async fn look(&self, of: &ContainerRef) -> Result<Option<Observed>, RuntimeError> {
        match self.engine(Duration::ZERO, self.env().runtime.inspect(of)).await {
            Ok(observed) => Ok(Some(observed)),
            Err(RuntimeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// It went well: this is the row now.
    pub(super) fn done(&self, op: Op, row: Container, cell: Option<Arc<Cell>>) -> Ended {
        let after = after(&row, true, true);
        Ended { op, how: How::After(after), row: Some(row), cell, error: None, then: Then::Nothing }
    }

    /// An intent or result could not be written, or the row not read.
    pub(super) fn lost(&self, op: Op, error: ActorError) -> Ended {
        let how = match (&self.row, &error) {
            (_, ActorError::NotFound) => How::Gone,
            // the row says something else than this operation wants: nothing was done
            (Some(row), error) if error.is_refusal() && !matches!(error, ActorError::Aborted(_)) => {
                How::After(after(row, self.made, false))
            }
            _ => How::Lost,
        };
        Ended {
            op,
            how,
            row: self.row.clone(),
            cell: self.cell.clone(),
            error: Some(error),
            then: Then::Nothing,
        }
    }

    /// It went wrong: the engine says what is so now, and that is written down. Where the engine does not
    /// answer, it is `otherwise`.
    pub(super) async fn failed(&self, op: Op, row: &Container, error: ActorError, otherwise: Phase) -> Ended {
        let seen = self.look(&reference(row)).await;
        let made = !matches!(seen, Ok(None));
        let (now, why) = (self.env().now(), clip(&error.to_string(), 500));
        let seen = seen.ok();
        let change = move |row: &mut Container| {
            match seen {
                Some(seen) => record(row, seen.as_ref(), now),
                None => row.observed = otherwise,
            }
            if matches!(row.observed, Phase::Stopped | Phase::Failed | Phase::Absent) {
                rest(row);
                row.observed = Phase::Failed;
            }
            row.failure = Some(why);
            Ok(())
        };
        let write = Write { failed: true, ..self.result(Some("container.failed"), change) };
        match row::write(&self.scope, write).await {
            Ok(row) => {
                let cell = self.cell.clone().filter(|_| is_live(row.observed));
                let how = How::After(after(&row, made, false));
                Ended { op, how, row: Some(row), cell, error: Some(error), then: Then::Nothing }
            }
            Err(error) => self.lost(op, error),
        }
    }

    /// A suspend that was called off, or that the cell has work against.
    pub(super) fn unchanged(&self, op: Op, row: Container) -> Ended {
        self.done(op, row, self.cell.clone())
    }
}

pub(super) fn after(row: &Container, made: bool, ok: bool) -> After {
    // in the middle of something that was cut off, the engine has said that it is not there
    let phase = match row.observed {
        phase @ (Phase::Running | Phase::Paused | Phase::Failed | Phase::Absent) => phase,
        _ => Phase::Stopped,
    };
    After { phase, made, unlocked_until: row.unlocked_until, ok }
}

pub(super) fn is_live(phase: Phase) -> bool {
    matches!(phase, Phase::Running | Phase::Paused)
}

/// What it goes by at the engine.
pub(super) fn reference(row: &Container) -> ContainerRef {
    ContainerRef { container: row.container_id, generation: row.generation }
}

/// What the engine said, for callers. Where it says how a host is laid out, that is for its log alone.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(crate) fn from_engine(error: RuntimeError) -> ActorError {
    match &error {
        RuntimeError::EngineDown(_) => tracing::warn!(%error, "nothing can be done with containers"),
        RuntimeError::Volume { .. } | RuntimeError::Io { .. } => tracing::error!(%error, "a volume failed"),
        _ => {}
    }
    for_callers(&error)
}

/// The same, for whoever writes it down himself.
pub(crate) fn for_callers(error: &RuntimeError) -> ActorError {
    let for_all = match error {
        RuntimeError::EngineDown(_) => Some("the container engine does not answer: repeat in a while"),
        RuntimeError::Volume { .. } | RuntimeError::Io { .. } => {
            Some("the host could not look after the volume; its operator has been told")
        }
        _ => None,
    };
    let why = for_all.map_or_else(|| error.to_string(), str::to_owned);
    match error {
        RuntimeError::EngineDown(_) | RuntimeError::TimedOut(_) => {
            ActorError::unavailable("ENGINE_DOWN", why)
        }
        RuntimeError::ImageMissing(_) => ActorError::precondition("IMAGE_MISSING", why),
        RuntimeError::Refused(_) => ActorError::precondition("OUTSIDE_PROFILE", why),
        RuntimeError::NetworksExhausted(_) => ActorError::exhausted("NETWORKS_EXHAUSTED", why),
        RuntimeError::NoRoom(_) => ActorError::exhausted("NO_ROOM_FOR_VOLUME", why),
        _ => ActorError::unavailable("ENGINE_FAILED", why),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn nobody_is_told_how_a_host_is_laid_out() {
        let away = || io::Error::other("/srv/ocmt/engine.sock");
        for error in [
            RuntimeError::EngineDown("/srv/ocmt/engine.sock".to_owned()),
            RuntimeError::Volume { path: "/srv/ocmt/volumes/1".to_owned(), why: away().to_string() },
            RuntimeError::Io { what: "look after volumes", source: away() },
        ] {
            let told = from_engine(error).to_string();
            assert!(!told.contains("/srv"), "{told}");
        }
    }
}
