//! A store of snapshots in memory, and cells that run nothing in this process: with the real cryptography.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use ocmt_crypto::{
    cell::{CellKey, CellKeyStatement, CellPlace, ExpectedCell, StartSecret as CellSecret},
    datakey::{DataKey, VaultScope},
    snapshot::{
        CHUNK, ChunkOpener, ChunkSealer, Errand, FRAME_HEAD, Frame, SnapshotPayload, SnapshotPlace, wrap_key,
    },
    snapshot_schedule::ScheduleOrder,
};
use ocmt_runtime::{ArchiveCell, ArchiveErrand, ContainerSpec, RuntimeError, StartSecret, sim::Archive};
use ocmt_types::{
    Clock as _, ContainerId, Digest32, IdGen, ManualClock, RandomIds, SnapshotId, TenantId, UserId,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::Semaphore,
};

use crate::{
    ActorError, Pieces, PinCall, PinError, SchedulePin, SchedulePins, SnapshotStore, SnapshotStoreError,
    Snapshots, StoreCall,
    api::snapshot::{CreateSnapshot, GetSnapshotCellKey, RestoreSnapshot, SnapshotDone},
    host::tests::World,
    tests::kit::Person,
};

/// Objects by snapshot.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) objects: Mutex<HashMap<SnapshotId, Vec<u8>>>,
    /// It does nothing that it is asked.
    pub(super) away: AtomicBool,
    /// It says that it took what it took half of.
    pub(super) loses: AtomicBool,
}

impl Memory {
    pub(super) fn has(&self, snapshot: SnapshotId) -> bool {
        self.objects.lock().unwrap().contains_key(&snapshot)
    }

    fn answers(&self) -> Result<(), SnapshotStoreError> {
        if self.away.load(Ordering::SeqCst) { Err(SnapshotStoreError("is away".to_owned())) } else { Ok(()) }
    }
}

impl SnapshotStore for Memory {
    fn write(&self, _: TenantId, snapshot: SnapshotId, mut pieces: Pieces) -> StoreCall<'_, ()> {
        async move {
            self.answers()?;
            let mut all = Vec::new();
            while let Some(piece) = pieces.next().await {
                all.extend_from_slice(&piece?);
            }
            if self.loses.load(Ordering::SeqCst) {
                all.truncate(all.len() / 2);
            }
            self.objects.lock().unwrap().insert(snapshot, all);
            Ok(())
        }
        .boxed()
    }

    fn read(&self, _: TenantId, snapshot: SnapshotId) -> StoreCall<'_, Pieces> {
        async move {
            self.answers()?;
            let found = self.objects.lock().unwrap().get(&snapshot).cloned();
            let found = found.ok_or_else(|| SnapshotStoreError("has no such object".to_owned()))?;
            let cut: Vec<_> = found.chunks(1000).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
            Ok(stream::iter(cut).boxed())
        }
        .boxed()
    }

    fn delete(&self, _: TenantId, snapshot: SnapshotId) -> StoreCall<'_, ()> {
        async move {
            self.answers()?;
            self.objects.lock().unwrap().remove(&snapshot);
            Ok(())
        }
        .boxed()
    }
}

/// The volumes of a host, and what opens and seals them.
pub(super) struct Disk {
    clock: ManualClock,
    volumes: Mutex<HashMap<UserId, Vec<u8>>>,
    fresh: Mutex<HashMap<UserId, Vec<u8>>>,
    /// A cell goes on after its payload when it gets one of these.
    pub(super) goes_on: Semaphore,
}

impl Disk {
    pub(super) fn new(clock: ManualClock) -> Arc<Self> {
        let goes_on = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self { clock, volumes: Mutex::default(), fresh: Mutex::default(), goes_on })
    }

    pub(super) fn hold(&self) {
        self.goes_on.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn put(&self, person: &Person, content: &[u8]) {
        self.volumes.lock().unwrap().insert(person.user, content.to_vec());
    }

    pub(super) fn volume(&self, person: &Person) -> Vec<u8> {
        self.volumes.lock().unwrap().get(&person.user).cloned().unwrap_or_default()
    }
}

/// The engine's half of a host with this disk.
pub(super) struct Cells(pub(super) Arc<Disk>);

impl Archive for Cells {
    fn start(
        &self,
        spec: &ContainerSpec,
        errand: ArchiveErrand,
        secret: &StartSecret,
    ) -> Result<ArchiveCell, RuntimeError> {
        let (host, cell) = tokio::io::duplex(1 << 20);
        let (from, to) = tokio::io::split(host);
        let place = CellPlace {
            tenant: spec.tenant,
            container: spec.container,
            generation: u64::try_from(spec.generation).unwrap(),
        };
        let start = CellSecret::from_bytes(*secret.expose());
        let (disk, user) = (Arc::clone(&self.0), spec.user);
        #[expect(clippy::disallowed_methods, reason = "a cell of a test's own")]
        let task = tokio::spawn(async move {
            let _ = serve(cell, place, start, errand, &disk, user).await;
        });
        let end = async move { task.abort() };
        Ok(ArchiveCell { to: Box::new(to), from: Box::new(from), end: end.boxed() })
    }

