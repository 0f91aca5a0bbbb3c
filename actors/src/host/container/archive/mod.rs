//! Snapshots at the host: a cell that runs nothing, its key, and the ciphertext on its way.
//!
//! One flight from the cell's start to its end, so that nothing else is done to the container meanwhile. It waits for
//! the client's payload for half a minute; whoever wants the container to run comes first until then, and waits after it.
//! This node carries sealed bytes: the key is in the cell, and in no node. Where a schedule asks for one, nobody waits
//! ([`scheduled`]).

mod asked;
mod scheduled;
mod stream;

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use ocmt_crypto::{
    cell::{CellKeyOffer, CellKeyStatement, StartSecret},
    snapshot::Frame,
};
use ocmt_runtime::{ARCHIVE_WITHIN, ArchiveCell, ArchiveErrand};
use ocmt_store::tables::{Container, Snapshot};
use ocmt_types::{Secret, SnapshotId, TenantId};
use ractor::ActorRef;
use tokio::{
    io::AsyncWriteExt as _,
    sync::oneshot,
    time::{sleep, timeout},
};

pub(super) use asked::Archives;
use asked::{HURRIED, Next, Ordered, Request};
use stream::Passed;

use super::{
    ContainerActorState, ContainerMessage,
    cell::place,
    job::Then,
    ops::{self, Ctx, Ended, How, from_engine, reference},
    state::{After, Event, Op},
    wake::engine_spec,
};
use crate::{
    api::{
        container::{CellKeyStated, Wake},
        snapshot::SnapshotDone,
    },
    call::Reply,
    env::Scope,
    error::ActorError,
    host::{message::ArchiveOrder, owner::tell},
    ports::Snapshots,
    supervisor,
    tenant::container::snapshot::{
        ends::{Finish, Place, Went},
        store,
    },
    work::run_system,
};

/// How a cell says it.
const DOES_NOT_OPEN: &str = "the snapshot does not open";
/// The cell has offered its key within this.
const OFFER_WITHIN: Duration = Duration::from_secs(20);
/// Of such a cell, in bytes: it holds a chunk at a time, whatever its container may use.
const MEMORY: i64 = 128 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl ContainerActorState {
    /// Somebody wants a cell that runs nothing.
    pub(super) fn ask_for_cell(
        &mut self,
        myself: &ActorRef<ContainerMessage>,
        errand: ArchiveErrand,
        reply: Reply<CellKeyStated>,
    ) {
        if let Some(event) = self.archives.ask(errand, reply) {
            self.step(myself, event);
        }
    }

    /// The container came to rest, or its owner says that a time has passed: a snapshot by schedule may be due. Not while
    /// a client has a cell of its own, or its owner is not known: that says so again.
    pub(super) fn look_for_due(&mut self, myself: &ActorRef<ContainerMessage>) {
        if self.scope.env.snapshots.is_some()
            && self.life.op != Some(Op::Archive)
            && self.moved.is_none()
            && let Some(event) = self.archives.look_for_due()
        {
            self.step(myself, event);
        }
    }

    /// What was begun for a schedule waits for nobody: as one that was ordered, it is cut off by quarantine and removal
    /// alone.
    pub(super) fn next_archive(&mut self) -> Option<Next> {
        let next = self.archives.next();
        if matches!(next, Some(Next::Schedule)) {
            self.life.archive_begins();
        }
        next
    }

    /// An order about a snapshot goes to the cell that waits for it, and from then on nothing but quarantine and
    /// removal cuts it off.
    pub(super) fn hand_over(&mut self, myself: &ActorRef<ContainerMessage>, ordered: Ordered) {
        if self.archives.hand_over(&self.scope, self.container, ordered) {
            self.step(myself, Event::ArchiveWorks);
        }
    }
}

