//! A vault that several open together, with the clients' half of the cryptography made here.

mod attacks;
mod bounds;
mod cell;
mod ends;
mod together;
mod two_nodes;

use std::time::Duration;

use ocmt_crypto::{
    ceremony::{
        self as crypto, Ceremony as Params, Collection, Purpose, ReleaseStatement, StopStatement,
        Verdict as Said, approve,
    },
    guardian::{self, Delays, GuardianKeys, GuardianSet, Plan, Seat, open_units},
    seal::SealSecretKey,
    slot::{RecoveryKey, SlotSecret},
};
use ocmt_types::{Digest32, GuardianshipId, Id as _, NodeId, UserId};

use super::*;
use crate::api::{
    group_unlocks::{
        ApproveGroupUnlock, CollectGroupUnlock, DenyGroupUnlock, GetGroupUnlock, OpenGroupUnlock,
        UnlockParts, UnlockView,
    },
    groups::SetMemberRole,
    recovery::CeremonyState,
    vault::GroupDeal,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Ann, Bob and Carol administer a group whose vault two of them open together.
struct Three {
    team: Team,
}

/// What somebody asked for, with the key that the parts come to.
struct Asked {
    params: Params,
    secret: SealSecretKey,
}

impl Asked {
    fn id(&self) -> Digest32 {
        self.params.hash()
    }
}

impl Three {
    async fn on(kit: &Kit) -> Self {
        Self::at(kit, "example.com").await
    }

    async fn at(kit: &Kit, domain: &str) -> Self {
        let mut team = Team::with_bob_at(kit, domain).await;
        let Team { ann, carol, group, open, .. } = &mut team;
        take_in(kit, ann, open, *group, carol).await;
        for who in [&team.bob, &team.carol] {
            let raise = SetMemberRole { group: team.group, user: who.person.user, role: GroupRole::Admin };
            kit.call(team.ann.caller(), raise).await.unwrap();
        }
        team.store(kit, "bank", b"the value").await;
        let holders = [&team.ann, &team.bob, &team.carol];
        let deal = dealing(&team.open, &holders, 2);
        share(kit, &team.ann, &mut team.open, deal).await.unwrap();
        Self { team }
    }

    fn all(&self) -> [&Side; 3] {
        [&self.team.ann, &self.team.bob, &self.team.carol]
    }

    async fn ask(&self, kit: &Kit, who: &Side, lasts: Duration) -> Result<Asked, ActorError> {
        let asked = self.asking(kit, who, lasts).await;
        let ask = OpenGroupUnlock { group: self.team.group, params: asked.params.encode(), cell: None };
        kit.call(who.caller(), ask).await.map(|_| asked)
    }

    async fn asking(&self, kit: &Kit, who: &Side, lasts: Duration) -> Asked {
        let set = self.set(kit, who).await;
        let secret = SealSecretKey::generate(&mut rand::rng());
        let now = ocmt_types::Clock::now(&kit.clock);
        let params = Params {
            nonce: rand::random(),
            scope: set.scope(),
            set: set.id(),
            set_hash: set.hash(),
            requester: secret.public(),
            purpose: Purpose::Unlock,
            opened_at: now,
            delay_ms: 0,
            expires_at: now + lasts,
            overrides: None,
        };
        Asked { params, secret }
    }

    async fn set(&self, kit: &Kit, who: &Side) -> GuardianSet {
        let list =
            crate::api::group_unlocks::ListGroupUnlocks { group: self.team.group, after: None, limit: 20 };
        let signed = kit.call(who.caller(), list).await.unwrap().signed_set;
        GuardianSet::verify(&signed, &self.identity()).unwrap()
    }

    /// The vault's own identity key, which a rotation keeps.
    fn identity(&self) -> VerifyKey {
        self.team.open.keyring().identity_signing.verify_key()
    }

    /// What an administrator's device makes of an unlock.
    async fn approval(&self, kit: &Kit, who: &Side, which: Digest32) -> Vec<u8> {
        let ask = GetGroupUnlock { group: self.team.group, ceremony: which };
        let shown = kit.call(who.caller(), ask).await.unwrap();
        let set = GuardianSet::verify(&shown.signed_set, &self.identity()).unwrap();
        let units =
            open_units(&shown.sealed_part, &set, &who.identity(), &who.own.keyring().identity_seal).unwrap();
        let stated = shown.unlock.release_statement.unwrap();
        let node: NodeId = ReleaseStatement::claimed_node(&stated.statement).unwrap();
        let key = ocmt_crypto::sign::SigningKey::from_bytes(&[9; 32]).verify_key();
        let release = ReleaseStatement::verify(&stated.statement, node, &key, &which).unwrap();
        let params = Params::decode(&shown.unlock.params).unwrap();
        let own = (&who.own.keyring().identity_signing, units.as_slice());
        let now = ocmt_types::Clock::now(&kit.clock);
        approve(&params, &set, &release, own, now, &mut rand::rng()).unwrap()
    }

    async fn approve(&self, kit: &Kit, who: &Side, which: Digest32) -> Result<UnlockView, ActorError> {
        let approval = self.approval(kit, who, which).await;
        kit.call(who.caller(), ApproveGroupUnlock { group: self.team.group, ceremony: which, approval }).await
    }

    async fn deny(&self, kit: &Kit, who: &Side, which: Digest32) -> Result<UnlockView, ActorError> {
        let signer = &who.own.keyring().identity_signing;
        let statement = StopStatement::sign(Said::Deny, which, Timestamp(1), signer);
        kit.call(who.caller(), DenyGroupUnlock { group: self.team.group, ceremony: which, statement }).await
    }

    async fn collect(&self, kit: &Kit, who: &Side, which: Digest32) -> Result<UnlockParts, ActorError> {
        kit.call(who.caller(), CollectGroupUnlock { group: self.team.group, ceremony: which }).await
    }

    /// Opens the vault with what was released.
    async fn open(&self, kit: &Kit, who: &Side, asked: &Asked) -> Result<UnlockedVault, ActorError> {
        let parts = self.collect(kit, who, asked.id()).await?;
        let vault = self.team.vault();
        let handout =
            kit.call(who.caller(), GetKeySlots { vault: Some(vault), kind: None, claim: None }).await?;
        let page = kit.call(who.caller(), ListEntries { vault, after: None, limit: 0 }).await?;
        let keyring = read(kit, &who.person, vault, keyring_id()).await?;
        let scope = VaultScope { tenant: who.person.tenant, vault };
        let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
        let leaves = page.entries.iter().map(|head| head.leaf).collect();
        let locked =
            LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring)
                .unwrap();
        let set = GuardianSet::verify(&parts.signed_set, &self.identity()).unwrap();
        let release = SealSecretKey::from_bytes(*parts.release_private_key.expose());
        let given =
            Collection { ceremony: &asked.params, set: &set, release: &release, requester: &asked.secret };
        let collected = crypto::collect(&given, &parts.approvals, |key: &RecoveryKey| {
            locked.open(&SlotSecret::Recovery(key), None, Rollback::Refuse)
        });
        Ok(collected.unwrap().outcome.unwrap())
    }

    async fn state(&self, kit: &Kit, which: Digest32) -> CeremonyState {
        let ask = GetGroupUnlock { group: self.team.group, ceremony: which };
        kit.call(self.team.ann.caller(), ask).await.unwrap().unlock.state
    }
}

