//! What the devices of requester, guardians and owner do in a ceremony, step by step.

use std::{sync::Arc, time::Duration};

use ocmt_crypto::{
    ceremony::{self, Ceremony, Collection, Purpose, ReleaseStatement, StopStatement, Verdict},
    guardian::{self, GuardianSet},
    kdf::{Cost, Passphrase},
    object::keyring_id,
    seal::SealSecretKey,
    sign::VerifyKey,
    slot::{KeySlot, NewSlot, RecoveryKey, SlotSecret},
    vault::{self, LockedVault, ProofOf, Rollback, UnlockedVault},
};
use ocmt_types::{Clock as _, Digest32, HandoutId, NodeId, RotationId};
use rand::{RngExt as _, rngs::StdRng};

use super::circle::{Circle, Requester};
use crate::{
    ActorError, Caller,
    api::{
        auth::LinkPurpose,
        recovery::{
            ApproveCeremony, CeremonyDetail, CeremonyState, CeremonyView, Collected, CompleteCeremony,
            Completed, DenyCeremony, Done, GetCeremony, GetGuardianship, LockCeremony, OpenCeremony,
            VoiceDoubt,
        },
        vault::{BatchGetEntries, FinishRotation, GetKeySlots, Handout, ListEntries, PutRewrappedKeys},
    },
    tests::kit::{Kit, Person, until},
};

impl Circle {
    /// A recovery session and the parameters of a ceremony, not opened yet.
    pub(super) async fn requester(&mut self) -> Requester {
        let person = self.kit.sign_in(&self.owner, LinkPurpose::Recovery).await;
        self.requester_in(person)
    }

    pub(super) fn requester_in(&mut self, person: Person) -> Requester {
        let secret = SealSecretKey::generate(&mut self.rng);
        let set = self.set.as_ref().unwrap();
        let now = self.kit.clock.now();
        let delay_ms = set.delays().recovery_ms;
        let params = Ceremony {
            nonce: self.rng.random(),
            scope: set.scope(),
            set: set.id(),
            set_hash: set.hash(),
            requester: secret.public(),
            purpose: Purpose::Recovery,
            opened_at: now,
            delay_ms,
            expires_at: now + Duration::from_millis(3 * delay_ms),
            overrides: None,
        };
        Requester { person, secret, params }
    }

    pub(super) async fn open(&self, requester: &Requester) -> Result<CeremonyView, ActorError> {
        let open = OpenCeremony { params: requester.params.encode(), overrides: Vec::new() };
        self.kit.call(&requester.person.caller, open).await
    }

    /// Opened, the owner's notice handed over, and every guardian told.
    pub(super) async fn opened(&mut self) -> Requester {
        let requester = self.requester().await;
        self.open(&requester).await.unwrap();
        self.told(&requester).await;
        requester
    }

    pub(super) async fn told(&self, requester: &Requester) {
        let id = requester.id();
        until("the delay counts", async || {
            self.state_of(&requester.person, id).await.unwrap().delay_started_at.is_some()
        })
        .await;
        for guard in &self.guards {
            until("the guardian is told", async || self.get(&guard.person, id).await.is_ok()).await;
        }
    }

    pub(super) async fn get(&self, who: &Person, ceremony: Digest32) -> Result<CeremonyDetail, ActorError> {
        self.ask(who, GetCeremony { ceremony }).await
    }

    pub(super) async fn state_of(
        &self,
        who: &Person,
        ceremony: Digest32,
    ) -> Result<CeremonyView, ActorError> {
        self.get(who, ceremony).await.map(|detail| detail.ceremony)
    }

    /// Waits until the ceremony is there, for its owner.
    pub(super) async fn reaches(&self, who: &Person, ceremony: Digest32, state: CeremonyState) {
        until("the ceremony gets there", async || {
            self.state_of(who, ceremony).await.is_ok_and(|view| view.state == state)
        })
        .await;
    }

