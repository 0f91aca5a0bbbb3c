//! Vaults of groups, with the clients' half of the cryptography made here.

mod attacks;
mod ends;
mod handed_out;
mod meets;
mod nodes;
mod shared;
mod takes_part;

use ocmt_crypto::{
    datakey::VaultScope,
    group::{Acceptance, Admission},
    object::keyring_id,
    sign::VerifyKey,
    slot::{NewSlot, SlotSecret},
    vault::{self, Change, LockedVault, Rollback, RotationMode, UnlockedVault},
};
use ocmt_types::{GroupId, IdGen, RandomIds, SlotId, Timestamp, VaultId};

use super::{
    kit::{Kit, Person},
    programs::owner,
    vault::{creation, finish, proved, put, read},
};
use crate::{
    ActorError, Caller,
    api::{
        group_vaults::{AcceptGroupVault, AdmitToGroupVault, GetGroupVault, GroupVaultView},
        groups::{AddMember, CreateGroup, GroupRole, MemberRemoved, RemoveMember},
        users::{Done, Role},
        vault::{
            self as api, BatchPutEntries, CreateVault, FinishRotation, GetKeySlots, GroupsOwn, ListEntries,
            PutRewrappedKeys, VaultInfo, Written,
        },
    },
};

/// Somebody with an own vault, whose identity keys are published.
struct Side {
    person: Person,
    own: UnlockedVault,
}

impl Side {
    async fn of(kit: &Kit, person: Person) -> Self {
        let own = owner(kit, &person).await;
        Self { person, own }
    }

    fn caller(&self) -> &Caller {
        &self.person.caller
    }

    fn identity(&self) -> VerifyKey {
        self.own.keyring().identity_signing.verify_key()
    }
}

/// A group with a vault: Ann administers it and made the vault, Bob and Carol are members of the group.
struct Team {
    ann: Side,
    bob: Side,
    carol: Side,
    group: GroupId,
    /// Ann's.
    open: UnlockedVault,
}

impl Team {
    async fn on(kit: &Kit) -> Self {
        Self::at(kit, "example.com").await
    }

    /// With addresses there: of several teams each has others.
    async fn at(kit: &Kit, domain: &str) -> Self {
        let ann = kit.founder(&format!("ann@{domain}")).await;
        let bob = kit.member(&ann, &format!("bob@{domain}"), Role::Member).await;
        let carol = kit.member(&ann, &format!("carol@{domain}"), Role::Member).await;
        let (ann, bob, carol) =
            (Side::of(kit, ann).await, Side::of(kit, bob).await, Side::of(kit, carol).await);
        let group = kit.call(ann.caller(), CreateGroup { name: "team".into() }).await.unwrap().id;
        for who in [&bob, &carol] {
            add(kit, &ann, group, who, GroupRole::Member).await;
        }
        let open = found(kit, &ann, group).await.unwrap();
        Self { ann, bob, carol, group, open }
    }

    /// With Bob admitted.
    async fn with_bob(kit: &Kit) -> Self {
        Self::with_bob_at(kit, "example.com").await
    }

    async fn with_bob_at(kit: &Kit, domain: &str) -> Self {
        let mut team = Self::at(kit, domain).await;
        let Self { ann, bob, group, open, .. } = &mut team;
        take_in(kit, ann, open, *group, bob).await;
        team
    }

    fn vault(&self) -> VaultId {
        self.open.scope().vault
    }

    /// Ann writes into it.
    async fn store(&mut self, kit: &Kit, name: &str, value: &[u8]) {
        let (change, write) = put(&self.open, name, value);
        kit.call(self.ann.caller(), BatchPutEntries(write)).await.unwrap();
        self.open.apply(change).unwrap();
    }

    async fn view(&self, kit: &Kit) -> GroupVaultView {
        kit.call(self.ann.caller(), GetGroupVault { group: self.group }).await.unwrap()
    }

    async fn remove(&self, kit: &Kit, who: &Side) -> Result<MemberRemoved, ActorError> {
        kit.call(self.ann.caller(), RemoveMember { group: self.group, user: who.person.user }).await
    }

    /// Reads what Ann's device has of the vault anew: somebody else wrote.
    async fn reopen(&mut self, kit: &Kit) {
        self.open = unlock(kit, &self.ann, &self.ann, self.vault()).await.unwrap();
    }
}

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

async fn add(kit: &Kit, by: &Side, group: GroupId, who: &Side, role: GroupRole) {
    kit.call(by.caller(), AddMember { group, user: who.person.user, role }).await.unwrap();
}

