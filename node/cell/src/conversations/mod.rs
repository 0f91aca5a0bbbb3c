//! Conversations that the workload writes through its cell: sealed here, kept by the node, which cannot read them.
//!
//! An unlock names those that the cell may go on with, and hands their keys over; one that may begin conversations lets the
//! cell make keys, which go to the vault's inbox. All of it ends with the unlock. Nothing is acknowledged before it is
//! stored.

mod line;
#[cfg(test)]
mod tests;
pub mod wishes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ocmt_crypto::{
    transcript::MAX_RECORD,
    unlock::{Continued, ConversationKeys, NewConversation, UnlockPayload, take_continued},
};
use ocmt_types::{ConversationId, TenantId, UnlockId};
use tokio::sync::{Semaphore, mpsc, oneshot};
use zeroize::Zeroizing;

pub use line::Said;

use self::{
    line::{Job, Line},
    wishes::Wishes,
};
use crate::{CellError, tasks::Task};

/// Records that wait for the node, of all conversations.
pub const MOST_SAYING: usize = 24;
/// Conversations that one unlock may begin.
pub const MOST_BEGUN: usize = 64;

/// The conversations of one unlock.
pub struct Conversations {
    tenant: TenantId,
    unlock: UnlockId,
    wishes: Arc<Wishes>,
    seats: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    lines: BTreeMap<ConversationId, Speaker>,
    /// Begun, or on their way to it.
    begun: usize,
    ended: bool,
}

/// The way to the task of a conversation.
struct Speaker {
    jobs: mpsc::Sender<Job>,
    task: Task,
}

impl Speaker {
    fn start(line: Line) -> Self {
        let (jobs, queue) = mpsc::channel(MOST_SAYING);
        Self { jobs, task: Task::start(line.serve(queue)) }
    }
}

impl Conversations {
    /// Those that a payload names, with their keys, which it has no more then.
    pub fn of(tenant: TenantId, payload: &mut UnlockPayload, wishes: &Arc<Wishes>) -> Self {
        let unlock = payload.unlock;
        let start = |(known, keys): (Continued, ConversationKeys)| {
            let line = Line::new(tenant, unlock, known, keys, Arc::clone(wishes));
            (known.conversation, Speaker::start(line))
        };
        let lines = take_continued(payload).into_iter().map(start).collect();
        let open = Mutex::new(Open { lines, ..Open::default() });
        let seats = Arc::new(Semaphore::new(MOST_SAYING));
        Self { tenant, unlock, wishes: Arc::clone(wishes), seats, open }
    }

    /// Which may be written.
    pub fn list(&self) -> Vec<ConversationId> {
        self.lock().lines.keys().copied().collect()
    }

    /// Says something in a conversation; resolves when it is stored, or when it is known that it is not.
    ///
    /// # Errors
    /// [`CellError::Invalid`] for a conversation that this unlock does not write, and a text over 256 KiB;
    /// [`CellError::Exhausted`] past [`MOST_SAYING`].
    pub fn say(
        &self,
        conversation: ConversationId,
        text: Zeroizing<Vec<u8>>,
        last: bool,
    ) -> Result<oneshot::Receiver<Said>, CellError> {
        const MANY: CellError = CellError::Exhausted("records wait for the node: try again");
        if text.len() > MAX_RECORD {
            return Err(CellError::Invalid("a record has at most 256 KiB"));
        }
        let open = self.lock();
        let speaker = open.lines.get(&conversation).ok_or(CellError::Invalid(
            "this unlock may not write that conversation: its user names it with `ocmt container unlock --conversation ID`",
        ))?;
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| MANY)?;
        let (said, done) = oneshot::channel();
        speaker.jobs.try_send(Job { text, last, said, _seat: seat }).map_err(|_| MANY)?;
        Ok(done)
    }

    /// Takes a place among those that are begun.
    ///
    /// # Errors
    /// [`CellError::Invalid`] past [`MOST_BEGUN`].
    pub fn reserve(&self) -> Result<(), CellError> {
        let mut open = self.lock();
        if open.begun >= MOST_BEGUN {
            return Err(CellError::Invalid(
                "this unlock has begun 64 conversations: unlock the container anew",
            ));
        }
        open.begun += 1;
        Ok(())
    }

    /// Opens one whose key is on its way to the vault, and that the node has.
    ///
    /// # Errors
    /// [`CellError::Locked`] if the unlock is over.
    pub fn add(&self, new: NewConversation) -> Result<(), CellError> {
        let mut open = self.lock();
        if open.ended {
            return Err(CellError::Locked);
        }
        let NewConversation { conversation, key } = new;
        let keys = ConversationKeys::begun(&key);
        let line = Line::begun(self.tenant, self.unlock, conversation, keys, Arc::clone(&self.wishes));
        open.lines.insert(conversation, Speaker::start(line));
        Ok(())
    }

    /// Ends all of them: their keys are wiped when this returns.
    pub async fn end(&self) {
        let lines = {
            let mut open = self.lock();
            open.ended = true;
            std::mem::take(&mut open.lines)
        };
        for speaker in lines.into_values() {
            speaker.task.end().await;
        }
        self.wishes.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
