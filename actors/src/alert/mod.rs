//! `AlertDispatcher`: hands mails over to the carrier, beside all requests.
//!
//! Supervised by the node's root. Nothing of it is durable: a stored notice has a timer that hands
//! it over again until its tenant was told that a carrier has it; a mail with a token lives in
//! memory alone (tokens are not stored), is tried a few times, and asked for again by its person.

mod state;

use std::{sync::Arc, time::Duration};

use ocmt_types::{Deadline, NoticeId, TenantId};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use self::state::{Attempt, Queues};
use crate::{
    env::Env,
    letter::{self, HandedOver, Letter, Undeliverable},
    ports::{Mail, MailBody, MailError},
    supervisor,
};

/// How long a tenant may take to write down that a notice was handed over.
const TELLING_TAKES: Duration = Duration::from_secs(10);

/// A mail on its way.
pub(crate) struct Parcel {
    pub(crate) mail: Mail,
    /// The stored notice behind it, and whose it is.
    pub(crate) notice: Option<(TenantId, NoticeId)>,
}

impl Parcel {
    /// Whether it goes to a channel, and is no letter.
    fn is_alert(&self) -> bool {
        matches!(self.mail.body, MailBody::Alert { .. })
    }
}

/// What the dispatcher is told.
pub(crate) enum AlertMessage {
    /// Hand this over.
    HandOver(Parcel),
    /// An attempt has ended, at this notice if at one, an alert or not; the parcel comes back if it failed.
    Attempted(Option<(TenantId, NoticeId)>, bool, Option<Attempt>, Result<(), MailError>),
    /// Try again.
    Again(Attempt),
}

/// The actor; what it holds is in [`AlertState`].
pub(crate) struct AlertDispatcher;

pub(crate) struct AlertState {
    env: Arc<Env>,
    queues: Queues,
}

impl Actor for AlertDispatcher {
    type Msg = AlertMessage;
    type State = AlertState;
    type Arguments = Arc<Env>;

    async fn pre_start(
        &self,
        _: ActorRef<AlertMessage>,
        env: Arc<Env>,
    ) -> Result<AlertState, ActorProcessingErr> {
        Ok(AlertState { env, queues: Queues::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<AlertMessage>,
        message: AlertMessage,
        state: &mut AlertState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AlertMessage::HandOver(parcel) => state.queues.push(Attempt::first(parcel)),
            AlertMessage::Again(attempt) => state.queues.push(attempt),
            AlertMessage::Attempted(notice, is_alert, failed, result) => {
                state.queues.ended(notice, is_alert);
                if let (Some(attempt), Err(error)) = (failed, result) {
                    give_back(&myself, attempt, &error);
                }
            }
        }
        while let Some(attempt) = state.queues.next() {
            hand_over(&myself, Arc::clone(&state.env), attempt);
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<AlertMessage>,
        _: SupervisionEvent,
        _: &mut AlertState,
    ) -> Result<(), ActorProcessingErr> {
        // it has no children
        Ok(())
    }
}

fn hand_over(myself: &ActorRef<AlertMessage>, env: Arc<Env>, attempt: Attempt) {
    let myself = myself.clone();
    supervisor::detach(async move {
        let result = env.mailer.hand_over(&attempt.parcel.mail).await;
        let (notice, is_alert) = (attempt.parcel.notice, attempt.parcel.is_alert());
        let failed = match (&result, notice) {
            (Ok(()), Some((tenant, notice))) => {
                tell(&env, tenant, HandedOver { notice }).await;
                None
            }
            (Err(MailError::Refused(_)), Some((tenant, notice))) => {
                tell(&env, tenant, Undeliverable { notice }).await;
                Some(attempt)
            }
            (Ok(()), None) => None,
            (Err(_), _) => Some(attempt),
        };
        let _ = myself.cast(AlertMessage::Attempted(notice, is_alert, failed, result));
    });
}

/// Tells the tenant, wherever it is by now. If it does not hear of it, its timer hands the notice over once
/// more, which is better than never.
async fn tell(env: &Arc<Env>, tenant: TenantId, what: impl Letter<Answer = ()>) {
    let deadline = Deadline::after(&*env.clock, TELLING_TAKES);
    if let Err(error) = letter::send(env, tenant, what, deadline).await {
        tracing::debug!(%tenant, %error, "tenant did not hear what became of its notice");
    }
}

/// A notice is tried again by its own timer; a mail with a token by us, a few times. What is refused for good is given
/// up at once.
fn give_back(myself: &ActorRef<AlertMessage>, attempt: Attempt, error: &MailError) {
    let refused = matches!(error, MailError::Refused(_));
    if attempt.parcel.notice.is_some() {
        // that one is given up its tenant says
        if !refused {
            tracing::debug!(%error, "notice was not handed over, its timer tries again");
        }
        return;
    }
    let id = attempt.parcel.mail.id;
    let Some((again, wait)) = attempt.next().filter(|_| !refused) else {
        tracing::warn!(%id, %error, "mail was given up, its person has to ask again");
        return;
    };
    let myself = myself.clone();
    supervisor::detach(async move {
        tokio::time::sleep(wait).await;
        let _ = myself.cast(AlertMessage::Again(again));
    });
}
