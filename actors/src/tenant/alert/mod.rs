//! Alerts: records of the audit that somebody is told of, at channels of the tenant's own.
//!
//! An alert is raised in the transaction of the record that it tells of ([`raise`]), as a notice whose addressee is a channel: it
//! is handed over, tried again and given up like every notice. Targets are wrapped by the sealing key.

mod channels;
pub(crate) mod raise;
mod rules;
#[cfg(test)]
mod tests;
mod trial;

use ocmt_crypto::sealing::SealingPlace;
use ocmt_store::{
    Filter,
    tables::{AlertChannel, AlertKind, Notice},
};
use ocmt_types::{AlertChannelId, Secret, TenantId};
use ractor::ActorRef;
use serde::{Deserialize, Serialize};

pub(super) use self::channels::https;
pub(crate) use self::raise::{Channels, raise};
use super::{TenantMessage, TenantState, audit::stream};
use crate::{
    api::alert::{AlertTarget, AlertsCall},
    env::Env,
    error::ActorError,
    work::Work,
};

impl TenantState {
    /// One line per method.
    pub(super) fn alerts(&mut self, myself: &ActorRef<TenantMessage>, call: AlertsCall) {
        match call {
            AlertsCall::PutChannel(call) => self.work(myself, call),
            AlertsCall::ListChannels(call) => self.work(myself, call),
            AlertsCall::DeleteChannel(call) => self.work(myself, call),
            AlertsCall::SendTestAlert(call) => self.work(myself, call),
            AlertsCall::ConfirmChannel(call) => self.work(myself, call),
        }
    }
}

/// What is wrapped. No `Debug`.
#[derive(Serialize, Deserialize)]
pub(super) struct Inside {
    pub(super) target: String,
    pub(super) secret: Option<String>,
}

impl From<Inside> for AlertTarget {
    fn from(Inside { target, secret }: Inside) -> Self {
        Self { kind: AlertKind::Webhook, target: Secret::new(target), secret: secret.map(Secret::new) }
    }
}

/// Wraps it for this place and no other.
pub(super) async fn seal(
    work: &mut Work,
    place: &SealingPlace<'_>,
    inside: &Inside,
) -> Result<Vec<u8>, ActorError> {
    let text = zeroize::Zeroizing::new(serde_json::to_vec(inside).unwrap_or_default());
    let wrapped = work.env.sealing.wrap(place, &text, &mut rand::rng()).map_err(|_| missing())?;
    work.check_wrapped(&wrapped).await?;
    Ok(wrapped)
}

/// What was wrapped for the place.
pub(super) fn open(env: &Env, place: &SealingPlace<'_>, wrapped: &[u8]) -> Result<Inside, ActorError> {
    let text = env.sealing.now().unwrap_secret(place, wrapped).map_err(|_| missing())?;
    serde_json::from_slice(&text).map_err(|_| missing())
}

/// Wraps it for this channel.
async fn wrap(work: &mut Work, channel: AlertChannelId, inside: &Inside) -> Result<Vec<u8>, ActorError> {
    let row = row_of(work.ownership.tenant, channel);
    seal(work, &place(&row), inside).await
}

fn inside(env: &Env, row: &AlertChannel) -> Result<Inside, ActorError> {
    open(env, &place(&row_of(row.tenant_id, row.channel_id)), &row.wrapped)
}

/// Where a channel leads.
fn target(env: &Env, row: &AlertChannel) -> Result<AlertTarget, ActorError> {
    Ok(AlertTarget { kind: row.kind, ..inside(env, row)?.into() })
}

/// The same under the key of now.
pub(super) async fn rewrap(work: &mut Work, row: AlertChannel) -> Result<(), ActorError> {
    let inside = inside(&work.env, &row)?;
    let wrapped = wrap(work, row.channel_id, &inside).await?;
    work.tx.update(&AlertChannel { wrapped, ..row }).await?;
    Ok(())
}

/// The tenant is deleted: nobody is told any more, and nothing waits for a channel that does not answer.
pub(super) async fn silence(work: &mut Work) -> Result<(), ActorError> {
    for channel in work.tx.find::<AlertChannel>(Filter::all()).await? {
        channels::forget(work, channel.channel_id).await?;
        let waits = Notice::address.eq(channel.channel_id.to_string()).and(Notice::handed_over_at.eq(None));
        work.tx.delete_all::<Notice>(waits).await?;
    }
    stream::silence(work).await
}

fn row_of(tenant: TenantId, channel: AlertChannelId) -> [u8; 32] {
    let mut row = [0; 32];
    row[..16].copy_from_slice(tenant.as_bytes());
    row[16..].copy_from_slice(channel.as_bytes());
    row
}

fn place(row: &[u8]) -> SealingPlace<'_> {
    SealingPlace { purpose: "alert channel", row }
}

fn missing() -> ActorError {
    ActorError::unavailable("SEALING_KEY", "the sealing key of this target is missing")
}
