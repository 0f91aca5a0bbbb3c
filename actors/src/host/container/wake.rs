//! Bringing a container to running: thaw it, start it, or make it. Ready means that the cell has answered.

use std::{sync::Arc, time::Duration};

use ocmt_crypto::cell::StartSecret;
use ocmt_runtime::{ContainerSpec as EngineSpec, ImageRef, Limits, RuntimeError, State};
use ocmt_store::tables::{Container, ContainerState as Phase, DesiredState as Desired};
use ocmt_types::Secret;
use tokio::time::timeout;

use super::{
    agent,
    cell::{self, Cell, READY_WITHIN},
    ops::{Ctx, Ended, from_engine, is_live, reference},
    row::{self, Write, spec_of},
    seen::rest,
    state::Op,
};
use crate::{
    agent_policy::stored::Signed, api::container::WakeKind, env::Scope, error::ActorError,
    host::starts::Turn, policy::Mode, tenant::session_row::tenant_of,
};

/// Starting a container that turned out not to be there, or to run already: so often at most.
const TRIES: usize = 3;

/// Wakes it in this way, or in the way that turns out to be needed.
pub(super) async fn wake(ctx: &Ctx, kind: WakeKind) -> Ended {
    let row = match ctx.row() {
        Ok(row) => row,
        Err(error) => return ctx.lost(Op::Wake(kind), error),
    };
    match kind {
        WakeKind::Unpause => thaw(ctx).await,
        WakeKind::None | WakeKind::Start | WakeKind::Create => start(ctx, row, kind).await,
    }
}

async fn thaw(ctx: &Ctx) -> Ended {
    let op = Op::Wake(WakeKind::Unpause);
    let policy = match policy(ctx).await {
        Ok(policy) => policy,
        Err(error) => return ctx.lost(op, error),
    };
    let intent = ctx.write(None, |row| {
        intend(row)?;
        row.observed = Phase::Waking;
        Ok(())
    });
    let row = match intent.await {
        Ok(row) => row,
        Err(error) => return ctx.lost(op, error),
    };
    let of = reference(&row);
    if let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.unpause(&of)).await {
        match ctx.look(&of).await {
            Ok(Some(seen)) if seen.state == State::Running => {}
            Ok(Some(seen)) if seen.state != State::Paused => return start(ctx, row, WakeKind::Start).await,
            Ok(None) => return start(ctx, row, WakeKind::Create).await,
            Ok(Some(_)) | Err(_) => return ctx.failed(op, &row, from_engine(error), Phase::Paused).await,
        }
    }
    // without its start secret nobody can speak with the cell: it is started anew
    let Some(cell) = ctx.cell.clone() else { return start(ctx, row, WakeKind::Start).await };
    match go_on(ctx, &row, &cell, &policy).await {
        Ok(()) => running(ctx, op, cell).await,
        Err(error) => broken(ctx, op, &row, error).await,
    }
}

/// What its agents may do, before anything is written down.
async fn policy(ctx: &Ctx) -> Result<Signed, ActorError> {
    agent::for_start(ctx.env(), &ctx.row()?).await
}