/// From the cell's start to its end; of none that anybody waits for, nothing.
pub(super) async fn run(ctx: &Ctx, next: Option<Next>) -> Ended {
    let row = match ctx.row() {
        Ok(row) => row,
        Err(error) => {
            if let Some(Next::Client(request)) = next {
                request.reply.send(Err(error.clone()));
            }
            return ctx.lost(Op::Archive, error);
        }
    };
    let Request { errand, reply, key, mut orders, within } = match next {
        Some(Next::Client(request)) => request,
        Some(Next::Schedule) => return scheduled::run(ctx, row).await,
        None => return unchanged(ctx, row),
    };
    let begun = match ctx.env().archives.take(row.tenant_id).await {
        Ok(place) => begin(ctx, &row, errand, &key).await.map(|begun| (place, begun)),
        Err(error) => Err(error),
    };
    let (place, (mut cell, stated)) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            reply.send(Err(error));
            return unchanged(ctx, row);
        }
    };
    reply.send(Ok(stated));
    let ordered = tokio::select! {
        biased;
        ordered = &mut orders => ordered.ok(),
        () = called_off(ctx) => None,
        () = waited(ctx, within) => None,
    };
    // one that was on its way as the wait ended
    orders.close();
    let ordered = ordered.or_else(|| orders.try_recv().ok());
    let Some((order, reply)) = ordered else {
        cell.end.await;
        return unchanged(ctx, row);
    };
    let went = tokio::select! {
        biased;
        went = timeout(ARCHIVE_WITHIN, work(ctx, &row, &mut cell, errand, &order)) => {
            went.unwrap_or_else(|_| Err("it took longer than ten minutes".to_owned()))
        }
        () = called_off(ctx) => Err("the container is held, or being removed".to_owned()),
    };
    cell.end.await;
    drop(place);
    let went = match went {
        Ok(Went::Restored) if ctx.is_called_off() => {
            Went::Failed("the container is held, or being removed".to_owned())
        }
        went => went.unwrap_or_else(Went::Failed),
    };
    // nothing that happens to this flight cuts off what comes now
    let (ended, end) = oneshot::channel();
    let last = Last { scope: ctx.scope.clone(), row: row.clone(), made: ctx.made, order, reply };
    supervisor::detach(async move {
        // whoever waited is gone with its actor
        let _ = ended.send(last.settle(went).await);
    });
    match end.await {
        Ok(Ok((row, made))) => at_rest(row, made),
        Ok(Err(error)) => ctx.lost(Op::Archive, error),
        Err(_) => ctx.lost(Op::Archive, ActorError::OutcomeUnknown),
    }
}

