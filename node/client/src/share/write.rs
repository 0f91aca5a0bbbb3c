//! Shares that may write: what a giver's device puts into the vault's ledger and signs, and what a taker's device sends.

use std::time::Duration;

use ocmt_crypto::{
    seal::SealPublicKey,
    shared::{Acts, Basis, SharedAct, SharedPlace, SharedWrite, WriteGrant},
    sign::SigningKey,
    unlock::{Ledger, WriteRight},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{
    Clock as _, Digest32, IdGen, MessageId, ProgramTokenId, RandomIds, ShareId, SystemClock, Timestamp,
};
use tonic::Code;

use super::{Offer, Permission, PersonKeys, Share, ShareState, SharedRight, Writing};
use crate::{
    Client, ClientError,
    capability::CapabilityState,
    client::{id, idempotency_key},
    vault::{Vault, digest},
};

/// A right of a share that the node does not list is kept for this long: another device may be giving it just now.
const GIVING: Duration = Duration::from_secs(3600);

impl Share {
    /// What it gives beside reading.
    pub(crate) fn acts(&self) -> Option<Acts> {
        let has = |one| self.permissions.contains(&one);
        let acts = Acts { write: has(Permission::Write), delete: has(Permission::Delete) };
        (acts.write || acts.delete).then_some(acts)
    }

    /// Whether it is neither over nor taken back.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, ShareState::Offered | ShareState::Accepted)
    }
}

impl Vault {
    /// Offers entries of this vault to write or to delete too. The vault's ledger says so first: without it, nothing of
    /// what the taker sends is filed.
    ///
    /// # Errors
    /// As [`Vault::give`]; [`ClientError::Crypto`] past 128 entries that are shared for writing.
    pub async fn give_to_write(
        &mut self,
        taker: &str,
        entries: &[String],
        permissions: &[Permission],
        lifetime: Option<Duration>,
    ) -> Result<Share, ClientError> {
        let keys = self.compared(taker)?;
        let has = |one| permissions.contains(&one);
        let acts = Acts { write: has(Permission::Write), delete: has(Permission::Delete) };
        let ids: &dyn IdGen = &RandomIds;
        let (share, now) = (ids.id::<ShareId>(), SystemClock.now());
        let mut ledger = self.ledger().await?;
        self.forget_ended(&mut ledger, now).await?;
        let (mut offers, mut grants) = (Vec::new(), Vec::new());
        for entry in entries {
            let object = self.object(self.entry_id(entry)?).await?;
            let scope = self.keys().scope();
            let right = WriteRight::new(
                (share, object.object_id),
                acts,
                (keys.signing, keys.sealing),
                self.keys().keyring().inbox.public(),
                now,
                lifetime.map(|lifetime| now + lifetime),
            )
            .reading(has(Permission::Read));
            grants.push(self.write_grant(&right, Basis::of(scope, &object)));
            ledger.give(right)?;
            offers.push(Offer { place: object.place(scope), key: self.keys().data_key(&object)? });
        }
        // rights take the place of the oldest unlocks of containers
        self.may_forget(&ledger.trim()).await?;
        self.keep_ledger(&ledger).await?;
        let writing = Writing { share: Some(share), grants };
        let offered = self.offer(self.id(), taker, &offers, (permissions, lifetime), writing).await;
        if offered.as_ref().is_err_and(was_refused) {
            self.forget_share(share).await?;
        }
        offered
    }

    /// The giver's word to the taker of a right, of this version of its entry.
    pub(crate) fn write_grant(&self, right: &WriteRight, basis: Basis) -> Vec<u8> {
        let (share, acts, inbox, taker) = (right.share, right.acts, right.inbox, right.taker);
        WriteGrant { share, basis, acts, inbox, taker }.sign(&self.keys().keyring().identity_signing)
    }

