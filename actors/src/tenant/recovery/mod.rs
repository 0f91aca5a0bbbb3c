//! Guardians: who is asked, who accepted, who holds which units; on both sides.
//!
//! The owner's side is `guardianships_out` and `guardian_sets`, the guardian's side `guardianships_in` and
//! `ceremony_requests`, perhaps in another tenant. [`letters`] go between them; what is signed inside is
//! believed by people's devices, and what the owner's node counts it verifies itself.

pub(super) mod change;
mod deal;
mod drill;
mod invite;
mod leaving;
pub(super) mod letters;
mod list;
pub(super) mod lost;
pub(super) mod schedule;
mod verdict;

use ocmt_store::tables::Outbox;
use ocmt_types::TenantId;

pub(super) use deal::{retire, retire_guardians};
pub(super) use invite::{FIND, find};
pub(super) use leaving::end_all;

use crate::{error::ActorError, work::Work};

/// Takes a letter of another tenant. One line per kind.
pub(super) async fn take(
    work: &mut Work,
    from: TenantId,
    kind: &str,
    body: &[u8],
) -> Result<Vec<u8>, ActorError> {
    match kind {
        letters::INVITED => invite::invited(work, from, letters::read(body)?).await,
        letters::ACCEPTED => invite::accepted(work, from, letters::read(body)?).await,
        letters::LEFT => leaving::left(work, from, letters::read(body)?).await,
        letters::DEALT => deal::dealt(work, from, letters::read(body)?).await,
        letters::RETIRED => deal::retired(work, from, letters::read(body)?).await,
        letters::CHANGING => change::changing(work, from, letters::read(body)?).await,
        letters::CHALLENGED => drill::challenged(work, from, letters::read(body)?).await,
        letters::DRILLED => drill::drilled(work, from, letters::read(body)?).await,
        letters::LOST => lost::reported(work, from, letters::read(body)?).await,
        letters::TOLD => verdict::told(work, from, letters::read(body)?).await,
        letters::SAID => {
            let heard = super::ceremony::stop::said(work, from, letters::read(body)?).await?;
            Ok(letters::write(&heard))
        }
        _ => Err(ActorError::Unimplemented("message kind")),
    }
}

/// A letter of ours was taken, or refused for good. One line per kind that something follows from.
pub(super) async fn delivered(
    work: &mut Work,
    row: &Outbox,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    match row.kind.as_str() {
        letters::ACCEPTED => invite::acceptance_settled(work, letters::read(&row.body)?, result).await,
        letters::DEALT => deal::units_settled(work, letters::read(&row.body)?, result).await,
        letters::DRILLED => drill::answer_settled(work, letters::read(&row.body)?, result).await,
        letters::SAID => verdict::settled(work, letters::read(&row.body)?, result).await,
        _ => Ok(()),
    }
}
