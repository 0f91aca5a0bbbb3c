//! What the cell wants of its conversations' transcripts: its host asks for it, does it, and answers with the next call.
//!
//! A wish is given again, byte for byte, until it is answered, so a host that dies in between changes nothing.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ocmt_types::{ConversationId, IdGen, MessageId, RandomIds, UnlockId};
use tokio::{
    sync::{Notify, oneshot},
    time,
};

use crate::CellError;

/// Wishes of one answer to the host. No more wait at once than [`super::MOST_SAYING`] and those that begin.
const MOST: usize = 32;
/// Bytes of records beyond the first, in one answer.
const MOST_BYTES: usize = 2 << 20;
/// A host waits for something new at most this long in one call.
const MOST_WAIT: Duration = Duration::from_secs(30);

/// What is wanted of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Make it, and keep its key for the vault: the sealed item.
    Begin {
        /// Of the inbox.
        item: MessageId,
        /// Sealed to the vault.
        sealed: Bytes,
    },
    /// Show records from this sequence on.
    Look(u64),
    /// Append a record.
    Append {
        /// Its sequence.
        sequence: u64,
        /// Tag of the one before; empty before the first.
        previous_tag: Bytes,
        /// Sealed.
        record: Bytes,
    },
}

impl Wanted {
    fn bytes(&self) -> usize {
        match self {
            Self::Begin { sealed, .. } => sealed.len(),
            Self::Look(_) => 0,
            Self::Append { record, .. } => record.len(),
        }
    }
}

/// A wish as the host gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    /// Chosen here.
    pub id: MessageId,
    /// The unlock it is in.
    pub unlock: UnlockId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// What.
    pub wanted: Wanted,
}

/// What became of it, as the host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// It is done, and durable.
    Done,
    /// Records, as they are stored.
    Shown {
        /// Sequence of the first of them.
        first: u64,
        /// In order.
        records: Vec<Bytes>,
        /// Sequence that the next record must have.
        next: u64,
    },
    /// It is not done.
    Refused {
        /// Stable word.
        reason: String,
        /// In words.
        why: String,
    },
}

struct Waiting {
    wish: Wish,
    maker: oneshot::Sender<Got>,
}

/// Wishes that are not answered, oldest first.
#[derive(Default)]
pub struct Wishes {
    waiting: Mutex<VecDeque<Waiting>>,
    moved: Notify,
    closed: AtomicBool,
}

impl Wishes {
    /// Wants something, and waits until the host has done it or says that it does not.
    ///
    /// # Errors
    /// [`CellError::Locked`] if the cell locks meanwhile.
    pub async fn ask(
        &self,
        unlock: UnlockId,
        conversation: ConversationId,
        wanted: Wanted,
    ) -> Result<Got, CellError> {
        let ids: &dyn IdGen = &RandomIds;
        let (maker, got) = oneshot::channel();
        let wish = Wish { id: ids.id(), unlock, conversation, wanted };
        self.lock().push_back(Waiting { wish, maker });
        self.moved.notify_waiters();
        got.await.map_err(|_| CellError::Locked)
    }

    /// Forgets a wish and tells its maker.
    pub fn settle(&self, wish: MessageId, got: Got) {
        let mut waiting = self.lock();
        let found = waiting.iter().position(|waiting| waiting.wish.id == wish);
        if let Some(Waiting { maker, .. }) = found.and_then(|at| waiting.remove(at)) {
            // the maker may be gone
            let _ = maker.send(got);
        }
    }

    /// What is wanted, oldest first; with nothing there, as soon as there is something, at most after `wait`.
    pub async fn take(&self, wait: Duration) -> Vec<Wish> {
        let moved = self.moved.notified();
        tokio::pin!(moved);
        // before the look: what comes in between wakes too
        moved.as_mut().enable();
        let now = self.some();
        if !now.is_empty() || wait.is_zero() || self.closed.load(Ordering::SeqCst) {
            return now;
        }
        // an error is the time running out
        let _ = time::timeout(wait.min(MOST_WAIT), moved).await;
        self.some()
    }

    /// Forgets all: the cell locks.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Lets whoever waits in [`Self::take`] go: the cell ends.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    fn some(&self) -> Vec<Wish> {
        let (waiting, mut bytes) = (self.lock(), 0);
        let fit = waiting.iter().take(MOST).enumerate().take_while(|(at, waiting)| {
            bytes += if *at == 0 { 0 } else { waiting.wish.wanted.bytes() };
            bytes <= MOST_BYTES
        });
        fit.map(|(_, waiting)| waiting.wish.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