/// The client's time to seal a payload is over: sooner, where others wait for the place.
async fn waited(ctx: &Ctx, within: Duration) {
    let mut waited = Duration::ZERO;
    while waited < within && !(waited >= HURRIED && ctx.env().archives.is_wanted()) {
        sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}

async fn called_off(ctx: &Ctx) {
    while !ctx.is_called_off() {
        sleep(LOOK_EVERY).await;
    }
}

async fn begin(
    ctx: &Ctx,
    row: &Container,
    errand: ArchiveErrand,
    key: &OnceLock<[u8; 32]>,
) -> Result<(ArchiveCell, CellKeyStated), ActorError> {
    let (env, start) = (ctx.env(), StartSecret::generate(&mut rand::rng()));
    let (cell, offer) = start_cell(ctx, row, errand, &start).await?;
    key.get_or_init(|| offer.key.0);
    let statement =
        CellKeyStatement::sign_by(&offer, env.node, |purpose, message| env.signer.sign(purpose, message));
    let certificate_chain = env.signer.certificate_chain();
    Ok((cell, CellKeyStated { statement, certificate_chain, unlocked: false, wake: Wake::NONE }))
}

/// One that was started with this secret, and says its key.
async fn start_cell(
    ctx: &Ctx,
    row: &Container,
    errand: ArchiveErrand,
    start: &StartSecret,
) -> Result<(ArchiveCell, CellKeyOffer), ActorError> {
    let env = ctx.env();
    let mut spec = engine_spec(&ctx.scope, row, false)?;
    spec.limits.memory_bytes = spec.limits.memory_bytes.min(MEMORY);
    let secret = Secret::new(*start.expose());
    let begun = ctx.engine(Duration::ZERO, env.runtime.archive(&spec, errand, &secret)).await;
    let mut cell = begun.map_err(from_engine)?;
    let failed = |why: String| ActorError::unavailable("SNAPSHOT_CELL_FAILED", why);
    let offered = timeout(OFFER_WITHIN, stream::read(&mut cell.from)).await;
    let offer = match offered.unwrap_or_else(|_| Err("the cell does not answer".to_owned())) {
        Ok((Frame::Offer, offer)) => CellKeyOffer::open(&offer, start, &place(row), env.now())
            .map_err(|_| failed("what answers is not the cell that was started".to_owned())),
        Ok(other) => {
            let why = stream::ended(other).err().unwrap_or_else(|| "the cell ended at once".to_owned());
            Err(failed(why))
        }
        Err(why) => Err(failed(why)),
    };
    match offer {
        Ok(offer) => Ok((cell, offer)),
        Err(error) => {
            cell.end.await;
            Err(error)
        }
    }
}

/// What the cell does with the payload, and what becomes of its ciphertext.
async fn work(
    ctx: &Ctx,
    row: &Container,
    cell: &mut ArchiveCell,
    errand: ArchiveErrand,
    order: &ArchiveOrder,
) -> Result<Went, String> {
    if order.errand != errand {
        return Err("the cell was asked for something else".to_owned());
    }
    let snapshots = store(ctx.env()).map_err(|error| error.to_string())?.clone();
    let sent = stream::write(&mut cell.to, Frame::Payload, &order.sealed_payload).await;
    sent.map_err(|_| "the cell broke off".to_owned())?;
    let tenant = row.tenant_id;
    if errand == ArchiveErrand::Take {
        let (passed, _) = take(&snapshots, cell, (tenant, order.snapshot), false).await?;
        return Ok(Went::Taken { size: passed.size, hash: passed.hash, scheduled: None });
    }
    let known = {
        let mut tx = ctx.scope.read().await.map_err(|error| error.to_string())?;
        tx.get::<Snapshot>(order.snapshot).await.map_err(|_| "the store does not answer".to_owned())?
    };
    let known = known.ok_or_else(|| "it is not there any more".to_owned())?;
    let pieces = snapshots.store.read(tenant, order.snapshot).await.map_err(|error| error.to_string())?;
    let given = stream::giving(pieces, &mut cell.to).await;
    // nothing more comes: a cell that waits for the end of what has none finds it here
    let _ = cell.to.shutdown().await;
    cell.to = Box::new(tokio::io::sink());
    // its own word says more than that it stopped listening
    let last = match &given {
        Ok(_) => stream::read(&mut cell.from).await.and_then(stream::ended),
        Err(_) => match timeout(OFFER_WITHIN, stream::read(&mut cell.from)).await {
            Ok(Ok(last)) => stream::ended(last),
            Ok(Err(_)) | Err(_) => Ok(()),
        },
    };
    let does_not_open = matches!(&last, Err(why) if why.starts_with(DOES_NOT_OPEN));
    let damage = match &given {
        Ok(given) if known.content_hash == Some(given.hash) => None,
        Ok(_) => Some("the stored snapshot is not the one that was taken".to_owned()),
        Err(why) if does_not_open || why.starts_with("the stored snapshot") => {
            let why = if does_not_open { DOES_NOT_OPEN.to_owned() } else { why.clone() };
            (!stream::is_as_taken(&snapshots, &known).await?).then_some(why)
        }
        Err(_) => None,
    };
    match (last, damage) {
        (_, Some(why)) => return Ok(Went::Damaged(why)),
        // whoever gives a wrong key says nothing of what is stored
        (Err(why), None) if does_not_open => {
            return Err(format!("{why}; stored is what was taken: is it the right key?"));
        }
        (last, None) => last?,
    }
    given?;
    Ok(if errand == ArchiveErrand::Restore { Went::Restored } else { Went::Verified })
}

/// What the cell says goes to the store and is read back; with the key that the cell made, if it is one that makes it.
async fn take(
    snapshots: &Snapshots,
    cell: &mut ArchiveCell,
    (tenant, snapshot): (TenantId, SnapshotId),
    makes_key: bool,
) -> Result<(Passed, Option<Bytes>), String> {
    let from = std::mem::replace(&mut cell.from, Box::new(tokio::io::empty()));
    let (pieces, counted) = stream::taking(from, snapshots.most_bytes, makes_key);
    let written = snapshots.store.write(tenant, snapshot, pieces).await;
    written.map_err(|error| error.to_string())?;
    let passed = counted.passed().ok_or_else(|| "the store did not take all of it".to_owned())?;
    let kept = async { stream::count(snapshots.store.read(tenant, snapshot).await?).await };
    match kept.await {
        Ok(kept) if kept == passed => Ok((passed, counted.sealed_key())),
        Ok(_) => Err("what the store gives back is not what it was given".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What is left to do when the cell is gone.
struct Last {
    scope: Scope,
    row: Container,
    made: bool,
    order: Box<ArchiveOrder>,
    reply: Reply<SnapshotDone>,
}

impl Last {
    /// Puts a volume in its place, writes down how it went, and answers.
    async fn settle(self, went: Went) -> Result<(Container, bool), ActorError> {
        let went = match went {
            Went::Restored => self.put_in_place().await.unwrap_or_else(Went::Failed),
            went => went,
        };
        let (restored, took) = (matches!(went, Went::Restored), self.order.errand == ArchiveErrand::Take);
        let Self { scope, row, made, order, reply } = self;
        let (container, snapshot, by) = (row.container_id, order.snapshot, order.cell_key);
        let written = run_system(&scope, Finish { container, snapshot, by, went }).await;
        let kept = matches!(&written, Ok(((_, Ok(_)), _)) | Err(ActorError::OutcomeUnknown));
        if took
            && !kept
            && let Ok(snapshots) = store(&scope.env)
        {
            // no row knows it, or none will: what cannot be deleted now goes with the row, if there is one
            let _ = snapshots.store.delete(row.tenant_id, snapshot).await;
        }
        match written {
            Ok(((next, answer), effects)) => {
                tell(&scope, effects);
                if restored && answer.is_ok() {
                    let erased = scope.env.runtime.settle_volume(row.tenant_id, row.user_id).await;
                    if let Err(error) = erased {
                        tracing::warn!(%container, %error, "the volume before a restore is erased at the next start");
                    }
                }
                reply.send(answer);
                Ok((next, made && !restored))
            }
            Err(error) => {
                reply.send(Err(error.clone()));
                Err(error)
            }
        }
    }

    /// Under a fenced intent: the engine forgets the container, which is made anew, and the fresh volume takes the place
    /// of the present one, which is kept until that is written down.
    async fn put_in_place(&self) -> Result<Went, String> {
        let (scope, row) = (&self.scope, &self.row);
        let place = Place { container: row.container_id, snapshot: self.order.snapshot };
        let ((), effects) = run_system(scope, place).await.map_err(|error| error.to_string())?;
        tell(scope, effects);
        let runtime = &scope.env.runtime;
        let said = |error: ocmt_runtime::RuntimeError| error.to_string();
        runtime.remove(&reference(row)).await.map_err(said)?;
        runtime.swap_volume(row.tenant_id, row.user_id).await.map_err(said)?;
        Ok(Went::Restored)
    }
}

fn unchanged(ctx: &Ctx, row: Container) -> Ended {
    at_rest(row, ctx.made)
}

fn at_rest(row: Container, made: bool) -> Ended {
    let after = After { unlocked_until: None, ..ops::after(&row, made, true) };
    Ended {
        op: Op::Archive,
        how: How::After(after),
        row: Some(row),
        cell: None,
        error: None,
        then: Then::Nothing,
    }
}
