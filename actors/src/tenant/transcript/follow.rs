//! Following: who reads as records come is woken by the append that wrote them. In memory, at the tenant's owner alone.

use std::collections::HashMap;

use ocmt_types::{ConversationId, Deadline};
use tokio::sync::watch;

use crate::{
    ActorError, Caller, TenantHandle,
    call::{Reply, answer_of},
    node::NodeMessage,
    tenant::TenantMessage,
};

/// Somebody wants to be woken by what is appended to a conversation.
pub(crate) struct Follow {
    pub(crate) conversation: ConversationId,
    pub(crate) reply: Reply<watch::Receiver<()>>,
}

/// Who is to be woken.
#[derive(Default)]
pub(in crate::tenant) struct Followers(HashMap<ConversationId, watch::Sender<()>>);

impl Followers {
    pub(in crate::tenant) fn add(&mut self, follow: Follow) {
        self.0.retain(|_, told| told.receiver_count() > 0);
        let told = self.0.entry(follow.conversation).or_insert_with(|| watch::Sender::new(()));
        follow.reply.send(Ok(told.subscribe()));
    }

    /// Something was appended, or all of it is gone.
    pub(in crate::tenant) fn wake(&self, conversation: ConversationId) {
        if let Some(told) = self.0.get(&conversation) {
            told.send_replace(());
        }
    }
}

/// Wakes a reader. To be asked for before the read whose end it waits at, so that nothing comes between.
pub struct TranscriptWake(watch::Receiver<()>);

impl TranscriptWake {
    /// Ready when something may have come since the last time; false if nobody here could tell any more.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl TenantHandle<'_> {
    /// Wakes whoever reads a conversation. It says nothing of the conversation, not even whether it is there: reading
    /// does, as whoever reads.
    ///
    /// # Errors
    /// [`ActorError::NotFound`] for a caller of another tenant; [`ActorError::ResourceExhausted`].
    pub async fn follow_transcript(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        deadline: Deadline,
    ) -> Result<TranscriptWake, ActorError> {
        if caller.tenant() != self.tenant {
            return Err(ActorError::NotFound);
        }
        let env = &self.system.env;
        env.strict()?;
        let permit = env.admission.take(self.tenant, 0)?;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        let follow = TenantMessage::Follow(Follow { conversation, reply });
        env.to_root(NodeMessage::ToTenant(self.tenant, follow));
        answer_of(&env.clock, deadline, answer).await.map(TranscriptWake)
    }
}
