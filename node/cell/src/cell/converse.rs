//! What the workload says in conversations, while the cell is unlocked.

use std::sync::Arc;

use ocmt_crypto::{datakey::DataKey, unlock::NewConversation};
use ocmt_types::{ConversationId, IdGen, MessageId, RandomIds};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{Cell, Inner, Unlocked};
use crate::{
    CellError,
    conversations::{
        Conversations, Said,
        wishes::{Got, Wanted, Wishes},
    },
    state::State,
    tasks,
};

impl Cell {
    /// The conversations that the workload may write.
    ///
    /// # Errors
    /// [`CellError::Locked`].
    pub fn conversations(&self) -> Result<Vec<ConversationId>, CellError> {
        Ok(self.unlocked(&mut self.lock_inner())?.conversations.list())
    }

    /// Says something; resolves when it is stored or refused.
    ///
    /// # Errors
    /// [`CellError::Locked`], and as [`Conversations::say`].
    pub fn say(
        &self,
        conversation: ConversationId,
        text: Zeroizing<Vec<u8>>,
        last: bool,
    ) -> Result<oneshot::Receiver<Said>, CellError> {
        self.unlocked(&mut self.lock_inner())?.conversations.say(conversation, text, last)
    }

    /// Begins a conversation: it is there, and its key waits in the vault's inbox, or neither.
    ///
    /// # Errors
    /// [`CellError::Locked`]; [`CellError::Invalid`] if this unlock may begin none, or no more.
    pub async fn begin_conversation(self: &Arc<Self>) -> Result<Result<ConversationId, String>, CellError> {
        let cell = Arc::clone(self);
        // what the node has made is written here too, also if whoever wanted it went away
        tasks::to_its_end(async move { cell.begin_to_its_end().await }).await?
    }

    async fn begin_to_its_end(&self) -> Result<Result<ConversationId, String>, CellError> {
        let ids: &dyn IdGen = &RandomIds;
        let new = NewConversation { conversation: ids.id(), key: DataKey::generate(&mut rand::rng()) };
        let (conversations, unlock, sealed): (Arc<Conversations>, _, _) = {
            let mut inner = self.lock_inner();
            let unlocked = self.unlocked(&mut inner)?;
            let sealed = unlocked.writing.seal_key(&new)?;
            unlocked.conversations.reserve()?;
            (Arc::clone(&unlocked.conversations), unlocked.id, sealed)
        };
        let (conversation, item): (_, MessageId) = (new.conversation, ids.id());
        let wanted = Wanted::Begin { item, sealed: sealed.into() };
        match self.wishes.ask(unlock, conversation, wanted).await? {
            Got::Done => conversations.add(new).map(|()| Ok(conversation)),
            Got::Refused { why, .. } => Ok(Err(why)),
            Got::Shown { .. } => Ok(Err("the node answers something else".to_owned())),
        }
    }

    /// What the cell wants of its host.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// Ends what the workload says: its keys are wiped then.
    pub(super) async fn end_conversations(&self) {
        let conversations =
            self.lock_inner().unlocked.as_ref().map(|unlocked| Arc::clone(&unlocked.conversations));
        if let Some(conversations) = conversations {
            conversations.end().await;
        }
        self.wishes.clear();
    }

    /// What there is while the lease lasts.
    fn unlocked<'i>(&self, inner: &'i mut Inner) -> Result<&'i mut Unlocked, CellError> {
        if !matches!(inner.state, State::Unlocked { until_ms } if self.now_ms() < until_ms) {
            return Err(CellError::Locked);
        }
        inner.unlocked.as_mut().ok_or(CellError::Locked)
    }
}
