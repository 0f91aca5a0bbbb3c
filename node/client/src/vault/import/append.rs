//! Writing the conversations of a file: one after the other, a piece of each in memory.
//!
//! The commit that makes the key of a conversation also notes how far the one before it has come, and the first
//! sets the mark. An import that is cut off so leaves at most one conversation without an end, which the next one
//! goes on with; the commit behind the last conversation takes the mark away.

use std::time::Duration;

use ocmt_crypto::{
    CryptoError, entry::EntryName, export::Exported, object::conversation_key_id, transcript::Anchor,
    vault::Edit,
};
use tonic::Code;

use super::{MARK, Plan, Source, What, conversations::PlannedConversation, mark};
use crate::{
    ClientError,
    conversation::{Writer, note},
    vault::Vault,
};

/// Sealed records that wait to be sent at most, in bytes, and one more.
const SEND_BYTES: usize = 1 << 20;
/// How long, and how often for one conversation, it is waited where a node asks for that.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const WAITS: u32 = 10;

/// A conversation under way.
struct Under<'p> {
    planned: &'p PlannedConversation,
    /// Records of the file so far.
    at: u64,
    /// None for one that is not written.
    writer: Option<Writer>,
}

impl Vault {
    /// `marked`: the mark is there. `progress` is told how many records are written.
    pub(super) async fn import_conversations(
        &mut self,
        source: &Source,
        plan: &Plan,
        mut marked: bool,
        mut progress: impl FnMut(usize),
    ) -> Result<(), ClientError> {
        let mut planned = plan.conversations.iter();
        let (mut under, mut to_note) = (None::<Under<'_>>, None);
        let mut written = 0;
        for item in source.conversations() {
            match item? {
                Exported::Entry(_) => return Err(CryptoError::Refused.into()),
                Exported::Conversation(head) => {
                    if let Some(under) = under.take() {
                        written += under.planned.to_write();
                        to_note = under.end().await?.or(to_note);
                        progress(count(written));
                    }
                    let one = planned.next().filter(|one| one.from == head.id).ok_or(CryptoError::Refused)?;
                    let writer = if one.what.is_written() {
                        let mark = (!marked).then_some(plan);
                        let writer = self.begin_conversation(source, one, to_note.take(), mark).await?;
                        marked = true;
                        Some(writer)
                    } else {
                        None
                    };
                    under = Some(Under { planned: one, at: 0, writer });
                }
                Exported::Said(said) => {
                    let under = under.as_mut().ok_or(CryptoError::Refused)?;
                    if under.take(&said.text, said.last).await? {
                        let there = under.at.saturating_sub(under.planned.there.unwrap_or_default());
                        progress(count(written + there));
                    }
                }
            }
        }
        let to_note = match under {
            Some(under) => under.end().await?.or(to_note),
            None => to_note,
        };
        progress(plan.records_to_write());
        let mut edit = self.keys().edit();
        self.note_what_is_there(plan, &mut edit);
        if let Some((one, at)) = to_note {
            note(&mut edit, one.id, at, one.finished);
        }
        edit.delete(&EntryName::new(MARK)?)?;
        let change = edit.finish()?;
        self.commit(change).await
    }

    /// As [`Vault::try_to_begin`]; many small conversations use up what a session may write in a minute, and wait then.
    async fn begin_conversation(
        &mut self,
        source: &Source,
        one: &PlannedConversation,
        to_note: Option<(&PlannedConversation, Anchor)>,
        mark: Option<&Plan>,
    ) -> Result<Writer, ClientError> {
        let mut waits = 0;
        loop {
            let begun = self.try_to_begin(source, one, to_note, mark).await;
            let wait = begun.as_ref().err().and_then(ClientError::retry_after);
            let Some(wait) = wait.filter(|wait| *wait <= LONGEST_WAIT && waits < WAITS) else { return begun };
            waits += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// Makes its key, or finds it, and its conversation at the node; what appends to it. Done again, it goes on.
    async fn try_to_begin(
        &mut self,
        source: &Source,
        one: &PlannedConversation,
        to_note: Option<(&PlannedConversation, Anchor)>,
        mark: Option<&Plan>,
    ) -> Result<Writer, ClientError> {
        let is_new = !self.ids().contains(&conversation_key_id(one.id));
        let is_noted = |(before, at): &(&PlannedConversation, Anchor)| {
            self.anchor_of(before.id) == (!before.finished).then_some(*at)
        };
        let to_note = to_note.filter(|to_note| !is_noted(to_note));
        let mark = if self.is_importing()? { None } else { mark };
        if is_new || to_note.is_some() || mark.is_some() {
            let mut edit = self.keys().edit();
            if let Some((before, at)) = to_note {
                note(&mut edit, before.id, at, before.finished);
            }
            if is_new {
                edit.create_conversation_key(one.id, &mut rand::rng())?;
                note(&mut edit, one.id, Anchor::START, false);
            }
            if let Some(plan) = mark {
                edit.put(&mark::entry(source, plan.to_write())?, &mut rand::rng())?;
            }
            let change = edit.finish()?;
            self.commit(change).await?;
        }
        if one.there.is_none() {
            self.open_imported(one).await?;
        }
        let writer = self.write_conversation(one.id).await?;
        if writer.stored().count == one.there.unwrap_or_default() {
            return Ok(writer);
        }
        Err(ClientError::Usage(format!(
            "another device wrote in conversation {}, which is being imported: run the same command again",
            one.id
        )))
    }

    /// With the container that it was with, if that is there and may be entered; else with none.
    async fn open_imported(&self, one: &PlannedConversation) -> Result<(), ClientError> {
        match self.open_at_node(one.id, one.container).await {
            Ok(_) => Ok(()),
            // another device's import of the same file was faster
            Err(error) if error.code() == Some(Code::AlreadyExists) => Ok(()),
            Err(error)
                if one.container.is_some()
                    && matches!(error.code(), Some(Code::NotFound | Code::PermissionDenied)) =>
            {
                self.open_at_node(one.id, None).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Conversations that an import finished that was cut off before it could note that.
    pub(super) fn note_what_is_there(&self, plan: &Plan, edit: &mut Edit<'_>) {
        for one in plan.conversations.iter().filter(|one| one.what == What::AlreadyThere) {
            let Some(at) = one.noted else { continue };
            if self.anchor_of(one.id) != (!one.finished).then_some(at) {
                note(edit, one.id, at, one.finished);
            }
        }
    }
}

impl<'p> Under<'p> {
    /// Takes the next record of the file; whether something was sent.
    async fn take(&mut self, text: &[u8], last: bool) -> Result<bool, ClientError> {
        self.at += 1;
        let Some(writer) = self.writer.as_mut() else { return Ok(false) };
        if self.at <= self.planned.there.unwrap_or_default() {
            return Ok(false);
        }
        writer.push(text, last)?;
        if writer.waiting() < SEND_BYTES {
            return Ok(false);
        }
        writer.flush().await?;
        Ok(true)
    }

    /// Sends what is left. What is to be noted of it, if it was written.
    async fn end(self) -> Result<Option<(&'p PlannedConversation, Anchor)>, ClientError> {
        if self.at != self.planned.records {
            // the file is not what it was at the first reading
            return Err(CryptoError::Refused.into());
        }
        let Some(mut writer) = self.writer else { return Ok(None) };
        writer.flush().await?;
        Ok(Some((self.planned, writer.stored())))
    }
}

fn count(records: u64) -> usize {
    usize::try_from(records).unwrap_or(usize::MAX)
}
