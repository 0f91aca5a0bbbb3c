//! Channels: made, changed, tried, deleted.

use std::time::Duration;

use ocmt_store::{
    Filter,
    tables::{AlertChannel, AlertGroup, AlertKind, IdempotencyRow, User, UserState},
};
use ocmt_types::AlertChannelId;
use webauthn_rs::prelude::Url;

use super::{
    Inside, inside,
    raise::{letter, rank},
    wrap,
};
use crate::{
    api::{
        alert::{
            Alert, ChannelInfo, ConfirmChannel, DeleteChannel, ListChannels, PutChannel, SendTestAlert,
            Severity, Trial, Tried,
        },
        users::Done,
    },
    authorize::{Action, Object},
    call::Call as _,
    email,
    error::ActorError,
    tenant::vault::asked,
    work::{Handle, Work},
};

/// Channels of one tenant.
pub(super) const MOST_CHANNELS: usize = 16;
/// With those that were deleted and hear of recoveries still.
const MOST_ROWS: i64 = 64;
/// A channel that was never tried hears for so long of what became of it.
const LAST_WORD: Duration = Duration::from_secs(3600);
/// Between two trials of a channel.
const PAUSE: Duration = Duration::from_secs(10);
/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

impl Handle for PutChannel {
    async fn handle(self, work: &mut Work) -> Result<ChannelInfo, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        let before = match self.channel {
            Some(id) => Some(load(work, id).await?),
            None if all(work).await?.len() >= MOST_CHANNELS => {
                let why = format!("a tenant has {MOST_CHANNELS} channels at most");
                return Err(ActorError::exhausted("TOO_MANY_CHANNELS", why));
            }
            None => None,
        };
        let kept = match &before {
            Some(row) if row.kind != self.kind => {
                return Err(ActorError::invalid("kind", "of a channel stays what it is: make another"));
            }
            // with its key lost it can be led anew, where all of it is given
            Some(row) => match inside(&work.env, row) {
                Err(lost) if self.target.is_none() => return Err(lost),
                known => known.ok(),
            },
            None => None,
        };
        let moved = self.target.is_some() || self.secret.is_some();
        let (target_before, secret_before) =
            kept.map_or((None, None), |kept| (Some(kept.target), kept.secret));
        let target = self.target.map(|target| target.expose().clone()).or(target_before);
        let secret = self.secret.map(|secret| secret.expose().clone()).or(secret_before);
        let (target, hint) = checked(self.kind, target)?;
        if self.kind == AlertKind::Email && moved && !is_of_ours(work, &target).await? {
            return Err(ActorError::invalid("target", "is no address of one of the tenant's people"));
        }
        if matches!(self.kind, AlertKind::Pagerduty | AlertKind::Webhook) && secret.is_none() {
            return Err(ActorError::invalid(
                "secret",
                "is needed: the routing key, or what posts are signed with",
            ));
        }
        let channel_id = before.as_ref().map_or_else(|| work.env.id(), |row| row.channel_id);
        if let Some(row) = before.as_ref().filter(|_| moved) {
            keep_telling(work, row).await?;
        }
        let wrapped = wrap(work, channel_id, &Inside { target, secret }).await?;
        let verified_at = before.as_ref().and_then(|row| row.verified_at).filter(|_| !moved);
        let row = AlertChannel {
            tenant_id: work.ownership.tenant,
            channel_id,
            kind: self.kind,
            name: self.name,
            hint,
            wrapped,
            min_severity: rank(self.min_severity),
            actions: self.actions.join(" "),
            updated_at: work.now,
            verified_at,
            tested_at: before.as_ref().and_then(|row| row.tested_at),
            ends_at: None,
        };
        work.tx.upsert(&row).await?;
        work.env.alert_channels.forget(row.tenant_id);
        work.object = format!("alert_channel/{channel_id}");
        work.details = vec![("kind".to_owned(), kind(row.kind).to_owned())];
        work.details.extend(shown(&row));
        Ok(info(&row))
    }
}

