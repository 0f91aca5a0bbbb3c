//! An owner with a vault, guardians in tenants of their own, and a requester: all the cryptography that
//! people's devices do, over the API of the actors. What they do in a ceremony is in `steps`.

use std::time::Duration;

use ocmt_crypto::{
    ceremony::Ceremony,
    datakey::VaultScope,
    guardian::{self, Delays, GuardianKeys as PublicKeys, GuardianSet, Plan, Seat},
    seal::SealSecretKey,
    sign::SigningKey,
    slot::{KeySlot, NewSlot, SlotKind},
    vault::{self, UnlockedVault},
};
use ocmt_store::tables;
use ocmt_types::{
    Clock as _, Digest32, GuardianSetId, GuardianshipId, Id as _, Ownership, TenantId, Timestamp, VaultId,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    ActorError, Call, SystemConfig,
    api::{
        recovery::{
            AcceptGuardianship, DealShares, DealtShares, GetGuardianSet, GetGuardianship, GuardianKeys,
            GuardianSetState, GuardianshipState, InviteGuardian, ListGuardianships, Side,
        },
        tenant::TenantPolicy,
        users::PublishIdentityKey,
    },
    tests::{
        kit::{Kit, Person, until},
        vault::creation,
    },
};

const MINUTE: u64 = 60_000;
/// The delays of the circles of these tests: lawful in development, short enough for one session.
pub(super) const SHORT: Delays = Delays {
    lock_ms: 20 * MINUTE,
    recovery_ms: 10 * MINUTE,
    change_ms: 5 * MINUTE,
    change_window_ms: 5 * MINUTE,
};

pub(super) fn short(config: &mut SystemConfig) {
    config.policy = TenantPolicy {
        lock_ms: 20 * 60_000,
        recovery_delay_ms: 10 * 60_000,
        change_delay_ms: 5 * 60_000,
        change_window_ms: 5 * 60_000,
        ..TenantPolicy::default()
    };
}

/// A guardian and the device that holds their keys.
pub(super) struct Guard {
    pub(super) person: Person,
    pub(super) signing: SigningKey,
    pub(super) sealing: SealSecretKey,
    pub(super) guardianship: GuardianshipId,
    pub(super) units: u8,
}

impl Guard {
    pub(super) fn keys(&self) -> GuardianKeys {
        GuardianKeys { signing: self.signing.verify_key().0, sealing: self.sealing.public().0 }
    }
}

/// What the requester's device keeps.
pub(super) struct Requester {
    pub(super) person: Person,
    pub(super) secret: SealSecretKey,
    pub(super) params: Ceremony,
}

impl Requester {
    pub(super) fn id(&self) -> Digest32 {
        self.params.hash()
    }
}

pub(super) struct Circle {
    pub(super) kit: Kit,
    /// The node of the guardians, if it is another than the owner's.
    pub(super) far: Option<Kit>,
    pub(super) owner: Person,
    pub(super) vault: UnlockedVault,
    pub(super) guards: Vec<Guard>,
    pub(super) set: Option<GuardianSet>,
    pub(super) delays: Delays,
    pub(super) rng: StdRng,
}

impl Circle {
    /// An owner with a vault and guardians of these weights who have accepted; nothing is dealt.
    pub(super) async fn gather(kit: Kit, weights: &[u8], delays: Delays) -> Self {
        Self::gather_over(kit, None, weights, delays).await
    }

    /// The same with the guardians at a node of their own.
    pub(super) async fn gather_over(kit: Kit, far: Option<Kit>, weights: &[u8], delays: Delays) -> Self {
        let mut rng = StdRng::seed_from_u64(7);
        let owner = kit.founder("owner@example.com").await;
        let vault = make_vault(&kit, &owner, &mut rng).await;
        let mut circle = Self { kit, far, owner, vault, guards: Vec::new(), set: None, delays, rng };
        for (n, units) in weights.iter().enumerate() {
            let theirs = circle.far.as_ref().unwrap_or(&circle.kit);
            let person = theirs.founder(&format!("guard{n}@example.com")).await;
            circle.seat(person, *units).await;
        }
        circle
    }

    /// The same with the set dealt and arrived, `k` of its units needed.
    pub(super) async fn dealt(kit: Kit, k: u8, weights: &[u8]) -> Self {
        let mut circle = Self::gather(kit, weights, SHORT).await;
        circle.deal(k).await.unwrap();
        circle.arrived().await;
        circle
    }

    /// Invites and accepts.
    pub(super) async fn seat(&mut self, person: Person, units: u8) {
        let invite =
            InviteGuardian { vault: self.vault_id(), email: person.email.clone(), units: units.into() };
        let guardianship = self.kit.call(&self.owner.caller, invite).await.unwrap().id;
        self.invited(&person, guardianship).await;
        let guard = Guard {
            person,
            signing: SigningKey::generate(&mut self.rng),
            sealing: SealSecretKey::generate(&mut self.rng),
            guardianship,
            units,
        };
        let accept = AcceptGuardianship { guardianship, keys: guard.keys() };
        self.ask(&guard.person, accept).await.unwrap();
        let get = GetGuardianship { guardianship };
        let known = self.kit.call(&self.owner.caller, get).await.unwrap();
        assert_eq!(
            known.state,
            GuardianshipState::Accepted,
            "accepting is answered after the owner's commit"
        );
        self.guards.push(guard);
    }