    fn swap(&self, _: TenantId, user: UserId) -> Result<(), RuntimeError> {
        let fresh = self.0.fresh.lock().unwrap().remove(&user);
        let fresh = fresh.ok_or_else(|| RuntimeError::Refused("there is no fresh volume".to_owned()))?;
        self.0.volumes.lock().unwrap().insert(user, fresh);
        Ok(())
    }
}

async fn send(cell: &mut DuplexStream, frame: Frame, bytes: &[u8]) -> Option<()> {
    cell.write_all(&frame.head(bytes.len()).unwrap()).await.ok()?;
    cell.write_all(bytes).await.ok()
}

async fn next(cell: &mut DuplexStream) -> Option<Vec<u8>> {
    let mut head = [0; FRAME_HEAD];
    cell.read_exact(&mut head).await.ok()?;
    let mut bytes = vec![0; Frame::read_head(head).ok()?.1];
    cell.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn serve(
    mut cell: DuplexStream,
    place: CellPlace,
    start: CellSecret,
    errand: ArchiveErrand,
    disk: &Disk,
    user: UserId,
) -> Option<()> {
    let (key, offer) = {
        let key = CellKey::generate(place, rand::random(), &mut rand::rng());
        let offer = key.offer(&start, disk.clock.now()).unwrap();
        (key, offer)
    };
    send(&mut cell, Frame::Offer, &offer).await?;
    let given = next(&mut cell).await?;
    if errand == ArchiveErrand::Scheduled {
        return take_as(cell, place, &start, &given, (disk, user)).await;
    }
    let Ok(payload) = key.snapshot(&given) else {
        return send(&mut cell, Frame::Failed, b"the sealed key is for another cell").await;
    };
    disk.goes_on.acquire().await.ok()?.forget();
    let place = SnapshotPlace { tenant: place.tenant, snapshot: payload.snapshot };
    if errand == ArchiveErrand::Take {
        let content = disk.volumes.lock().unwrap().get(&user).cloned().unwrap_or_default();
        for sealed in chunks(place, &payload.key, &content) {
            send(&mut cell, Frame::Chunk, &sealed).await?;
        }
        return send(&mut cell, Frame::Done, b"").await;
    }
    let mut opener = ChunkOpener::new(place, &payload.key);
    let mut content = Vec::new();
    while !opener.is_finished() {
        match opener.open(&next(&mut cell).await?) {
            Ok(chunk) => content.extend_from_slice(&chunk),
            Err(_) => return send(&mut cell, Frame::Failed, b"the snapshot does not open").await,
        }
    }
    if errand == ArchiveErrand::Restore {
        disk.fresh.lock().unwrap().insert(user, content);
    }
    send(&mut cell, Frame::Done, b"").await
}

fn chunks(place: SnapshotPlace, key: &DataKey, mut content: &[u8]) -> Vec<Vec<u8>> {
    let (mut sealer, mut all) = (ChunkSealer::new(place, key), Vec::new());
    while content.len() > CHUNK {
        let full;
        (full, content) = content.split_at(CHUNK);
        all.push(sealer.seal(full, false, &mut rand::rng()).unwrap());
    }
    all.push(sealer.seal(content, true, &mut rand::rng()).unwrap());
    all
}

/// As its user has signed, with a key of its own.
async fn take_as(
    mut cell: DuplexStream,
    place: CellPlace,
    start: &CellSecret,
    given: &[u8],
    (disk, user): (&Disk, UserId),
) -> Option<()> {
    let Ok(order) = ScheduleOrder::admit(given, start, &place) else {
        return send(&mut cell, Frame::Failed, b"the order is for another cell").await;
    };
    disk.goes_on.acquire().await.ok()?.forget();
    let content = disk.volumes.lock().unwrap().get(&user).cloned().unwrap_or_default();
    let (chunk, key) = {
        let (key, rng) = (DataKey::generate(&mut rand::rng()), &mut rand::rng());
        let place = SnapshotPlace { tenant: place.tenant, snapshot: order.snapshot };
        let chunk = ChunkSealer::new(place, &key).seal(&content, true, rng).unwrap();
        (chunk, order.schedule.seal_key(order.snapshot, &key, rng).unwrap())
    };
    send(&mut cell, Frame::Chunk, &chunk).await?;
    send(&mut cell, Frame::Key, &key).await?;
    send(&mut cell, Frame::Done, b"").await
}

/// What one host remembers, as long as it lives.
#[derive(Default)]
pub(super) struct Pins {
    taken: Mutex<HashMap<(TenantId, UserId), SchedulePin>>,
    /// The disk does not answer.
    pub(super) away: AtomicBool,
}

impl SchedulePins for Pins {
    fn take(&self, tenant: TenantId, user: UserId, pin: SchedulePin) -> PinCall<'_> {
        async move {
            if self.away.load(Ordering::SeqCst) {
                return Err(PinError::Disk("it is away".to_owned()));
            }
            let mut taken = self.taken.lock().unwrap();
            if let Some(before) = taken.get(&(tenant, user)) {
                pin.may_follow(before)?;
            }
            taken.insert((tenant, user), pin);
            Ok(())
        }
        .boxed()
    }

    fn forget(&self, tenant: TenantId, user: Option<UserId>) -> PinCall<'_> {
        async move {
            self.taken
                .lock()
                .unwrap()
                .retain(|of, _| of.0 != tenant || user.is_some_and(|user| user != of.1));
            Ok(())
        }
        .boxed()
    }
}

