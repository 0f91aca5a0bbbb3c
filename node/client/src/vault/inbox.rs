//! What containers sent to the vault: judged here, filed under names that their unlock may write, or dropped.

use ocmt_crypto::{
    entry::{Attributes, Entry, EntryName},
    object::unlock_ledger_id,
    unlock::{Granted, InboxItem, InboxPlace, Ledger, NEW_CONVERSATIONS, NewConversation, Verdict},
    vault::Change,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{
    Clock as _, ContainerId, ConversationId, MessageId, ShareId, SystemClock, Timestamp, UnlockId,
};

use super::{Vault, to_pb};
use crate::{
    ClientError,
    client::{id, idempotency_key},
    conversation::Proven,
    pages::Pages,
    wire::time,
};

/// Items of one filing; one object beside theirs is the ledger.
pub(super) const BATCH: usize = 47;
const PAGE: i32 = 48;
/// More than a node keeps for one vault.
const MAX_ITEMS: usize = 1024;

/// What an item is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// It can be filed.
    Fileable,
    /// Its unlock may not write this name.
    NotAllowed,
    /// It is older than what was filed under its name, and was held back on its way.
    Late,
    /// It was filed or dropped before, and came again.
    Done,
    /// It was sealed under keys from before a rotation: nobody can open it any more.
    Lost,
    /// Of a share: it follows another version than the present one.
    Stale,
    /// Of a share whose time is over.
    Over,
    /// No cell that this vault unlocked made it, and nobody whom this vault was shared with.
    Forged,
}

/// An item of the inbox, without its value.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Arrived {
    /// Which.
    pub item: MessageId,
    /// What it is worth.
    pub worth: Worth,
    /// The entry it is for; none where it cannot be opened.
    pub name: Option<String>,
    /// Size of its value in bytes.
    pub bytes: Option<usize>,
    /// The container it came from, as the vault's own record has it, else as the node says.
    pub container: Option<ContainerId>,
    /// The unlock it was made in, as the item says.
    pub unlock: Option<UnlockId>,
    /// The conversation whose key it is; none for an entry.
    pub conversation: Option<ConversationId>,
    /// The share it came by.
    pub share: Option<ShareId>,
    /// The address of the share's taker, if this device knows that their key signed it.
    pub taker: Option<String>,
    /// It asks for the end of the entry.
    pub deletes: bool,
    /// When the node took it, in milliseconds since the Unix epoch.
    pub received_at: i64,
}

/// An item with what is in it.
struct Opened {
    arrived: Arrived,
    place: Option<InboxPlace>,
    content: Option<InboxItem>,
    /// The conversation whose key it is, once it was read.
    begun: Option<Proven>,
    /// The order in which the cells made them, whatever the node says: unlocks as they were given.
    order: (usize, u64),
}

