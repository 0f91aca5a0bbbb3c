//! Deleting a conversation: its row, its key and its anchor in one transaction, and then its records in steps.

use ocmt_store::tables::{Conversation, Vault, VaultObject};
use ocmt_types::Digest32;

use super::{load, steps, unsigned};
use crate::{
    api::{
        transcript::DeleteConversation,
        vault::{Write, Written},
    },
    authorize::{Action, require_step_up},
    effect::Effect,
    error::ActorError,
    tenant::{quota, vault},
    work::{Handle, Work},
};

impl Handle for DeleteConversation {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        let row = load(work, Action::WriteVault, self.conversation).await?;
        require_step_up(&work.standing, work.user()?)?;
        let vault = work.tx.get::<Vault>(row.vault_id).await?.ok_or(ActorError::NotFound)?;
        let key = work.tx.get::<VaultObject>((row.vault_id, row.key_object)).await?;
        let change = Write {
            vault: row.vault_id,
            puts: Vec::new(),
            deletes: key.into_iter().map(|key| (row.key_object, unsigned(key.version))).collect(),
            manifest: self.manifest,
        };
        let (written, manifest) = vault::apply(work, vault, change).await?;
        if manifest.anchors.iter().any(|anchor| anchor.conversation == self.conversation) {
            return Err(ActorError::invalid("manifest", "still has the conversation's anchor"));
        }
        quota::count_bytes(work, row.pruned_bytes - row.total_bytes).await?;
        work.tx.delete::<Conversation>(self.conversation).await?;
        // nobody finds its records any more, nor has a key for them
        steps::begin(work, self.conversation).await?;
        let records = row.next_sequence - row.first_sequence;
        work.details.push(("records".to_owned(), records.to_string()));
        work.then(Effect::Appended(self.conversation));
        Ok(written)
    }
}

/// Refuses to delete the key of a conversation that is there: nobody could read it any more.
pub(in crate::tenant) async fn keeps_keys(
    work: &mut Work,
    vault: &Vault,
    deletes: &[(Digest32, u64)],
) -> Result<(), ActorError> {
    for (object, _) in deletes {
        let of = Conversation::vault_id.eq(vault.vault_id).and(Conversation::key_object.eq(*object));
        if work.tx.first::<Conversation>(of).await?.is_some() {
            return Err(ActorError::precondition(
                "CONVERSATION_KEY",
                "this is the key of a conversation: delete the conversation, and its key goes with it",
            ));
        }
    }
    Ok(())
}
