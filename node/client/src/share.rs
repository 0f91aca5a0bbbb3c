//! Shares between people: what a giver's device seals, and what a taker's device opens and believes.
//!
//! Both hold the other's identity keys pinned. Who gives has compared six words with the taker, since what is sealed to a
//! key that the node made up is given to the node; who takes believes the key that was there first.

mod permission;
mod write;

use std::time::Duration;

use ocmt_crypto::{
    datakey::{DataKey, ObjectPlace, VaultScope},
    entry::Entry,
    grant,
    object::{VaultObject, open_body},
    seal::SealPublicKey,
    sign::VerifyKey,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, ShareId, TenantId, Timestamp, VaultId};
use serde::Serialize;

pub use permission::Permission;
pub(crate) use permission::permission;
pub(crate) use write::{right, was_refused};

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    recovery::identity_words,
    vault::{Vault, digest, to_object},
    wire::{as_text, duration, time},
};

/// Where a share stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// Waits for its taker.
    Offered,
    /// Taken.
    Accepted,
    /// Taken back, or ended with something else.
    Revoked,
    /// Run out.
    Expired,
}

impl ShareState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// An entry of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedEntry {
    /// Which object.
    #[serde(serialize_with = "as_text")]
    pub object: Digest32,
    /// The version that was given.
    pub version: u64,
}

/// What the taker of a share may do to an entry of it beside reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedRight {
    /// Which object.
    #[serde(serialize_with = "as_text")]
    pub object: Digest32,
    /// What the giver signed; empty for who is not the taker, and where the share is not in force.
    #[serde(skip)]
    pub write_grant: Vec<u8>,
    /// The sequence of what is sent next.
    pub next_sequence: u64,
    /// Whether something that was sent waits for the owner's device.
    pub waits: bool,
}

/// A share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Which.
    pub id: ShareId,
    /// Where it stands.
    pub state: ShareState,
    /// Whose entries.
    pub vault: VaultId,
    /// Who gave it.
    pub giver_email: String,
    /// To whom.
    pub taker_email: String,
    /// Exactly what is allowed.
    pub permissions: Vec<Permission>,
    /// What of.
    pub entries: Vec<SharedEntry>,
    /// Of one that may write or delete: one of each entry.
    pub rights: Vec<SharedRight>,
    /// When it was offered.
    pub created_at: Option<Timestamp>,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}

/// The public identity keys of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonKeys {
    /// Signs what they give.
    pub signing: VerifyKey,
    /// What is given to them is sealed to it.
    pub sealing: SealPublicKey,
}

impl PersonKeys {
    /// The six words that their owner sees too.
    ///
    /// # Errors
    /// None in practice.
    pub async fn words(&self) -> Result<String, ClientError> {
        identity_words(self.signing, self.sealing).await
    }
}

/// What is said of a share that may write or delete.
#[derive(Default)]
struct Writing {
    share: Option<ShareId>,
    grants: Vec<Vec<u8>>,
}

/// What is offered of each entry.
struct Offer {
    place: ObjectPlace,
    key: DataKey,
}

impl Client {
    /// The keys that whoever of the tenant has this address has published. Nothing makes them theirs but comparing
    /// words with them.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is nobody.
    pub async fn keys_of(&self, email: &str) -> Result<PersonKeys, ClientError> {
        let users = self.list_users().await?;
        let user = users.into_iter().find(|user| user.email.eq_ignore_ascii_case(email));
        let user =
            user.ok_or_else(|| ClientError::Usage(format!("nobody of your tenant has the address {email}")))?;
        let request = pb::GetIdentityKeyRequest { user_id: user.id.to_string() };
        let answer = self.users().get_identity_key(request).await?.into_inner();
        let key = present(answer.identity_key, "identity_key")?;
        Ok(PersonKeys {
            signing: VerifyKey(digest(&key.signing_key, "signing_key")?.0),
            sealing: SealPublicKey(digest(&key.sealing_key, "sealing_key")?.0),
        })
    }

