//! Making a conversation, and listing them.

use ocmt_crypto::{manifest::MAX_ANCHORS, object::conversation_key_id};
use ocmt_store::tables::{Conversation, TranscriptRecord, Vault};
use ocmt_types::{ContainerId, ConversationId};

use super::{info, key};
use crate::{
    api::transcript::{ConversationInfo, ConversationPage, ListConversations, OpenConversation},
    authorize::{Action, Object},
    error::ActorError,
    tenant::{container, vault::ground},
    work::{Handle, Work},
};

const MOST_OF_A_PAGE: u32 = 100;
const WRONG_KEY: ActorError = ActorError::Aborted("the conversation's key");

impl Handle for OpenConversation {
    async fn handle(self, work: &mut Work) -> Result<ConversationInfo, ActorError> {
        let vault = ground::load(work, Action::WriteVault, Some(self.vault)).await?;
        if let Some(container) = self.container {
            container::load(work, Action::EnterContainer, container).await?;
        }
        work.object = format!("conversation/{}", self.conversation);
        let key_object = conversation_key_id(self.conversation);
        if key(work, self.vault, key_object).await?.wrapped_key != self.wrapped_key {
            return Err(WRONG_KEY);
        }
        match work.tx.get::<Conversation>(self.conversation).await? {
            Some(own) if own.vault_id == self.vault => {
                return Err(ActorError::AlreadyExists("a conversation"));
            }
            // another's id: nobody is told that it is there
            Some(_) => return Err(WRONG_KEY),
            None => {}
        }
        let of_before = TranscriptRecord::conversation_id.eq(self.conversation);
        if work.tx.first(of_before.limit(1)).await?.is_some() {
            // one of this id was deleted, and its records are not gone yet
            return Err(WRONG_KEY);
        }
        one_more(work, &vault).await?;
        let row = fresh(work, &vault, self.conversation, self.container)?;
        work.tx.insert(&row).await?;
        info(work, row).await
    }
}

/// A conversation of the vault's owner without a record.
pub(super) fn fresh(
    work: &Work,
    vault: &Vault,
    conversation: ConversationId,
    container: Option<ContainerId>,
) -> Result<Conversation, ActorError> {
    Ok(Conversation {
        tenant_id: work.ownership.tenant,
        conversation_id: conversation,
        owner_user: vault.owner_user.ok_or(ActorError::NotFound)?,
        vault_id: vault.vault_id,
        key_object: conversation_key_id(conversation),
        container_id: container,
        first_sequence: 1,
        before_tag: Vec::new(),
        next_sequence: 1,
        last_tag: Vec::new(),
        last_epoch: 0,
        finished: false,
        total_bytes: 0,
        pruned_bytes: 0,
        pruned: true,
        created_at: work.now,
        updated_at: work.now,
    })
}

/// As many as a manifest has anchors for may be unfinished.
pub(super) async fn one_more(work: &mut Work, vault: &Vault) -> Result<(), ActorError> {
    let open = Conversation::vault_id.eq(vault.vault_id).and(Conversation::finished.eq(false));
    let open = usize::try_from(work.tx.count(open).await?).unwrap_or(usize::MAX);
    if open < MAX_ANCHORS {
        return Ok(());
    }
    Err(ActorError::exhausted(
        "CONVERSATIONS_FULL",
        format!(
            "a vault has at most {MAX_ANCHORS} conversations that are not finished: finish or delete some"
        ),
    ))
}

impl Handle for ListConversations {
    async fn handle(self, work: &mut Work) -> Result<ConversationPage, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadVault, &Object::of(who.user))?;
        let limit = self.limit.clamp(1, MOST_OF_A_PAGE);
        let own = Conversation::owner_user.eq(who.user).desc(Conversation::updated_at).limit(limit);
        let rows = match &self.after {
            Some((at, id)) => work.tx.find(own.after(at, id)).await?,
            None => work.tx.find(own).await?,
        };
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| (row.updated_at, row.conversation_id));
        let mut conversations = Vec::with_capacity(rows.len());
        for row in rows {
            conversations.push(info(work, row).await?);
        }
        Ok(ConversationPage { conversations, next })
    }
}
