//! After a new generation of the cluster's sealing key: what of this tenant is wrapped under an earlier one is
//! wrapped anew, a few rows in a transaction. Wherever it is cut off, the rows themselves say what is left.

use ocmt_store::{
    Rewrap,
    tables::{Ceremony, OidcProvider, TotpEnrollment, User},
};
use ractor::ActorRef;

use super::{
    TenantMessage, TenantState, alert, audit::stream, ceremony::ground, handlers::rewrapped_totp, sso,
};
use crate::{
    call::Reply,
    error::ActorError,
    host::container::{rewrapped, row::changed},
    work::{SystemWork, Work},
};

/// Rows of a kind in one transaction.
const BATCH: u32 = 32;

/// One batch; whether there may be more.
struct Batch;

impl SystemWork for Batch {
    type Output = bool;

    async fn perform(self, work: &mut Work) -> Result<bool, ActorError> {
        let held = work.env.sealing.now();
        let mut generations = held.generations().map(ocmt_crypto::sealing::SealingKey::generation);
        let (Some(lowest), Some(latest)) = (generations.next(), held.latest()) else { return Ok(false) };
        let what = Rewrap { lowest, latest };
        let ceremonies = work.tx.ceremonies_to_rewrap(what, BATCH).await?;
        let containers = work.tx.containers_to_rewrap(what, BATCH).await?;
        let full = |rows: usize| u32::try_from(rows).is_ok_and(|rows| rows >= BATCH);
        let users = work.tx.users_to_rewrap(what, BATCH).await?;
        let enrollments = work.tx.enrollments_to_rewrap(what, BATCH).await?;
        let channels = work.tx.channels_to_rewrap(what, BATCH).await?;
        let more = [ceremonies.len(), containers.len(), users.len(), enrollments.len(), channels.len()];
        let more = more.into_iter().any(full);
        for row in ceremonies {
            let guard = Ceremony::version.eq(row.version);
            let wrapped = ground::rewrapped(work, &row)?;
            if let Some(wrapped) = &wrapped {
                work.check_wrapped(wrapped).await?;
            }
            let next = Ceremony { release_private_wrapped: wrapped, version: row.version + 1, ..row };
            if !work.tx.update_if(&next, guard).await? {
                return Err(ActorError::Aborted("the ceremony"));
            }
        }
        for row in containers {
            let wrapped = rewrapped(&work.env, &row)?;
            changed(work, row, |row| {
                row.start_secret = wrapped;
                Ok(())
            })
            .await?;
        }
        factors(work, users, enrollments).await?;
        for row in channels {
            alert::rewrap(work, row).await?;
        }
        if let Some(row) = work.tx.stream_to_rewrap(what).await? {
            stream::rewrap(work, row).await?;
        }
        if let Some(row) = work.tx.provider_to_rewrap(what).await? {
            provider(work, row).await?;
        }
        Ok(more)
    }
}

/// The secret of a client at the tenant's own provider.
async fn provider(work: &mut Work, row: OidcProvider) -> Result<(), ActorError> {
    let Some(wrapped) = &row.secret_wrapped else { return Ok(()) };
    let wrapped = sso::rewrapped(work, wrapped)?;
    work.check_wrapped(&wrapped).await?;
    work.tx.update(&OidcProvider { secret_wrapped: Some(wrapped), ..row }).await?;
    Ok(())
}

/// Secrets of second factors.
async fn factors(
    work: &mut Work,
    users: Vec<User>,
    enrollments: Vec<TotpEnrollment>,
) -> Result<(), ActorError> {
    for row in users {
        let Some(wrapped) = &row.totp_wrapped else { continue };
        let wrapped = rewrapped_totp(work, row.user_id, wrapped)?;
        work.check_wrapped(&wrapped).await?;
        work.tx.update(&User { totp_wrapped: Some(wrapped), ..row }).await?;
    }
    for row in enrollments {
        let wrapped = rewrapped_totp(work, row.user_id, &row.wrapped)?;
        work.check_wrapped(&wrapped).await?;
        work.tx.update(&TotpEnrollment { wrapped, ..row }).await?;
    }
    Ok(())
}

impl TenantState {
    pub(super) fn rewrap(&mut self, myself: &ActorRef<TenantMessage>, reply: Reply<bool>) {
        self.answered(myself, Batch, reply);
    }
}