impl Handle for ListChannels {
    async fn handle(self, work: &mut Work) -> Result<Vec<ChannelInfo>, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        Ok(all(work).await?.iter().map(info).collect())
    }
}

impl Handle for DeleteChannel {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        let row = load(work, self.channel).await?;
        work.object = format!("alert_channel/{}", self.channel);
        work.details.extend(shown(&row));
        keep_telling(work, &row).await?;
        forget(work, self.channel).await?;
        work.env.alert_channels.forget(work.ownership.tenant);
        Ok(Done)
    }
}

impl Handle for SendTestAlert {
    async fn handle(self, work: &mut Work) -> Result<Trial, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        let row = load(work, self.channel).await?;
        work.object = format!("alert_channel/{}", self.channel);
        if let Some(tested_at) = row.tested_at.filter(|at| work.now < *at + PAUSE) {
            return Err(ActorError::ResourceExhausted {
                reason: "TRIED_JUST_NOW",
                why: "the channel was tried just now".to_owned(),
                retry_after: Some((tested_at + PAUSE).since(work.now)),
            });
        }
        let alert = Alert {
            id: work.env.id(),
            tenant: work.ownership.tenant,
            action: "alert.test".to_owned(),
            severity: Severity::Info,
            facts: vec![("channel".to_owned(), row.name.clone())],
            at: work.now,
        };
        if !leads_to_ours(work, &row).await? {
            return Err(ActorError::invalid(
                "channel_id",
                "leads to somebody who is not of the tenant any more",
            ));
        }
        let (mail, updated_at) = (letter(&work.env, &row, alert)?, row.updated_at);
        work.tx.update(&AlertChannel { tested_at: Some(work.now), ..row }).await?;
        work.env.alert_channels.forget(work.ownership.tenant);
        Ok(Trial { mail: Some(mail), updated_at, tried: None })
    }
}

impl Handle for ConfirmChannel {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        let row = load(work, self.channel).await?;
        work.object = format!("alert_channel/{}", self.channel);
        work.details.push(("taken".to_owned(), self.tried.taken.to_string()));
        if let Some(request) = self.request {
            said(work, request, self.tried.clone()).await?;
        }
        if self.tried.taken && row.updated_at == self.updated_at && row.verified_at.is_none() {
            work.tx.update(&AlertChannel { verified_at: Some(work.now), ..row }).await?;
            work.env.alert_channels.forget(work.ownership.tenant);
        }
        Ok(Done)
    }
}

/// Repeats of the request for a trial are answered with what the channel said.
async fn said(work: &mut Work, request: Vec<u8>, tried: Tried) -> Result<(), ActorError> {
    let kept = work.tx.get::<IdempotencyRow>((work.standing.caller.label(), request)).await?;
    let Some(mut kept) = kept.filter(|kept| kept.method == SendTestAlert::METHOD) else { return Ok(()) };
    let Some(trial) = SendTestAlert::decode(&kept.response) else { return Ok(()) };
    let trial = Trial { tried: Some(tried), ..trial };
    kept.response =
        SendTestAlert::encode(&trial).ok_or(ActorError::Internal(work.standing.caller.request))?;
    work.tx.update(&kept).await?;
    Ok(())
}

/// Where alerts went before a channel was changed or deleted hears of that, and, if it was tried, of recoveries as long as
/// an address does that was given up: whoever does it to recover unseen is seen.
async fn keep_telling(work: &mut Work, row: &AlertChannel) -> Result<(), ActorError> {
    if work.tx.count::<AlertChannel>(Filter::all()).await? >= MOST_ROWS {
        let why = "too many channels were changed or deleted lately: wait until the earlier ones have ended";
        return Err(ActorError::exhausted("TOO_MANY_CHANNELS", why.to_owned()));
    }
    let lasts = match row.verified_at {
        Some(_) => asked::former_hears(work).await?,
        None => LAST_WORD,
    };
    let channel_id: AlertChannelId = work.env.id();
    // where it led nobody knows whose key is lost: there is nobody to tell, and what cannot be told may be deleted
    let Ok(inside) = inside(&work.env, row) else { return Ok(()) };
    let wrapped = wrap(work, channel_id, &inside).await?;
    let kept = AlertChannel { channel_id, wrapped, ends_at: Some(work.now + lasts), ..row.clone() };
    work.tx.insert(&kept).await?;
    Ok(())
}

