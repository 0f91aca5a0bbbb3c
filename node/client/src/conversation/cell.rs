//! Conversations that a cell writes: what it needs to go on with one, and the key of one that it has begun.

use ocmt_crypto::{
    CryptoError, envelope,
    object::conversation_key_id,
    transcript::Anchor,
    unlock::{Continued, ConversationKey, NewConversation},
    vault::Edit,
};
use ocmt_types::{ContainerId, ConversationId};
use tonic::Code;

use super::{Reading, Start, note};
use crate::{
    ClientError,
    vault::{Arrived, Vault},
};

/// A conversation that a cell has begun, with at least one record that opens under its key.
pub(crate) struct Proven {
    new: NewConversation,
    at: Anchor,
    finished: bool,
}

impl Proven {
    /// Takes its key into the vault.
    pub(crate) fn adopt(&self, edit: &mut Edit<'_>) -> Result<(), CryptoError> {
        edit.adopt_conversation_key(&self.new, &mut rand::rng())?;
        note(edit, self.new.conversation, self.at, self.finished);
        Ok(())
    }
}

impl Vault {
    /// Writes the keys of conversations that cells have begun, and that have a record, to the vault: what was filed.
    ///
    /// # Errors
    /// As [`Vault::file_inbox`].
    pub async fn file_conversations(&mut self) -> Result<Vec<Arrived>, ClientError> {
        if !self.may_hold_conversations().await? {
            return Ok(Vec::new());
        }
        self.file_inbox_where(|item| item.conversation.is_some()).await
    }

    /// Whether an unlock that is remembered may begin conversations.
    async fn may_hold_conversations(&self) -> Result<bool, ClientError> {
        let ledger = self.ledger().await?;
        let mut names = ledger.granted().iter().flat_map(|granted| &granted.names);
        Ok(names.any(|name| name.expose() == ocmt_crypto::unlock::NEW_CONVERSATIONS))
    }

    /// What the cell of a container needs to go on with this conversation, which is read to its end and held against the
    /// vault.
    pub(crate) async fn hand_over(
        &self,
        id: ConversationId,
        container: ContainerId,
    ) -> Result<(Vec<ConversationKey>, Continued), ClientError> {
        let mut reading = self.read_conversation(id, Start::LastKnown, false).await?;
        if reading.conversation().container != Some(container) {
            return Err(ClientError::Usage(format!(
                "conversation {id} is not with this container: open one that is, with `ocmt conversation open --container {container}`"
            )));
        }
        let (mut before, mut epoch) = (reading.anchor(), None);
        loop {
            let at = reading.anchor();
            let Some(record) = reading.next().await? else { break };
            before = at;
            let sealed = record.sealed.get(1..).unwrap_or_default();
            epoch = Some(envelope::parse(sealed)?.key_epoch);
        }
        if reading.is_finished() {
            return Err(ClientError::Usage(format!("conversation {id} is finished: open another one")));
        }
        let mut keys = self.keys_of_conversation(id).await?;
        let current = keys.pop().ok_or(ClientError::Answer("keys"))?;
        let of_last = keys.into_iter().find(|(of, _)| Some(*of) == epoch);
        let keys = of_last.into_iter().chain([current]);
        let keys = keys.map(|(key_epoch, key)| ConversationKey { conversation: id, key_epoch, key });
        let before_tag = before.last_tag;
        Ok((keys.collect(), Continued { conversation: id, at: reading.anchor(), before_tag }))
    }

    /// Reads a conversation whose key came from a cell; none if there is nothing of it to read under that key, and so
    /// nothing to file.
    pub(crate) async fn prove(&self, new: NewConversation) -> Result<Option<Proven>, ClientError> {
        let object = conversation_key_id(new.conversation);
        if self.keys().leaves().any(|leaf| leaf.object_id == object) {
            return Ok(None);
        }
        match self.read_begun(&new).await {
            Ok(reading) if reading.anchor() != Anchor::START => {
                let (at, finished) = (reading.anchor(), reading.is_finished());
                Ok(Some(Proven { new, at, finished }))
            }
            Ok(_) | Err(ClientError::Transcript(_)) => Ok(None),
            Err(error) if error.code() == Some(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_begun(&self, new: &NewConversation) -> Result<Reading, ClientError> {
        let keys = vec![(1, new.key.duplicate())];
        // nothing is known of it, and it need not be finished
        let known = Some(Anchor::START);
        let id = new.conversation;
        let mut reading = self.read_under(id, keys, known, (Start::FirstLeft, false)).await?;
        while reading.next().await?.is_some() {}
        Ok(reading)
    }
}
