//! What the workload makes for its user's vault: sealed at once, kept until the owner's store has it.
//!
//! Sealed, an item is safe with anybody, so a lock leaves the waiting ones alone; the names and keys to seal
//! with go with the unlock. Whoever made an item is told when it is stored, or why it is not: nothing is
//! acknowledged before.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ocmt_crypto::{
    connect::MAX_CONNECTIONS,
    entry::EntryName,
    seal::SealPublicKey,
    unlock::{InboxItem, InboxPlace, NEW_CONVERSATIONS, NewConversation, UnlockKey, UnlockPayload},
};
use ocmt_types::{IdGen, MessageId, RandomIds, TenantId, Timestamp};
use tokio::{
    sync::{Notify, oneshot},
    time,
};
use zeroize::Zeroizing;

use crate::CellError;

/// Items that wait, and items of one answer to the node: with their bytes below 4 MiB.
pub const MAX_WAITING: usize = 48;
/// A node waits for something new at most this long in one call.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// What became of an item: stored, or refused in words for the workload.
pub type Settled = Result<(), String>;

/// The right of one unlock to write.
pub struct Writing {
    place: InboxPlace,
    inbox: SealPublicKey,
    key: UnlockKey,
    names: Vec<EntryName>,
}

impl Writing {
    /// What `payload` allows.
    pub fn of(tenant: TenantId, payload: &UnlockPayload) -> Self {
        Self {
            place: InboxPlace { tenant, vault: payload.vault, unlock: payload.unlock, sequence: 0 },
            inbox: payload.inbox,
            key: payload.unlock_key.duplicate(),
            names: payload.may_write.clone(),
        }
    }

    /// Seals the key of a conversation that the cell begins.
    ///
    /// # Errors
    /// [`CellError::Invalid`] if this unlock may begin none.
    pub fn seal_key(&mut self, new: &NewConversation) -> Result<Vec<u8>, CellError> {
        if !self.names.iter().any(|name| name.expose() == NEW_CONVERSATIONS) {
            return Err(CellError::Invalid(
                "this unlock may not begin conversations: its user allows it with `ocmt container unlock --new-conversations`",
            ));
        }
        self.seal_item(&new.item())
    }

    /// Seals a value under a name that this unlock may write.
    fn seal(&mut self, name: &str, value: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, CellError> {
        let name = EntryName::new(name).map_err(|_| CellError::Invalid("the name is no entry's name"))?;
        if name.expose() == NEW_CONVERSATIONS {
            return Err(CellError::Invalid(
                "that name is kept for the keys of conversations, which the cell makes",
            ));
        }
        if !self.names.contains(&name) {
            return Err(CellError::Invalid(
                "this unlock may not write that name: its user names it with `ocmt container unlock --may-write NAME`",
            ));
        }
        self.seal_item(&InboxItem { name: name.expose().to_owned(), value })
    }

    fn seal_item(&mut self, item: &InboxItem) -> Result<Vec<u8>, CellError> {
        let sealed = item
            .seal(&self.place, &self.inbox, &self.key, &mut rand::rng())
            .map_err(|_| CellError::Invalid("the value is longer than 64 KiB"))?;
        self.place.sequence += 1;
        Ok(sealed)
    }
}

/// An item as the node gets it.
#[derive(Clone)]
pub struct SealedItem {
    /// Chosen here; the same however often the item is given.
    pub item: MessageId,
    /// The sealed bytes.
    pub sealed: Bytes,
    /// By the container's clock.
    pub made_at: Timestamp,
    /// The connection whose tokens it holds; none for what the workload made.
    pub connection: Option<OfConnection>,
}

/// What the node may know of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfConnection {
    /// With whom.
    pub provider: String,
    /// For what.
    pub scopes: Vec<String>,
}

struct Waiting {
    item: SealedItem,
    maker: oneshot::Sender<Settled>,
}

/// Items that the node has not confirmed, oldest first.
#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<VecDeque<Waiting>>,
    moved: Notify,
    closed: std::sync::atomic::AtomicBool,
}