/// Takes a channel away, with what is remembered of it.
pub(super) async fn forget(work: &mut Work, channel: AlertChannelId) -> Result<(), ActorError> {
    work.tx.delete_all::<AlertGroup>(AlertGroup::channel_id.eq(channel)).await?;
    work.tx.delete::<AlertChannel>(channel).await?;
    work.env.alert_channels.forget(work.ownership.tenant);
    Ok(())
}

/// Those that are not deleted, oldest id first; those whose time is over go.
async fn all(work: &mut Work) -> Result<Vec<AlertChannel>, ActorError> {
    for over in work.tx.find::<AlertChannel>(AlertChannel::ends_at.le(Some(work.now))).await? {
        forget(work, over.channel_id).await?;
    }
    Ok(work.tx.find::<AlertChannel>(AlertChannel::ends_at.eq(None)).await?)
}

async fn load(work: &mut Work, id: AlertChannelId) -> Result<AlertChannel, ActorError> {
    let row = work.tx.get::<AlertChannel>(id).await?;
    row.filter(|row| row.ends_at.is_none()).ok_or(ActorError::NotFound)
}

/// For the audit, which names people by their ids.
fn shown(row: &AlertChannel) -> Option<(String, String)> {
    (row.kind != AlertKind::Email).then(|| ("to".to_owned(), row.hint.clone()))
}

/// Whether the channel may be written to: letters go to who is of the tenant still.
pub(super) async fn leads_to_ours(work: &mut Work, row: &AlertChannel) -> Result<bool, ActorError> {
    Ok(row.kind != AlertKind::Email || is_of_ours(work, &row.hint).await?)
}

/// Whether the address is that of somebody here: others have not asked for letters.
async fn is_of_ours(work: &mut Work, address: &str) -> Result<bool, ActorError> {
    let found = work.tx.first::<User>(User::email.eq(address).and(User::state.eq(UserState::Active))).await?;
    Ok(found.is_some())
}

/// The target as it is kept, and what may be shown of it.
fn checked(kind: AlertKind, target: Option<String>) -> Result<(String, String), ActorError> {
    let target = match (kind, target) {
        (AlertKind::Pagerduty, None) => PAGERDUTY.to_owned(),
        (_, Some(target)) => target,
        (_, None) => return Err(ActorError::invalid("target", "is missing")),
    };
    if kind == AlertKind::Email {
        let address = email::normalised(&target)?;
        return Ok((address.clone(), address));
    }
    let hint = https(&target)?;
    Ok((target, hint))
}

/// What may be shown of an https URL that has no login.
pub(in crate::tenant) fn https(target: &str) -> Result<String, ActorError> {
    let url = Url::parse(target).ok().filter(|url| {
        url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    let host = url.as_ref().and_then(Url::host_str).filter(|host| host.len() <= 200);
    let host = host.ok_or_else(|| ActorError::invalid("target", "is no https URL without a login"))?;
    Ok(format!("https://{host}"))
}

fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Email => "email",
        AlertKind::Slack => "slack",
        AlertKind::Discord => "discord",
        AlertKind::Pagerduty => "pagerduty",
        AlertKind::Webhook => "webhook",
    }
}

fn info(row: &AlertChannel) -> ChannelInfo {
    ChannelInfo {
        id: row.channel_id,
        kind: kind(row.kind).to_owned(),
        name: row.name.clone(),
        hint: row.hint.clone(),
        min_severity: match row.min_severity {
            3 => Severity::Critical,
            2 => Severity::Warning,
            _ => Severity::Info,
        },
        actions: row.actions.split_whitespace().map(str::to_owned).collect(),
        verified_at: row.verified_at,
        updated_at: row.updated_at,
    }
}
