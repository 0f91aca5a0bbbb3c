//! An unlock by several together, into a real cell process: the cell rebuilds the key of a group's vault itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod common;

use std::time::Duration;

use common::{
    Client, Options, Script, TestCell, WORKLOAD, find, free_port, id, is_root, level, marks_in_memory, ready,
    status, user::User,
};
use ocmt_crypto::{
    cell::{CellKeyOffer, CellPlace},
    ceremony::{Ceremony, Purpose, ReleaseStatement, approve},
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
    group_cell::{Appointment, Handover, NewAppointment, Order},
    guardian::{self, Dealt, Delays, GuardianKeys, Plan, Seat, open_units},
    object::{VaultObject, keyring_id},
    seal::{SealPublicKey, SealSecretKey},
    sign::SigningKey,
    slot::{KeySlot, NewSlot, RecoveryKey},
    vault::{self, UnlockedVault},
};
use ocmt_proto::cell::v1::{
    ExtendRequest, HoldKeyRequest, LockReason, LockRequest, UnlockTogetherRequest, WorkloadState,
};
use ocmt_types::{Clock as _, SystemClock, Timestamp};
use zeroize::Zeroizing;

const SECRET: &[u8] = b"marked-secret-of-a-group-3fd90a";
const HOUR: u64 = 3_600_000;

struct Admin {
    signing: SigningKey,
    sealing: SealSecretKey,
}

/// A group's vault that two of two open, and what its node keeps of it.
struct Group {
    admins: [Admin; 2],
    dealt: Dealt,
    open: UnlockedVault,
    slots: Vec<Vec<u8>>,
    manifest: Vec<u8>,
    objects: Vec<VaultObject>,
    appointment: Vec<u8>,
    node: SigningKey,
    release: SealSecretKey,
}

impl Group {
    /// Its cell is this one.
    fn of(place: &CellPlace) -> Self {
        let rng = &mut rand::rng();
        let scope = VaultScope { tenant: place.tenant, vault: id() };
        let first = RecoveryKey::generate(rng);
        let (mut open, upload) = vault::create(scope, &[NewSlot::Recovery(&first)], rng).unwrap();
        let admins = [(); 2]
            .map(|()| Admin { signing: SigningKey::generate(rng), sealing: SealSecretKey::generate(rng) });
        let seat = |admin: &Admin| Seat {
            guardianship: id(),
            keys: GuardianKeys { identity: admin.signing.verify_key(), sealing: admin.sealing.public() },
            units: 1,
        };
        let plan = Plan {
            id: id(),
            scope,
            owner_sealing: open.keyring().identity_seal.public(),
            threshold: 2,
            delays: Delays::DEFAULT,
            seats: admins.iter().map(seat).collect(),
            dealt_at: Timestamp(1),
            dev: false,
        };
        let dealt = guardian::deal(&plan, &open.keyring().identity_signing, rng).unwrap();
        let name = EntryName::new("deploy key").unwrap();
        let object = open.entry_id(&name);
        let mut edit = open.edit();
        let value = Zeroizing::new(SECRET.to_vec());
        edit.put(&Entry { name, value, attributes: Attributes::default() }, rng).unwrap();
        edit.add_slot(&NewSlot::Recovery(&dealt.recovery_key), rng).unwrap();
        edit.remove_slot(open.slots()[0].id()).unwrap();
        let change = edit.finish().unwrap();
        let gone = |slot: &Vec<u8>| change.removed_slots.contains(&KeySlot::from_bytes(slot).unwrap().id());
        let mut slots = upload.slots;
        slots.retain(|slot| !gone(slot));
        slots.extend(change.added_slots.iter().cloned());
        let objects = upload.objects.into_iter().chain(change.objects.iter().cloned()).collect();
        let manifest = change.manifest.clone();
        open.apply(change).unwrap();
        let appointment = NewAppointment {
            scope,
            group: id(),
            container: place.container,
            node: id(),
            number: 1,
            longest_ms: 8 * HOUR,
            appointed_at: SystemClock.now(),
            mapping: &[("DEMO_SECRET".to_owned(), object)],
        };
        let appointment = appointment.sign(open.keyring(), rng).unwrap();
        let (node, release) = (SigningKey::generate(rng), SealSecretKey::generate(rng));
        Self { admins, dealt, open, slots, manifest, objects, appointment, node, release }
    }

    /// What was asked for and approved by both, for the key that the cell holds.
    fn released(&self, key: SealPublicKey, lasts: Duration) -> UnlockTogetherRequest {
        self.released_at(key, SystemClock.now(), lasts)
    }

