//! The session behind a connection, wherever its tenant is owned.
//!
//! A connection is tied to its session by the tenant's actor, which ends it the moment the session is over.
//! When that actor is gone (it failed, or the tenant moved to another node) the tie is made anew: here if the
//! tenant is ours, else by a letter that its owner holds until the session ends or some time has passed, again
//! and again. Until somebody answers the connection goes on, for `Limits::pinned_for` at most: the one exception
//! to revocation at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_types::Deadline;
use tokio::{sync::watch, time::timeout};

use super::{gateway::GatewayEnd, owner};
use crate::{
    env::Env,
    error::ActorError,
    supervisor::{self, Task},
    system::StreamGuard,
};

/// Who does not answer is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// The tie is made within this, or tried again.
const TIE_WITHIN: Duration = Duration::from_secs(5);

/// How the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its actor is here and tells its end at once.
    Tied,
    /// It was good at this boot time; its owner is being asked.
    GoodAt(Duration),
    /// It is over.
    Over,
    /// Nobody could say for too long whether it is.
    Lost,
}

/// Held by a connection.
pub(crate) struct Pinned {
    standing: watch::Receiver<Standing>,
    env: Arc<Env>,
    used: Arc<AtomicBool>,
    _watch: Task,
}

impl Pinned {
    /// Takes over from the guard that the tenant's actor gave.
    pub(crate) fn start(guard: StreamGuard) -> Self {
        let env = Arc::clone(guard.env());
        let (tell, standing) = watch::channel(Standing::Tied);
        let used = Arc::new(AtomicBool::new(false));
        let watch = Watch { guard, tell, used: Arc::clone(&used) };
        Self { standing, env, used, _watch: supervisor::task(watch.run()) }
    }

    /// Ready when the session is over, or when nobody could vouch for it for too long.
    pub(super) async fn over(&mut self) -> GatewayEnd {
        let ended = |standing: &Standing| matches!(standing, Standing::Over | Standing::Lost);
        match self.standing.wait_for(ended).await.as_deref() {
            Ok(Standing::Over) => GatewayEnd::SessionOver,
            Ok(_) | Err(_) => GatewayEnd::Moved,
        }
    }

    /// What may be asked while somebody waits for the end.
    pub(super) fn vouch(&self) -> Vouch {
        Vouch { standing: self.standing.clone(), env: Arc::clone(&self.env), used: Arc::clone(&self.used) }
    }
}

/// The other half of [`Pinned`].
pub(super) struct Vouch {
    standing: watch::Receiver<Standing>,
    env: Arc<Env>,
    used: Arc<AtomicBool>,
}

impl Vouch {
    /// How long a connection may go on if nothing more is heard.
    pub(super) fn good_for(&self) -> Duration {
        let pinned = self.env.limits.pinned_for;
        match *self.standing.borrow() {
            Standing::Tied => pinned,
            Standing::GoodAt(at) => pinned.saturating_sub(self.env.clock.boottime().saturating_sub(at)),
            Standing::Over | Standing::Lost => Duration::ZERO,
        }
    }

    /// The client had something to say: the session is in use. To be told in batches.
    pub(super) fn used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }
}

/// The task behind it.
struct Watch {
    guard: StreamGuard,
    tell: watch::Sender<Standing>,
    used: Arc<AtomicBool>,
}

/// What whoever owns the tenant says.
enum Said {
    Tied(StreamGuard),
    Good,
    Over,
}

impl Watch {
    async fn run(mut self) {
        let end = loop {
            if self.tied().await {
                break Standing::Over;
            }
            match self.tie_again().await {
                Ok(()) => self.tell.send_replace(Standing::Tied),
                Err(end) => break end,
            };
        };
        self.tell.send_replace(end);
    }

    /// Waits at the session's actor; true if the session is over, false if the actor is gone.
    async fn tied(&mut self) -> bool {
        let period = self.guard.env().limits.pinned_for / 2;
        loop {
            match timeout(period, self.guard.ended()).await {
                Ok(ended) => return ended,
                Err(_) if self.used.swap(false, Ordering::Relaxed) => self.guard.used(),
                Err(_) => {}
            }
        }
    }

    /// Asks whoever owns the tenant, until the session's actor is here again.
    async fn tie_again(&mut self) -> Result<(), Standing> {
        let (pinned, clock) = {
            let env = self.guard.env();
            (env.limits.pinned_for, Arc::clone(&env.clock))
        };
        loop {
            self.tell.send_replace(Standing::GoodAt(clock.boottime()));
            match timeout(pinned, self.ask_until_answered()).await {
                Ok(Said::Tied(guard)) => {
                    self.guard = guard;
                    return Ok(());
                }
                Ok(Said::Good) => {}
                Ok(Said::Over) => return Err(Standing::Over),
                Err(_) => return Err(Standing::Lost),
            }
        }
    }

    async fn ask_until_answered(&self) -> Said {
        loop {
            match self.ask().await {
                Ok(said) => return said,
                Err(
                    ActorError::Unauthenticated(_) | ActorError::PermissionDenied(_) | ActorError::NotFound,
                ) => return Said::Over,
                Err(error) => {
                    tracing::debug!(%error, "owner of a session does not say how it stands, asked again");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn ask(&self) -> Result<Said, ActorError> {
        let env = self.guard.env();
        if env.neighbours.is_ours(self.guard.tenant()).await? {
            let deadline = Deadline::after(&*env.clock, TIE_WITHIN);
            return self.guard.again(deadline).await.map(Said::Tied);
        }
        let used = self.used.swap(false, Ordering::Relaxed);
        let hold = env.limits.pinned_for / 3;
        let good = owner::watch_session(env, self.guard.tenant(), self.guard.session(), used, hold).await?;
        Ok(if good { Said::Good } else { Said::Over })
    }
}
