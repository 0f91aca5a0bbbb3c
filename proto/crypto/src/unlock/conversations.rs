//! Conversations that a cell writes: where it goes on with one of the vault's, and the key of one that it begins.

use std::collections::HashSet;

use ocmt_types::ConversationId;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::DataKey,
    locked::LockedKey,
    transcript::Anchor,
};

use super::{ConversationKey, InboxItem, UnlockPayload};

/// The most conversations that one unlock lets a cell go on with.
pub const MAX_CONTINUED: usize = 64;
/// The name that an unlock may write if its cell may begin conversations. It is no entry's: under it the cell
/// sends their keys, which the client files as keys of conversations.
pub const NEW_CONVERSATIONS: &str = "ocmt/conversations";

const TAG_LEN: usize = 16;
/// Bytes of one in a payload.
pub(super) const CONTINUED_LEN: usize = 56;

/// Where the cell goes on with a conversation, as the client has read it to there. The cell opens the last record
/// in its place before it writes, so a wrong key never writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// Which. Its keys are among those of the payload: the present one, and that of the last record.
    pub conversation: ConversationId,
    /// How far it had come.
    pub at: Anchor,
    /// The tag of the record before the last; zeros before the second.
    pub before_tag: [u8; TAG_LEN],
}

impl Continued {
    /// Where the last record follows: nothing is known of a conversation without one.
    pub fn before(&self) -> Anchor {
        match self.at.count.checked_sub(1) {
            Some(count) => Anchor { count, last_tag: self.before_tag },
            None => Anchor::START,
        }
    }

    fn is_lawful(&self) -> bool {
        (self.at.count > 0 || self.at == Anchor::START)
            && (self.at.count > 1 || self.before_tag == [0; TAG_LEN])
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.id(self.conversation).u64(self.at.count).fixed(&self.at.last_tag).fixed(&self.before_tag);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            conversation: reader.id()?,
            at: Anchor { count: reader.u64()?, last_tag: reader.array()? },
            before_tag: reader.array()?,
        })
    }
}

/// The keys of a conversation that a cell writes, by epoch, as long as the cell is unlocked.
pub struct ConversationKeys(Vec<(u32, LockedKey)>);

impl ConversationKeys {
    /// The key of a conversation that the cell has begun.
    pub fn begun(key: &DataKey) -> Self {
        Self(vec![(1, LockedKey::of(*key.expose()))])
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = (u32, DataKey)> {
        self.0.iter().map(|(epoch, key)| (*epoch, DataKey::from_bytes(**key)))
    }

    /// The present one.
    pub fn latest(&self) -> Option<(u32, DataKey)> {
        self.all().last()
    }
}

/// Takes what `payload` says of conversations to go on with, each with its keys.
pub fn take_continued(payload: &mut UnlockPayload) -> Vec<(Continued, ConversationKeys)> {
    let given: Vec<ConversationKey> = payload.conversations.drain(..).collect();
    let keys_of = |id| {
        let own = given.iter().filter(|one| one.conversation == id);
        let mut keys: Vec<_> = own.map(|one| (one.key_epoch, LockedKey::of(*one.key.expose()))).collect();
        keys.sort_by_key(|(epoch, _)| *epoch);
        ConversationKeys(keys)
    };
    payload.continued.iter().map(|one| (*one, keys_of(one.conversation))).collect()
}

/// Keys of conversations are there once, or once for each epoch where the cell goes on with them.
pub(super) fn check(keys: &[ConversationKey], continued: &[Continued]) -> Result<()> {
    if continued.len() > MAX_CONTINUED {
        return Err(CryptoError::TooLarge {
            what: "conversations that an unlock lets the cell write",
            max: MAX_CONTINUED as u64,
        });
    }
    let (mut seen, mut known) = (HashSet::new(), HashSet::new());
    for key in keys {
        known.insert(key.conversation);
        // without a place to go on from there is one key of each
        let epoch = if continued.is_empty() { 0 } else { key.key_epoch };
        if !seen.insert((key.conversation, epoch)) {
            return Err(CryptoError::Exists("conversation"));
        }
    }
    let mut places = HashSet::new();
    for one in continued {
        if !places.insert(one.conversation) {
            return Err(CryptoError::Exists("conversation"));
        }
        if !known.contains(&one.conversation) || !one.is_lawful() {
            let rule = "with a key, and with tags where it has records";
            return Err(CryptoError::OutOfRange { what: "conversation to go on with", rule });
        }
    }
    Ok(())
}

/// The key of a conversation that a cell has begun, on its way to the vault.
pub struct NewConversation {
    /// Chosen by the cell.
    pub conversation: ConversationId,
    /// Its key, of epoch 1.
    pub key: DataKey,
}

impl NewConversation {
    /// What the cell sends to the vault's inbox.
    pub fn item(&self) -> InboxItem {
        let mut value = Writer::with_capacity(48);
        value.id(self.conversation).fixed(self.key.expose());
        InboxItem { name: NEW_CONVERSATIONS.to_owned(), value: value.into_secret() }
    }

    /// What the client finds in an item; none if it holds no such key.
    pub fn of(item: &InboxItem) -> Option<Self> {
        if item.name != NEW_CONVERSATIONS {
            return None;
        }
        let mut reader = Reader::new(&item.value);
        let conversation = reader.id().ok()?;
        let key = Zeroizing::new(reader.array::<32>().ok()?);
        reader.finish().ok()?;
        Some(Self { conversation, key: DataKey::from_bytes(*key) })
    }
}
