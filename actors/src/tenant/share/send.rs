//! What a taker sends, or a program by an approval: checked as far as a node can, and put where the owner's device finds it.
//!
//! The node opens nothing. It holds the share's own word (this very permission, in force now), the taker's signature, the
//! version that it follows, and the sequence; the owner's device holds the same against its ledger, and does not believe
//! the node.

use ocmt_crypto::{
    datakey::VaultScope,
    shared::{MAX_SEALED, MAX_SEQUENCE, SharedWrite as Sent},
    sign::VerifyKey,
};
use ocmt_store::tables::{
    Capability, CapabilityState, Share, ShareRight, ShareState, SharedWrite, Vault, VaultObject,
};
use ocmt_types::{ShareId, VaultId};

use super::{allowed, is_given, is_over, rights};
use crate::{
    api::shares::{Permission, SendSharedWrite, SharedWriteSent},
    authorize::{Action, Allowed, Object},
    caller::Program,
    error::ActorError,
    tenant::vault::shared_arrived,
    work::{Handle, Work},
};

/// Writes that wait for one vault, whoever sent them.
const MOST_OF_VAULT: i64 = 256;

impl Handle for SendSharedWrite {
    async fn handle(self, work: &mut Work) -> Result<SharedWriteSent, ActorError> {
        if self.item.len() > MAX_SEALED {
            return Err(ActorError::invalid("item", format!("is longer than {MAX_SEALED} bytes")));
        }
        match work.standing.caller.program() {
            Some(program) => by_program(work, &self, program).await,
            None => by_share(work, &self).await,
        }
    }
}

/// What a person sends, by a share.
async fn by_share(work: &mut Work, it: &SendSharedWrite) -> Result<SharedWriteSent, ActorError> {
    let who = work.user()?;
    let found = work.tx.get::<Share>(it.share).await?.filter(|share| share.taker_user == who.user);
    let share = found.ok_or(ActorError::NotFound)?;
    work.object = format!("share/{}", it.share);
    let taker = rights::signs(work, who.user).await?;
    let sent = Sent::verify(&it.item, &taker)
        .map_err(|_| ActorError::invalid("item", "is not signed by your identity key"))?;
    let action = if sent.is_delete { Action::DeleteShared } else { Action::WriteShared };
    work.authorize_found(action, Some(&share), |share| Object {
        shared: Some(allowed(share)),
        ..Object::of(share.owner_user)
    })?;
    in_force(work, &share).await?;
    put(work, it, &sent, share.vault_id).await
}

/// What a program sends, by what was approved to it and by nothing else.
async fn by_program(
    work: &mut Work,
    it: &SendSharedWrite,
    program: Program,
) -> Result<SharedWriteSent, ActorError> {
    let asked = Capability::requester_program.eq(Some(program.token));
    let found = work.tx.first::<Capability>(asked.and(Capability::share_id.eq(Some(it.share)))).await?;
    let row = found.ok_or(ActorError::NotFound)?;
    let signs = row.sign_key.ok_or(ActorError::NotFound)?;
    work.object = format!("capability/{}", row.capability_id);
    work.authorize(Action::WriteShared, &Object::of(row.owner_user))?;
    let sent = Sent::verify(&it.item, &VerifyKey(signs.0))
        .map_err(|_| ActorError::invalid("item", "is not signed by the key that the request named"))?;
    if sent.is_delete || !Allowed::stored(&row.permissions).has(Permission::Write) {
        return Err(ActorError::PermissionDenied("what was approved does not allow it"));
    }
    if row.state != CapabilityState::Approved || row.expires_at <= work.now {
        let why = "what was approved has ended: ask again";
        return Err(ActorError::precondition("SHARE_ENDED", why));
    }
    put(work, it, &sent, row.vault_id).await
}

