//! Conversations: what is said is sealed here before it is sent, and held against the vault before it is believed.
//!
//! The key of a conversation is an object of the vault. The vault's manifest anchors each conversation that is not
//! finished (how many records, and the tag of the last), so a node that shows fewer, or others, is found out. A
//! conversation without an anchor was finished, and has to end with its final record.

mod cell;
mod export;
mod fault;
mod read;
mod write;

use ocmt_crypto::{
    datakey::DataKey,
    manifest,
    object::conversation_key_id,
    transcript::{Anchor, ConversationPlace},
    vault::Edit,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, ConversationId, IdGen, RandomIds, Timestamp, VaultId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    vault::Vault,
    wire::time,
};

pub(crate) use cell::Proven;
pub use export::{ExportReader, ExportWriter, Exported, ExportedRecord, MOST_OF_A_LINE};
pub use fault::TranscriptFault;
pub use read::{Reading, Record, Start};
pub use write::Writer;

/// A conversation as the node shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conversation {
    /// Which.
    pub id: ConversationId,
    /// The vault that its key is in.
    pub vault: VaultId,
    /// The container it is with.
    pub container: Option<ContainerId>,
    /// Records it has had.
    pub records: u64,
    /// Sequence of the first record that is still there, from 1.
    pub first_sequence: u64,
    /// Whether the last record was the final one.
    pub finished: bool,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When the last record came.
    pub updated_at: Option<Timestamp>,
    #[serde(skip)]
    last_tag: Vec<u8>,
    #[serde(skip)]
    before_tag: Vec<u8>,
}

impl Conversation {
    fn from_wire(from: pb::Conversation) -> Result<Self, ClientError> {
        let container = match from.container_id.as_str() {
            "" => None,
            text => Some(id(text, "container_id")?),
        };
        Ok(Self {
            id: id(&from.conversation_id, "conversation_id")?,
            vault: id(&from.vault_id, "vault_id")?,
            container,
            records: from.next_sequence.checked_sub(1).ok_or(ClientError::Answer("next_sequence"))?,
            first_sequence: from.first_sequence.max(1),
            finished: from.finished,
            created_at: from.created_at.as_ref().map(time),
            updated_at: from.updated_at.as_ref().map(time),
            last_tag: from.last_tag.into(),
            before_tag: from.before_tag.into(),
        })
    }
}

/// The keys of a conversation by epoch: the versions of its key object.
type Keys = Vec<(u32, DataKey)>;

impl Client {
    /// The caller's conversations, last used first, as the node shows them: see [`Vault::conversations`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn conversations(&self) -> Result<Vec<Conversation>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListConversationsRequest { page_size: 100, page_token };
            let page = self.transcripts().list_conversations(request).await?.into_inner();
            for conversation in page.conversations {
                all.push(Conversation::from_wire(conversation)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }
}

impl Vault {
    /// Opens a conversation. One whose opening was cut off before is taken up again.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn open_conversation(
        &mut self,
        container: Option<ContainerId>,
    ) -> Result<Conversation, ClientError> {
        let conversation = match self.left_behind().await? {
            Some(conversation) => conversation,
            None => self.make_key().await?,
        };
        self.open_at_node(conversation, container).await
    }