    /// Shares given and taken, those that others gave on of one's own vault, and those of entries that one administers, newest
    /// first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_shares(&self) -> Result<Vec<Share>, ClientError> {
        let (mut all, mut page_token, mut pages) = (Vec::new(), String::new(), Pages::default());
        loop {
            let request = pb::ListSharesRequest { page_size: 100, page_token, states: Vec::new() };
            let page = self.shares().list_shares(request).await?.into_inner();
            all.extend(page.shares.into_iter().map(share).collect::<Result<Vec<_>, _>>()?);
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// One share out of the list.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it is not in it.
    pub async fn share(&self, which: ShareId) -> Result<Share, ClientError> {
        let found = self.list_shares().await?.into_iter().find(|share| share.id == which);
        found.ok_or_else(|| ClientError::Usage("there is no such share: see `ocmt share list`".to_owned()))
    }

    /// Takes an offer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_OFFERED` if it was taken back, has run out or was answered.
    pub async fn accept_share(&self, which: ShareId) -> Result<Share, ClientError> {
        let request =
            pb::AcceptShareRequest { share_id: which.to_string(), idempotency_key: idempotency_key() };
        let answer = self.shares().accept_share(request).await?.into_inner();
        share(present(answer.share, "share")?)
    }

    /// Takes a share back, at once and on every node. To whose vault it is it names the objects whose present key was
    /// handed out: [`Vault::rekey`] them. It can be asked again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_share(&self, which: ShareId) -> Result<Vec<Digest32>, ClientError> {
        let request =
            pb::RevokeShareRequest { share_id: which.to_string(), idempotency_key: idempotency_key() };
        let answer = self.shares().revoke_share(request).await?.into_inner();
        answer.rekey_object_ids.iter().map(|object| digest(object, "rekey_object_ids")).collect()
    }
}

impl Vault {
    /// Offers entries of this vault, as they are now, to somebody whose keys this device has pinned.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is no entry of a name, or the keys of the taker are not pinned;
    /// [`ClientError::Refused`].
    pub async fn give(
        &self,
        taker: &str,
        entries: &[String],
        permissions: &[Permission],
        lifetime: Option<Duration>,
    ) -> Result<Share, ClientError> {
        self.give_of(self, taker, entries, permissions, lifetime).await
    }

    /// The same of another vault that is open here: a group's.
    pub(crate) async fn give_of(
        &self,
        source: &Self,
        taker: &str,
        entries: &[String],
        permissions: &[Permission],
        lifetime: Option<Duration>,
    ) -> Result<Share, ClientError> {
        let mut offers = Vec::with_capacity(entries.len());
        for entry in entries {
            let object = source.object(source.entry_id(entry)?).await?;
            let key = source.keys().data_key(&object)?;
            offers.push(Offer { place: object.place(source.keys().scope()), key });
        }
        self.offer(source.id(), taker, &offers, (permissions, lifetime), Writing::default()).await
    }

    /// Gives on all of a share that one has taken to read and to give on.
    ///
    /// # Errors
    /// As [`Vault::give`] and [`Vault::read_share`].
    pub async fn give_on(
        &self,
        from: &Share,
        taker: &str,
        permissions: &[Permission],
        lifetime: Option<Duration>,
    ) -> Result<Share, ClientError> {
        let giver = self.pinned(&from.giver_email)?;
        let mut offers = Vec::with_capacity(from.entries.len());
        for entry in &from.entries {
            let (object, key) = self.shared_object(from, entry, &giver).await?;
            offers.push(Offer { place: object.place(self.scope_of(from)?), key });
        }
        self.offer(from.vault, taker, &offers, (permissions, lifetime), Writing::default()).await
    }