fn acceptance(who: &Side, admitter: &Side, group: GroupId, scope: VaultScope) -> Acceptance {
    Acceptance {
        group,
        scope,
        member: who.identity(),
        sealing: who.own.keyring().identity_seal.public(),
        admitter: admitter.identity(),
        accepted_at: Timestamp(1),
    }
}

fn admission(open: &UnlockedVault, group: GroupId, to: &Side, slot: SlotId) -> Admission {
    Admission {
        group,
        scope: open.scope(),
        member: to.identity(),
        sealing: to.own.keyring().identity_seal.public(),
        verify_key: open.keyring().vault_signing.verify_key(),
        identity: open.keyring().identity_signing.verify_key(),
        slot: Some(slot),
        epoch: open.epoch(),
        admitted_at: Timestamp(2),
    }
}

/// What makes a group's vault, with this slot.
fn founding(maker: &Side, group: GroupId, slot: &NewSlot<'_>) -> (UnlockedVault, CreateVault) {
    let ids: &dyn IdGen = &RandomIds;
    let scope = VaultScope { tenant: maker.person.tenant, vault: ids.id() };
    let (open, upload) = vault::create(scope, std::slice::from_ref(slot), &mut rand::rng()).unwrap();
    let signer = &maker.own.keyring().identity_signing;
    let own = GroupsOwn {
        group,
        acceptance: acceptance(maker, maker, group, scope).sign(signer).unwrap(),
        admission: admission(&open, group, maker, open.slots()[0].id()).sign(signer),
    };
    let ask = CreateVault { of_group: Some(Box::new(own)), ..creation(scope, upload) };
    (open, ask)
}

async fn found(kit: &Kit, maker: &Side, group: GroupId) -> Result<UnlockedVault, ActorError> {
    let slot = NewSlot::Member(maker.own.keyring().identity_seal.public());
    let (open, ask) = founding(maker, group, &slot);
    kit.call(maker.caller(), ask).await.map(|_| open)
}

async fn accept(
    kit: &Kit,
    who: &Side,
    admitter: &Side,
    group: GroupId,
    scope: VaultScope,
) -> Result<Done, ActorError> {
    let accepted = acceptance(who, admitter, group, scope);
    let acceptance = accepted.sign(&who.own.keyring().identity_signing).unwrap();
    kit.call(who.caller(), AcceptGroupVault { group, acceptance }).await
}

/// What an administrator's device makes for a member.
fn admitting(by: &Side, open: &UnlockedVault, group: GroupId, who: &Side) -> (Change, AdmitToGroupVault) {
    let mut edit = open.edit();
    let new = NewSlot::Member(who.own.keyring().identity_seal.public());
    let slot = edit.add_slot(&new, &mut rand::rng()).unwrap();
    let change = edit.finish().unwrap();
    let ask = AdmitToGroupVault {
        group,
        user: who.person.user,
        slot: change.added_slots[0].clone(),
        manifest: change.manifest.clone(),
        admission: admission(open, group, who, slot).sign(&by.own.keyring().identity_signing),
    };
    (change, ask)
}

async fn admit(
    kit: &Kit,
    by: &Side,
    open: &mut UnlockedVault,
    group: GroupId,
    who: &Side,
) -> Result<Written, ActorError> {
    let (change, ask) = admitting(by, open, group, who);
    let written = kit.call(by.caller(), ask).await?;
    open.apply(change).unwrap();
    Ok(written)
}

async fn take_in(kit: &Kit, by: &Side, open: &mut UnlockedVault, group: GroupId, who: &Side) {
    accept(kit, who, by, group, open.scope()).await.unwrap();
    admit(kit, by, open, group, who).await.unwrap();
}

/// Opens the vault the way a member's client does: by what the administrator said whom the own acceptance names.
async fn unlock(kit: &Kit, who: &Side, admitter: &Side, vault: VaultId) -> Result<UnlockedVault, ActorError> {
    let handout = kit.call(who.caller(), GetKeySlots { vault: Some(vault), kind: None, claim: None }).await?;
    let page = kit.call(who.caller(), ListEntries { vault, after: None, limit: 0 }).await?;
    let keyring = read(kit, &who.person, vault, keyring_id()).await?;
    let scope = VaultScope { tenant: who.person.tenant, vault };
    let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
    let leaves = page.entries.iter().map(|head| head.leaf).collect();
    let locked =
        LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring).unwrap();
    let pinned = verify_key_said(kit, who, admitter, vault).await;
    let secret = SlotSecret::Member(&who.own.keyring().identity_seal, pinned);
    let open = locked.open(&secret, None, Rollback::Refuse).expect("the member's slot");
    kit.call(who.caller(), proved(&open, &handout, None)).await?;
    Ok(open)
}