    /// Opens a conversation whose key is in the vault.
    pub(crate) async fn open_at_node(
        &self,
        conversation: ConversationId,
        container: Option<ContainerId>,
    ) -> Result<Conversation, ClientError> {
        let object = self.object(conversation_key_id(conversation)).await?;
        // it was checked to be the manifest's: no node gives a key of its own
        self.keys().key_versions(&object)?;
        let request = pb::OpenConversationRequest {
            vault_id: self.id().to_string(),
            conversation_id: conversation.to_string(),
            wrapped_key: object.wrapped_key.into(),
            container_id: container.map(|id| id.to_string()).unwrap_or_default(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().transcripts().open_conversation(request).await?.into_inner();
        Conversation::from_wire(present(answer.conversation, "conversation")?)
    }

    /// All conversations, held against the vault: none that is not finished is missing, and none is shorter than the
    /// vault knows.
    ///
    /// # Errors
    /// [`ClientError::Transcript`].
    pub async fn conversations(&self) -> Result<Vec<Conversation>, ClientError> {
        let all = self.client().conversations().await?;
        for anchor in &self.keys().manifest().anchors {
            match all.iter().find(|shown| shown.id == anchor.conversation) {
                Some(shown) => check_end(shown, &anchor.into())?,
                // made, and never opened at the node
                None if anchor.records == 0 => {}
                // one that was used while the pages were read may be on none of them
                None if read::is_there(self.client(), anchor.conversation).await? => {}
                None => return Err(TranscriptFault::Missing(anchor.conversation).into()),
            }
        }
        Ok(all)
    }

    /// Deletes a conversation with all its records, its key and its anchor. Needs step-up.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn delete_conversation(&mut self, conversation: ConversationId) -> Result<(), ClientError> {
        let object = conversation_key_id(conversation);
        let has_key = self.keys().leaves().any(|leaf| leaf.object_id == object);
        // a cell has begun it, and its key was not filed, or is lost
        let begun = !has_key && read::is_there(self.client(), conversation).await?;
        let mut edit = self.keys().edit();
        edit.drop_anchor(conversation);
        if !begun {
            edit.delete_object(object).map_err(|_| unknown(conversation))?;
        }
        let change = edit.finish()?;
        let request = pb::DeleteConversationRequest {
            conversation_id: conversation.to_string(),
            manifest: change.manifest.clone().into(),
            idempotency_key: idempotency_key(),
        };
        self.client().transcripts().delete_conversation(request).await?;
        self.apply(change)?;
        if begun {
            self.drop_inbox(|item| item.conversation == Some(conversation)).await?;
        }
        Ok(())
    }

    /// Notes in the vault how far a conversation has come; a finished one needs no note.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CHANGED_MEANWHILE` or `ROTATION_IN_PROGRESS` if another device was at work:
    /// the records are there all the same, and the next note covers them.
    pub async fn note_conversation(
        &mut self,
        conversation: ConversationId,
        at: Anchor,
        finished: bool,
    ) -> Result<(), ClientError> {
        let before = self.anchor_of(conversation);
        if before == (!finished).then_some(at) {
            return Ok(());
        }
        let mut edit = self.keys().edit();
        note(&mut edit, conversation, at, finished);
        let change = edit.finish()?;
        self.commit(change).await
    }

    /// A key and an anchor that no conversation was opened with: the answer, or the call, was lost.
    async fn left_behind(&self) -> Result<Option<ConversationId>, ClientError> {
        if self.is_importing()? {
            // it may be the import's, which goes on with it
            return Ok(None);
        }
        let fresh = self.keys().manifest().anchors.iter().filter(|anchor| anchor.records == 0);
        let fresh: Vec<ConversationId> = fresh.map(|anchor| anchor.conversation).collect();
        for conversation in fresh {
            if !read::is_there(self.client(), conversation).await? {
                return Ok(Some(conversation));
            }
        }
        Ok(None)
    }

    async fn make_key(&mut self) -> Result<ConversationId, ClientError> {
        let ids: &dyn IdGen = &RandomIds;
        let conversation = ids.id();
        let mut edit = self.keys().edit();
        edit.create_conversation_key(conversation, &mut rand::rng())?;
        note(&mut edit, conversation, Anchor::START, false);
        let change = edit.finish()?;
        self.commit(change).await?;
        Ok(conversation)
    }

    fn place(&self, conversation: ConversationId) -> ConversationPlace {
        ConversationPlace { tenant: self.keys().scope().tenant, conversation }
    }

    pub(crate) fn anchor_of(&self, conversation: ConversationId) -> Option<Anchor> {
        let anchors = &self.keys().manifest().anchors;
        anchors.iter().find(|anchor| anchor.conversation == conversation).map(Into::into)
    }

    /// Its keys, as the vault's manifest proves them.
    async fn keys_of_conversation(&self, conversation: ConversationId) -> Result<Keys, ClientError> {
        let object = conversation_key_id(conversation);
        if !self.keys().leaves().any(|leaf| leaf.object_id == object) {
            return Err(unknown(conversation));
        }
        let versions = self.keys().key_versions(&self.object(object).await?)?;
        let all = versions.earlier.into_iter().chain([versions.current]);
        all.map(|(version, key)| {
            Ok((u32::try_from(version).map_err(|_| ClientError::Answer("version"))?, key))
        })
        .collect()
    }
}

/// A finished one needs no anchor.
pub(crate) fn note(edit: &mut Edit<'_>, conversation: ConversationId, at: Anchor, finished: bool) {
    if finished {
        edit.drop_anchor(conversation);
    } else {
        edit.anchor(manifest::Anchor { conversation, records: at.count, last_tag: at.last_tag });
    }
}

fn unknown(conversation: ConversationId) -> ClientError {
    ClientError::Usage(format!("your vault has no conversation {conversation}"))
}

/// What the node shows is not less than, nor other than, what the vault knows.
fn check_end(shown: &Conversation, known: &Anchor) -> Result<(), TranscriptFault> {
    if shown.records < known.count {
        return Err(TranscriptFault::Cut {
            conversation: shown.id,
            known: known.count,
            shown: shown.records,
        });
    }
    if shown.records == known.count && known.count > 0 && shown.last_tag != known.last_tag {
        return Err(TranscriptFault::Record(known.count));
    }
    Ok(())
}
