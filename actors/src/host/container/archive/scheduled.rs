//! A snapshot that a user's schedule asks for. Nobody waits for it, and no key comes: the cell makes one and seals it to whom
//! the user has signed, and this host signs what was taken.
//!
//! The rows say that one is due ([`is_due`]) and give it once ([`Claim`]). What they say of the user's signature is no proof:
//! whoever writes to the database could have put another one there. So this host holds it against what it remembers on its own
//! disk ([`crate::ports::SchedulePins`]).

use ocmt_crypto::{
    cell::StartSecret,
    sign::VerifyKey,
    snapshot::Frame,
    snapshot_schedule::{Schedule, ScheduleOrder, Taken, sealed_key_hash},
};
use ocmt_runtime::{ARCHIVE_WITHIN, ArchiveCell, ArchiveErrand};
use ocmt_store::tables::Container;
use ocmt_types::Digest32;
use sha2::{Digest as _, Sha256};
use tokio::{sync::oneshot, time::timeout};

use super::{Passed, at_rest, called_off, start_cell, stream, take, unchanged};
use crate::{
    env::Scope,
    error::ActorError,
    host::{
        container::{
            cell::place,
            ops::{Ctx, Ended},
            state::Op,
        },
        owner::tell,
    },
    ports::{PinError, SchedulePin, Snapshots},
    supervisor,
    tenant::container::snapshot::{
        ends::{Finish, Scheduled, Went},
        scheduled::{Claim, Claimed, is_due},
        store,
    },
    work::run_system,
};

/// Takes it, if one is due and this host has a place for it. If not, or if the rows do not say, its owner's timer says so
/// again.
pub(super) async fn run(ctx: &Ctx, row: Container) -> Ended {
    let Ok(snapshots) = store(ctx.env()).cloned() else { return unchanged(ctx, row) };
    let container = row.container_id;
    let due = is_due(&ctx.scope, container).await.unwrap_or_else(|error| {
        tracing::debug!(%container, %error, "whether a snapshot is due is not known now");
        false
    });
    if !due {
        return unchanged(ctx, row);
    }
    let Some(_place) = ctx.env().archives.free(row.tenant_id) else { return unchanged(ctx, row) };
    let claimed = match run_system(&ctx.scope, Claim { container }).await {
        Ok((claimed, effects)) => {
            tell(&ctx.scope, effects);
            claimed
        }
        Err(error) => {
            // should it be claimed all the same, its timer finds that nobody took it
            tracing::debug!(%container, %error, "a snapshot that is due was not claimed");
            None
        }
    };
    let Some(claimed) = claimed else { return unchanged(ctx, row) };
    let (by, went) = carry_out(ctx, &row, &claimed, &snapshots).await;
    // nothing that happens to this flight cuts off what comes now
    let (ended, end) = oneshot::channel();
    let finish = Finish { container: row.container_id, snapshot: claimed.snapshot, by, went };
    let scope = ctx.scope.clone();
    supervisor::detach(async move {
        // whoever waited is gone with its actor
        let _ = ended.send(settle(&scope, &snapshots, finish).await);
    });
    match end.await {
        Ok(Ok(row)) => at_rest(row, ctx.made),
        Ok(Err(error)) => ctx.lost(Op::Archive, error),
        Err(_) => ctx.lost(Op::Archive, ActorError::OutcomeUnknown),
    }
}

/// Writes down how it went. What no row knows is deleted.
async fn settle(scope: &Scope, snapshots: &Snapshots, finish: Finish) -> Result<Container, ActorError> {
    let (tenant, snapshot) = (scope.ownership.tenant, finish.snapshot);
    let written = run_system(scope, finish).await;
    if !matches!(&written, Ok(((_, Ok(_)), _)) | Err(ActorError::OutcomeUnknown)) {
        // what cannot be deleted now goes with the row
        let _ = snapshots.store.delete(tenant, snapshot).await;
    }
    let ((row, _), effects) = written?;
    tell(scope, effects);
    Ok(row)
}

/// With the key of the cell that did it; zeros where none was started.
async fn carry_out(ctx: &Ctx, row: &Container, claimed: &Claimed, snapshots: &Snapshots) -> ([u8; 32], Went) {
    let mut by = [0; 32];
    match admit(row, claimed, snapshots).await {
        Ok(()) => {}
        Err(PinError::Refused(why)) => return (by, Went::ScheduleRefused(why)),
        Err(error @ PinError::Disk(_)) => return (by, Went::Failed(error.to_string())),
    }
    let start = StartSecret::generate(&mut rand::rng());
    let mut cell = match start_cell(ctx, row, ArchiveErrand::Scheduled, &start).await {
        Ok((cell, offer)) => {
            by = offer.key.0;
            cell
        }
        Err(error) => return (by, Went::Failed(error.to_string())),
    };
    let works = timeout(ARCHIVE_WITHIN, work(ctx, row, claimed, snapshots, (&mut cell, &start)));
    let went = tokio::select! {
        biased;
        went = works => went.unwrap_or_else(|_| Err("it took longer than ten minutes".to_owned())),
        () = called_off(ctx) => Err("the container is held, or being removed".to_owned()),
    };
    cell.end.await;
    (by, went.unwrap_or_else(Went::Failed))
}

/// Whether this host takes what was signed: of its user, for this container, and no older than what it has seen.
async fn admit(row: &Container, claimed: &Claimed, snapshots: &Snapshots) -> Result<(), PinError> {
    let refused = |why: &str| PinError::Refused(why.to_owned());
    let identity = VerifyKey(claimed.identity.0);
    let schedule = Schedule::verify(&claimed.schedule, &identity)
        .map_err(|_| refused("it is not signed as it should be"))?;
    if (schedule.tenant, schedule.user, schedule.container) != (row.tenant_id, row.user_id, row.container_id)
    {
        return Err(refused("it is of another container"));
    }
    let digest = Digest32(Sha256::digest(&claimed.schedule).into());
    let pin = SchedulePin { identity, number: schedule.number, digest };
    snapshots.pins.take(row.tenant_id, row.user_id, pin).await
}

/// What the cell does with its order, and what this host says of it.
async fn work(
    ctx: &Ctx,
    row: &Container,
    claimed: &Claimed,
    snapshots: &Snapshots,
    (cell, start): (&mut ArchiveCell, &StartSecret),
) -> Result<Went, String> {
    let identity = VerifyKey(claimed.identity.0);
    let order = ScheduleOrder::state(start, &place(row), claimed.snapshot, &identity, &claimed.schedule);
    let order = order.map_err(|error| error.to_string())?;
    let sent = stream::write(&mut cell.to, Frame::Payload, &order).await;
    sent.map_err(|_| "the cell broke off".to_owned())?;
    let (passed, sealed_key) = take(snapshots, cell, (row.tenant_id, claimed.snapshot), true).await?;
    let sealed_key = sealed_key.ok_or_else(|| "the cell has sealed no key".to_owned())?;
    let (Passed { size, hash }, env) = (passed, ctx.env());
    let stated = Taken {
        tenant: row.tenant_id,
        container: row.container_id,
        generation: place(row).generation,
        snapshot: claimed.snapshot,
        size,
        content_hash: hash,
        sealed_key_hash: sealed_key_hash(&sealed_key),
        taken_at: env.now(),
        node: env.node,
    };
    let scheduled = Scheduled {
        statement: stated.sign_by(|purpose, message| env.signer.sign(purpose, message)),
        sealed_key: sealed_key.to_vec(),
        chain: env.signer.certificate_chain(),
    };
    Ok(Went::Taken { size, hash, scheduled: Some(Box::new(scheduled)) })
}
