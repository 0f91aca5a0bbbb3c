//! Errands to a running cell, beside the container's other work; and the way out for its connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ocmt_types::{ContainerId, Deadline};

use super::{cell::Cell, ops::Ctx};
use crate::{
    api::{
        connections::{AuthorizationBegun, ConnectionInfo, Disconnected},
        container::Wake,
    },
    call::Reply,
    env::Scope,
    error::ActorError,
    host::{
        errand::{End, Errand, Finish},
        owner::tell,
    },
    ports::CellWish,
    supervisor,
    tenant::connections::{Ended, Find, NotBegun, Over},
    work::{SystemWork, run_system},
};

/// A provider is asked once or twice, and the owner's store takes what comes of it.
const ERRAND: Duration = Duration::from_secs(40);
/// After a way out that was lost.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Does it, beside the container's other work, and answers.
pub(super) fn run(ctx: &Ctx, cell: Arc<Cell>, errand: Errand, wake: Wake, deadline: Option<Deadline>) {
    let at = At { scope: ctx.scope.clone(), container: ctx.container, cell };
    supervisor::detach(async move {
        match errand {
            Errand::Begin(wish, reply) => reply.send(at.begin(wish, wake).await),
            Errand::Finish(finish, reply) => reply.send(at.finish(finish).await),
            Errand::Disconnect(end, reply) => at.disconnect_in_turn(end, reply, deadline).await,
        }
    });
}

/// Whose turn it is to end a connection, of each provider: how one ended is written down before the next is looked at, which may be of
/// the same. What one provider keeps waiting is nothing to another.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Weak<Turn>>>);

type Turn = tokio::sync::Mutex<()>;

impl Turns {
    fn of(&self, provider: &str) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        turns.get(provider).and_then(Weak::upgrade).unwrap_or_else(|| {
            let turn = Arc::new(Turn::default());
            turns.insert(provider.to_owned(), Arc::downgrade(&turn));
            turn
        })
    }
}

struct At {
    scope: Scope,
    container: ContainerId,
    cell: Arc<Cell>,
}

impl At {
    async fn begin(&self, wish: CellWish, wake: Wake) -> Result<AuthorizationBegun, ActorError> {
        let (authorization, state, expires_at) = (wish.authorization, wish.state.clone(), wish.expires_at);
        let call = self.scope.env.cells.begin_authorization(&self.cell.target, wish);
        let offer = match super::cell::within(ERRAND, call).await {
            Ok(offer) => offer,
            Err(error) => {
                // it is nothing that could be finished
                self.system(NotBegun(authorization)).await?;
                return Err(error);
            }
        };
        let (url, proof, unlock) = (offer.url, offer.proof, offer.unlock);
        Ok(AuthorizationBegun { authorization, url, proof, unlock, state, expires_at, wake })
    }

    /// The cell answers when its inbox's item is in the owner's store, and with the item came the connection.
    async fn finish(&self, it: Finish) -> Result<ConnectionInfo, ActorError> {
        let call = self.scope.env.cells.finish_authorization(&self.cell.target, it.authorization, it.answer);
        super::cell::within(ERRAND, call).await?;
        self.system(Find { container: self.container, provider: it.provider }).await
    }

    /// One after the other of a provider, for as long as somebody waits for it: what a provider keeps waiting holds no caller's place.
    async fn disconnect_in_turn(&self, end: End, mut reply: Reply<Disconnected>, deadline: Option<Deadline>) {
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep(deadline.remaining(&*self.scope.env.clock)).await,
                None => std::future::pending().await,
            }
        };
        let turn = self.cell.ending.of(&end.provider);
        let _turn = tokio::select! {
            biased;
            () = reply.abandoned() => return,
            turn = turn.lock() => turn,
            () = late => return reply.send(Err(ActorError::DeadlineExceeded)),
        };
        reply.send(self.disconnect(end).await);
    }

    async fn disconnect(&self, it: End) -> Result<Disconnected, ActorError> {
        let End { connection, provider, anyway } = it;
        if let Some(revoked) = self.system(Over { container: self.container, connection }).await? {
            return Ok(Disconnected { revoked });
        }
        let call = self.scope.env.cells.disconnect(&self.cell.target, provider, anyway);
        let revoked = match super::cell::within(ERRAND, call).await {
            Err(error) if anyway => {
                tracing::debug!(container = %self.container, %error, "a connection is forgotten that its cell did not end");
                false
            }
            ended => ended?,
        };
        let revoked = self.system(Ended { container: self.container, connection, revoked }).await?;
        Ok(Disconnected { revoked })
    }

    async fn system<S: SystemWork>(&self, work: S) -> Result<S::Output, ActorError> {
        let (output, effects) = run_system(&self.scope, work).await?;
        tell(&self.scope, effects);
        Ok(output)
    }
}

/// Lets a running cell reach providers, until it is dropped.
pub(super) async fn carry(scope: Scope, container: ContainerId, cell: Arc<Cell>) {
    loop {
        if let Err(error) = scope.env.cells.carry(&cell.target).await {
            tracing::debug!(%container, %error, "way out of a cell was lost");
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
