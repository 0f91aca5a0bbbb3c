//! Who may talk to the caller's agents over messengers.

use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, PairingId, SenderId, Timestamp};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    wire::time,
};

/// What becomes of a direct message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectPolicy {
    /// Paired senders are let through; unknown ones get a pairing code.
    Pairing,
    /// Paired senders are let through, and nobody else hears anything.
    Allowlist,
    /// Everybody is let through.
    Open,
    /// Nobody is.
    Disabled,
}

impl DirectPolicy {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pairing => "pairing",
            Self::Allowlist => "allowlist",
            Self::Open => "open",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Pairing => pb::DirectPolicy::Pairing,
            Self::Allowlist => pb::DirectPolicy::Allowlist,
            Self::Open => pb::DirectPolicy::Open,
            Self::Disabled => pb::DirectPolicy::Disabled,
        }
        .into()
    }

    pub(crate) fn from_wire(policy: pb::DirectPolicy) -> Option<Self> {
        match policy {
            pb::DirectPolicy::Pairing => Some(Self::Pairing),
            pb::DirectPolicy::Allowlist => Some(Self::Allowlist),
            pb::DirectPolicy::Open => Some(Self::Open),
            pb::DirectPolicy::Disabled => Some(Self::Disabled),
            pb::DirectPolicy::Unspecified => None,
        }
    }
}

/// What becomes of a message in a group of a messenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupPolicy {
    /// Paired senders are let through, and nobody else hears anything.
    Allowlist,
    /// Everybody is let through.
    Open,
    /// Nobody is.
    Disabled,
}

impl GroupPolicy {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowlist => "allowlist",
            Self::Open => "open",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Allowlist => pb::GroupPolicy::Allowlist,
            Self::Open => pb::GroupPolicy::Open,
            Self::Disabled => pb::GroupPolicy::Disabled,
        }
        .into()
    }

    pub(crate) fn from_wire(policy: pb::GroupPolicy) -> Option<Self> {
        match policy {
            pb::GroupPolicy::Allowlist => Some(Self::Allowlist),
            pb::GroupPolicy::Open => Some(Self::Open),
            pb::GroupPolicy::Disabled => Some(Self::Disabled),
            pb::GroupPolicy::Unspecified => None,
        }
    }
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Let it through.
    Allow,
    /// Drop it in silence.
    Drop,
    /// Drop it and answer the sender with the code.
    Pair,
}

/// The answer about a sender.
pub struct Checked {
    /// What to do with the message.
    pub decision: Decision,
    /// The code for the sender.
    pub code: Option<Zeroizing<String>>,
    /// When the code ends.
    pub expires_at: Option<Timestamp>,
}

/// A sender who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingPairing {
    /// Which pairing.
    pub id: PairingId,
    /// Which agent.
    pub container: ContainerId,
    /// The messenger.
    pub channel: String,
    /// The messenger's id of the sender.
    pub sender: String,
    /// The name that the sender shows.
    pub display_name: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A sender who is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairedSender {
    /// Which.
    pub id: SenderId,
    /// Which agent.
    pub container: ContainerId,
    /// The messenger.
    pub channel: String,
    /// The messenger's id of the sender.
    pub sender: String,
    /// The name that the sender showed.
    pub display_name: String,
    /// Since when.
    pub approved_at: Option<Timestamp>,
}

impl Client {
    /// Whether a sender may talk to an agent; `group` is the messenger's id of the group that the message came from.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check_sender(
        &self,
        agent: ContainerId,
        channel: &str,
        sender: &str,
        group: Option<&str>,
        display_name: &str,
    ) -> Result<Checked, ClientError> {
        let scope = match group {
            None => pb::ConversationScope::Direct,
            Some(_) => pb::ConversationScope::Group,
        };
        let request = pb::CheckSenderRequest {
            container_id: agent.to_string(),
            channel: channel.to_owned(),
            sender_id: sender.to_owned(),
            scope: scope.into(),
            group_id: group.unwrap_or_default().to_owned(),
            display_name: display_name.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.pairings().check_sender(request).await?.into_inner();
        let decision = match answer.decision() {
            pb::SenderDecision::Allow => Decision::Allow,
            pb::SenderDecision::Drop => Decision::Drop,
            pb::SenderDecision::Pair => Decision::Pair,
            pb::SenderDecision::Unspecified => return Err(ClientError::Answer("decision")),
        };
        let code = Zeroizing::new(answer.pairing_code);
        Ok(Checked {
            decision,
            code: (!code.is_empty()).then_some(code),
            expires_at: answer.expires_at.as_ref().map(time),
        })
    }

    /// Senders who wait.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_pending_pairings(&self) -> Result<Vec<PendingPairing>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListPendingPairingsRequest { page_size: 100, page_token };
            let page = self.pairings().list_pending_pairings(request).await?.into_inner();
            for one in page.pairings {
                all.push(pending(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Lets a sender through from now on, by the code that the sender shows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_pairing(&self, which: PairingId, code: &str) -> Result<PairedSender, ClientError> {
        let request = pb::ApprovePairingRequest {
            pairing_id: which.to_string(),
            pairing_code: code.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.pairings().approve_pairing(request).await?.into_inner();
        paired(present(answer.sender, "sender")?)
    }

    /// Refuses a sender.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reject_pairing(&self, which: PairingId) -> Result<(), ClientError> {
        let request =
            pb::RejectPairingRequest { pairing_id: which.to_string(), idempotency_key: idempotency_key() };
        self.pairings().reject_pairing(request).await?;
        Ok(())
    }

    /// Senders who are let through.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_paired_senders(&self) -> Result<Vec<PairedSender>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListPairedSendersRequest { page_size: 100, page_token };
            let page = self.pairings().list_paired_senders(request).await?.into_inner();
            for one in page.senders {
                all.push(paired(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Lets a sender through no longer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_paired_sender(&self, which: SenderId) -> Result<(), ClientError> {
        let request = pb::RevokePairedSenderRequest {
            sender_ref: which.to_string(),
            idempotency_key: idempotency_key(),
        };
        self.pairings().revoke_paired_sender(request).await?;
        Ok(())
    }
}

fn pending(from: pb::PendingPairing) -> Result<PendingPairing, ClientError> {
    Ok(PendingPairing {
        id: id(&from.pairing_id, "pairing_id")?,
        container: id(&from.container_id, "container_id")?,
        channel: from.channel,
        sender: from.sender_id,
        display_name: from.display_name,
        expires_at: from.expires_at.as_ref().map(time),
    })
}

fn paired(from: pb::PairedSender) -> Result<PairedSender, ClientError> {
    Ok(PairedSender {
        id: id(&from.sender_ref, "sender_ref")?,
        container: id(&from.container_id, "container_id")?,
        channel: from.channel,
        sender: from.sender_id,
        display_name: from.display_name,
        approved_at: from.approved_at.as_ref().map(time),
    })
}