    /// What a guardian's device makes of a ceremony: it verifies set and release key before it signs.
    pub(super) async fn approval(&mut self, n: usize, ceremony: Digest32) -> Vec<u8> {
        let signer = Arc::clone(&self.kit.system.env.signer);
        self.approval_at(n, ceremony, (signer.node(), signer.verify_key())).await
    }

    /// The same of a ceremony that this node opened, whoever has the owner's tenant by now.
    pub(super) async fn approval_at(
        &mut self,
        n: usize,
        ceremony: Digest32,
        (node, key): (NodeId, VerifyKey),
    ) -> Vec<u8> {
        let detail = self.get(&self.guards[n].person, ceremony).await.unwrap();
        let guard = &self.guards[n];
        let owner = VerifyKey(
            self.ask(&guard.person, GetGuardianship { guardianship: guard.guardianship })
                .await
                .unwrap()
                .owner_signing_key
                .unwrap(),
        );
        let set = GuardianSet::verify(&detail.signed_set, &owner).unwrap();
        let identity = guard.signing.verify_key();
        let units = guardian::open_units(&detail.sealed_units, &set, &identity, &guard.sealing).unwrap();
        let params = Ceremony::decode(&detail.ceremony.params).unwrap();
        assert_eq!(params.hash(), ceremony);
        let statement = detail.ceremony.release_statement.unwrap().statement;
        let release = ReleaseStatement::verify(&statement, node, &key, &ceremony).unwrap();
        let now = self.kit.clock.now();
        ceremony::approve(&params, &set, &release, (&guard.signing, &units), now, &mut self.rng).unwrap()
    }

    pub(super) async fn approve(&mut self, n: usize, ceremony: Digest32) -> Result<Done, ActorError> {
        let approval = self.approval(n, ceremony).await;
        self.send_approval(n, ceremony, approval).await
    }

    pub(super) async fn send_approval(
        &self,
        n: usize,
        ceremony: Digest32,
        approval: Vec<u8>,
    ) -> Result<Done, ActorError> {
        self.ask(&self.guards[n].person, ApproveCeremony { ceremony, approval }).await
    }

    pub(super) fn statement(&self, n: usize, verdict: Verdict, ceremony: Digest32) -> Vec<u8> {
        StopStatement::sign(verdict, ceremony, self.kit.clock.now(), &self.guards[n].signing)
    }

    pub(super) async fn deny(&self, n: usize, ceremony: Digest32) -> Result<Done, ActorError> {
        let statement = self.statement(n, Verdict::Deny, ceremony);
        self.ask(&self.guards[n].person, DenyCeremony { ceremony, statement }).await
    }

    pub(super) async fn lock(&self, n: usize, ceremony: Digest32) -> Result<Done, ActorError> {
        let statement = self.statement(n, Verdict::Lock, ceremony);
        self.ask(&self.guards[n].person, LockCeremony { ceremony, statement }).await
    }

    pub(super) async fn doubt(&self, n: usize, ceremony: Digest32) -> Result<Done, ActorError> {
        let statement = self.statement(n, Verdict::Doubt, ceremony);
        self.ask(&self.guards[n].person, VoiceDoubt { ceremony, statement }).await
    }

    /// The requester's device rebuilds the recovery key from what was collected, and opens the vault.
    pub(super) async fn unlock(
        &self,
        requester: &Requester,
        collected: &Collected,
    ) -> (UnlockedVault, Digest32, HandoutId) {
        let set =
            GuardianSet::verify(&collected.signed_set, &self.vault.keyring().identity_signing.verify_key())
                .unwrap();
        let release = SealSecretKey::from_bytes(*collected.release_private_key.expose());
        let approvals: Vec<_> = collected.approvals.iter().map(|one| one.approval.clone()).collect();
        let given = Collection {
            ceremony: &requester.params,
            set: &set,
            release: &release,
            requester: &requester.secret,
        };
        let (handout, locked) = self.fetch(&requester.person).await;
        let collected = ceremony::collect(&given, &approvals, |key: &RecoveryKey| {
            locked.open(&SlotSecret::Recovery(key), None, Rollback::Refuse)
        })
        .unwrap();
        assert!(collected.bad.is_empty());
        (collected.outcome.expect("the shares open the vault"), handout.challenge, handout.handout)
    }

