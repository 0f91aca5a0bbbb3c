//! Connections to providers while the cell is unlocked, and what comes of them for the user's vault.

use std::{sync::Arc, time::Duration};

use ocmt_crypto::connect::{ProviderName, Tokens, tokens_entry};
use ocmt_types::AuthorizationId;
use tokio::{sync::oneshot, time::timeout};
use zeroize::Zeroizing;

use super::Cell;
use crate::{
    CellError,
    inbox::{OfConnection, Settled},
    oauth::{Begun, Connections, Keep, Wish, reach::Carrier},
    state::State,
    tasks,
};

/// A lock waits this long for an exchange under way, and then for the store; the host waits 15 s for it all.
const SETTLE: Duration = Duration::from_secs(8);
const TAKEN: Duration = Duration::from_secs(2);
/// How long the owner's store may take to have the tokens.
const STORED_WITHIN: Duration = Duration::from_secs(15);

impl Cell {
    /// Where to send the user's browser for a connection.
    ///
    /// # Errors
    /// [`CellError::Locked`], and as [`Connections::begin`].
    pub async fn begin_authorization(&self, wish: Wish) -> Result<Begun, CellError> {
        self.connections()?.begin(wish, self.now_ms()).await
    }

    /// Redeems what came back. Answers when the tokens are in the owner's store, sealed; until then they are in the
    /// cell alone.
    ///
    /// # Errors
    /// [`CellError::Locked`], and as [`Connections::finish`]; [`CellError::Invalid`] if the vault does not take them.
    pub async fn finish_authorization(
        self: &Arc<Self>,
        authorization: AuthorizationId,
        sealed: Vec<u8>,
    ) -> Result<(), CellError> {
        let cell = Arc::clone(self);
        // a code is redeemed once: what it gives is not left behind by a caller that goes away
        tasks::to_its_end(async move {
            let connections = cell.connections()?;
            let mut receipt = {
                let _exchange = connections.enter().await;
                let now = (cell.clock.now(), cell.now_ms());
                let tokens = connections.finish(authorization, &sealed, now).await?;
                connections.hold(tokens, &Vault { cell: &cell, connections: &connections }).await?
            };
            match receipt.within(STORED_WITHIN).await {
                Some(Ok(())) => Ok(()),
                Some(Err(_)) => Err(CellError::Invalid(
                    "connected until the cell locks: the vault's inbox does not take the tokens, see `ocmt vault inbox`",
                )),
                None => Err(CellError::Invalid(
                    "connected, but it is not known whether the vault's inbox has the tokens: see `ocmt vault inbox`",
                )),
            }
        })
        .await?
    }

    /// A token of `provider` that a program may show.
    ///
    /// # Errors
    /// [`CellError::Locked`], and as [`Connections::token`].
    pub async fn access_token(
        self: &Arc<Self>,
        provider: ProviderName,
    ) -> Result<Zeroizing<String>, CellError> {
        let cell = Arc::clone(self);
        tasks::to_its_end(async move {
            let connections = cell.connections()?;
            let _exchange = connections.enter().await;
            let keep = Vault { cell: &cell, connections: &connections };
            connections.token(&provider, &*cell.clock, &keep).await
        })
        .await?
    }

    /// Ends a connection. Whether its provider took the end.
    ///
    /// # Errors
    /// [`CellError::Locked`], and as [`Connections::disconnect`].
    pub async fn disconnect(
        self: &Arc<Self>,
        provider: ProviderName,
        anyway: bool,
    ) -> Result<bool, CellError> {
        let cell = Arc::clone(self);
        tasks::to_its_end(async move {
            let connections = cell.connections()?;
            let _exchange = connections.enter().await;
            connections.disconnect(&provider, anyway).await
        })
        .await?
    }

    /// A call of the host over which the next connection goes.
    pub fn park(&self, carrier: Carrier) {
        self.reach.park(carrier);
    }

    fn connections(&self) -> Result<Arc<Connections>, CellError> {
        let inner = self.lock_inner();
        if !matches!(inner.state, State::Unlocked { until_ms } if self.now_ms() < until_ms) {
            return Err(CellError::Locked);
        }
        inner.unlocked.as_ref().map(|unlocked| Arc::clone(&unlocked.connections)).ok_or(CellError::Locked)
    }

    /// Whether something waits for a provider: no time to be frozen.
    pub(super) fn is_exchanging(&self) -> bool {
        let inner = self.lock_inner();
        inner.unlocked.as_ref().is_some_and(|unlocked| unlocked.connections.is_exchanging())
    }

    /// Before the keys are wiped, when nothing begins any more: what a provider is giving at this moment replaces what the
    /// vault has, and goes there.
    pub(super) async fn settle_connections(&self) {
        let connections = {
            let inner = self.lock_inner();
            inner.unlocked.as_ref().map(|unlocked| Arc::clone(&unlocked.connections))
        };
        let Some(connections) = connections else { return };
        if timeout(SETTLE, connections.settled()).await.is_err() {
            tracing::warn!("an exchange with a provider was cut off by the lock");
        }
        if timeout(TAKEN, self.inbox.without_tokens()).await.is_err() {
            tracing::warn!("tokens wait for the vault's inbox: the next unlock waits for them");
        }
    }

    /// Seals them for the vault as long as their unlock is there, be it about to end.
    fn keep_tokens(
        &self,
        connections: &Connections,
        tokens: &Tokens,
    ) -> Result<oneshot::Receiver<Settled>, CellError> {
        let value = tokens.encode().map_err(|_| CellError::Invalid("the tokens are longer than 48 KiB"))?;
        let about = OfConnection { provider: tokens.provider.to_string(), scopes: tokens.scopes.clone() };
        let now = self.clock.now();
        let mut inner = self.lock_inner();
        let unlocked = inner.unlocked.as_mut().filter(|unlocked| unlocked.id == connections.unlock());
        let writing = &mut unlocked.ok_or(CellError::Locked)?.writing;
        self.inbox.put(writing, &tokens_entry(&tokens.provider), value, now, Some(about))
    }
}

/// The user's vault, as far as this unlock may write it.
struct Vault<'a> {
    cell: &'a Cell,
    connections: &'a Connections,
}

impl Keep for Vault<'_> {
    fn keep(&self, tokens: &Tokens) -> Result<oneshot::Receiver<Settled>, CellError> {
        self.cell.keep_tokens(self.connections, tokens)
    }
}