impl Inbox {
    /// Seals an item and keeps it. Resolves when the owner's store has it, or has refused it.
    ///
    /// # Errors
    /// [`CellError::Invalid`] for a name that `writing` does not have or a value over 64 KiB;
    /// [`CellError::Exhausted`] past [`MAX_WAITING`].
    pub fn put(
        &self,
        writing: &mut Writing,
        name: &str,
        value: Zeroizing<Vec<u8>>,
        made_at: Timestamp,
        connection: Option<OfConnection>,
    ) -> Result<oneshot::Receiver<Settled>, CellError> {
        let mut waiting = self.lock();
        // of a connection one at a time waits, and has room beside the workload's
        let most = MAX_WAITING + if connection.is_some() { MAX_CONNECTIONS } else { 0 };
        if waiting.len() >= most {
            return Err(CellError::Exhausted("items wait for the vault: try again"));
        }
        let sealed = writing.seal(name, value)?.into();
        let ids: &dyn IdGen = &RandomIds;
        let (maker, settled) = oneshot::channel();
        waiting
            .push_back(Waiting { item: SealedItem { item: ids.id(), sealed, made_at, connection }, maker });
        drop(waiting);
        self.moved.notify_waiters();
        Ok(settled)
    }

    /// Forgets an item and tells its maker.
    pub fn settle(&self, item: MessageId, settled: Settled) {
        let mut waiting = self.lock();
        let found = waiting.iter().position(|waiting| waiting.item.item == item);
        if let Some(Waiting { maker, .. }) = found.and_then(|at| waiting.remove(at)) {
            // the maker may be gone
            let _ = maker.send(settled);
            drop(waiting);
            self.moved.notify_waiters();
        }
    }

    /// What waits, oldest first; with nothing there, as soon as there is something, at most after `wait`.
    pub async fn take(&self, wait: Duration) -> Vec<SealedItem> {
        let all = || self.lock().iter().map(|waiting| waiting.item.clone()).collect::<Vec<_>>();
        let moved = self.moved.notified();
        tokio::pin!(moved);
        // before the look: what comes in between wakes too
        moved.as_mut().enable();
        let now = all();
        if !now.is_empty() || wait.is_zero() || self.closed.load(std::sync::atomic::Ordering::SeqCst) {
            return now;
        }
        // an error is the time running out
        let _ = time::timeout(wait.min(MAX_WAIT), moved).await;
        all()
    }

    /// Whether tokens of a connection wait.
    pub fn has_tokens(&self) -> bool {
        self.lock().iter().any(|waiting| waiting.item.connection.is_some())
    }

    /// Ready when none do.
    pub async fn without_tokens(&self) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if !self.has_tokens() {
                return;
            }
            moved.await;
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets whoever waits in [`Self::take`] go: the cell ends.
    pub fn close(&self) {
        self.closed.store(true, std::sync::atomic::Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::IdGen;

    use super::*;

    #[test]
    fn so_many_items_wait_and_one_that_is_refused_leaves_no_gap() {
        let ids: &dyn IdGen = &RandomIds;
        let mut writing = Writing {
            place: InboxPlace { tenant: ids.id(), vault: ids.id(), unlock: ids.id(), sequence: 0 },
            inbox: ocmt_crypto::seal::SealSecretKey::generate(&mut rand::rng()).public(),
            key: UnlockKey::generate(&mut rand::rng()),
            names: vec![EntryName::new("mine").unwrap()],
        };
        let inbox = Inbox::default();
        let mut put = |name: &str, len: usize| {
            inbox.put(&mut writing, name, Zeroizing::new(vec![0; len]), Timestamp(0), None).map(drop)
        };
        assert!(matches!(put("other", 1), Err(CellError::Invalid(_))));
        assert!(matches!(put("mine", 64 * 1024 + 1), Err(CellError::Invalid(_))));
        for _ in 0..MAX_WAITING {
            put("mine", 1).unwrap();
        }
        assert!(matches!(put("mine", 1), Err(CellError::Exhausted(_))));
        assert_eq!(inbox.len(), MAX_WAITING);
        let last = inbox.lock().back().unwrap().item.clone();
        assert_eq!(InboxPlace::claimed(&last.sealed).unwrap().sequence, MAX_WAITING as u64 - 1);
        inbox.settle(last.item, Ok(()));
        put("mine", 1).unwrap();
    }
}
