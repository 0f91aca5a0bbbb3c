//! What requests want of a running container's cell: its key, an unlock, a longer lease, a connection.

use std::time::Duration;

use ocmt_store::tables::Container;
use ocmt_types::{Timestamp, UnlockId};

use super::{
    cell::{self, Cell, VAULT_LOCKED},
    errand,
    ops::{Ctx, Ended},
    row::{self, Write},
    sealing::Sealing,
    state::Op,
    suspend,
};
use crate::{
    api::container::{CellKeyStated, Unlocked, Wake},
    call::Reply,
    error::ActorError,
    host::{
        gateway::{Connected, Ticket, Way},
        message::{Job, JobKind},
    },
    ports::{CellChannel, CellUnlock},
};

/// What is left to the actor.
pub(super) enum Then {
    Nothing,
    /// A channel is open: relay it.
    Relay(Box<Opened>),
}

/// A channel that waits for its relay.
pub(super) struct Opened {
    /// None of a plain connection: that is yet to be opened.
    pub(super) channel: Option<CellChannel>,
    pub(super) way: Way,
    pub(super) ticket: Box<Ticket>,
    pub(super) reply: Reply<Connected>,
    pub(super) wake: Wake,
}

/// Does it, and answers.
pub(super) async fn run(ctx: &Ctx, job: Job) -> Ended {
    let (row, cell) = match (ctx.row(), ctx.cell.clone()) {
        (Ok(row), Some(cell)) => (row, cell),
        (Err(error), _) => return refuse(ctx, job.kind, error),
        (Ok(_), None) => {
            let error =
                ActorError::unavailable("CELL_UNREACHABLE", "the cell's start secret is not known; repeat");
            return refuse(ctx, job.kind, error);
        }
    };
    match job.kind {
        // answered by the actor itself
        JobKind::Report(_) | JobKind::Scheduled(_) | JobKind::ByOther(_) | JobKind::Nobody => {
            ctx.done(Op::Job, row, Some(cell))
        }
        JobKind::Key(reply) => {
            let stated = key(ctx, &cell, job.wake, None).await;
            answer(ctx, row, reply, stated)
        }
        JobKind::Hold(keep, reply) => {
            let stated = key(ctx, &cell, job.wake, Some(keep)).await;
            answer(ctx, row, reply, stated)
        }
        JobKind::Unlock(unlock, reply) => self::unlock(ctx, row, &cell, unlock, job.wake, reply).await,
        JobKind::Extend(extension, reply) => {
            let lease = cell::call(ctx.env().cells.extend(&cell.target, extension)).await;
            let until = lease.map(|lease| ctx.env().now() + lease);
            leased(ctx, row, None, job.wake, reply, until).await
        }
        JobKind::Errand(errand) => {
            errand::run(ctx, cell.clone(), errand, job.wake, job.deadline);
            ctx.done(Op::Job, row, Some(cell))
        }
        JobKind::Connect(ticket, Way::Sealed, reply) => {
            connect(ctx, row, &cell, ticket, job.wake, reply).await
        }
        JobKind::Connect(ticket, way, reply) => {
            let opened = Opened { channel: None, way, ticket, reply, wake: job.wake };
            Ended { then: Then::Relay(Box::new(opened)), ..ctx.done(Op::Job, row, Some(cell)) }
        }
    }
}

async fn key(
    ctx: &Ctx,
    cell: &Cell,
    wake: Wake,
    keep: Option<Duration>,
) -> Result<CellKeyStated, ActorError> {
    let (statement, unlocked) = cell.statement(ctx.env(), keep).await?;
    Ok(CellKeyStated { statement, certificate_chain: ctx.env().signer.certificate_chain(), unlocked, wake })
}

/// Whoever asked is answered before what a lost answer has to be followed by.
async fn unlock(
    ctx: &Ctx,
    row: Container,
    cell: &Cell,
    unlock: CellUnlock,
    wake: Wake,
    reply: Reply<Unlocked>,
) -> Ended {
    let id = unlock.unlock;
    match cell.unlock(ctx.env(), unlock).await {
        Err(error) if cell::raises_doubt(&error) => {
            reply.send(Err(error.clone()));
            suspend::lock_after(ctx, &row, cell, id).await;
            Ended { error: Some(error), ..ctx.done(Op::Job, row, ctx.cell.clone()) }
        }
        lease => {
            let until = lease.map(|lease| ctx.env().now() + lease);
            leased(ctx, row, Some(id), wake, reply, until).await
        }
    }
}

/// Writes the lease down before it is answered: its end in a frozen cell is a timer of ours.
async fn leased(
    ctx: &Ctx,
    row: Container,
    unlock: Option<UnlockId>,
    wake: Wake,
    reply: Reply<Unlocked>,
    until: Result<Timestamp, ActorError>,
) -> Ended {
    let until = match until {
        Ok(until) => until,
        Err(error) => return answer(ctx, row, reply, Err(error)),
    };
    let action = if unlock.is_some() { "container.unlocked" } else { "container.lease_extended" };
    let change = move |row: &mut Container| {
        row.unlock_id = unlock.or(row.unlock_id);
        row.unlocked_until = Some(until);
        Ok(())
    };
    // an unlock is answered when the volume is open, and sealed under it
    let sealing = if unlock.is_some() { Sealing::Open } else { Sealing::Unknown };
    let write = Write { sealing, ..ctx.result(Some(action), change) };
    match row::write(&ctx.scope, write).await {
        Ok(row) => answer(ctx, row, reply, Ok(Unlocked { until, wake })),
        Err(error) => {
            reply.send(Err(error.clone()));
            ctx.lost(Op::Job, error)
        }
    }
}

async fn connect(
    ctx: &Ctx,
    row: Container,
    cell: &std::sync::Arc<Cell>,
    ticket: Box<Ticket>,
    wake: Wake,
    reply: Reply<Connected>,
) -> Ended {
    let channel = async {
        if cell.status(ctx.env()).await?.unlocked.is_none() {
            return Err(ActorError::precondition(
                VAULT_LOCKED,
                "the cell is locked: unlock it, then connect again",
            ));
        }
        cell::call(ctx.env().cells.open_channel(&cell.target)).await
    };
    match channel.await {
        Ok(channel) => {
            let opened = Opened { channel: Some(channel), way: Way::Sealed, ticket, reply, wake };
            Ended { then: Then::Relay(Box::new(opened)), ..ctx.done(Op::Job, row, Some(cell.clone())) }
        }
        Err(error) => answer(ctx, row, reply, Err(error)),
    }
}

fn answer<T>(ctx: &Ctx, row: Container, reply: Reply<T>, result: Result<T, ActorError>) -> Ended {
    let error = result.as_ref().err().cloned();
    reply.send(result);
    Ended { error, ..ctx.done(Op::Job, row, ctx.cell.clone()) }
}

fn refuse(ctx: &Ctx, kind: JobKind, error: ActorError) -> Ended {
    kind.refuse(error.clone());
    ctx.lost(Op::Job, error)
}