    /// The same, asked for at this time.
    fn released_at(&self, key: SealPublicKey, now: Timestamp, lasts: Duration) -> UnlockTogetherRequest {
        let identity = self.open.keyring().identity_signing.verify_key();
        let appointment = Appointment::verify(&self.appointment, &identity).unwrap().hash;
        let order = Order { appointment, seen: self.open.seen(), random: rand::random() };
        let ceremony = Ceremony {
            nonce: order.nonce(),
            scope: self.open.scope(),
            set: self.dealt.set.id(),
            set_hash: self.dealt.set.hash(),
            requester: key,
            purpose: Purpose::Cell,
            opened_at: now,
            delay_ms: 0,
            expires_at: now + lasts,
            overrides: None,
        };
        let (hash, by) = (ceremony.hash(), id());
        let stated = ReleaseStatement::sign(hash, self.release.public(), by, &self.node);
        let stated = ReleaseStatement::verify(&stated, by, &self.node.verify_key(), &hash).unwrap();
        let approval = |(admin, sealed): (&Admin, &guardian::SealedUnits)| {
            let identity = admin.signing.verify_key();
            let units = open_units(&sealed.sealed, &self.dealt.set, &identity, &admin.sealing).unwrap();
            let own = (&admin.signing, units.as_slice());
            approve(&ceremony, &self.dealt.set, &stated, own, now, &mut rand::rng()).unwrap()
        };
        let keyring = self.objects.iter().find(|one| one.object_id == keyring_id()).unwrap();
        let handover = Handover {
            params: ceremony.encode(),
            order: order.encode(),
            appointment: self.appointment.clone(),
            signed_set: self.dealt.signed_set.clone(),
            release: self.release.duplicate(),
            approvals: self.admins.iter().zip(&self.dealt.units).map(approval).collect(),
            slots: self.slots.clone(),
            successions: Vec::new(),
            manifest: self.manifest.clone(),
            leaves: self.objects.iter().map(VaultObject::leaf).collect(),
            keyring: keyring.clone(),
            objects: self.objects.iter().filter(|one| one.object_id != keyring_id()).cloned().collect(),
        };
        UnlockTogetherRequest { handover: handover.encode().to_vec().into() }
    }
}

fn demo() -> TestCell {
    let port = free_port().to_string();
    TestCell::start(&Options {
        extra: &["--workload-port", &port],
        workload: &[WORKLOAD],
        ..Options::default()
    })
}

async fn hold(cell: &TestCell, client: &mut Client) -> SealPublicKey {
    let offer = client.hold_key(HoldKeyRequest { keep_ms: HOUR }).await.unwrap().into_inner().offer;
    let offer = CellKeyOffer::open(&offer, &cell.start, &cell.place, SystemClock.now()).unwrap();
    assert!(offer.unlock.is_none());
    offer.key
}

fn reason(status: &tonic::Status) -> &str {
    status.metadata().get("ocmt-cell-reason").map_or("", |reason| reason.to_str().unwrap())
}

#[tokio::test]
async fn the_workload_gets_what_the_vault_appointed_and_the_vaults_keys_are_gone() {
    if !is_root() {
        return eprintln!("skipped: reading a guarded process needs root");
    }
    let cell = demo();
    let mut client = cell.client().await;
    let group = Group::of(&cell.place);
    let key = hold(&cell, &mut client).await;
    let request = group.released(key, Duration::from_secs(3600));
    let answer = client.unlock_together(request.clone()).await.unwrap().into_inner();
    let lease = answer.lease_remaining.unwrap();
    assert!(lease.seconds <= 3600 && lease.seconds > 3500, "the time that was approved: {lease:?}");
    ready(&mut client).await;
    let environ = std::fs::read(format!("/proc/{}/environ", cell.workload_pid().await)).unwrap();
    assert_eq!(find(&environ, SECRET), 1);
    // of the value the cell keeps what it redacts with; of the vault nothing
    assert!(marks_in_memory(cell.pid(), SECRET) > 0, "the search finds what is there");
    let keyring = group.open.keyring();
    for (what, mark) in [
        ("recovery key", group.dealt.recovery_key.expose().as_slice()),
        ("identity key", keyring.identity_seal.expose().as_slice()),
        ("inbox key", keyring.inbox.expose().as_slice()),
    ] {
        assert_eq!(marks_in_memory(cell.pid(), mark), 0, "{what}");
    }
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert_eq!(marks_in_memory(cell.pid(), SECRET), 0, "after the lock");
    // what was approved opens nothing a second time: the key was used
    assert_eq!(reason(&client.unlock_together(request).await.unwrap_err()), "CELL_PAYLOAD_REFUSED");
    assert!(status(&mut client).await.locked);
}

