//! Alerts out of the node: to Slack, Discord, PagerDuty and webhooks of tenants, and records of audits to the receivers of
//! their streams, and of the cluster to channels of operators. Alerts to people go as letters.
//!
//! Where a tenant's alerts go the tenant has named, so the way there is that to tenants' providers: https to public addresses,
//! the address that was checked, no redirects, bounded in size and time ([`Fetch`]).

mod forms;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ocmt_actors::{
    Mail, MailBody, MailError, Mailer,
    api::{
        alert::{Alert, AlertTarget},
        audit::AuditEntry,
    },
};
use ocmt_types::{Clock, TenantId, Timestamp};

pub use self::forms::Source;
use crate::sso::{Fetch, FetchError};

/// Carries letters one way and alerts another.
pub struct Carriers<L> {
    letters: L,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
}

impl<L: Mailer> Carriers<L> {
    /// Letters by `letters`, alerts over `fetch`.
    pub fn new(letters: L, fetch: Fetch, clock: Arc<dyn Clock>) -> Self {
        Self { letters, fetch, clock }
    }
}

/// Hands an alert over to a channel that is no address, over `fetch`.
///
/// # Errors
/// [`MailError`]; the text names no channel.
pub async fn carry(
    fetch: &Fetch,
    target: &AlertTarget,
    alert: &Alert,
    source: Source,
    now: Timestamp,
) -> Result<(), MailError> {
    let request = forms::request(target, alert, source, now)
        .ok_or_else(|| MailError::Refused("the channel has no address".to_owned()))?;
    let answer = fetch.fetch(request).await.map_err(|error| match error {
        FetchError::Refused(why) => MailError::Refused(format!("the channel {why}")),
        FetchError::Failed(why) => MailError::Later(format!("the channel {why}")),
    })?;
    let status = answer.status();
    let said = || format!("the channel answers {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        // not now
        408 | 425 | 429 | 500..=599 => Err(MailError::Later(said())),
        _ => Err(MailError::Refused(said())),
    }
}

impl<L: Mailer> Carriers<L> {
    /// Nothing but a success is one: records are never given up, so no answer ends the trying.
    async fn records(
        &self,
        target: &AlertTarget,
        tenant: TenantId,
        records: &[AuditEntry],
    ) -> Result<(), MailError> {
        let request = forms::records(target, tenant, records, self.clock.now())
            .ok_or_else(|| MailError::Later("the receiver has no address".to_owned()))?;
        let answer = self.fetch.fetch(request).await;
        let answer = answer.map_err(|error| MailError::Later(format!("the receiver {error}")))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(MailError::Later(format!("the receiver answers {}", status.as_u16()))),
        }
    }
}

impl<L: Mailer> Mailer for Carriers<L> {
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>> {
        match &mail.body {
            MailBody::Alert { target, alert } => {
                Box::pin(carry(&self.fetch, target, alert, Source::Tenant, self.clock.now()))
            }
            MailBody::Records { target, tenant, records } => Box::pin(self.records(target, *tenant, records)),
            _ => self.letters.hand_over(mail),
        }
    }
}
