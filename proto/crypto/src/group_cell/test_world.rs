//! A group's vault with an appointed cell, for the tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{
    ContainerId, GroupId, GuardianSetId, GuardianshipId, Id as _, NodeId, TenantId, Timestamp, UnlockId,
    VaultId,
};
use rand::{SeedableRng as _, rngs::StdRng};
use zeroize::Zeroizing;

use crate::{
    Result,
    cell::{CellKey, CellKeyOffer, CellKeyStatement, CellPlace, OFFER_MS},
    ceremony::{Ceremony, Purpose, ReleaseStatement, approve},
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
    guardian::{Dealt, Delays, Plan, Seat, deal, open_units, test_set::Person},
    object::{VaultObject, keyring_id},
    seal::SealSecretKey,
    sign::{SigningKey, VerifyKey},
    slot::{KeySlot, NewSlot, RecoveryKey},
    vault::{self, Seen, UnlockedVault},
};

use super::{Appointment, Asked, Handover, NewAppointment, Opened, Order};

pub(super) const NOW: Timestamp = Timestamp(1_790_000_000_000);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

fn node() -> NodeId {
    NodeId::from_bytes([8; 16])
}

fn group() -> GroupId {
    GroupId::from_bytes([6; 16])
}

pub(super) fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) }
}

/// A group's vault that two of three administrators open, as a node keeps it, and the cell that it has appointed.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) admins: Vec<Person>,
    pub(super) dealt: Dealt,
    pub(super) open: UnlockedVault,
    pub(super) slots: Vec<Vec<u8>>,
    pub(super) manifest: Vec<u8>,
    pub(super) objects: Vec<VaultObject>,
    pub(super) appointment: Vec<u8>,
    pub(super) host: SigningKey,
    pub(super) cell: CellKey,
    pub(super) place: CellPlace,
    pub(super) release: SealSecretKey,
}

impl World {
    pub(super) fn new() -> Self {
        let mut rng = StdRng::seed_from_u64(59);
        let first = RecoveryKey::generate(&mut rng);
        let (mut open, upload) = vault::create(scope(), &[NewSlot::Recovery(&first)], &mut rng).unwrap();
        let admins: Vec<_> = (0..3).map(|_| Person::new(&mut rng)).collect();
        let dealt = dealt(&open, &admins, &mut rng);
        let mut edit = open.edit();
        edit.put(&entry("deploy key", "s3cret"), &mut rng).unwrap();
        edit.put(&entry("not for the cell", "other"), &mut rng).unwrap();
        edit.add_slot(&NewSlot::Recovery(&dealt.recovery_key), &mut rng).unwrap();
        edit.remove_slot(open.slots()[0].id()).unwrap();
        let change = edit.finish().unwrap();
        let mut slots = upload.slots;
        slots.extend(change.added_slots.iter().cloned());
        slots.retain(|slot| {
            let id = KeySlot::from_bytes(slot).unwrap().id();
            !change.removed_slots.contains(&id)
        });
        let mut objects = upload.objects;
        objects.extend(change.objects.iter().cloned());
        let manifest = change.manifest.clone();
        open.apply(change).unwrap();
        let place =
            CellPlace { tenant: scope().tenant, container: ContainerId::from_bytes([7; 16]), generation: 3 };
        let (host, release) = (SigningKey::generate(&mut rng), SealSecretKey::generate(&mut rng));
        let cell = CellKey::generate(place, [9; 32], &mut rng);
        let appointment = appointment(&open, 1).sign(open.keyring(), &mut rng).unwrap();
        Self { rng, admins, dealt, open, slots, manifest, objects, appointment, host, cell, place, release }
    }

    pub(super) fn order(&self) -> Order {
        let identity = self.open.keyring().identity_signing.verify_key();
        let appointment = Appointment::verify(&self.appointment, &identity).unwrap().hash;
        Order { appointment, seen: self.open.seen(), random: [4; 32] }
    }

    pub(super) fn ceremony(&self, order: &Order) -> Ceremony {
        Ceremony {
            nonce: order.nonce(),
            scope: scope(),
            set: self.dealt.set.id(),
            set_hash: self.dealt.set.hash(),
            requester: self.cell.public(),
            purpose: Purpose::Cell,
            opened_at: NOW,
            delay_ms: 0,
            expires_at: NOW + 2 * HOUR,
            overrides: None,
        }
    }

    pub(super) fn statement_of(&self, key: &CellKey, unlock: Option<UnlockId>) -> Vec<u8> {
        let offer = CellKeyOffer {
            place: self.place,
            boot_nonce: [9; 32],
            expires: NOW + Duration::from_millis(OFFER_MS),
            key: key.public(),
            unlock,
        };
        CellKeyStatement::sign(&offer, node(), &self.host)
    }

