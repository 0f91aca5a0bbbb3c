//! The requester's side: a person who has lost the passphrase, in a recovery session.

use std::time::Duration;

use ocmt_crypto::{
    CryptoError,
    ceremony::{self as crypto, BadReason, Collection},
    guardian::GuardianSet,
    kdf::Cost,
    seal::SealSecretKey,
    slot::{SlotKind, SlotSecret},
    vault::{ProofOf, Rollback, RotationMode},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, GuardianshipId, SystemClock, VaultId};
use serde::Serialize;

use super::{Ceremony, ceremony::expect, ceremony_words};
use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    passphrase::NewPassphrase,
    state::LocalState,
    vault::{Added, Vault, digest, present_vault},
};

/// How long a ceremony stays open after its delay.
const OPEN_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The same of one that goes on over a stop, or whose requester has lost the mailbox too: it has to be signed for first.
const OVERRIDE_OPEN_FOR: Duration = Duration::from_secs(28 * 24 * 60 * 60);

/// Which delay of the set a ceremony waits for.
#[derive(Clone, Copy)]
enum Delay {
    Usual,
    Longest,
}

/// A ceremony with the requester's half of its key. Kept in the local state from before it is opened
/// until it is completed, so that the days in between may see restarts.
pub struct RecoveryRequest {
    pub(crate) ceremony: crypto::Ceremony,
    pub(crate) secret: SealSecretKey,
}

/// An approval that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadShare {
    /// Whose, if the guardian signed it.
    pub guardianship: Option<GuardianshipId>,
    /// The address the node names for it.
    pub guardian_email: String,
    /// Why, in words.
    pub why: String,
}

/// The vault, open again, and still to be given a new passphrase.
pub struct Recovered {
    vault: Vault,
    ceremony: Digest32,
    bad: Vec<BadShare>,
}

impl Client {
    /// Asks the guardians of a vault (of the session's without an id) to give it back. Everything of the
    /// ceremony is chosen, and kept in `state`, before anything is sent.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the vault has no guardians.
    pub async fn open_ceremony(
        &self,
        vault: Option<VaultId>,
        state: &LocalState,
    ) -> Result<(RecoveryRequest, Ceremony), ClientError> {
        self.open(vault, None, Delay::Usual, state).await
    }

    /// Asks the guardians to go on over a veto or a lock. It opens once guardians of one unit more than are needed have
    /// signed for it, waits for the longest delay of the set, and then neither veto nor lock stops it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_STOPPED` if that ceremony was not stopped; [`ClientError::Usage`] if all of
    /// the guardians are needed: then there is no override.
    pub async fn open_override(
        &self,
        stopped: &Ceremony,
        state: &LocalState,
    ) -> Result<(RecoveryRequest, Ceremony), ClientError> {
        self.open(Some(stopped.vault), Some(stopped.id), Delay::Longest, state).await
    }

    /// Asks the guardians of an owner who has lost the mailbox too, in the session of [`Client::take_lost_mailbox_link`]; over the
    /// stop of `stopped` if one is named. It opens once guardians of as many units as are needed have signed for it (of one more, over a stop),
    /// and waits for the longest delay of the set.
    ///
    /// # Errors
    /// As [`Client::open_ceremony`] and [`Client::open_override`].
    pub async fn open_without_mailbox(
        &self,
        stopped: Option<Digest32>,
        state: &LocalState,
    ) -> Result<(RecoveryRequest, Ceremony), ClientError> {
        self.open(None, stopped, Delay::Longest, state).await
    }

