//! Trials of channels: one alert for each request, and what its receiver said for whoever repeats that.

use std::time::Duration;

use ocmt_types::{AlertChannelId, Deadline};

use crate::{
    api::alert::{ConfirmChannel, SendTestAlert, Tried},
    call::CallMeta,
    caller::Caller,
    error::ActorError,
    system::System,
};

/// Characters of what a receiver that did not take it is quoted with.
const QUOTED: usize = 125;
/// What it said is written down within this.
const NOTED: Duration = Duration::from_secs(10);
/// Whoever repeats a request that is under way waits for it, and looks so often.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS: usize = 60;

impl System {
    /// Sends an alert to try a channel, and waits for what becomes of it. Repeated under its idempotency key it is answered as the
    /// first time, and nothing is sent.
    ///
    /// # Errors
    /// Those of [`SendTestAlert`]; [`ActorError::OutcomeUnknown`] for a repeat of a trial whose end nobody wrote down.
    pub async fn try_channel(
        &self,
        caller: &Caller,
        meta: CallMeta,
        channel: AlertChannelId,
    ) -> Result<Tried, ActorError> {
        let tenant = self.tenant(caller.tenant());
        for _ in 0..LOOKS {
            let trial = tenant.call(caller.clone(), meta.clone(), SendTestAlert { channel }).await?;
            if let Some(tried) = trial.tried {
                return Ok(tried);
            }
            let Some(mail) = trial.mail else {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            let tried = match self.env.mailer.hand_over(&mail).await {
                Ok(()) => Tried::TAKEN,
                Err(error) => Tried { taken: false, why: error.to_string().chars().take(QUOTED).collect() },
            };
            let request = meta.idempotency.map(|it| it.key);
            let told = ConfirmChannel { channel, updated_at: trial.updated_at, tried, request };
            let tried = told.tried.clone();
            tenant.call(caller.clone(), Deadline::after(&*self.env.clock, NOTED), told).await?;
            return Ok(tried);
        }
        Err(ActorError::OutcomeUnknown)
    }
}
