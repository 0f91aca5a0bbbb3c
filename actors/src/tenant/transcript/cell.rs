//! What a cell wants of its conversations, done for it as its host asks.
//!
//! A cell has no credential: it may write the conversations that are with its container and of its container's user, while
//! the container is unlocked by the unlock that it names, and no others. It has a key for those alone that its user gave
//! to that unlock or that it has made itself.

use ocmt_crypto::{audit::Outcome, object::conversation_key_id};
use ocmt_store::tables::{Container, Conversation, TranscriptRecord, Vault, VaultObject};
use ocmt_types::{ContainerId, ConversationId};

use super::{append, open, read, unsigned};
use crate::{
    api::transcript::AppendTranscript,
    audit,
    error::ActorError,
    ports::{CellGot, CellInboxItem, CellWant, CellWanted},
    tenant::vault::inbox,
    work::{SystemWork, Work},
};

/// A wish of a container's cell.
pub(crate) struct Fulfil {
    pub(crate) container: ContainerId,
    pub(crate) want: CellWant,
}

impl SystemWork for Fulfil {
    type Output = CellGot;
    async fn perform(self, work: &mut Work) -> Result<CellGot, ActorError> {
        let Self { container, want } = self;
        let row = work.tx.get::<Container>(container).await?.ok_or(ActorError::NotFound)?;
        let unlocked = row.unlocked_until.is_some_and(|until| until > work.now);
        if !unlocked || row.unlock_id != Some(want.unlock) {
            // of an unlock that is about to be written down, or of one that is over: then its cell forgets the wish
            return Err(ActorError::unavailable(
                "CELL_LOCKED",
                "the container is not unlocked by this unlock",
            ));
        }
        match want.what {
            CellWanted::Begin(item) => begin(work, &row, want.conversation, item).await,
            CellWanted::Look(from) => {
                let conversation = own(work, &row, want.conversation).await?;
                look(work, &conversation, from).await
            }
            CellWanted::Append { sequence, previous_tag, record } => {
                let conversation = own(work, &row, want.conversation).await?;
                let records = vec![record];
                let first_sequence = sequence;
                let ask = AppendTranscript {
                    conversation: want.conversation,
                    first_sequence,
                    previous_tag,
                    records,
                };
                write(work, container, conversation, ask).await
            }
        }
    }
}

/// A conversation that is with the container, and of its user.
async fn own(work: &mut Work, row: &Container, id: ConversationId) -> Result<Conversation, ActorError> {
    let found = work.tx.get::<Conversation>(id).await?;
    let own = |it: &Conversation| it.container_id == Some(row.container_id) && it.owner_user == row.user_id;
    found.filter(own).ok_or_else(|| {
        ActorError::precondition("NO_CONVERSATION", "there is no such conversation with this container")
    })
}

async fn look(work: &mut Work, row: &Conversation, from: u64) -> Result<CellGot, ActorError> {
    let records = read::for_cell(work, row, from).await?;
    Ok(CellGot::Shown { first_sequence: from, records, next_sequence: unsigned(row.next_sequence) })
}

async fn write(
    work: &mut Work,
    container: ContainerId,
    row: Conversation,
    ask: AppendTranscript,
) -> Result<CellGot, ActorError> {
    let id = ask.conversation;
    let (_, fresh) = append::to(work, row, ask, append::By::Cell).await?;
    if fresh > 0 {
        let details =
            vec![("container".to_owned(), container.to_string()), ("records".to_owned(), fresh.to_string())];
        let object = format!("conversation/{id}");
        audit::note(work, "transcript.cell_appended", object, Outcome::Allowed, details).await?;
    }
    Ok(CellGot::Done)
}

/// Makes a conversation whose key waits in the vault's inbox, both or none.
async fn begin(
    work: &mut Work,
    row: &Container,
    id: ConversationId,
    item: CellInboxItem,
) -> Result<CellGot, ActorError> {
    let refused = |why: &str| ActorError::precondition("NO_CONVERSATION", why.to_owned());
    let vault = work.tx.first::<Vault>(Vault::owner_user.eq(Some(row.user_id))).await?;
    let vault = vault.ok_or_else(|| refused("the user has no vault any more"))?;
    if let Some(there) = work.tx.get::<Conversation>(id).await? {
        let repeat = there.container_id == Some(row.container_id) && there.vault_id == vault.vault_id;
        return if repeat { Ok(CellGot::Done) } else { Err(refused("this conversation is there already")) };
    }
    let key_object = conversation_key_id(id);
    let of_before = TranscriptRecord::conversation_id.eq(id);
    if work.tx.get::<VaultObject>((vault.vault_id, key_object)).await?.is_some()
        || work.tx.first::<TranscriptRecord>(of_before.limit(1)).await?.is_some()
    {
        return Err(refused("this conversation was there before"));
    }
    open::one_more(work, &vault).await?;
    if let Some(why) = inbox::take_one(work, &vault, row.container_id, item).await? {
        return Err(ActorError::precondition("VAULT_INBOX", why));
    }
    let made = open::fresh(work, &vault, id, Some(row.container_id))?;
    work.tx.insert(&made).await?;
    let details = vec![("container".to_owned(), row.container_id.to_string())];
    let object = format!("conversation/{id}");
    audit::note(work, "transcript.cell_opened", object, Outcome::Allowed, details).await?;
    Ok(CellGot::Done)
}