/// The verify key of the vault, as the member believes it.
async fn verify_key_said(kit: &Kit, who: &Side, admitter: &Side, vault: VaultId) -> VerifyKey {
    let info = kit.call(who.caller(), api::GetVault { vault: Some(vault) }).await.unwrap().info;
    let view = kit.call(who.caller(), GetGroupVault { group: info.group.unwrap() }).await.unwrap();
    let own = view.participants.iter().find(|one| one.user == who.person.user).unwrap();
    let accepted = Acceptance::open(own.acceptance.as_deref().unwrap(), &who.identity()).unwrap();
    assert_eq!(accepted.admitter, admitter.identity());
    Admission::open(own.admission.as_deref().unwrap(), &accepted.admitter).unwrap().verify_key
}

/// A rotation that is staged whole, and what finishes it.
async fn staged(
    kit: &Kit,
    by: &Side,
    open: &UnlockedVault,
    drop: &[SlotId],
) -> Result<(FinishRotation, vault::Completed), ActorError> {
    staged_with(kit, by, open, drop, &[]).await
}

/// The same with other ways to open it.
async fn staged_with(
    kit: &Kit,
    by: &Side,
    open: &UnlockedVault,
    drop: &[SlotId],
    add: &[NewSlot<'_>],
) -> Result<(FinishRotation, vault::Completed), ActorError> {
    let vault = open.scope().vault;
    let mut rotation = open.begin_rotation(RotationMode::Rekey, drop, add, &mut rand::rng()).unwrap();
    let start = rotation.start();
    let begin = crate::tests::vault::begin(vault, start, RotationMode::Rekey);
    let id = kit.call(by.caller(), begin).await?.id;
    let mut objects = vec![rotation.start().keyring.clone()];
    for object in rotation.left() {
        let object = read(kit, &by.person, vault, object).await?;
        objects.push(rotation.convert(&object, &mut rand::rng()).unwrap());
    }
    let stage = PutRewrappedKeys { vault, rotation: id, keys: Vec::new(), objects };
    kit.call(by.caller(), stage).await?;
    let completed = rotation.finish().unwrap();
    let finish = finish(vault, id, &completed);
    Ok((finish, completed))
}

async fn rotate(
    kit: &Kit,
    by: &Side,
    open: &mut UnlockedVault,
    drop: &[SlotId],
) -> Result<VaultInfo, ActorError> {
    let (finish, completed) = staged(kit, by, open, drop).await?;
    let info = kit.call(by.caller(), finish).await?;
    open.complete(completed).unwrap();
    Ok(info)
}

/// A rotation that only wraps the data keys anew.
async fn rewrap(kit: &Kit, by: &Side, open: &mut UnlockedVault, drop: &[SlotId]) {
    let vault = open.scope().vault;
    let mut rotation = open.begin_rotation(RotationMode::Rewrap, drop, &[], &mut rand::rng()).unwrap();
    let begin = crate::tests::vault::begin(vault, rotation.start(), RotationMode::Rewrap);
    let id = kit.call(by.caller(), begin).await.unwrap().id;
    let (mut keys, objects) = (Vec::new(), vec![rotation.start().keyring.clone()]);
    for object in rotation.left() {
        let object = read(kit, &by.person, vault, object).await.unwrap();
        let object = rotation.convert(&object, &mut rand::rng()).unwrap();
        keys.push((object.object_id, object.version, object.wrapped_key));
    }
    let stage = PutRewrappedKeys { vault, rotation: id, keys, objects };
    kit.call(by.caller(), stage).await.unwrap();
    let completed = rotation.finish().unwrap();
    let finish = finish(vault, id, &completed);
    kit.call(by.caller(), finish).await.unwrap();
    open.complete(completed).unwrap();
}

/// The slots that are sealed to a member's key.
fn slots_of(open: &UnlockedVault, who: &Side) -> Vec<SlotId> {
    let key = who.own.keyring().identity_seal.public();
    open.slots().iter().filter(|slot| slot.public() == key).map(ocmt_crypto::slot::KeySlot::id).collect()
}
