//! Pausing, stopping, locking and removing.

use std::time::Duration;

use ocmt_runtime::{ContainerRef, RuntimeError};
use ocmt_store::tables::{Container, ContainerState as Phase, DesiredState as Desired};
use ocmt_types::UnlockId;

use super::{
    cell::{Cell, NOT_SEALED},
    inbox,
    job::Then,
    ops::{Ctx, Ended, How, from_engine, is_live, reference},
    row::{self, Forget, Write},
    sealing::{self, Sealing},
    seen::rest,
    state::Op,
};
use crate::{
    error::ActorError,
    host::{erase::forget_schedules, gateway::GatewayEnd, owner::tell},
    ports::LockReason,
    work::run_system,
};

/// A large volume takes its time. What was cut off is gone on with.
const ERASING: Duration = Duration::from_secs(600);

/// Freezes it.
pub(super) async fn pause(ctx: &Ctx, idle: bool) -> Ended {
    let op = Op::Pause { idle };
    let row = match ctx.row() {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    if idle && (works(ctx).await || ctx.is_called_off()) {
        return ctx.unchanged(op, row);
    }
    let active_at = ctx.shared.active_at();
    let intent = ctx.write(None, move |row| {
        suspend(row, Desired::Paused, Phase::Pausing)?;
        row.active_at = row.active_at.max(active_at);
        Ok(())
    });
    let row = match intent.await {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    if idle && ctx.is_called_off() {
        return back(ctx, op, Phase::Running).await;
    }
    inbox::drain(ctx).await;
    if let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.pause(&reference(&row))).await {
        return ctx.failed(op, &row, from_engine(error), Phase::Running).await;
    }
    let result = ctx.write(Some("container.paused"), |row| {
        row.observed = Phase::Paused;
        Ok(())
    });
    match result.await {
        Ok(row) => ctx.done(op, row, ctx.cell.clone()),
        Err(error) => ctx.lost(op, error),
    }
}

/// Locks and stops it; a paused one is thawed for that, since a frozen cell cannot lock itself.
pub(super) async fn stop(ctx: &Ctx, idle: bool) -> Ended {
    let op = Op::Stop { idle };
    let row = match ctx.row() {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    let before = row.observed;
    if idle && (before == Phase::Running && works(ctx).await || ctx.is_called_off()) {
        return ctx.unchanged(op, row);
    }
    let active_at = ctx.shared.active_at();
    let intent = ctx.write(None, move |row| {
        if row.desired != Desired::Held {
            suspend(row, Desired::Stopped, Phase::Stopping)?;
        }
        row.observed = Phase::Stopping;
        row.active_at = row.active_at.max(active_at);
        Ok(())
    });
    let row = match intent.await {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    if idle && ctx.is_called_off() {
        return back(ctx, op, before).await;
    }
    let of = reference(&row);
    let (unsealed, sealing) = end(ctx, &of, before).await;
    match ctx.engine(ctx.grace, ctx.env().runtime.stop(&of, ctx.grace)).await {
        Ok(()) | Err(RuntimeError::NotFound(_)) => {}
        Err(error) => return ctx.failed(op, &row, from_engine(error), before).await,
    }
    let change = |row: &mut Container| {
        rest(row);
        row.observed = if row.desired == Desired::Held { Phase::Held } else { Phase::Stopped };
        Ok(())
    };
    let write = Write { unsealed, sealing, locked: true, ..ctx.result(Some("container.stopped"), change) };
    match row::write(&ctx.scope, write).await {
        Ok(row) => ctx.done(op, row, None),
        Err(error) => ctx.lost(op, error),
    }
}

/// Lets the cell lock before its end. What does not answer has its secrets wiped by the kernel. Whether it has said that its
/// volume could not be sealed, and what it says of a lock before, which may have been its own.
async fn end(ctx: &Ctx, of: &ContainerRef, before: Phase) -> (bool, Sealing) {
    if before == Phase::Paused && ctx.engine(Duration::ZERO, ctx.env().runtime.unpause(of)).await.is_err() {
        return (false, Sealing::Unknown);
    }
    // before the lock, which ends those who wait for a confirmation
    inbox::drain(ctx).await;
    let Some(cell) = &ctx.cell else { return (false, Sealing::Unknown) };
    ctx.shared.ending.send_replace(Some(GatewayEnd::Stopped));
    let unsealed = match cell.lock(ctx.env(), LockReason::Stop).await {
        Ok(()) => false,
        Err(error) if error.reason() == NOT_SEALED => {
            tell_unsealed(ctx, &error);
            true
        }
        Err(error) => {
            tracing::debug!(container = %ctx.container, %error, "cell was not locked before its stop");
            false
        }
    };
    (unsealed, sealing::after_lock(ctx.env(), cell, unsealed).await)
}

fn tell_unsealed(ctx: &Ctx, error: &ActorError) {
    tracing::warn!(container = %ctx.container, %error, "locked, and what changed in its volume since the last sealing is lost");
}

/// Locks the cell; a paused one is thawed, locked and frozen again. A cell that does not lock is ended:
/// what was asked is that its secrets are gone.
pub(super) async fn lock(ctx: &Ctx, op: Op) -> Ended {
    let row = match ctx.row() {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    let of = reference(&row);
    let frozen = op == Op::Relock;
    if frozen && let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.unpause(&of)).await {
        return ctx.failed(op, &row, from_engine(error), Phase::Paused).await;
    }
    ctx.shared.ending.send_replace(Some(GatewayEnd::Locked));
    let locked = match &ctx.cell {
        Some(cell) => cell.lock(ctx.env(), ctx.reason).await,
        None => Err(ActorError::unavailable("CELL_UNREACHABLE", "the cell's start secret is not known")),
    };
    let unsealed = match locked {
        Ok(()) => None,
        // whoever asked is told; there is nothing of it in memory, and what was sealed before is there
        Err(error) if error.reason() == NOT_SEALED => Some(error),
        Err(error) => {
            tracing::warn!(container = %ctx.container, %error, "cell does not lock and is ended");
            let killed = ctx.engine(Duration::ZERO, ctx.env().runtime.kill(&of)).await;
            let error = killed.err().map_or(error, from_engine);
            return ctx.failed(op, &row, error, Phase::Running).await;
        }
    };
    if let Some(error) = &unsealed {
        tell_unsealed(ctx, error);
    }
    let sealing = match &ctx.cell {
        Some(cell) => sealing::after_lock(ctx.env(), cell, unsealed.is_some()).await,
        None => Sealing::Unknown,
    };
    if frozen {
        inbox::drain(ctx).await;
    }
    if frozen && let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.pause(&of)).await {
        return ctx.failed(op, &row, from_engine(error), Phase::Running).await;
    }
    let change = move |row: &mut Container| {
        (row.unlock_id, row.unlocked_until) = (None, None);
        row.observed = if frozen { Phase::Paused } else { Phase::Running };
        Ok(())
    };
    let result = ctx.result(Some("container.locked"), change);
    let write = Write { unsealed: unsealed.is_some(), sealing, locked: true, ..result };
    match row::write(&ctx.scope, write).await {
        Ok(row) => Ended { error: unsealed, ..ctx.done(op, row, ctx.cell.clone()) },
        Err(error) => ctx.lost(op, error),
    }
}

/// Locks a cell that has not answered to this unlock, where that may be done yet, of a lease that nobody would end. The lock comes after it.
pub(super) async fn lock_after(ctx: &Ctx, row: &Container, cell: &Cell, unlock: UnlockId) {
    let lasts = row.unlocked_until.is_some_and(|until| until > ctx.env().now());
    let held = row.unlock_id.filter(|_| lasts);
    if !cell.may_be_unlocked_by(ctx.env(), unlock, held).await {
        return;
    }
    let Err(error) = cell.lock(ctx.env(), LockReason::Lease).await else { return };
    if error.reason() == NOT_SEALED {
        return tell_unsealed(ctx, &error);
    }
    tracing::warn!(container = %ctx.container, %error, "cell answers neither an unlock nor a lock and is ended");
    if let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.kill(&reference(row))).await {
        tracing::warn!(container = %ctx.container, %error, "it could not be ended");
    }
}

/// Ends and forgets it.
pub(super) async fn remove(ctx: &Ctx) -> Ended {
    let op = Op::Remove;
    let row = match ctx.row() {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    let (of, before) = (reference(&row), row.observed);
    let intent = ctx.write(None, |row| {
        row.desired = Desired::Absent;
        row.observed = Phase::Stopping;
        Ok(())
    });
    // whether its volume goes too stands in the row as it is now
    let row = match intent.await {
        Ok(intended) => Container { observed: before, ..intended },
        Err(error) => return ctx.lost(op, error),
    };
    if is_live(before) {
        end(ctx, &of, before).await;
    }
    if let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.remove(&of)).await {
        return ctx.failed(op, &row, from_engine(error), before).await;
    }
    let mut volume = None;
    loop {
        if row.erase_volume || volume.is_some() {
            let erased = ctx.env().runtime.erase_volume(row.tenant_id, row.user_id);
            if let Err(error) = ctx.engine(ERASING, erased).await {
                return ctx.failed(op, &row, from_engine(error), before).await;
            }
            forget_schedules(ctx.env(), row.tenant_id, Some(row.user_id)).await;
            volume = Some("erased");
        }
        match run_system(&ctx.scope, Forget { container: ctx.container, volume }).await {
            Ok((true, effects)) => {
                tell(&ctx.scope, effects);
                return Ended { op, how: How::Gone, row: None, cell: None, error: None, then: Then::Nothing };
            }
            // that its volume goes too was asked for while it ended
            Ok((false, _)) => volume = Some("erased"),
            Err(error) => return ctx.lost(op, error),
        }
    }
}

/// A suspend was called off after its intent was written.
async fn back(ctx: &Ctx, op: Op, to: Phase) -> Ended {
    let result = ctx.write(None, move |row| {
        row.desired = if to == Phase::Paused { Desired::Paused } else { Desired::Running };
        row.observed = to;
        Ok(())
    });
    match result.await {
        Ok(row) => ctx.unchanged(op, row),
        Err(error) => ctx.lost(op, error),
    }
}

/// Whether the workload owes an answer, or the cell itself reports work within the idle time; it is asked once,
/// before a suspend.
async fn works(ctx: &Ctx) -> bool {
    if ctx.shared.owed() > 0 {
        ctx.shared.touch(ctx.env().now());
        return true;
    }
    let Some(cell) = &ctx.cell else { return false };
    // a cell that does not answer does no work
    let Ok(status) = cell.status(ctx.env()).await else { return false };
    let now = ctx.env().now();
    let worked_at = if status.execs > 0 || status.log_followers > 0 {
        Some(now)
    } else {
        status.idle_for.filter(|idle| *idle < ctx.clocks.pause_after).map(|idle| now - idle)
    };
    match worked_at {
        Some(at) => {
            ctx.shared.touch(at);
            true
        }
        None => false,
    }
}

/// The intent of a suspend. What is held or to be removed is not suspended by anybody else.
fn suspend(row: &mut Container, desired: Desired, phase: Phase) -> Result<(), ActorError> {
    if matches!(row.desired, Desired::Held | Desired::Absent) {
        let why = "the container is held, or being removed";
        return Err(ActorError::precondition("CONTAINER_HELD", why));
    }
    (row.desired, row.observed) = (desired, phase);
    Ok(())
}