fn named(user: UserId) -> GuardianshipId {
    GuardianshipId::from_bytes(*user.as_bytes())
}

/// A key of this vault, dealt to these people.
fn dealing(open: &UnlockedVault, holders: &[&Side], need: u8) -> (RecoveryKey, GroupDeal) {
    let seat = |who: &&Side| Seat {
        guardianship: named(who.person.user),
        keys: GuardianKeys { identity: who.identity(), sealing: who.own.keyring().identity_seal.public() },
        units: 1,
    };
    let ids: &dyn IdGen = &RandomIds;
    let plan = Plan {
        id: ids.id(),
        scope: open.scope(),
        owner_sealing: open.keyring().identity_seal.public(),
        threshold: need,
        delays: Delays::DEFAULT,
        seats: holders.iter().map(seat).collect(),
        dealt_at: Timestamp(1),
        dev: false,
    };
    let dealt = guardian::deal(&plan, &open.keyring().identity_signing, &mut rand::rng()).unwrap();
    let part =
        |units: guardian::SealedUnits| (UserId::from_bytes(*units.guardianship.as_bytes()), units.sealed);
    let parts = dealt.units.into_iter().map(part).collect();
    (dealt.recovery_key, GroupDeal { signed_set: dealt.signed_set, parts })
}

/// A rotation to a key that is shared; what finishes it.
async fn sharing(
    kit: &Kit,
    by: &Side,
    open: &UnlockedVault,
    (key, deal): (RecoveryKey, GroupDeal),
) -> Result<(FinishRotation, vault::Completed), ActorError> {
    let drop: Vec<SlotId> = open.slots().iter().map(ocmt_crypto::slot::KeySlot::id).collect();
    let (finish, completed) = staged_with(kit, by, open, &drop, &[NewSlot::Recovery(&key)]).await?;
    Ok((FinishRotation { deal: Some(deal), ..finish }, completed))
}

async fn share(
    kit: &Kit,
    by: &Side,
    open: &mut UnlockedVault,
    deal: (RecoveryKey, GroupDeal),
) -> Result<VaultInfo, ActorError> {
    let (finish, completed) = sharing(kit, by, open, deal).await?;
    let info = kit.call(by.caller(), finish).await?;
    open.complete(completed).unwrap();
    Ok(info)
}
