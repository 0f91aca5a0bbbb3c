//! What waits for the caller: invitations, units, ceremonies, drills, offers, notices.

use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use serde::Serialize;
use tonic::{Status, Streaming};

use crate::{
    Client, ClientError,
    pages::Pages,
    watch::{Source, Watch},
    wire::time,
};

/// Something that waits. Believe only what is signed inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxItem {
    /// Its id.
    pub id: String,
    /// `guardian_invite`, `units_dealt`, `ceremony`, `drill`, `guardian_answer`, `share_offer`, `notice`, or `other`.
    pub kind: &'static str,
    /// When it came, or last changed.
    pub received_at: Option<Timestamp>,
    /// Address of whom it comes from, as their tenant says; empty for the platform itself.
    pub from: String,
    /// What it is about: a guardianship, share, ceremony.
    pub subject: String,
    /// Of a notice: what it says.
    pub says: Option<serde_json::Value>,
}

struct Items(Client);

impl Source for Items {
    type Message = pb::WatchInboxResponse;
    async fn open(&self, resume_token: String) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchInboxRequest { resume_token };
        Ok(self.0.tenants().watch_inbox(request).await?.into_inner())
    }
    fn token(message: &Self::Message) -> &str {
        &message.resume_token
    }
}

/// A watch of the inbox; dropping it ends it.
pub struct InboxWatch(Watch<Items>);

impl Client {
    /// All that waits for the caller, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_inbox(&self) -> Result<Vec<InboxItem>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListInboxRequest { page_size: 100, page_token, kinds: Vec::new() };
            let page = self.tenants().list_inbox(request).await?.into_inner();
            all.extend(page.items.into_iter().map(item));
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Watches what waits, from now or behind the item of `resume_token`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch_inbox(&self, resume_token: &str) -> Result<InboxWatch, ClientError> {
        Watch::start(Items(self.clone()), resume_token).await.map(InboxWatch)
    }
}

impl InboxWatch {
    /// What comes next, and where to go on behind it.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: what ended the watch.
    pub async fn next(&mut self) -> Result<(InboxItem, String), ClientError> {
        loop {
            let message = self.0.next().await?;
            if let Some(it) = message.item {
                return Ok((item(it), message.resume_token));
            }
        }
    }
}

fn item(it: pb::InboxItem) -> InboxItem {
    let kind = match it.kind() {
        pb::InboxItemKind::GuardianInvite => "guardian_invite",
        pb::InboxItemKind::UnitsDealt => "units_dealt",
        pb::InboxItemKind::Ceremony => "ceremony",
        pb::InboxItemKind::Drill => "drill",
        pb::InboxItemKind::GuardianAnswer => "guardian_answer",
        pb::InboxItemKind::ShareOffer => "share_offer",
        pb::InboxItemKind::Notice => "notice",
        pb::InboxItemKind::Unspecified => "other",
    };
    InboxItem {
        id: it.message_id,
        kind,
        received_at: it.received_at.as_ref().map(time),
        from: it.from_email,
        subject: it.subject_id,
        says: serde_json::from_slice(&it.body).ok(),
    }
}