/// What a client keeps of a snapshot.
pub(super) struct Kept {
    pub(super) id: SnapshotId,
    pub(super) key: DataKey,
}

pub(super) fn kept() -> Kept {
    let ids: &dyn IdGen = &RandomIds;
    Kept { id: ids.id(), key: DataKey::generate(&mut rand::rng()) }
}

impl World {
    /// The `n`th disk is this world's.
    pub(super) fn with_disk(&self) -> Arc<Disk> {
        let disk = Disk::new(self.kit.clock.clone());
        self.runtime.archives_by(Arc::new(Cells(Arc::clone(&disk))));
        disk
    }

    /// A cell's key, held against the host `of`.
    pub(super) async fn archive_cell(
        &self,
        person: &Person,
        container: ContainerId,
        errand: ArchiveErrand,
        of: &World,
    ) -> Result<CellKeyStatement, ActorError> {
        let stated = self.kit.call(&person.caller, GetSnapshotCellKey { container, errand }).await?;
        let node = of.kit.node.node_id;
        let expected = ExpectedCell { tenant: person.tenant, container, node, now: self.kit.clock.now() };
        let key = of.kit.system.env.signer.verify_key();
        Ok(CellKeyStatement::verify(&stated.statement, &key, &expected).unwrap())
    }

    pub(super) async fn take(
        &self,
        person: &Person,
        container: ContainerId,
        of: &World,
    ) -> Result<(Kept, SnapshotDone), ActorError> {
        let kept = kept();
        let cell = self.archive_cell(person, container, ArchiveErrand::Take, of).await?;
        let done = self.kit.call(&person.caller, create(&kept, person, container, &cell)).await?;
        Ok((kept, done))
    }

    pub(super) async fn restore(
        &self,
        person: &Person,
        container: ContainerId,
        kept: &Kept,
        of: &World,
    ) -> Result<SnapshotDone, ActorError> {
        let cell = self.archive_cell(person, container, ArchiveErrand::Restore, of).await?;
        self.kit.call(&person.caller, open(kept, container, Errand::Restore, &cell)).await
    }
}

pub(super) fn create(
    kept: &Kept,
    person: &Person,
    container: ContainerId,
    cell: &CellKeyStatement,
) -> CreateSnapshot {
    let rng = &mut rand::rng();
    let ids: &dyn IdGen = &RandomIds;
    let scope = VaultScope { tenant: person.tenant, vault: ids.id() };
    let wrapped_key = wrap_key((1, &DataKey::generate(rng)), scope, kept.id, &kept.key, rng).unwrap();
    let sealed_payload = sealed(kept, Errand::Take, cell);
    CreateSnapshot { container, snapshot: kept.id, wrapped_key, sealed_payload, cell_key: key_of(cell) }
}

pub(super) fn open(
    kept: &Kept,
    container: ContainerId,
    errand: Errand,
    cell: &CellKeyStatement,
) -> RestoreSnapshot {
    RestoreSnapshot {
        container,
        snapshot: kept.id,
        sealed_payload: sealed(kept, errand, cell),
        verify_only: errand == Errand::Verify,
        cell_key: key_of(cell),
    }
}

fn key_of(cell: &CellKeyStatement) -> Digest32 {
    Digest32(cell.key().0)
}

fn sealed(kept: &Kept, errand: Errand, cell: &CellKeyStatement) -> Vec<u8> {
    let payload = SnapshotPayload { errand, snapshot: kept.id, key: kept.key.duplicate() };
    payload.seal(cell, &mut rand::rng()).unwrap()
}

pub(super) fn snapshots(store: &Arc<Memory>) -> Snapshots {
    let store = Arc::clone(store) as Arc<dyn SnapshotStore>;
    Snapshots { store, per_user: 2, most_bytes: 1 << 20, pins: Arc::<Pins>::default() }
}
