//! What a container really does: the row, the engine, and the cell are read, and what they show is written.

use std::sync::Arc;

use ocmt_runtime::{Exit, Observed, State};
use ocmt_store::{
    ReadTx,
    tables::{Container, ContainerState as Phase, DesiredState as Desired},
};
use ocmt_types::Timestamp;

use super::{
    cell::Cell,
    job::Then,
    ops::{Ctx, Ended, How, after, from_engine, is_live, reference},
    row::clocks_of,
    state::{Clocks, Facts, Op},
};
use crate::{env::Env, error::ActorError, tenant::session_row::tenant_of};

/// Reads the row and looks at the engine.
pub(super) async fn inspect(ctx: &Ctx) -> Ended {
    match look_around(ctx).await {
        Ok(ended) => ended,
        Err(error) => ctx.lost(Op::Inspect, error),
    }
}

async fn look_around(ctx: &Ctx) -> Result<Ended, ActorError> {
    let (stored, clocks) = {
        let mut tx = ctx.scope.read().await?;
        let row = tx.get::<Container>(ctx.container).await?.ok_or(ActorError::NotFound)?;
        let clocks = clocks(ctx.env(), &mut tx, &row).await?;
        (row, clocks)
    };
    if stored.host_node != ctx.env().node {
        return Err(ActorError::unavailable(
            "HOST_ELSEWHERE",
            "the container is pinned to a host that is not this one",
        ));
    }
    let seen = ctx.look(&reference(&stored)).await.map_err(from_engine)?;
    let recorded = stored.observed;
    let (now, address) = (ctx.env().now(), seen.as_ref().and_then(|seen| seen.address));
    let mut expected = stored.clone();
    record(&mut expected, seen.as_ref(), now);
    let row = if expected == stored {
        stored
    } else {
        let seen = seen.clone();
        let change = move |row: &mut Container| {
            record(row, seen.as_ref(), now);
            Ok(())
        };
        ctx.write(Some("container.observed"), change).await?
    };
    let cell = Cell::adopt(ctx.env(), &row, address).map(Arc::new).filter(|_| is_live(row.observed));
    let row = refresh(ctx, row, cell.as_deref()).await?;
    let made = seen.is_some();
    let facts = Facts {
        after: after(&row, made, true),
        desired: row.desired,
        recorded,
        active_at: row.active_at,
        clocks,
        reachable: cell.is_some(),
    };
    Ok(Ended {
        op: Op::Inspect,
        how: How::Inspected(facts),
        row: Some(row),
        cell,
        error: None,
        then: Then::Nothing,
    })
}

/// A running cell says itself whether it is unlocked: it may have locked while nobody looked, or the row
/// of an unlock may not have been written.
async fn refresh(ctx: &Ctx, row: Container, cell: Option<&Cell>) -> Result<Container, ActorError> {
    let Some(cell) = cell.filter(|_| row.observed == Phase::Running) else { return Ok(row) };
    let Ok(status) = cell.status(ctx.env()).await else { return Ok(row) };
    let now = ctx.env().now();
    let said = status.unlocked.map(|(unlock, lease)| (unlock, now + lease));
    if said.map(|(unlock, _)| unlock) == row.unlock_id {
        return Ok(row);
    }
    let change = move |row: &mut Container| {
        (row.unlock_id, row.unlocked_until) = said.unzip();
        Ok(())
    };
    ctx.write(None, change).await
}

async fn clocks(env: &Env, tx: &mut ReadTx, row: &Container) -> Result<Clocks, ActorError> {
    let (_, policy) = tenant_of(env, tx).await?;
    clocks_of(row, &policy)
}

/// It does not run: nothing of a start is left.
pub(super) fn rest(row: &mut Container) {
    if matches!(row.desired, Desired::Running | Desired::Paused) {
        row.desired = Desired::Stopped;
    }
    (row.cell_addr, row.start_secret, row.unlock_id, row.unlocked_until) = (None, None, None, None);
}

/// Takes what the engine shows into the row.
pub(super) fn record(row: &mut Container, seen: Option<&Observed>, now: Timestamp) {
    match seen.map(|seen| (seen.state, seen.exit)) {
        Some((State::Running, _)) => row.observed = Phase::Running,
        Some((State::Paused, _)) => row.observed = Phase::Paused,
        Some((State::Created | State::Stopped, exit)) => ended_by_itself(row, exit, now),
        None => ended_by_itself(row, None, now),
    }
    if let Some(seen) = seen {
        row.runtime_ref = Some(seen.container.to_string());
        row.cell_addr = seen.address.map(|address| address.to_string());
    }
}

fn ended_by_itself(row: &mut Container, exit: Option<Exit>, now: Timestamp) {
    // a wake that was cut off goes on: what was wanted stays
    let waking = matches!(row.observed, Phase::Creating | Phase::Waking) && row.desired == Desired::Running;
    if is_live(row.observed) || row.observed == Phase::Pausing {
        let exit = exit.unwrap_or_default();
        row.exit_code = exit.code;
        row.exit_oom = exit.oom;
        row.exited_at = Some(now);
        row.observed = if exit.code == Some(0) && !exit.oom { Phase::Stopped } else { Phase::Failed };
        row.failure = (row.observed == Phase::Failed).then(|| why_ended(exit));
    } else if !matches!(row.observed, Phase::Failed | Phase::Held | Phase::Absent | Phase::Stopped) {
        row.observed = if row.runtime_ref.is_some() { Phase::Stopped } else { Phase::Absent };
    }
    if !waking {
        rest(row);
    }
}

fn why_ended(exit: Exit) -> String {
    match exit {
        Exit { oom: true, .. } => "it ran out of memory".to_owned(),
        Exit { code: Some(code), .. } => format!("it ended with exit code {code}"),
        Exit { code: None, .. } => "it ended while nobody was there to see it".to_owned(),
    }
}