    pub(super) fn check(
        &self,
        ceremony: &Ceremony,
        order: &Order,
        statement: &[u8],
        seen: Option<&Seen>,
    ) -> Result<()> {
        self.check_by((node(), &self.host.verify_key()), ceremony, order, statement, seen)
    }

    /// The statement came with the certificate of this node.
    pub(super) fn check_by(
        &self,
        node: (NodeId, &VerifyKey),
        ceremony: &Ceremony,
        order: &Order,
        statement: &[u8],
        seen: Option<&Seen>,
    ) -> Result<()> {
        Asked {
            ceremony,
            order: &order.encode(),
            appointment: &self.appointment,
            statement,
            group: group(),
            identity: &self.open.keyring().identity_signing.verify_key(),
            node,
        }
        .check(seen, NOW + HOUR / 4)
        .map(drop)
    }

    pub(super) fn approvals(&mut self, ceremony: &Ceremony, by: &[usize]) -> Vec<Vec<u8>> {
        let hash = ceremony.hash();
        let bytes = ReleaseStatement::sign(hash, self.release.public(), node(), &self.host);
        let statement = ReleaseStatement::verify(&bytes, node(), &self.host.verify_key(), &hash).unwrap();
        by.iter()
            .map(|i| {
                let admin = &self.admins[*i];
                let sealed = &self.dealt.units[*i].sealed;
                let units =
                    open_units(sealed, &self.dealt.set, &admin.signing.verify_key(), &admin.sealing).unwrap();
                let own = (&admin.signing, units.as_slice());
                approve(ceremony, &self.dealt.set, &statement, own, NOW, &mut self.rng).unwrap()
            })
            .collect()
    }

    pub(super) fn handover(&self, ceremony: &Ceremony, order: &Order, approvals: &[Vec<u8>]) -> Handover {
        let keyring = self.objects.iter().find(|one| one.object_id == keyring_id()).unwrap();
        Handover {
            params: ceremony.encode(),
            order: order.encode(),
            appointment: self.appointment.clone(),
            signed_set: self.dealt.signed_set.clone(),
            release: self.release.duplicate(),
            approvals: approvals.to_vec(),
            slots: self.slots.clone(),
            successions: Vec::new(),
            manifest: self.manifest.clone(),
            leaves: self.objects.iter().map(VaultObject::leaf).collect(),
            keyring: keyring.clone(),
            objects: self.objects.iter().filter(|one| one.object_id != keyring_id()).cloned().collect(),
        }
    }

    pub(super) fn hand(
        &mut self,
        ceremony: &Ceremony,
        order: &Order,
        approvals: &[Vec<u8>],
    ) -> Result<Opened> {
        self.hand_at(ceremony, order, approvals, (HOUR / 2, NOW + HOUR / 2))
    }

    /// As it goes over the wire.
    pub(super) fn hand_at(
        &mut self,
        ceremony: &Ceremony,
        order: &Order,
        approvals: &[Vec<u8>],
        at: (Duration, Timestamp),
    ) -> Result<Opened> {
        let bytes = self.handover(ceremony, order, approvals).encode();
        self.cell.open_together(&Handover::decode(&bytes)?, at, &mut self.rng)
    }
}

fn dealt(open: &UnlockedVault, admins: &[Person], rng: &mut StdRng) -> Dealt {
    let seats = (1..).zip(admins).map(|(n, admin)| Seat {
        guardianship: GuardianshipId::from_bytes([n; 16]),
        keys: admin.keys(),
        units: 1,
    });
    let plan = Plan {
        id: GuardianSetId::from_bytes([5; 16]),
        scope: scope(),
        owner_sealing: open.keyring().identity_seal.public(),
        threshold: 2,
        delays: Delays::DEFAULT,
        seats: seats.collect(),
        dealt_at: NOW,
        dev: false,
    };
    deal(&plan, &open.keyring().identity_signing, rng).unwrap()
}

fn entry(name: &str, value: &str) -> Entry {
    let attributes = Attributes { written_at: NOW, ..Attributes::default() };
    Entry {
        name: EntryName::new(name).unwrap(),
        value: Zeroizing::new(value.as_bytes().to_vec()),
        attributes,
    }
}

/// An appointment with one variable. It lives as long as the program: tests alone are that careless.
pub(super) fn appointment(open: &UnlockedVault, number: u64) -> NewAppointment<'static> {
    let id = open.entry_id(&EntryName::new("deploy key").unwrap());
    NewAppointment {
        scope: scope(),
        group: group(),
        container: ContainerId::from_bytes([7; 16]),
        node: node(),
        number,
        longest_ms: 8 * 3_600_000,
        appointed_at: NOW,
        mapping: Box::leak(Box::new([("DEPLOY_KEY".to_owned(), id)])),
    }
}