#[tokio::test]
async fn another_cell_or_another_start_has_another_key() {
    let cell = demo();
    let mut client = cell.client().await;
    let group = Group::of(&cell.place);
    // nothing was asked of it
    let stray = SealSecretKey::generate(&mut rand::rng()).public();
    let refused = client.unlock_together(group.released(stray, Duration::from_secs(3600))).await.unwrap_err();
    assert_eq!(reason(&refused), "CELL_PAYLOAD_REFUSED");
    let key = hold(&cell, &mut client).await;
    let request = group.released(key, Duration::from_secs(3600));
    // a key that is asked for anew takes the place of the one before
    hold(&cell, &mut client).await;
    assert_eq!(reason(&client.unlock_together(request.clone()).await.unwrap_err()), "CELL_PAYLOAD_REFUSED");
    let status = status(&mut client).await;
    assert!(status.locked && status.workload_state() == WorkloadState::Waiting);
    // and a lock, of a cell that is locked too, lets go of it: whatever was asked for has ended
    let key = hold(&cell, &mut client).await;
    client.lock(LockRequest { reason: LockReason::Rotated.into() }).await.unwrap();
    let request = group.released(key, Duration::from_secs(3600));
    assert_eq!(reason(&client.unlock_together(request).await.unwrap_err()), "CELL_PAYLOAD_REFUSED");
    assert!(common::status(&mut client).await.idle_for.is_none(), "it waits for nobody");
    // a key of a client's own unlock is none of several together
    let user = User::new();
    let own = user.statement(&cell, &mut client).await;
    let request = group.released(*own.key(), Duration::from_secs(3600));
    assert_eq!(reason(&client.unlock_together(request).await.unwrap_err()), "CELL_PAYLOAD_REFUSED");
}

/// Whoever entered before may have left it there to wait for the group's secrets.
#[tokio::test]
async fn what_ran_here_before_is_ended_before_the_secrets_come() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let stubborn = Script::new(&format!("trap '' TERM HUP; echo $$ > {}; exec sleep 600", file.display()));
    // in a session of its own, and of the workload without secrets alone
    let script = format!("[ -n \"$DEMO_SECRET\" ] || setsid sh {} & sleep 600", stubborn.argv()[1]);
    let script = Script::new(&script);
    let options = Options { workload: &script.argv(), extra: &["--start-locked"], ..Options::default() };
    let cell = TestCell::start(&options);
    let mut client = cell.client().await;
    let written = || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'));
    let stray: u32 = level("it to be there", written).await.trim().parse().unwrap();
    let group = Group::of(&cell.place);
    let key = hold(&cell, &mut client).await;
    client.unlock_together(group.released(key, Duration::from_secs(3600))).await.unwrap();
    let there = || std::fs::exists(format!("/proc/{stray}")).unwrap();
    level("it to be gone", || (!there()).then_some(())).await;
}

#[tokio::test]
async fn its_time_ends_it_and_nobody_makes_it_longer() {
    let cell = demo();
    let mut client = cell.client().await;
    let group = Group::of(&cell.place);
    let key = hold(&cell, &mut client).await;
    client.unlock_together(group.released(key, Duration::from_secs(6))).await.unwrap();
    let unlocked = status(&mut client).await;
    assert!(!unlocked.locked);
    // a lease goes on by a key that nobody has
    let extension = ocmt_crypto::unlock::LeaseExtension {
        unlock: unlocked.unlock_id.parse().unwrap(),
        serial: 1,
        lease_ms: HOUR,
        expires: SystemClock.now() + Duration::from_secs(60),
    };
    let forged = extension.seal(&ocmt_crypto::unlock::UnlockKey::generate(&mut rand::rng())).unwrap();
    let refused = client.extend(ExtendRequest { extension: forged.into() }).await.unwrap_err();
    assert_eq!(reason(&refused), "CELL_PAYLOAD_REFUSED");
    common::status_when(&mut client, "its time is over", |status| status.locked).await;
    assert_eq!(status(&mut client).await.workload_state(), WorkloadState::Waiting);
}

/// By the wall's clock it has hardly begun: somebody has set that back.
#[tokio::test]
async fn its_time_is_over_by_the_clock_that_runs_since_its_key_was_made() {
    let cell = demo();
    let mut client = cell.client().await;
    let (group, lasts) = (Group::of(&cell.place), Duration::from_secs(3));
    let later = SystemClock.now() + Duration::from_secs(3600);
    let key = hold(&cell, &mut client).await;
    tokio::time::sleep(lasts).await; // why: the time itself is what is over
    let late = client.unlock_together(group.released_at(key, later, lasts)).await.unwrap_err();
    assert_eq!(reason(&late), "CELL_PAYLOAD_REFUSED");
    // it was for that: the same key opens what lasts longer
    let request = group.released_at(key, later, Duration::from_secs(600));
    client.unlock_together(request).await.unwrap();
}

#[tokio::test]
async fn a_cell_that_waits_for_people_is_at_work() {
    let cell = demo();
    let mut client = cell.client().await;
    assert!(status(&mut client).await.idle_for.is_none());
    hold(&cell, &mut client).await;
    let idle = status(&mut client).await.idle_for.unwrap();
    assert_eq!((idle.seconds, idle.nanos), (0, 0), "its host does not put it to sleep");
    let refused = client.hold_key(HoldKeyRequest { keep_ms: 26 * HOUR }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}