    async fn open(
        &self,
        vault: Option<VaultId>,
        overrides: Option<Digest32>,
        delay: Delay,
        state: &LocalState,
    ) -> Result<(RecoveryRequest, Ceremony), ClientError> {
        let circle = self.circle(vault).await?.ok_or_else(|| {
            ClientError::Usage("this vault has no guardians: nobody can give it back".to_owned())
        })?;
        if circle.set.scope().tenant != self.identity()?.tenant {
            return Err(ClientError::Answer("signed_set"));
        }
        let secret = SealSecretKey::generate(&mut rand::rng());
        if overrides.is_some() && !circle.set.has_override() {
            let text = "every guardian of this vault is needed, so none is left to go on over a stop";
            return Err(ClientError::Usage(text.to_owned()));
        }
        let delays = circle.set.delays();
        let (delay_ms, open_for) = match delay {
            Delay::Usual => (delays.recovery_ms, OPEN_FOR),
            Delay::Longest => (delays.lock_ms, OVERRIDE_OPEN_FOR),
        };
        let now = SystemClock.now();
        let ceremony = crypto::Ceremony {
            nonce: rand::random(),
            scope: circle.set.scope(),
            set: circle.set.id(),
            set_hash: circle.set.hash(),
            requester: secret.public(),
            purpose: crypto::Purpose::Recovery,
            opened_at: now,
            delay_ms,
            expires_at: now + Duration::from_millis(delay_ms) + open_for,
            overrides,
        };
        let request = RecoveryRequest { ceremony, secret };
        state.keep_request(&request)?;
        let ask = pb::OpenCeremonyRequest {
            params: ceremony.encode().into(),
            overrides: Vec::new(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.recovery().open_ceremony(ask).await?.into_inner();
        let opened = expect(present(answer.ceremony, "ceremony")?, request.id())?;
        Ok((request, opened))
    }

    /// Gives a ceremony up.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel_ceremony(&self, ceremony: Digest32) -> Result<Ceremony, ClientError> {
        let request = pb::CancelCeremonyRequest {
            ceremony_id: ceremony.0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.recovery().cancel_ceremony(request).await?.into_inner();
        expect(present(answer.ceremony, "ceremony")?, ceremony)
    }
}

impl RecoveryRequest {
    /// Its name everywhere.
    pub fn id(&self) -> Digest32 {
        self.ceremony.hash()
    }

    /// The six words to compare with each guardian by telephone.
    ///
    /// # Errors
    /// None in practice.
    pub async fn words(&self) -> Result<String, ClientError> {
        ceremony_words(self.id()).await
    }

    /// After release: opens what the guardians gave, checks every share, rebuilds the recovery key and
    /// opens the vault with it.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] with [`CryptoError::TooFewUnits`] if too few shares were good; the bad
    /// ones are logged by guardian.
    pub async fn collect(&self, client: &Client, state: &LocalState) -> Result<Recovered, ClientError> {
        let ask = pb::CollectSharesRequest { ceremony_id: self.id().0.to_vec().into() };
        let answer = client.recovery().collect_shares(ask).await?.into_inner();
        let owner = GuardianSet::claimed_owner(&answer.signed_set)?;
        // `collect` holds its hash against the one in the ceremony, which the guardians compared
        let set = GuardianSet::verify(&answer.signed_set, &owner)?;
        let release = SealSecretKey::from_slice(&answer.release_private_key)?;
        let approvals: Vec<Vec<u8>> = answer.approvals.iter().map(|one| one.approval.to_vec()).collect();

        let shown = client.show_vault(Some(self.ceremony.scope.vault), SlotKind::Recovery, None).await?;
        let seen = state.seen(shown.scope.vault)?;
        let given =
            Collection { ceremony: &self.ceremony, set: &set, release: &release, requester: &self.secret };
        let locked = shown.locked;
        let collected = crypto::collect(&given, &approvals, move |key| {
            locked.open(&SlotSecret::Recovery(key), seen.as_ref(), Rollback::Refuse)
        })?;
        let bad = name_bad(&answer.approvals, &collected.bad)?;
        for share in &bad {
            tracing::warn!(guardian = %share.guardian_email, why = %share.why, "share left out");
        }
        let open = collected.outcome.map_err(|error| match error {
            CryptoError::RolledBack { shown, seen } => ClientError::RolledBack { seen, shown },
            other => ClientError::Crypto(other),
        })?;
        let vault = present_vault(client, state, open, &shown.handout).await?;
        Ok(Recovered { vault, ceremony: self.id(), bad })
    }
}

impl Recovered {
    /// The vault, to look into.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Approvals that were left out.
    pub fn bad(&self) -> &[BadShare] {
        &self.bad
    }

    /// Gives the vault a new passphrase and new keys; the old passphrase and the recovery slot open
    /// nothing any more, and all sessions of the user end, this one included. How many ended.
    ///
    /// # Errors
    /// [`ClientError`]; nothing has changed then, or all of it.
    pub async fn complete(
        mut self,
        passphrase: NewPassphrase,
        cost: Cost,
        state: &LocalState,
    ) -> Result<u32, ClientError> {
        let drop =
            [self.vault.slots_of(SlotKind::Passphrase), self.vault.slots_of(SlotKind::Recovery)].concat();
        let add = [Added::Passphrase(passphrase, cost)];
        let (rotation_id, completed) =
            self.vault.stage(RotationMode::Rekey, &drop, &add, "recovery by guardians").await?;
        let vault_id = self.vault.id().to_string();
        let handout = self.vault.client().key_slots(vault_id, SlotKind::Recovery, None).await?;
        let challenge = digest(&handout.challenge, "challenge")?;
        let proof = self.vault.keys().prove(ProofOf::Completion(self.ceremony), challenge);
        let bad = self.bad.iter().filter_map(|bad| bad.guardianship);
        let request = pb::CompleteCeremonyRequest {
            ceremony_id: self.ceremony.0.to_vec().into(),
            rotation_id,
            slots: completed.slots.iter().cloned().map(Into::into).collect(),
            manifest: completed.manifest.clone().into(),
            handout_id: handout.handout_id,
            proof: proof.signature.0.to_vec().into(),
            bad_guardianship_ids: bad.map(|id| id.to_string()).collect(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.vault.client().recovery().complete_ceremony(request).await?.into_inner();
        self.vault.adopt(completed)?;
        state.forget_request(self.ceremony)?;
        Ok(answer.ended_credentials)
    }
}

fn name_bad(
    approvals: &[pb::CollectedApproval],
    bad: &[crypto::BadApproval],
) -> Result<Vec<BadShare>, ClientError> {
    bad.iter()
        .map(|bad| {
            let named = approvals.get(bad.index).ok_or(ClientError::Answer("approvals"))?;
            let why = match bad.reason {
                BadReason::Unsigned => "nobody signed it: who sent it is not known",
                BadReason::WrongShare => "the guardian signed a share that is not the one dealt",
                BadReason::Repeated => "the guardian's approval came twice",
            };
            let guardianship = bad.guardianship.map(|_| id(&named.guardianship_id, "guardianship_id"));
            Ok(BadShare {
                guardianship: guardianship.transpose()?,
                guardian_email: named.guardian_email.clone(),
                why: why.to_owned(),
            })
        })
        .collect()
}
