//! Shares between people: what they open, for whom, and how they end.

mod administer;
mod agents;
mod by_key;
mod capabilities;
mod ends;
mod fits;
mod given_on;
mod lattice;
mod nodes;
mod offers;
mod opens;
mod renewals;
mod writes;

use ocmt_crypto::{
    entry::EntryName,
    grant,
    object::VaultObject,
    shared::{Acts, Basis, SharedAct, SharedPlace, SharedWrite, WriteGrant},
    sign::SigningKey,
    vault::UnlockedVault,
};
use ocmt_types::{CapabilityId, Digest32, ShareId, VaultId};

use super::{
    kit::{Kit, Person},
    programs::owner,
};
use crate::{
    ActorError, Caller,
    api::{
        capabilities::ApproveCapability,
        programs::EntryGrant,
        shares::{
            AcceptShare, CreateShare, ListShares, Permission, RevokeShare, SendSharedWrite, ShareInfo,
            ShareRevoked,
        },
        users::Role,
        vault::{Entries, EntryPage, GetEntry, ListEntries},
    },
};

const HOUR_MS: i64 = 3_600_000;

/// Somebody with a vault: of an entry `granted` and one `kept`.
struct Side {
    person: Person,
    open: UnlockedVault,
}

impl Side {
    async fn of(kit: &Kit, person: Person) -> Self {
        let open = owner(kit, &person).await;
        Self { person, open }
    }

    fn caller(&self) -> &Caller {
        &self.person.caller
    }

    fn vault(&self) -> VaultId {
        self.open.scope().vault
    }

    fn id(&self, name: &str) -> Digest32 {
        self.open.entry_id(&EntryName::new(name).unwrap())
    }

    fn signing(&self) -> &SigningKey {
        &self.open.keyring().identity_signing
    }
}

/// Ann, who owns the tenant, and Bob and Carol, who are members of it.
async fn three(kit: &Kit) -> (Side, Side, Side) {
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let carol = kit.member(&ann, "carol@example.com", Role::Member).await;
    (Side::of(kit, ann).await, Side::of(kit, bob).await, Side::of(kit, carol).await)
}

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

/// What the giver's device makes of an own entry.
async fn offer(kit: &Kit, giver: &Side, taker: &Side, name: &str, permissions: &[Permission]) -> CreateShare {
    signed_offer(kit, giver, taker, name, permissions, giver.signing()).await
}

async fn signed_offer(
    kit: &Kit,
    giver: &Side,
    taker: &Side,
    name: &str,
    permissions: &[Permission],
    signer: &SigningKey,
) -> CreateShare {
    let scope = giver.open.scope();
    let found = get(kit, giver.caller(), giver.vault(), giver.id(name)).await.unwrap();
    let object = &found.objects[0];
    let sealed = if permissions.contains(&Permission::Read) {
        let key = giver.open.data_key(object).unwrap();
        let to = taker.open.keyring().identity_seal.public();
        grant::seal(&object.place(scope), &key, &to, signer, &mut rand::rng()).unwrap()
    } else {
        Vec::new()
    };
    let ids: &dyn ocmt_types::IdGen = &ocmt_types::RandomIds;
    let share: ShareId = ids.id();
    CreateShare {
        vault: scope.vault,
        taker_email: taker.person.email.clone(),
        permissions: permissions.to_vec(),
        grants: vec![EntryGrant { object: object.object_id, version: object.version, sealed }],
        lifetime_ms: None,
        share: acts(permissions).map(|_| share),
        write_grants: acts(permissions)
            .map(|acts| word(giver, taker, object, (share, acts), signer))
            .into_iter()
            .collect(),
    }
}

fn acts(permissions: &[Permission]) -> Option<Acts> {
    let has = |one| permissions.contains(&one);
    let acts = Acts { write: has(Permission::Write), delete: has(Permission::Delete) };
    (acts.write || acts.delete).then_some(acts)
}

/// The giver's word to a taker who may write.
fn word(
    giver: &Side,
    taker: &Side,
    object: &VaultObject,
    (share, acts): (ShareId, Acts),
    signer: &SigningKey,
) -> Vec<u8> {
    let inbox = giver.open.keyring().inbox.public();
    let basis = Basis::of(giver.open.scope(), object);
    WriteGrant { share, basis, acts, inbox, taker: taker.signing().verify_key() }.sign(signer)
}

/// A share as somebody sees it.
async fn seen(kit: &Kit, by: &Side, share: ShareId) -> ShareInfo {
    shares(kit, by).await.into_iter().find(|info| info.id == share).unwrap()
}

/// What the taker's device makes of what the node shows of a share.
async fn sends(kit: &Kit, giver: &Side, taker: &Side, share: ShareId, act: &SharedAct) -> SendSharedWrite {
    let right = seen(kit, taker, share).await.rights.remove(0);
    let grant = WriteGrant::open(&right.write_grant, &giver.signing().verify_key()).unwrap();
    let place = SharedPlace { share, basis: grant.basis, sequence: right.next_sequence };
    SendSharedWrite { share, item: item(&place, act, giver, taker) }
}

fn item(place: &SharedPlace, act: &SharedAct, giver: &Side, taker: &Side) -> Vec<u8> {
    let inbox = giver.open.keyring().inbox.public();
    SharedWrite::seal(place, act, &inbox, taker.signing(), &mut rand::rng()).unwrap()
}

fn value(text: &[u8]) -> SharedAct {
    SharedAct::Put(zeroize::Zeroizing::new(text.to_vec()))
}

/// An approval for an hour, without writing.
fn approving(
    capability: CapabilityId,
    permissions: &[Permission],
    grants: Vec<EntryGrant>,
) -> ApproveCapability {
    ApproveCapability {
        capability,
        permissions: permissions.to_vec(),
        lifetime_ms: HOUR_MS,
        grants,
        share: None,
        write_grants: Vec::new(),
    }
}

/// Offered and taken.
async fn given(kit: &Kit, giver: &Side, taker: &Side, name: &str, permissions: &[Permission]) -> ShareId {
    let ask = offer(kit, giver, taker, name, permissions).await;
    let share = kit.call(giver.caller(), ask).await.unwrap().id;
    accept(kit, taker, share).await.unwrap();
    share
}

async fn accept(kit: &Kit, taker: &Side, share: ShareId) -> Result<ShareInfo, ActorError> {
    kit.call(taker.caller(), AcceptShare { share }).await
}

async fn revoke(kit: &Kit, by: &Side, share: ShareId) -> Result<ShareRevoked, ActorError> {
    kit.call(by.caller(), RevokeShare { share }).await
}

async fn get(kit: &Kit, caller: &Caller, vault: VaultId, object: Digest32) -> Result<Entries, ActorError> {
    kit.call(caller, GetEntry { vault, object, version: 0 }).await
}

async fn list(kit: &Kit, caller: &Caller, vault: VaultId) -> Result<EntryPage, ActorError> {
    kit.call(caller, ListEntries { vault, after: None, limit: 0 }).await
}

/// All shares that somebody sees, newest first.
async fn shares(kit: &Kit, of: &Side) -> Vec<ShareInfo> {
    kit.call(of.caller(), ListShares { limit: 100, ..ListShares::default() }).await.unwrap().shares
}
