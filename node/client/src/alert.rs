//! Where alerts of the tenant go.

use ocmt_proto::v1 as pb;
use ocmt_types::{AlertChannelId, Secret, Timestamp};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    wire::time,
};

/// A channel, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// Which one.
    pub id: AlertChannelId,
    /// `email`, `slack`, `discord`, `pagerduty` or `webhook`.
    pub kind: &'static str,
    /// For people.
    pub name: String,
    /// Where to, without what is secret of it.
    pub target: String,
    /// `info`, `warning` or `critical`: the least that is sent.
    pub min_severity: &'static str,
    /// Actions that it is for; none for those that are alerts by themselves.
    pub actions: Vec<String>,
    /// When it took an alert that somebody sent to try it.
    pub verified_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// What a channel is to be.
#[derive(Default)]
pub struct ChannelWanted {
    /// Which one to change; none makes one.
    pub channel: Option<AlertChannelId>,
    /// Kind.
    pub kind: pb::AlertChannelKind,
    /// For people.
    pub name: String,
    /// Where to; none keeps what is there.
    pub target: Option<Secret<String>>,
    /// Routing key, or key of the signature; none keeps what is there.
    pub secret: Option<Secret<String>>,
    /// The least that is sent.
    pub min_severity: pb::AlertSeverity,
    /// Actions that it is for.
    pub actions: Vec<String>,
}

impl Client {
    /// Makes or changes a channel.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_channel(&self, wanted: ChannelWanted) -> Result<Channel, ClientError> {
        let exposed =
            |secret: Option<Secret<String>>| secret.map(|it| it.expose().clone()).unwrap_or_default();
        let request = pb::PutChannelRequest {
            channel_id: wanted.channel.map(|id| id.to_string()).unwrap_or_default(),
            kind: wanted.kind.into(),
            name: wanted.name,
            target: exposed(wanted.target),
            secret: exposed(wanted.secret),
            min_severity: wanted.min_severity.into(),
            actions: wanted.actions,
            idempotency_key: idempotency_key(),
        };
        let made = self.alerts().put_channel(request).await?.into_inner();
        channel(present(made.channel, "channel")?)
    }

    /// The tenant's channels.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_channels(&self) -> Result<Vec<Channel>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListChannelsRequest { page_size: 100, page_token };
            let page = self.alerts().list_channels(request).await?.into_inner();
            for it in page.channels {
                all.push(channel(it)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Deletes a channel. One that was tried is told of recoveries for one lock period more.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_channel(&self, channel: AlertChannelId) -> Result<(), ClientError> {
        let request =
            pb::DeleteChannelRequest { channel_id: channel.to_string(), idempotency_key: idempotency_key() };
        self.alerts().delete_channel(request).await?;
        Ok(())
    }

    /// Sends an alert to a channel to try it; why it was not taken, if it was not.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn test_channel(&self, channel: AlertChannelId) -> Result<Option<String>, ClientError> {
        let request =
            pb::SendTestAlertRequest { channel_id: channel.to_string(), idempotency_key: idempotency_key() };
        let answer = self.alerts().send_test_alert(request).await?.into_inner();
        Ok((!answer.delivered).then_some(answer.detail))
    }
}

fn channel(it: pb::AlertChannel) -> Result<Channel, ClientError> {
    let kind = match it.kind() {
        pb::AlertChannelKind::Email => "email",
        pb::AlertChannelKind::Slack => "slack",
        pb::AlertChannelKind::Discord => "discord",
        pb::AlertChannelKind::Pagerduty => "pagerduty",
        pb::AlertChannelKind::Webhook => "webhook",
        pb::AlertChannelKind::Unspecified => "other",
    };
    let min_severity = match it.min_severity() {
        pb::AlertSeverity::Critical => "critical",
        pb::AlertSeverity::Warning => "warning",
        pb::AlertSeverity::Info | pb::AlertSeverity::Unspecified => "info",
    };
    Ok(Channel {
        id: id(&it.channel_id, "channel_id")?,
        kind,
        name: it.name,
        target: it.target_hint,
        min_severity,
        actions: it.actions,
        verified_at: it.verified_at.as_ref().map(time),
        updated_at: it.updated_at.as_ref().map(time),
    })
}