/// Puts it where the owner's device finds it, in the place of one that waits.
async fn put(
    work: &mut Work,
    it: &SendSharedWrite,
    sent: &Sent<'_>,
    vault: VaultId,
) -> Result<SharedWriteSent, ActorError> {
    let (right, vault) = follows(work, it.share, vault, sent).await?;
    let next = right.next_sequence.saturating_add(1);
    let guard = ShareRight::next_sequence.eq(right.next_sequence);
    let object = right.object_id;
    if !work.tx.update_if(&ShareRight { next_sequence: next, ..right }, guard).await? {
        return Err(ActorError::Aborted("the share"));
    }
    let row = SharedWrite {
        tenant_id: vault.tenant_id,
        write_id: work.env.id(),
        vault_id: vault.vault_id,
        share_id: it.share,
        object_id: object,
        is_delete: sent.is_delete,
        sealed: it.item.clone(),
        created_at: work.now,
    };
    // a newer one takes the place of one that waits
    let before = SharedWrite::share_id.eq(it.share).and(SharedWrite::object_id.eq(object));
    work.tx.delete_all::<SharedWrite>(before).await?;
    if work.tx.count::<SharedWrite>(SharedWrite::vault_id.eq(vault.vault_id)).await? >= MOST_OF_VAULT {
        let why = format!(
            "{MOST_OF_VAULT} writes by shares wait for this vault: its owner files or drops some with `ocmt vault inbox`"
        );
        return Err(ActorError::exhausted("INBOX_FULL", why));
    }
    work.tx.insert(&row).await?;
    shared_arrived(work, &vault).await?;
    work.details = vec![
        ("vault".to_owned(), vault.vault_id.to_string()),
        ("entry".to_owned(), object.to_string()),
        ("act".to_owned(), if row.is_delete { "delete" } else { "write" }.to_owned()),
        ("follows".to_owned(), sent.place.basis.place.version.to_string()),
        ("sequence".to_owned(), sent.place.sequence.to_string()),
    ];
    Ok(SharedWriteSent { id: row.write_id })
}

/// Whether the share counts now. Its taker knows of it, and is told.
async fn in_force(work: &mut Work, share: &Share) -> Result<(), ActorError> {
    if share.state == ShareState::Offered && !is_over(work, share) {
        let why = "take the offer first, with `ocmt share accept`";
        return Err(ActorError::precondition("NOT_ACCEPTED", why));
    }
    if is_over(work, share) || !is_given(work, share).await? {
        let why = "the share was taken back or has run out: nothing is sent by it any more";
        return Err(ActorError::precondition("SHARE_ENDED", why));
    }
    Ok(())
}

/// The right that it is sent by, if it is for this share's entry, follows its present version, and is the next one.
async fn follows(
    work: &mut Work,
    share: ShareId,
    vault: VaultId,
    sent: &Sent<'_>,
) -> Result<(ShareRight, Vault), ActorError> {
    let place = sent.place;
    let object = place.basis.place.object;
    let elsewhere = || ActorError::invalid("item", "is for another share, vault or entry");
    let scope = VaultScope { tenant: work.ownership.tenant, vault };
    if (place.share, place.basis.place.scope) != (share, scope) {
        return Err(elsewhere());
    }
    let right = work.tx.get::<ShareRight>((share, object)).await?.ok_or_else(elsewhere)?;
    let head = work.tx.get::<VaultObject>((vault, object)).await?.ok_or(ActorError::NotFound)?;
    if (head.version, head.body_hash) != (right.version, right.body_hash) {
        let why =
            "the entry was written since it was given: have its owner give the share again, or ask again";
        return Err(ActorError::precondition("GRANT_STALE", why));
    }
    // somebody's version was filed since the caller looked
    if place.basis != rights::basis_of(scope, &right) {
        return Err(ActorError::Aborted("the entry"));
    }
    if place.sequence >= MAX_SEQUENCE || i64::try_from(place.sequence) != Ok(right.next_sequence) {
        return Err(ActorError::Aborted("the share"));
    }
    let vault = work.tx.get::<Vault>(vault).await?.ok_or(ActorError::NotFound)?;
    Ok((right, vault))
}