impl Vault {
    /// What came into the inbox, oldest first. Changes nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn inbox(&self) -> Result<Vec<Arrived>, ClientError> {
        let (ledger, opened) = self.open_inbox().await?;
        let shared = self.open_shared(&ledger).await?;
        let all = opened.into_iter().map(|opened| opened.arrived);
        Ok(all.chain(shared.into_iter().map(|sent| sent.arrived)).collect())
    }

    /// Writes every item that can be filed as an entry, the newest of a name last, and takes it out of the inbox; then
    /// what takers of shares sent. What else is there stays. What was filed.
    ///
    /// # Errors
    /// As [`Vault::put`]; items before a failure are filed.
    pub async fn file_inbox(&mut self) -> Result<Vec<Arrived>, ClientError> {
        self.file_inbox_where(|_| true).await
    }

    /// As [`Vault::file_inbox`], of the items that `which` names.
    ///
    /// # Errors
    /// As [`Vault::put`]; items before a failure are filed.
    pub async fn file_inbox_where(
        &mut self,
        which: impl Fn(&Arrived) -> bool,
    ) -> Result<Vec<Arrived>, ClientError> {
        let (mut ledger, opened) = self.open_inbox().await?;
        let mut filed = Vec::new();
        let all: Vec<Opened> = opened
            .into_iter()
            .filter(|opened| matches!(opened.arrived.worth, Worth::Fileable | Worth::Done))
            .filter(|opened| which(&opened.arrived))
            .collect();
        let mut rest = self.proven(all).await?.into_iter().peekable();
        while rest.peek().is_some() {
            let some: Vec<Opened> = rest.by_ref().take(BATCH).collect();
            let mut edit = self.open.edit();
            for opened in &some {
                if let (Some(begun), Some(place)) = (&opened.begun, &opened.place) {
                    // each has a name of its own: none is late for another
                    begun.adopt(&mut edit)?;
                    ledger.done(place);
                } else if let (Some(content), Some(place)) = (&opened.content, &opened.place) {
                    let entry = Entry {
                        name: EntryName::new(&content.name)?,
                        value: content.value.clone(),
                        attributes: Attributes { written_at: SystemClock.now(), ..Attributes::default() },
                    };
                    edit.put(&entry, &mut rand::rng())?;
                    ledger.filed(place, &content.name);
                }
            }
            edit.put_ledger(&ledger, &mut rand::rng())?;
            let change = edit.finish()?;
            self.take_out(&some, Some(change)).await?;
            let news = some.into_iter().map(|opened| opened.arrived);
            filed.extend(news.filter(|arrived| arrived.worth == Worth::Fileable));
        }
        filed.extend(self.file_shared(&which).await?);
        Ok(filed)
    }

    /// Leaves out keys of conversations under which there is nothing to read: nothing was said yet, or the node does not
    /// show it, or it is no key of a conversation of this vault's.
    async fn proven(&self, all: Vec<Opened>) -> Result<Vec<Opened>, ClientError> {
        let mut kept: Vec<Opened> = Vec::with_capacity(all.len());
        for mut opened in all {
            if let Some(new) = opened.content.as_ref().and_then(NewConversation::of) {
                let id = Some(new.conversation);
                if kept.iter().any(|other| other.arrived.conversation == id) {
                    continue;
                }
                opened.begun = Box::pin(self.prove(new)).await?;
                if opened.begun.is_none() {
                    continue;
                }
            }
            kept.push(opened);
        }
        Ok(kept)
    }

    /// Takes the items that `which` names out of the inbox without filing them; they are not filed if they come
    /// again. What was dropped.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn drop_inbox(
        &mut self,
        which: impl Fn(&Arrived) -> bool,
    ) -> Result<Vec<Arrived>, ClientError> {
        let (mut ledger, opened) = self.open_inbox().await?;
        let mut dropped = Vec::new();
        let all: Vec<Opened> = opened.into_iter().filter(|opened| which(&opened.arrived)).collect();
        let mut rest = all.into_iter().peekable();
        while rest.peek().is_some() {
            let some: Vec<Opened> = rest.by_ref().take(BATCH).collect();
            let known =
                |opened: &&Opened| opened.order.0 < ledger.granted().len() && opened.content.is_some();
            let remembered: Vec<InboxPlace> =
                some.iter().filter(known).filter_map(|opened| opened.place).collect();
            let change = if remembered.is_empty() {
                None
            } else {
                for place in &remembered {
                    ledger.done(place);
                }
                let mut edit = self.open.edit();
                edit.put_ledger(&ledger, &mut rand::rng())?;
                Some(edit.finish()?)
            };
            self.take_out(&some, change).await?;
            dropped.extend(some.into_iter().map(|opened| opened.arrived));
        }
        dropped.extend(self.drop_shared(&which).await?);
        Ok(dropped)
    }

    /// Lets an unlock that is about to begin write `names`.
    pub(crate) async fn let_write(
        &mut self,
        unlock: UnlockId,
        container: ContainerId,
        names: Vec<EntryName>,
    ) -> Result<(), ClientError> {
        let mut ledger = self.ledger().await?;
        let inbox = self.open.keyring().inbox.public();
        let forgotten = ledger.grant(Granted::new(unlock, container, inbox, SystemClock.now(), names))?;
        self.may_forget(&forgotten).await?;
        self.keep_ledger(&ledger).await
    }

    /// Refuses that unlocks are forgotten of which something waits: it could not be filed any more.
    pub(crate) async fn may_forget(&self, forgotten: &[UnlockId]) -> Result<(), ClientError> {
        let waits = |item: &Arrived| item.unlock.is_some_and(|unlock| forgotten.contains(&unlock));
        if !forgotten.is_empty() && self.inbox().await?.iter().any(waits) {
            return Err(ClientError::Usage(
                "the inbox holds items of unlocks so long ago that they would be forgotten: file or drop them first, with `ocmt vault inbox`".to_owned(),
            ));
        }
        Ok(())
    }

    /// Writes the ledger alone.
    pub(crate) async fn keep_ledger(&mut self, ledger: &Ledger) -> Result<(), ClientError> {
        let mut edit = self.open.edit();
        edit.put_ledger(ledger, &mut rand::rng())?;
        let change = edit.finish()?;
        self.commit(change).await
    }

    /// The last unlock of a container that may write, as the vault has it.
    pub(crate) async fn last_unlock(&self, container: ContainerId) -> Result<Option<UnlockId>, ClientError> {
        let ledger = self.ledger().await?;
        let last = ledger.granted().iter().rev().find(|granted| granted.container == container);
        Ok(last.map(|granted| granted.unlock))
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger, ClientError> {
        let ledger = unlock_ledger_id();
        if !self.open.leaves().any(|leaf| leaf.object_id == ledger) {
            return Ok(Ledger::default());
        }
        Ok(self.open.ledger(&self.object(ledger).await?)?)
    }

    async fn open_inbox(&self) -> Result<(Ledger, Vec<Opened>), ClientError> {
        let (ledger, mut opened) = (self.ledger().await?, Vec::new());
        let mut page_token = String::new();
        let mut pages = Pages::default();
        loop {
            let request =
                pb::ListInboxItemsRequest { vault_id: self.id().to_string(), page_size: PAGE, page_token };
            let page = self.client.vaults().list_inbox_items(request).await?.into_inner();
            for item in page.items {
                opened.push(self.judge(&ledger, &item)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() || opened.len() >= MAX_ITEMS {
                break;
            }
            page_token = page.next_page_token;
        }
        opened.sort_by_key(|opened| opened.order);
        Ok((ledger, opened))
    }

    fn judge(&self, ledger: &Ledger, item: &pb::VaultInboxItem) -> Result<Opened, ClientError> {
        let (worth, place, content) =
            match ledger.judge(&self.open.scope(), self.open.keyring(), &item.sealed) {
                Verdict::Fileable(content, place) => (Worth::Fileable, Some(place), Some(content)),
                Verdict::NotAllowed(content, place) => (Worth::NotAllowed, Some(place), Some(content)),
                Verdict::Late(content, place) => (Worth::Late, Some(place), Some(content)),
                Verdict::Done(place) => (Worth::Done, Some(place), None),
                Verdict::Lost(place) => (Worth::Lost, Some(place), None),
                Verdict::Forged => (Worth::Forged, None, None),
            };
        let new = content.as_ref().and_then(NewConversation::of);
        // under that name a cell sends keys, and nothing else
        let keys = content.as_ref().is_some_and(|content| content.name == NEW_CONVERSATIONS);
        let worth = if keys && new.is_none() { Worth::Forged } else { worth };
        let known = place
            .and_then(|place| ledger.granted().iter().position(|granted| granted.unlock == place.unlock));
        let granted = known.and_then(|at| ledger.granted().get(at));
        let received_at = item.received_at.as_ref().map(time).unwrap_or_default();
        Ok(Opened {
            order: (known.unwrap_or(usize::MAX), place.map_or(u64::MAX, |place| place.sequence)),
            arrived: Arrived {
                item: id(&item.item_id, "item_id")?,
                worth,
                name: content.as_ref().map(|content| content.name.clone()),
                bytes: content.as_ref().map(|content| content.value.len()),
                container: granted
                    .map(|granted| granted.container)
                    .or_else(|| item.container_id.parse().ok()),
                unlock: place.map(|place| place.unlock),
                conversation: new.map(|new| new.conversation),
                share: None,
                taker: None,
                deletes: false,
                received_at: Timestamp::millis(received_at),
            },
            place,
            content,
            begun: None,
        })
    }

    /// Takes items out of the inbox with the change that files them or remembers that they are done with.
    async fn take_out(&mut self, items: &[Opened], change: Option<Change>) -> Result<(), ClientError> {
        let request = pb::FileInboxItemsRequest {
            vault_id: self.id().to_string(),
            item_ids: items.iter().map(|opened| opened.arrived.item.to_string()).collect(),
            puts: change.iter().flat_map(|change| &change.objects).map(to_pb).collect(),
            manifest: change.as_ref().map(|change| change.manifest.clone()).unwrap_or_default().into(),
            idempotency_key: idempotency_key(),
        };
        self.client.vaults().file_inbox_items(request).await?;
        change.map_or(Ok(()), |change| self.apply(change))
    }
}
