//! What a client gives a cell so that it can work, and what the cell gives back.
//!
//! The *payload* ([`UnlockPayload`]) is sealed to the cell's key: data keys of the entries that it may
//! see, never the vault key. Everything later is authenticated under the payload's [`UnlockKey`]:
//! extensions of the lease ([`LeaseExtension`]), and what the cell files into the vault's inbox
//! ([`InboxItem`]). Which unlock and which share may write which entry, and what of it was filed, the vault keeps
//! in its [`Ledger`]. A cell that may write conversations is told where to go on ([`Continued`]), and sends the
//! keys of new ones ([`NewConversation`]).

mod conversations;
#[cfg(test)]
mod conversations_tests;
mod inbox;
mod key;
mod lease;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod payload;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
pub(crate) mod test_payload;
#[cfg(test)]
mod tests;
mod volume;

pub use conversations::{
    Continued, ConversationKeys, MAX_CONTINUED, NEW_CONVERSATIONS, NewConversation, take_continued,
};
pub use inbox::{InboxItem, InboxPlace, MAX_INBOX_NAME, MAX_INBOX_VALUE};
pub use key::UnlockKey;
pub use lease::{Lease, LeaseExtension, MAX_LEASE_MS, MIN_LEASE_MS};
pub use ledger::{Granted, Ledger, MAX_GRANTS, MAX_RIGHTS, SharedVerdict, Verdict, WriteRight};
pub(crate) use payload::is_variable_name;
pub use payload::{
    ConversationKey, MAX_CONVERSATIONS, MAX_ENTRIES, MAX_NAME, MAX_WRITES, MappedEntry, UnlockPayload,
};
pub use volume::{MAX_EARLIER, VolumeUnlock};