    async fn fetch(&self, who: &Person) -> (Handout, LockedVault) {
        let vault = self.vault_id();
        let handout = self
            .kit
            .call(&who.caller, GetKeySlots { vault: Some(vault), kind: None, claim: None })
            .await
            .unwrap();
        let page = self.kit.call(&who.caller, ListEntries { vault, after: None, limit: 0 }).await.unwrap();
        let ask = BatchGetEntries { vault, objects: vec![keyring_id()] };
        let mut objects = self.kit.call(&who.caller, ask).await.unwrap().objects;
        let slots: Vec<_> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
        let locked = LockedVault::parse(
            self.vault.scope(),
            &slots,
            &handout.successions,
            &handout.manifest,
            page.entries.iter().map(|head| head.leaf).collect(),
            objects.pop().unwrap(),
        )
        .unwrap();
        (handout, locked)
    }

    /// The requester's device rotates under a new passphrase and completes.
    pub(super) async fn complete(
        &mut self,
        requester: &Requester,
        mut vault: UnlockedVault,
        proof: (Digest32, HandoutId),
    ) -> Result<(Completed, UnlockedVault), ActorError> {
        let who = requester.person.caller.clone();
        let (rotation, slots, manifest, completed) =
            stage_rotation(&self.kit, &who, &vault, Some("the new passphrase"), &mut self.rng).await?;
        let complete = CompleteCeremony {
            ceremony: requester.id(),
            rotation,
            slots,
            manifest,
            handout: proof.1,
            proof: vault.prove(ProofOf::Completion(requester.id()), proof.0).signature,
            bad_guardianships: Vec::new(),
        };
        let answer = self.kit.call(&who, complete).await?;
        vault.complete(completed).unwrap();
        Ok((answer, vault))
    }

    /// The owner's device rotates.
    pub(super) async fn rotate(&mut self) {
        let who = self.owner.caller.clone();
        let (rotation, slots, manifest, completed) =
            stage_rotation(&self.kit, &who, &self.vault, None, &mut self.rng).await.unwrap();
        let finish = FinishRotation { vault: self.vault_id(), rotation, slots, manifest, deal: None };
        self.kit.call(&who, finish).await.unwrap();
        self.vault.complete(completed).unwrap();
    }
}

/// Which rotation, its slots and manifest, and the keys to take over.
pub(super) type Staged = (RotationId, Vec<Vec<u8>>, Vec<u8>, vault::Completed);

/// Begins a re-keying rotation and stages every object; a passphrase drops all other slots.
pub(super) async fn stage_rotation(
    kit: &Kit,
    who: &Caller,
    vault: &UnlockedVault,
    passphrase: Option<&str>,
    rng: &mut StdRng,
) -> Result<Staged, ActorError> {
    let id = vault.scope().vault;
    let secret = passphrase.map(|text| Passphrase::new(text).unwrap());
    let add: Vec<_> = secret.iter().map(|secret| NewSlot::Passphrase(secret, Cost::LEAST)).collect();
    let drop: Vec<_> = vault.slots().iter().filter(|_| secret.is_some()).map(KeySlot::id).collect();
    let mode = ocmt_crypto::vault::RotationMode::Rekey;
    let mut rotation = vault.begin_rotation(mode, &drop, &add, rng).unwrap();
    let start = rotation.start();
    let begin = crate::tests::vault::begin(id, start, mode);
    let begun = kit.call(who, begin).await?;
    let ids: Vec<_> = vault.leaves().map(|leaf| leaf.object_id).collect();
    let objects = kit.call(who, BatchGetEntries { vault: id, objects: ids }).await?.objects;
    let objects = objects.iter().map(|object| rotation.convert(object, rng).unwrap()).collect();
    let put = PutRewrappedKeys { vault: id, rotation: begun.id, keys: Vec::new(), objects };
    kit.call(who, put).await?;
    let completed = rotation.finish().unwrap();
    Ok((begun.id, completed.slots.clone(), completed.manifest.clone(), completed))
}