    /// The shares that the vault's ledger lets write, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn shares_that_write(&self) -> Result<Vec<ShareId>, ClientError> {
        let mut shares: Vec<ShareId> =
            self.ledger().await?.rights().iter().map(|right| right.share).collect();
        shares.dedup();
        Ok(shares)
    }

    /// Takes out of the ledger what a share may write: nothing of it is filed any more, whatever a node shows.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn forget_share(&mut self, share: ShareId) -> Result<(), ClientError> {
        let mut ledger = self.ledger().await?;
        if ledger.keep_rights(|right| right.share != share) {
            self.keep_ledger(&ledger).await?;
        }
        Ok(())
    }

    /// Takes out of the ledger what a program may write: by its key, which the device knows that made its token, and these
    /// approvals of it, which a node named.
    ///
    /// # Errors
    /// As [`Vault::put`].
    pub async fn forget_program(
        &mut self,
        program: ProgramTokenId,
        named: &[ShareId],
    ) -> Result<(), ClientError> {
        let key = self.state().program_pin(self.client().identity()?.tenant, program)?;
        let key = key.map(|pinned| SealPublicKey(pinned.0));
        let mut ledger = self.ledger().await?;
        let of_program = |right: &WriteRight| {
            key.is_some_and(|key| right.is_of_program(&key))
                || (right.is_once() && named.contains(&right.share))
        };
        if ledger.keep_rights(|right| !of_program(right)) {
            self.keep_ledger(&ledger).await?;
        }
        Ok(())
    }

    /// Lets what was given by this id end at this time already, if the ledger has it for longer.
    pub(crate) async fn end_share_by(&mut self, share: ShareId, at: Timestamp) -> Result<(), ClientError> {
        let mut ledger = self.ledger().await?;
        if ledger.end_right(share, at) {
            self.keep_ledger(&ledger).await?;
        }
        Ok(())
    }

    /// Rights of shares that are over, by this device's clock or as the node says, which can only take away with it.
    pub(crate) async fn forget_ended(&self, ledger: &mut Ledger, now: Timestamp) -> Result<(), ClientError> {
        if ledger.rights().is_empty() {
            return Ok(());
        }
        let shares = self.client().list_shares().await?;
        // what programs were approved to write stands in the ledger as a share does
        let approved = self.client().list_capabilities(false).await?;
        let lives = |right: &WriteRight| {
            shares.iter().any(|share| share.id == right.share && share.is_live())
                || approved
                    .iter()
                    .any(|one| one.share == Some(right.share) && one.state == CapabilityState::Approved)
        };
        // what is good once is over with the version that it is of
        let follows =
            |right: &WriteRight| self.present(right.object).is_some_and(|present| right.follows(&present));
        ledger.keep_rights(|right| {
            right.expires_at.is_none_or(|at| at > now)
                && (lives(right) || now.since(right.given_at) < GIVING)
                && (!right.is_once() || follows(right))
        });
        Ok(())
    }

    /// Sends a new version of an entry, or the wish that it ends, by a share that one has taken. It waits for the owner's
    /// device, and takes the place of one that waits.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the share does not allow it; [`ClientError::Crypto`] if the right is not what the giver
    /// signed, by the key that this device has pinned, to write one whose words were compared; [`ClientError::Refused`] with `CHANGED_MEANWHILE` if the entry was
    /// written since, `GRANT_STALE`, `SHARE_ENDED`.
    pub async fn send_by(
        &self,
        from: &Share,
        entry: Digest32,
        act: &SharedAct,
    ) -> Result<MessageId, ClientError> {
        let right = from.rights.iter().find(|right| right.object == entry);
        let allowed = right.filter(|_| from.acts().is_some_and(|acts| acts.allow(act)));
        let Some(right) = allowed else {
            let what = if matches!(act, SharedAct::Delete) { "delete" } else { "write" };
            let text =
                format!("the share does not let you {what} this secret: ask who gave it for another share");
            return Err(ClientError::Usage(text));
        };
        if right.write_grant.is_empty() {
            let text = format!("the share is {}: nothing is sent by it", from.state.as_str());
            return Err(ClientError::Usage(text));
        }
        // a value is sealed to what this key signed
        let giver: PersonKeys = match act {
            SharedAct::Put(_) => self.compared(&from.giver_email)?,
            SharedAct::Delete => self.pinned(&from.giver_email)?,
        };
        let own = &self.keys().keyring().identity_signing;
        let grant = WriteGrant::open(&right.write_grant, &giver.signing)?;
        let place = grant.basis.place;
        let meant = (grant.share, place.scope, place.object, grant.taker)
            == (from.id, self.scope_of(from)?, entry, own.verify_key());
        if !meant || !grant.acts.allow(act) {
            return Err(ocmt_crypto::CryptoError::Refused.into());
        }
        self.client().send_signed(&grant, right.next_sequence, act, own).await
    }
}

impl Client {
    /// Sends by what a giver's word says, which the caller has checked.
    pub(crate) async fn send_signed(
        &self,
        grant: &WriteGrant,
        sequence: u64,
        act: &SharedAct,
        signs: &SigningKey,
    ) -> Result<MessageId, ClientError> {
        let place = SharedPlace { share: grant.share, basis: grant.basis, sequence };
        let item = SharedWrite::seal(&place, act, &grant.inbox, signs, &mut rand::rng())?;
        let request = pb::SendSharedWriteRequest {
            share_id: grant.share.to_string(),
            item: item.into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.shares().send_shared_write(request).await?.into_inner();
        id(&answer.write_id, "write_id")
    }
}

pub(crate) fn right(from: &pb::SharedRight) -> Result<SharedRight, ClientError> {
    Ok(SharedRight {
        object: digest(&from.object_id, "object_id")?,
        write_grant: from.write_grant.to_vec(),
        next_sequence: from.next_sequence,
        waits: from.waits,
    })
}

/// Whether the node said no, so that there is no such share.
pub(crate) fn was_refused(error: &ClientError) -> bool {
    use Code::{
        Aborted, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, ResourceExhausted,
        Unauthenticated,
    };
    let refusals = [
        Aborted,
        FailedPrecondition,
        InvalidArgument,
        NotFound,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
    ];
    error.code().is_some_and(|code| refusals.contains(&code))
}
