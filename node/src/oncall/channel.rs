//! The channels that the configuration names, and the way to them.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use ocmt_actors::{
    Mail, MailBody, MailError, Mailer,
    api::alert::{Alert, AlertTarget},
};
use ocmt_store::tables::AlertKind;
use ocmt_types::{Clock, NoticeId, Secret, TenantId};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::rules::Wanted;
use crate::{
    alerts::{self, Source},
    config::{Config, OperatorAlerts},
    secret_file,
    sso::Fetch,
    tls,
};

/// One alert, whatever carries it.
const LASTS: Duration = Duration::from_secs(60);

/// A channel of operators'. No `Debug`: it has where alerts go.
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub wanted: Wanted,
    target: AlertTarget,
}

impl Channel {
    fn of(it: &OperatorAlerts) -> Result<Self, String> {
        let read = |file| secret_file::read(file).map_err(|error| format!("alerts.operators: {error}"));
        let (target, secret) = (read(&it.target_file)?, read(&it.secret_file)?);
        let target = target.unwrap_or_else(|| Secret::new(it.default_target()));
        it.check_secrets(&target, secret.as_ref())?;
        let wanted = Wanted { min_severity: it.min_severity, actions: it.actions.clone() };
        Ok(Self {
            name: it.name.clone(),
            wanted,
            target: AlertTarget { kind: it.kind.into(), target, secret },
        })
    }
}

/// All channels of the configuration.
///
/// # Errors
/// What is wrong with one; the text holds no secret.
pub fn channels(config: &Config) -> Result<Vec<Channel>, String> {
    config.alerts.operators.iter().map(Channel::of).collect()
}

/// Carries alerts of operators'.
pub trait Carry: Send + Sync {
    /// Ready when the channel has taken it.
    fn carry<'a>(&'a self, channel: &'a Channel, alert: &'a Alert) -> BoxFuture<'a, Result<(), MailError>>;
}

/// Over the network, and letters by the node's mailer.
pub struct Ways<L> {
    letters: L,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
}

impl<L: Mailer> Ways<L> {
    /// As the configuration says: to public addresses alone unless it lets them go to others.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(config: &Config, letters: L, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let tls = tls::trusting(&config.alerts.ca_file);
        let tls = tls.map_err(|problem| format!("alerts.ca_file: {problem}"))?;
        let reaches_all = config.alerts.operators_reach_private || config.node.mode.is_relaxed();
        Ok(Self { letters, fetch: Fetch::new(TlsConnector::from(Arc::new(tls)), reaches_all), clock })
    }

    async fn send(&self, channel: &Channel, alert: &Alert) -> Result<(), MailError> {
        if channel.target.kind != AlertKind::Email {
            return alerts::carry(&self.fetch, &channel.target, alert, Source::Cluster, self.clock.now())
                .await;
        }
        let mut facts = vec![("severity".to_owned(), alert.severity.as_str().to_owned())];
        facts.extend(alert.facts.iter().cloned());
        let body = MailBody::Notice { tenant: alert.tenant, kind: alert.action.clone(), facts, at: alert.at };
        let to = channel.target.target.expose().clone();
        self.letters.hand_over(&Mail { id: alert.id, to, body }).await
    }
}

impl<L: Mailer> Carry for Ways<L> {
    fn carry<'a>(&'a self, channel: &'a Channel, alert: &'a Alert) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let sent = timeout(LASTS, self.send(channel, alert)).await;
            sent.unwrap_or_else(|_| Err(MailError::Later("the channel does not answer in time".to_owned())))
        })
    }
}

/// What somebody sends to try a channel.
pub fn trial(cluster: TenantId, id: NoticeId, clock: &dyn Clock) -> Alert {
    Alert {
        id,
        tenant: cluster,
        action: "alert.test".to_owned(),
        severity: ocmt_actors::api::alert::Severity::Info,
        facts: vec![("what".to_owned(), "somebody tries this channel".to_owned())],
        at: clock.now(),
    }
}

#[cfg(test)]
impl Channel {
    /// One that leads nowhere.
    pub(super) fn test(name: &str, wanted: Wanted) -> Self {
        let target =
            AlertTarget { kind: AlertKind::Webhook, target: Secret::new(String::new()), secret: None };
        Self { name: name.to_owned(), wanted, target }
    }
}