async fn start(ctx: &Ctx, row: Container, kind: WakeKind) -> Ended {
    let (mut row, mut kind) = (row, kind);
    // held to the end: what starts is not ready yet
    let _turn = match turn(ctx).await {
        Ok(turn) => turn,
        Err(error) => return ctx.lost(Op::Wake(kind), error),
    };
    let policy = match policy(ctx).await {
        Ok(policy) => policy,
        Err(error) => return ctx.lost(Op::Wake(kind), error),
    };
    for _ in 0..TRIES {
        let op = Op::Wake(kind);
        let secret = StartSecret::generate(&mut rand::rng());
        row = match intend_start(ctx, kind, &secret).await {
            Ok(row) => row,
            Err(error) => return ctx.lost(op, error),
        };
        let of = reference(&row);
        if kind == WakeKind::Create
            && let Err(error) = create(ctx, &row).await
        {
            return ctx.failed(op, &row, error, Phase::Failed).await;
        }
        if ctx.is_called_off() {
            return broken(ctx, op, &row, called_off()).await;
        }
        let engine_secret = Secret::new(*secret.expose());
        match ctx.engine(Duration::ZERO, ctx.env().runtime.start(&of, &engine_secret)).await {
            Ok(address) => {
                // before its workload looks for it
                ctx.shared.egress.open(&ctx.scope, ctx.container, address, None);
                let cell = match Cell::new(&row, secret, address) {
                    Ok(cell) => Arc::new(cell),
                    Err(error) => return broken(ctx, op, &row, error).await,
                };
                return match come_up(ctx, &row, &cell, &policy).await {
                    Ok(()) => running(ctx, op, cell).await,
                    Err(error) => broken(ctx, op, &row, error).await,
                };
            }
            Err(RuntimeError::NotFound(_)) => kind = WakeKind::Create,
            // it runs under a secret that nobody knows any more
            Err(RuntimeError::Conflict { .. }) => {
                if let Err(error) = ctx.engine(Duration::ZERO, ctx.env().runtime.kill(&of)).await {
                    return ctx.failed(op, &row, from_engine(error), Phase::Failed).await;
                }
            }
            Err(error) => return broken(ctx, op, &row, from_engine(error)).await,
        }
    }
    let error = ActorError::unavailable("WAKE_FAILED", "the container changes under our hands; repeat");
    ctx.failed(Op::Wake(kind), &row, error, Phase::Failed).await
}

/// Waits for the turn of this start among those of the host. Nothing is written down before it comes.
async fn turn(ctx: &Ctx) -> Result<Turn, ActorError> {
    let called_off_now = async {
        while !ctx.is_called_off() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        biased;
        turn = ctx.env().starts.turn(ctx.scope.ownership.tenant) => turn,
        () = called_off_now => Err(called_off()),
    }
}

/// Writes down that it is to run, with the secret of this start.
async fn intend_start(ctx: &Ctx, kind: WakeKind, secret: &StartSecret) -> Result<Container, ActorError> {
    let wrapped = cell::wrap(ctx.env(), &ctx.row()?, secret)?;
    let change = move |row: &mut Container| {
        intend(row)?;
        rest(row);
        row.desired = Desired::Running;
        row.start_secret = Some(wrapped);
        (row.failure, row.exit_code, row.exit_oom, row.exited_at) = (None, None, false, None);
        if kind == WakeKind::Create {
            // a container of this generation was there once: the next one is another
            if row.runtime_ref.take().is_some() {
                row.generation += 1;
            }
            row.observed = Phase::Creating;
        } else {
            row.observed = Phase::Waking;
        }
        Ok(())
    };
    ctx.write(None, change).await
}

/// What is held or to be removed is not woken.
fn intend(row: &mut Container) -> Result<(), ActorError> {
    match row.desired {
        Desired::Held => Err(called_off()),
        Desired::Absent => Err(ActorError::NotFound),
        Desired::Running | Desired::Paused | Desired::Stopped => {
            row.desired = Desired::Running;
            Ok(())
        }
    }
}

fn called_off() -> ActorError {
    ActorError::precondition("CONTAINER_HELD", "the container is held: it must be released first")
}

async fn create(ctx: &Ctx, row: &Container) -> Result<(), ActorError> {
    let policy = {
        let mut tx = ctx.scope.read().await?;
        tenant_of(ctx.env(), &mut tx).await?.1
    };
    let spec = engine_spec(&ctx.scope, row, policy.start_locked)?;
    match ctx.engine(Duration::ZERO, ctx.env().runtime.create(&spec)).await {
        // made by us before we were cut off: names are deterministic
        Ok(_) | Err(RuntimeError::Conflict { .. }) => Ok(()),
        Err(error) => Err(from_engine(error)),
    }
}

/// What the engine makes of a row.
pub(super) fn engine_spec(
    scope: &Scope,
    row: &Container,
    start_locked: bool,
) -> Result<EngineSpec, ActorError> {
    let spec = spec_of(row)?;
    let limits = Limits::default();
    Ok(EngineSpec {
        tenant: row.tenant_id,
        user: row.user_id,
        container: row.container_id,
        generation: row.generation,
        epoch: scope.ownership.epoch,
        image: image(&row.image, scope.env.mode)?,
        argv: spec.argv,
        workload_port: spec.workload_port,
        limits: Limits {
            memory_bytes: spec.memory_bytes.unwrap_or(limits.memory_bytes),
            pids: spec.pids.unwrap_or(limits.pids),
            cpu_shares: spec.cpu_shares.unwrap_or(limits.cpu_shares),
        },
        egress: match scope.env.runtime.outlet() {
            Some(_) => ocmt_runtime::Egress::Proxied,
            None => ocmt_runtime::Egress::Off,
        },
        start_locked,
        plain: spec.gateway_plain,
        sealed_volume_bytes: spec.sealed_volume_bytes,
    })
}

