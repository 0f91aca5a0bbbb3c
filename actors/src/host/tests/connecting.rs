//! What the cells of these tests do for connections: they offer an address, and send tokens to the inbox when an
//! authorization is finished.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use ocmt_types::AuthorizationId;
use tokio::sync::Notify;

use super::cells::{FakeCells, refused};
use crate::{
    CellCall, CellConnections, CellInboxItem, CellOffer, CellTarget, CellWish,
    tests::kit::{NoCells, nobody, until},
};

/// What cells were asked.
#[derive(Default)]
pub(super) struct Connecting {
    pub(super) wishes: Mutex<Vec<CellWish>>,
    /// Authorizations that a cell was asked to finish, with the answers.
    pub(super) finished: Mutex<Vec<(AuthorizationId, Vec<u8>)>>,
    /// What goes into the inbox with the next one.
    pub(super) tokens: Mutex<Option<CellInboxItem>>,
    pub(super) ended: Mutex<Vec<String>>,
    /// Ends that cells were asked for.
    pub(super) end_asks: AtomicUsize,
    /// The provider `git` lets an end wait until it is told to go on, and then refuses it.
    pub(super) hangs: AtomicBool,
    pub(super) go_on: Notify,
}

impl CellConnections for FakeCells {
    fn begin_authorization<'a>(&'a self, cell: &'a CellTarget, wish: CellWish) -> CellCall<'a, CellOffer> {
        Box::pin(async move {
            let unlock = self.unlocked(cell).await?.ok_or_else(|| refused("CELL_LOCKED"))?;
            let url = format!("https://id.example/authorize?state={}", wish.state);
            self.connecting.wishes.lock().unwrap_or_else(PoisonError::into_inner).push(wish);
            Ok(CellOffer { url, proof: vec![7; 32], unlock })
        })
    }

    fn finish_authorization<'a>(
        &'a self,
        cell: &'a CellTarget,
        authorization: AuthorizationId,
        answer: Vec<u8>,
    ) -> CellCall<'a, ()> {
        Box::pin(async move {
            self.unlocked(cell).await?.ok_or_else(|| refused("CELL_LOCKED"))?;
            self.connecting.finished.lock().unwrap().push((authorization, answer));
            let tokens =
                self.connecting.tokens.lock().unwrap().take().ok_or_else(|| refused("PROVIDER_REFUSED"))?;
            self.inbox.lock().unwrap().push(tokens);
            self.inbox_moved.notify_waiters();
            until("the tokens are stored", async || self.inbox.lock().unwrap().is_empty()).await;
            Ok(())
        })
    }

    fn disconnect<'a>(&'a self, cell: &'a CellTarget, provider: String, _: bool) -> CellCall<'a, bool> {
        Box::pin(async move {
            self.connecting.end_asks.fetch_add(1, Ordering::SeqCst);
            self.unlocked(cell).await?.ok_or_else(|| refused("CELL_LOCKED"))?;
            if provider == "git" && self.connecting.hangs.load(Ordering::SeqCst) {
                self.connecting.go_on.notified().await;
                return Err(refused("PROVIDER_REFUSED"));
            }
            let mut ended = self.connecting.ended.lock().unwrap();
            // of what was ended no token is left that a provider could be told of
            let revoked = !ended.contains(&provider);
            ended.push(provider);
            Ok(revoked)
        })
    }

    fn carry<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, ()> {
        Box::pin(std::future::pending())
    }
}

impl CellConnections for NoCells {
    fn begin_authorization<'a>(&'a self, _: &'a CellTarget, _: CellWish) -> CellCall<'a, CellOffer> {
        nobody()
    }
    fn finish_authorization<'a>(
        &'a self,
        _: &'a CellTarget,
        _: AuthorizationId,
        _: Vec<u8>,
    ) -> CellCall<'a, ()> {
        nobody()
    }
    fn disconnect<'a>(&'a self, _: &'a CellTarget, _: String, _: bool) -> CellCall<'a, bool> {
        nobody()
    }
    fn carry<'a>(&'a self, _: &'a CellTarget) -> CellCall<'a, ()> {
        nobody()
    }
}