    pub(super) async fn invited(&self, person: &Person, guardianship: GuardianshipId) {
        until("the invitation has come", async || {
            let list = ListGuardianships { side: Some(Side::Guardian), ..ListGuardianships::default() };
            let page = self.ask(person, list).await.unwrap();
            page.guardianships.iter().any(|row| row.id == guardianship)
        })
        .await;
    }

    /// A call of the owner's or a guardian's, at the node of their tenant.
    pub(super) async fn ask<C: Call>(&self, who: &Person, request: C) -> Result<C::Answer, ActorError> {
        let at = self.far.as_ref().filter(|_| who.tenant != self.owner.tenant).unwrap_or(&self.kit);
        at.call(&who.caller, request).await
    }

    pub(super) fn vault_id(&self) -> VaultId {
        self.vault.scope().vault
    }

    pub(super) fn plan(&mut self, k: u8) -> Plan {
        let seats = self.guards.iter().map(|guard| Seat {
            guardianship: guard.guardianship,
            keys: PublicKeys { identity: guard.signing.verify_key(), sealing: guard.sealing.public() },
            units: guard.units,
        });
        Plan {
            id: GuardianSetId::from_bytes(self.rng.random()),
            scope: self.vault.scope(),
            owner_sealing: self.vault.keyring().identity_seal.public(),
            threshold: k,
            delays: self.delays,
            seats: seats.collect(),
            dealt_at: self.kit.clock.now(),
            dev: true,
        }
    }

    /// The owner's device deals to all guardians.
    pub(super) async fn deal(&mut self, k: u8) -> Result<DealtShares, ActorError> {
        let plan = self.plan(k);
        self.deal_by(plan).await
    }

    pub(super) async fn deal_by(&mut self, plan: Plan) -> Result<DealtShares, ActorError> {
        let dealt = guardian::deal(&plan, &self.vault.keyring().identity_signing, &mut self.rng).unwrap();
        let (request, change) = self.deal_request(&dealt);
        let answer = self.kit.call(&self.owner.caller, request).await?;
        self.vault.apply(change).unwrap();
        self.set = Some(dealt.set);
        Ok(answer)
    }

    pub(super) fn deal_request(&mut self, dealt: &guardian::Dealt) -> (DealShares, vault::Change) {
        let mut edit = self.vault.edit();
        let old: Vec<_> = self
            .vault
            .slots()
            .iter()
            .filter(|slot| slot.kind() == SlotKind::Recovery)
            .map(KeySlot::id)
            .collect();
        for old in old {
            edit.remove_slot(old).unwrap();
        }
        edit.add_slot(&NewSlot::Recovery(&dealt.recovery_key), &mut self.rng).unwrap();
        let change = edit.finish().unwrap();
        let request = DealShares {
            vault: self.vault.scope().vault,
            set: dealt.set.id(),
            signed_set: dealt.signed_set.clone(),
            units: dealt.units.iter().map(|unit| (unit.guardianship, unit.sealed.clone())).collect(),
            recovery_slot: change.added_slots[0].clone(),
            manifest: change.manifest.clone(),
        };
        (request, change)
    }

    /// All units have arrived.
    pub(super) async fn arrived(&self) {
        until("the set is active", async || {
            let set = self.kit.call(&self.owner.caller, GetGuardianSet { vault: None }).await.unwrap();
            set.state == GuardianSetState::Active
        })
        .await;
    }

    pub(super) async fn row(&self, ceremony: Digest32) -> tables::Ceremony {
        self.find_row(ceremony).await.expect("the ceremony has a row")
    }

    pub(super) async fn find_row(&self, ceremony: Digest32) -> Option<tables::Ceremony> {
        // after a crash its tenant is claimed anew
        self.kit.rows(self.owner.tenant).await.get::<tables::Ceremony>(ceremony).await.unwrap()
    }
}

/// The present ownership of a tenant.
pub(super) async fn ownership(kit: &Kit, tenant: TenantId) -> Option<Ownership> {
    kit.owned(tenant).await
}

/// With a slot that needs no Argon2id, and published identity keys.
pub(super) async fn make_vault(kit: &Kit, owner: &Person, rng: &mut StdRng) -> UnlockedVault {
    let scope = VaultScope { tenant: owner.tenant, vault: VaultId::from_bytes(rng.random()) };
    let slot = NewSlot::Member(SealSecretKey::generate(rng).public());
    let (vault, upload) = vault::create(scope, &[slot], rng).unwrap();
    kit.call(&owner.caller, creation(scope, upload)).await.unwrap();
    let keyring = vault.keyring();
    let publish = PublishIdentityKey {
        verify_key: keyring.identity_signing.verify_key().0,
        seal_key: keyring.identity_seal.public().0,
    };
    kit.call(&owner.caller, publish).await.unwrap();
    vault
}

/// Far enough for every delay of [`SHORT`] to pass, and not for sessions to end.
pub(super) fn pass_delay(circle: &Circle) {
    circle.kit.clock.advance(Duration::from_millis(SHORT.recovery_ms));
}

pub(super) fn at(circle: &Circle) -> Timestamp {
    circle.kit.clock.now()
}
