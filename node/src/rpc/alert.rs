//! AlertService: where a tenant's alerts go.

use ocmt_actors::api::alert::{AlertKind, ChannelInfo, DeleteChannel, ListChannels, PutChannel, Severity};
use ocmt_proto::v1::{self as pb, alert_service_server::AlertService};
use ocmt_types::Secret;
use tonic::{Request, Response, Status, async_trait};

use super::{Answer, Rpc, convert, refuse};

#[async_trait]
impl AlertService for Rpc {
    async fn put_channel(&self, request: Request<pb::PutChannelRequest>) -> Answer<pb::PutChannelResponse> {
        let it = request.get_ref();
        let some = |text: &String| Some(text).filter(|text| !text.is_empty()).cloned().map(Secret::new);
        let ask = PutChannel {
            channel: convert::optional_id(&it.channel_id, "channel_id")?,
            kind: kind(it.kind())?,
            name: it.name.clone(),
            target: some(&it.target),
            secret: some(&it.secret),
            min_severity: severity(it.min_severity()),
            actions: it.actions.clone(),
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::PutChannelResponse { channel: Some(channel(made)) }))
    }

    async fn list_channels(
        &self,
        request: Request<pb::ListChannelsRequest>,
    ) -> Answer<pb::ListChannelsResponse> {
        let it = request.get_ref();
        let after = match it.page_token.as_str() {
            "" => None,
            token => Some(convert::id(token, "page_token")?),
        };
        let size = usize::try_from(convert::page_size(it.page_size, 50)).unwrap_or(usize::MAX);
        let all = self.ask(&request, &[], ListChannels).await?;
        let mut behind: Vec<_> =
            all.into_iter().filter(|it| after.is_none_or(|after| it.id > after)).collect();
        let more = behind.len() > size;
        behind.truncate(size);
        let next = behind.last().filter(|_| more).map(|last| last.id.to_string());
        Ok(Response::new(pb::ListChannelsResponse {
            channels: behind.into_iter().map(channel).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn delete_channel(
        &self,
        request: Request<pb::DeleteChannelRequest>,
    ) -> Answer<pb::DeleteChannelResponse> {
        let it = request.get_ref();
        let ask = DeleteChannel { channel: convert::id(&it.channel_id, "channel_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DeleteChannelResponse {}))
    }

    async fn send_test_alert(
        &self,
        request: Request<pb::SendTestAlertRequest>,
    ) -> Answer<pb::SendTestAlertResponse> {
        let it = request.get_ref();
        let id = convert::id(&it.channel_id, "channel_id")?;
        let caller = self.caller(&request).await?;
        let meta = self.meta(&request, &it.idempotency_key);
        let tried = self.system.try_channel(&caller, meta, id).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(pb::SendTestAlertResponse { delivered: tried.taken, detail: tried.why }))
    }
}

fn kind(kind: pb::AlertChannelKind) -> Result<AlertKind, Status> {
    match kind {
        pb::AlertChannelKind::Email => Ok(AlertKind::Email),
        pb::AlertChannelKind::Slack => Ok(AlertKind::Slack),
        pb::AlertChannelKind::Discord => Ok(AlertKind::Discord),
        pb::AlertChannelKind::Pagerduty => Ok(AlertKind::Pagerduty),
        pb::AlertChannelKind::Webhook => Ok(AlertKind::Webhook),
        pb::AlertChannelKind::Unspecified => Err(convert::invalid("kind", "is not set")),
    }
}

fn severity(severity: pb::AlertSeverity) -> Severity {
    match severity {
        pb::AlertSeverity::Critical => Severity::Critical,
        pb::AlertSeverity::Warning => Severity::Warning,
        pb::AlertSeverity::Info | pb::AlertSeverity::Unspecified => Severity::Info,
    }
}

fn channel(info: ChannelInfo) -> pb::AlertChannel {
    let kind = match info.kind.as_str() {
        "email" => pb::AlertChannelKind::Email,
        "slack" => pb::AlertChannelKind::Slack,
        "discord" => pb::AlertChannelKind::Discord,
        "pagerduty" => pb::AlertChannelKind::Pagerduty,
        "webhook" => pb::AlertChannelKind::Webhook,
        _ => pb::AlertChannelKind::Unspecified,
    };
    let min_severity = match info.min_severity {
        Severity::Info => pb::AlertSeverity::Info,
        Severity::Warning => pb::AlertSeverity::Warning,
        Severity::Critical => pb::AlertSeverity::Critical,
    };
    pb::AlertChannel {
        channel_id: info.id.to_string(),
        kind: kind.into(),
        name: info.name,
        target_hint: info.hint,
        min_severity: min_severity.into(),
        actions: info.actions,
        verified_at: info.verified_at.map(convert::time),
        updated_at: Some(convert::time(info.updated_at)),
    }
}