/// The image of this text, where this mode of the node takes it.
pub(crate) fn image(text: &str, mode: Mode) -> Result<ImageRef, ActorError> {
    let mode = match mode {
        Mode::Dev => ocmt_runtime::Mode::Dev,
        Mode::Demo => ocmt_runtime::Mode::Demo,
        Mode::Production => ocmt_runtime::Mode::Production,
    };
    ImageRef::parse(text, mode).map_err(|error| ActorError::invalid("spec.image", error.to_string()))
}

/// Ready, and told what its agents may do.
async fn come_up(ctx: &Ctx, row: &Container, cell: &Cell, policy: &Signed) -> Result<(), ActorError> {
    ready(ctx, row, cell).await?;
    cell.give_policy(ctx.env(), policy).await
}

/// The same of a cell that was frozen, which has what it was given: where it has seen a newer policy than there is now, it
/// keeps that one.
async fn go_on(ctx: &Ctx, row: &Container, cell: &Cell, policy: &Signed) -> Result<(), ActorError> {
    ready(ctx, row, cell).await?;
    if cell.has_policy(policy.version) {
        return Ok(());
    }
    match cell.give_policy(ctx.env(), policy).await {
        Err(error) if error.reason() == cell::POLICY_OLDER => Ok(()),
        given => given,
    }
}

/// Ready, or dead, or too late.
async fn ready(ctx: &Ctx, row: &Container, cell: &Cell) -> Result<(), ActorError> {
    let of = reference(row);
    let died = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if let Ok(seen) = ctx.look(&of).await
                && seen.as_ref().is_none_or(|seen| !matches!(seen.state, State::Running | State::Paused))
            {
                let code = seen.and_then(|seen| seen.exit).and_then(|exit| exit.code);
                let code = code
                    .map_or("an exit code that nobody saw".to_owned(), |code| format!("exit code {code}"));
                return ActorError::unavailable(
                    "WAKE_FAILED",
                    format!("the cell ended before it was ready, with {code}"),
                );
            }
        }
    };
    let answered = timeout(READY_WITHIN, cell.ready(ctx.env(), &ctx.called_off));
    tokio::select! {
        biased;
        answered = answered => answered.unwrap_or_else(|_| {
            let why = format!("the cell did not answer within {} s", READY_WITHIN.as_secs());
            Err(ActorError::unavailable("WAKE_FAILED", why))
        }),
        error = died => Err(error),
    }
}

async fn running(ctx: &Ctx, op: Op, cell: Arc<Cell>) -> Ended {
    let now = ctx.env().now();
    ctx.shared.touch(now);
    let address = cell.target.address.to_string();
    let change = move |row: &mut Container| {
        row.observed = Phase::Running;
        row.active_at = row.active_at.max(now);
        row.runtime_ref = Some(reference(row).to_string());
        row.cell_addr = Some(address);
        Ok(())
    };
    let write = Write { woke: ctx.cause, ..ctx.result(Some("container.running"), change) };
    match row::write(&ctx.scope, write).await {
        Ok(row) => ctx.done(op, row, Some(cell)),
        Err(error) => ctx.lost(op, error),
    }
}

/// A cell that does not come up is ended, so that the next wake begins from rest.
async fn broken(ctx: &Ctx, op: Op, row: &Container, error: ActorError) -> Ended {
    if let Err(failed) = ctx.engine(Duration::ZERO, ctx.env().runtime.kill(&reference(row))).await {
        tracing::debug!(container = %ctx.container, error = %failed, "cell that is not ready was not ended");
    }
    let ended = ctx.failed(op, row, error, Phase::Failed).await;
    debug_assert!(ended.row.as_ref().is_none_or(|row| !is_live(row.observed)) || ended.error.is_some());
    ended
}