    async fn offer(
        &self,
        vault: VaultId,
        taker: &str,
        offers: &[Offer],
        (permissions, lifetime): (&[Permission], Option<Duration>),
        writing: Writing,
    ) -> Result<Share, ClientError> {
        let keys = self.compared(taker)?;
        let giver = &self.keys().keyring().identity_signing;
        let mut grants = Vec::with_capacity(offers.len());
        for Offer { place, key } in offers {
            // what is not given to read is not sealed to anybody
            let sealed = match permissions.contains(&Permission::Read) {
                true => grant::seal(place, key, &keys.sealing, giver, &mut rand::rng())?,
                false => Vec::new(),
            };
            grants.push(pb::EntryGrant {
                object_id: place.object.0.to_vec().into(),
                version: place.version,
                sealed_grant: sealed.into(),
            });
        }
        let request = pb::CreateShareRequest {
            vault_id: vault.to_string(),
            taker_email: taker.to_owned(),
            permissions: permissions.iter().map(|one| one.to_pb()).collect(),
            grants,
            lifetime: lifetime.map(duration),
            share_id: writing.share.map(|share| share.to_string()).unwrap_or_default(),
            write_grants: writing.grants.into_iter().map(Into::into).collect(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().shares().create_share(request).await?.into_inner();
        share(present(answer.share, "share")?)
    }

    /// Reads the entries of a share that one has taken.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `GRANT_STALE` if an entry was written anew since; [`ClientError::Crypto`] if it is
    /// not what the giver gave, by the key that this device has pinned.
    pub async fn read_share(&self, from: &Share) -> Result<Vec<Entry>, ClientError> {
        let giver = self.pinned(&from.giver_email)?;
        let mut entries = Vec::with_capacity(from.entries.len());
        for entry in &from.entries {
            let (object, key) = self.shared_object(from, entry, &giver).await?;
            let place = object.place(self.scope_of(from)?);
            entries.push(Entry::decode(&open_body(&key, &place, &object.body)?)?);
        }
        Ok(entries)
    }

    /// An entry of a share, with the data key that the giver signed.
    async fn shared_object(
        &self,
        from: &Share,
        entry: &SharedEntry,
        giver: &PersonKeys,
    ) -> Result<(VaultObject, DataKey), ClientError> {
        let request = pb::GetEntryRequest {
            vault_id: from.vault.to_string(),
            object_id: entry.object.0.to_vec().into(),
            version: 0,
        };
        let answer = self.client().vaults().get_entry(request).await?.into_inner();
        let object = to_object(present(answer.object, "object")?)?;
        if object.object_id != entry.object {
            return Err(ClientError::Answer("object"));
        }
        let own = &self.keys().keyring().identity_seal;
        let key =
            grant::open(&object.place(self.scope_of(from)?), &answer.sealed_grant, own, &giver.signing)?;
        Ok((object, key))
    }

    fn scope_of(&self, from: &Share) -> Result<VaultScope, ClientError> {
        Ok(VaultScope { tenant: self.tenant()?, vault: from.vault })
    }

    fn tenant(&self) -> Result<TenantId, ClientError> {
        Ok(self.client().identity()?.tenant)
    }

    pub(crate) fn pinned(&self, email: &str) -> Result<PersonKeys, ClientError> {
        let pinned = self.state().person_pin(self.tenant()?, email)?;
        pinned.ok_or_else(|| ClientError::Usage(format!("this device does not know the keys of {email} yet")))
    }

    /// Keys to seal to, and to believe about a vault: a pin alone may be of keys that a node made up.
    pub(crate) fn compared(&self, email: &str) -> Result<PersonKeys, ClientError> {
        let compared = self.state().compared_keys(self.tenant()?, email)?;
        compared.ok_or_else(|| {
            ClientError::Usage(format!(
                "the words of {email} were not compared on this device: call them, and repeat this with --words and the \
                 six words that you hear from them"
            ))
        })
    }
}

fn share(from: pb::Share) -> Result<Share, ClientError> {
    let entry = |grant: &pb::EntryGrant| {
        Ok(SharedEntry { object: digest(&grant.object_id, "object_id")?, version: grant.version })
    };
    Ok(Share {
        id: id(&from.share_id, "share_id")?,
        state: match from.state() {
            pb::ShareState::Offered => ShareState::Offered,
            pb::ShareState::Accepted => ShareState::Accepted,
            pb::ShareState::Revoked => ShareState::Revoked,
            pb::ShareState::Expired => ShareState::Expired,
            pb::ShareState::Unspecified => return Err(ClientError::Answer("state")),
        },
        vault: id(&from.vault_id, "vault_id")?,
        permissions: from.permissions().map(permission).collect::<Result<_, _>>()?,
        entries: from.grants.iter().map(entry).collect::<Result<_, ClientError>>()?,
        rights: from.rights.iter().map(right).collect::<Result<_, ClientError>>()?,
        created_at: from.created_at.as_ref().map(time),
        expires_at: from.expires_at.as_ref().map(time),
        giver_email: from.giver_email,
        taker_email: from.taker_email,
    })
}
